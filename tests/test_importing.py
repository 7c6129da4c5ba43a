"""Published checkpoints in, models out: by content, strictly, and nothing written when refused."""

import os
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from drumsep import importing, weights
from drumsep.drums import STEMS
from drumsep.errors import DrumsepError
from drumsep.hashing import file_sha256
from drumsep.idm import official as idm_official
from drumsep.idm.network import Dimensions as IdmDimensions
from drumsep.importing import import_model
from drumsep.larsnet.network import Dimensions, from_state
from drumsep.larsnet.official import NAMES
from tests.goldens.make_larsnet import toy_state

SIZE = Dimensions(base=1)
States = dict[str, dict[str, Tensor]]

pytestmark = pytest.mark.usefixtures("user")


@pytest.fixture(scope="module")
def five() -> States:
    """Five small states with the published names."""
    ours = toy_state(SIZE)
    return {
        stem: {
            theirs: ours[f"{stem}.{name}"] if name else torch.ones(SIZE.widths[-1])
            for theirs, name in NAMES.items()
        }
        | {"enc6.bn.num_batches_tracked": torch.tensor(7)}
        for stem in STEMS
    }


@pytest.fixture(scope="module")
def idm() -> dict[str, Tensor]:
    """A small state with the published names."""
    size = IdmDimensions(widths=(2, 4), depths=(1, 1), channels=4, blocks=3)
    generator = torch.Generator().manual_seed(1)
    shapes = idm_official.official_shapes(size)
    state = {name: torch.rand(shape, generator=generator) for name, shape in shapes.items()}
    return state | {idm_official.WINDOW: torch.hann_window(size.n_fft)}


def larsnet_folder(root: Path, states: States, extras: dict[str, Any] | None = None) -> Path:
    for stem, state in states.items():
        path = root / stem / f"pretrained_{stem}_unet.pth"
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.save((extras or {}) | {"model_state_dict": OrderedDict(state)}, path)
    return root


def packed(folder: Path, path: Path, below: str = "") -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(folder.rglob("*.pth")):
            archive.write(file, below + file.relative_to(folder).as_posix())
    return path


def lightning(path: Path, state: dict[str, Tensor]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"state_dict": OrderedDict(state), "epoch": 1, "global_step": 2}, path)
    return path


def refusal(path: Path, name: str | None = None) -> str:
    """The message of an import that fails, in one line that names the file, leaving no trace."""
    before = traces()
    with pytest.raises(DrumsepError) as caught:
        import_model(path, name)
    assert traces() == before
    message = str(caught.value)
    assert str(path) in message and "\n" not in message
    return message


def traces() -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in weights.user_folder().glob("*")}


def test_larsnet_is_imported_from_a_folder(tmp_path: Path, user: Path, five: States) -> None:
    card = import_model(larsnet_folder(tmp_path / "larsnet", five))
    assert (card.name, card.kind, card.licence) == ("larsnet-official", "larsnet", "CC-BY-NC-4.0")
    assert card.non_commercial and "polimi-ispl/larsnet" in card.source
    assert card.path.parent == user and card == weights.find("larsnet-official")
    hashes = [file_sha256(file) for file in (tmp_path / "larsnet").rglob("*.pth")]
    assert len(hashes) == 5 and all(sha256 in card.notes for sha256 in hashes)
    state, metadata = weights.read(card)
    assert set(state) == set(toy_state(SIZE))
    assert len(from_state(state, metadata)) == 5


@pytest.mark.parametrize("below", ["", "pretrained_larsnet_models/"])
def test_every_published_layout_gives_the_same_model(
    tmp_path: Path, five: States, below: str
) -> None:
    extras = {"epoch": 22, "loss": np.float64(0.1), "optimizer_state_dict": {"state": {}}}
    folder = larsnet_folder(tmp_path / "larsnet" / below, five, extras)
    plain = import_model(larsnet_folder(tmp_path / "plain", five), "plain")
    from_folder = import_model(tmp_path / "larsnet", "from-folder")
    from_zip = import_model(packed(folder, tmp_path / "larsnet.zip", below), "from-zip")
    assert plain.sha256 == from_folder.sha256 == from_zip.sha256
    assert from_folder.notes == from_zip.notes != plain.notes


def test_the_same_files_can_be_imported_again_but_no_other_by_that_name(
    tmp_path: Path, five: States, idm: dict[str, Tensor]
) -> None:
    folder = larsnet_folder(tmp_path / "larsnet", five)
    first = import_model(folder)
    first.path.write_bytes(b"damaged")
    assert import_model(folder) == first
    assert weights.read(first)
    other = lightning(tmp_path / "mine.ckpt", idm)
    assert "another model is called larsnet-official" in refusal(other, "larsnet-official")
    assert "cannot name a model" in refusal_without_path(other, "../mine")


def refusal_without_path(path: Path, name: str) -> str:
    with pytest.raises(DrumsepError) as caught:
        import_model(path, name)
    return str(caught.value)


Spoil = Callable[[dict[str, Tensor]], object]


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda state: state.pop("dec3.bn.weight"), "dec3.bn.weight"),
        (lambda state: state.update(extra=torch.ones(1)), "extra"),
        (lambda state: state.update({"enc2.conv.bias": torch.ones(3)}), "enc2.conv.bias"),
        (lambda state: state["enc2.conv.bias"].fill_(torch.nan), "'enc2.conv.bias' has values"),
        (lambda state: state["enc1.bn.running_var"].fill_(-1), "enc1.bn.running_var"),
    ],
    ids=["missing", "unexpected", "misshaped", "not finite", "negative variance"],
)
def test_larsnet_with_a_spoilt_tensor_is_refused(
    tmp_path: Path, five: States, spoil: Spoil, reason: str
) -> None:
    states = five | {"toms": {name: value.clone() for name, value in five["toms"].items()}}
    spoil(states["toms"])
    folder = larsnet_folder(tmp_path / "larsnet", states)
    for path in (folder, packed(folder, tmp_path / "larsnet.zip")):
        message = refusal(path)
        assert reason in message and "toms" in message


def test_larsnet_must_be_whole_and_one(tmp_path: Path, five: States) -> None:
    folder = larsnet_folder(tmp_path / "larsnet", five)
    packed(folder, tmp_path / "two.zip", "a/")
    with zipfile.ZipFile(tmp_path / "two.zip", "a") as archive:
        archive.write(
            folder / "kick" / "pretrained_kick_unet.pth", "b/" + "kick/pretrained_kick_unet.pth"
        )
        archive.writestr("__MACOSX/kick/pretrained_kick_unet.pth", b"of no account")
    assert "several sets of LarsNet networks: a/, b/" in refusal(tmp_path / "two.zip")
    (folder / "snare" / "pretrained_snare_unet.pth").unlink()
    assert "network for snare is missing" in refusal(folder)
    assert "network for snare is missing" in refusal(packed(folder, tmp_path / "four.zip"))
    one = folder / "kick" / "pretrained_kick_unet.pth"
    assert "one of LarsNet's five networks" in refusal(one)


class Hostile:
    def __init__(self, target: Path):
        self._target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self._target),)


def test_hostile_files_are_refused_and_run_nothing(tmp_path: Path, five: States) -> None:
    marker = tmp_path / "marker"
    hostile: Any = {**five["kick"], "input_norm.weight": Hostile(marker)}
    folder = larsnet_folder(tmp_path / "larsnet", five | {"kick": hostile})
    assert "pretrained_kick_unet.pth" in refusal(folder)
    path = packed(folder, tmp_path / "larsnet.zip")
    assert "pretrained_kick_unet.pth: refused: 'input_norm.weight'" in refusal(path)
    torch.save({"state_dict": Hostile(marker)}, tmp_path / "a.ckpt")
    assert "empty" in refusal(tmp_path / "a.ckpt")
    assert not marker.exists()


def test_hostile_zips_are_refused(tmp_path: Path, five: States) -> None:
    folder = larsnet_folder(tmp_path / "larsnet", five)
    climbing = packed(folder, tmp_path / "climbing.zip")
    with zipfile.ZipFile(climbing, "a") as archive:
        archive.writestr("../evil", b"x")
    assert "leads out of the archive" in refusal(climbing)
    bomb = packed(folder, tmp_path / "bomb.zip")
    with zipfile.ZipFile(bomb, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb", bytes(4 << 20))
    assert "unpacks to more than" in refusal(bomb)
    link = zipfile.ZipInfo("kick/pretrained_kick_unet.pth")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "link.zip", "w") as archive:
        archive.writestr(link, "/etc/passwd")
    assert "link or a device" in refusal(tmp_path / "link.zip")


def test_what_is_no_checkpoint_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, data in {"empty.ckpt": b"", "song.wav": b"RIFF", "page.zip": b"<html>"}.items():
        (tmp_path / name).write_bytes(data)
        assert "not a zip file" in refusal(tmp_path / name)
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
        archive.writestr("a.jpg", b"x")
    assert "no published checkpoint is in it" in refusal(tmp_path / "photos.zip")
    assert "no such file or folder" in refusal(tmp_path / "absent.ckpt")
    (tmp_path / "folder").mkdir()
    assert "expected one .ckpt file" in refusal(tmp_path / "folder")


def test_an_idm_of_any_size_is_imported(tmp_path: Path, idm: dict[str, Tensor]) -> None:
    path = lightning(tmp_path / "run" / "checkpoints" / "Best=3 (new).ckpt", idm)
    card = import_model(path)
    assert (card.name, card.kind, card.licence) == ("best-3-new", "idm", "not stated")
    assert card.source == "Best=3 (new).ckpt" and file_sha256(path) in card.notes
    assert import_model(tmp_path / "run", "mine").sha256 == card.sha256
    lightning(tmp_path / "run" / "last.ckpt", idm)
    assert "found checkpoints/Best=3 (new).ckpt, last.ckpt" in refusal(tmp_path / "run")


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda state: state.pop("encoder.backbone.norm.bias"), "encoder.backbone.norm.bias"),
        (lambda state: state.update(extra=torch.ones(1)), "extra"),
        (lambda state: state.update({"conditioning_vector": torch.ones(2)}), "conditioning_vector"),
        (lambda state: state["encoder.backbone.norm.bias"].fill_(torch.inf), "not finite"),
    ],
    ids=["missing", "unexpected", "misshaped", "not finite"],
)
def test_idm_with_a_spoilt_tensor_is_refused(
    tmp_path: Path, idm: dict[str, Tensor], spoil: Spoil, reason: str
) -> None:
    state = {name: value.clone() for name, value in idm.items()}
    spoil(state)
    assert reason in refusal(lightning(tmp_path / "a.ckpt", state))


def test_a_description_that_disagrees_is_refused(tmp_path: Path, idm: dict[str, Tensor]) -> None:
    path = lightning(tmp_path / "a.ckpt", idm)
    (tmp_path / "model.yaml").write_text("encoder:\n  hop_length: 512\n")
    assert "model.yaml says hop_length: 512" in refusal(path)
    (tmp_path / "model.yaml").write_bytes(b"encoder:\n  hop_length: 256\n\xff")
    assert import_model(path).kind == "idm"


@pytest.mark.reference
def test_the_published_idm_is_recognised(reference: Path) -> None:
    path = reference / "idm" / "val-epoch=518-global_step=0.ckpt"
    cards = [import_model(path), import_model(reference / "idm")]
    assert cards[0] == cards[1]
    assert (cards[0].name, cards[0].licence) == ("idm-official", "Apache-2.0")
    assert importing.IDM_OFFICIAL_SHA256 in cards[0].notes
    assert len(weights.read(cards[0])[0]) == 328  # the window and an unused vector stay behind
