"""The store: same model, same bytes; found in order; used only as its card says."""

import json
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from drumsep import weights
from drumsep.errors import DrumsepError
from drumsep.hashing import file_sha256
from drumsep.weights import ModelCard, Origin

STATE = {
    "layer.weight": torch.arange(6, dtype=torch.float32).reshape(2, 3),
    "half": torch.tensor([0.5, -1.0], dtype=torch.float16),
    "count": torch.tensor(7),
}
METADATA = {"format": "drumsep-1", "kind": "idm", "dimensions": "{}", "a": "1", "b": "2", "c": "3"}
ORIGIN = Origin(kind="idm", licence="CC0-1.0", source="made by formula", notes="für Tests")


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    """The three folders that are searched, all empty."""
    found = {name: tmp_path / name for name in ("given", "user", "bundled")}
    monkeypatch.setenv("DRUMSEP_WEIGHTS", str(found["given"]))
    monkeypatch.setattr(weights, "user_folder", lambda: found["user"])
    monkeypatch.setattr(weights, "bundled_folder", lambda: found["bundled"])
    return found


def stored(folder: Path, name: str = "toy", source: str = "made by formula") -> ModelCard:
    origin = Origin(kind="idm", licence="CC0-1.0", source=source)
    return weights.store(folder, name, STATE, METADATA, origin)


def test_what_is_stored_is_read_back(tmp_path: Path) -> None:
    card = weights.store(tmp_path / "new" / "folder", "toy", STATE, METADATA, ORIGIN)
    assert card == weights.read_card(card.path)
    assert card.to_dict() == {
        "name": "toy",
        "kind": "idm",
        "path": str(tmp_path / "new" / "folder" / "toy.safetensors"),
        "sha256": file_sha256(card.path),
        "licence": "CC0-1.0",
        "source": "made by formula",
        "notes": "für Tests",
        "bundled": False,
    }
    state, metadata = weights.read(card)
    assert metadata == METADATA
    assert set(state) == set(STATE)
    for name, tensor in STATE.items():
        assert state[name].dtype == tensor.dtype and torch.equal(state[name], tensor)
    assert {path.name for path in card.path.parent.iterdir()} == {"toy.json", "toy.safetensors"}


def test_the_same_model_gives_the_same_bytes(tmp_path: Path) -> None:
    other_order = dict(reversed(METADATA.items()))
    stored(tmp_path / "first")
    for turn in range(5):
        weights.store(tmp_path / str(turn), "toy", STATE, other_order, ORIGIN)
        read = (tmp_path / str(turn) / "toy.safetensors").read_bytes()
        assert read == (tmp_path / "first" / "toy.safetensors").read_bytes()


def test_views_are_stored_by_value(tmp_path: Path) -> None:
    turned = {"turned": STATE["layer.weight"].T}
    state, _ = weights.read(weights.store(tmp_path, "toy", turned, {}, ORIGIN))
    assert torch.equal(state["turned"], STATE["layer.weight"].T)


@pytest.mark.parametrize("name", ["", "../x", "a/b", ".hidden", "-x", "ü", "x" * 65, "a b", "a\n"])
def test_names_that_are_no_file_names_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(DrumsepError, match="cannot name a model"):
        stored(tmp_path / "folder", name)
    assert not (tmp_path / "folder").exists()


def test_a_failed_store_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(DrumsepError, match="cannot be written: No space left"):
        stored(tmp_path)
    assert not list(tmp_path.iterdir())
    (tmp_path / "file").touch()
    with pytest.raises(DrumsepError, match="cannot be written"):
        stored(tmp_path / "file" / "folder")


def test_the_first_folder_that_has_a_name_wins(places: dict[str, Path]) -> None:
    for place in ("bundled", "user", "given"):
        stored(places[place], source=place)
        assert weights.find("toy").source == place
    stored(places["bundled"], "another")
    assert [card.name for card in weights.installed()] == ["another", "toy"]
    assert weights.find("another").bundled and not weights.find("toy").bundled


def test_an_unknown_name_is_answered_with_what_there_is(places: dict[str, Path]) -> None:
    stored(places["user"])
    with pytest.raises(DrumsepError) as caught:
        weights.find("toyy")
    message = str(caught.value)
    assert "'toyy'" in message and "installed: toy;" in message and "models import" in message
    assert all(str(place) in message for place in places.values())
    for hostile in ("../user/toy", "*", ""):
        with pytest.raises(DrumsepError, match="no model is called"):
            weights.find(hostile)


def test_damaged_weights_are_refused(tmp_path: Path) -> None:
    card = stored(tmp_path)
    data = card.path.read_bytes()
    for damaged in (data[:-1] + b"\xff", data[: len(data) // 2], b""):
        card.path.write_bytes(damaged)
        with pytest.raises(DrumsepError, match="damaged or replaced"):
            weights.read(card)
    card.path.unlink()
    with pytest.raises(DrumsepError, match="No such file"):
        weights.read(card)


@pytest.mark.parametrize("data", [b"", b"not weights", b"\xff" * 64])
def test_a_file_of_another_kind_is_refused_even_with_its_hash(tmp_path: Path, data: bytes) -> None:
    card = stored(tmp_path)
    card.path.write_bytes(data)
    told = json.loads(card.path.with_suffix(".json").read_text("utf-8"))
    told["sha256"] = file_sha256(card.path)
    card.path.with_suffix(".json").write_text(json.dumps(told), "utf-8")
    with pytest.raises(DrumsepError, match="not a safetensors file"):
        weights.read(weights.read_card(card.path))


def test_weights_without_a_readable_card_are_refused(tmp_path: Path) -> None:
    card = stored(tmp_path)
    told = json.loads(card.path.with_suffix(".json").read_text("utf-8"))
    for changed in ({**told, "kind": "virus"}, {"kind": "idm"}, [], "text", None):
        card.path.with_suffix(".json").write_text(json.dumps(changed), "utf-8")
        with pytest.raises(DrumsepError, match="not the card of a model|unknown kind 'virus'"):
            weights.read_card(card.path)
    card.path.with_suffix(".json").unlink()
    with pytest.raises(DrumsepError, match=r"no readable card toy\.json"):
        weights.read_card(card.path)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    data=st.binary(max_size=80) | st.text(max_size=40).map(lambda text: json.dumps(text).encode())
)
def test_no_card_file_ends_in_another_error(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "toy.json").write_bytes(data)
    with pytest.raises(DrumsepError):
        weights.read_card(tmp_path / "toy.safetensors")


def test_only_non_commercial_licences_say_so(tmp_path: Path) -> None:
    for licence, expected in (("CC-BY-NC-4.0", True), ("Apache-2.0", False), ("not stated", False)):
        origin = Origin(kind="larsnet", licence=licence, source="")
        assert weights.store(tmp_path, "toy", STATE, {}, origin).non_commercial is expected


BUNDLED = sorted(weights.bundled_folder().glob("*.safetensors"))


@pytest.mark.parametrize("path", BUNDLED, ids=lambda path: path.stem)
def test_bundled_weights_are_what_their_cards_say(path: Path) -> None:
    card = weights.read_card(path)
    state, metadata = weights.read(card)
    assert card.bundled and card.licence and card.source
    assert metadata["kind"] == card.kind
    assert all(tensor.isfinite().all() for tensor in state.values())
