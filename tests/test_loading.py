"""From names to models."""

from pathlib import Path

import numpy as np
import pytest

from drumsep import loading
from drumsep.drums import STEMS, Drum
from drumsep.errors import DrumsepError
from drumsep.hashing import file_sha256
from drumsep.results import Audio, Hit, Options, Transcription
from tests.conftest import drum_loop


def test_an_unknown_name_lists_what_there_is(toy_installed: str) -> None:
    with pytest.raises(DrumsepError, match=r"no model is called 'nonsense' \(installed: .*toy"):
        loading.load("nonsense")


@pytest.mark.parametrize("name", ["transcriber", "templates"])
def test_a_part_is_not_a_model(name: str) -> None:
    with pytest.raises(DrumsepError, match=f"{name} cannot separate"):
        loading.load(name)


@pytest.mark.parametrize(
    ("device", "message"),
    [("abacus", "unknown device"), ("cuda:99", "is not there"), ("meta", "is not supported")],
)
def test_a_device_that_is_not_there_is_one_line(
    toy_installed: str, device: str, message: str
) -> None:
    with pytest.raises(DrumsepError, match=message):
        loading.load(toy_installed, device=device)


def test_weights_by_path_are_the_model_by_name(toy_installed: str, toy_weights: Path) -> None:
    path = toy_weights / "toy.safetensors"
    by_path, by_name = loading.load("mine", weights=path), loading.load("toy")
    options = Options(hits=Transcription((Hit(0.05, Drum.KICK, 1.0),), 1.0))
    for name, stem in by_path.separate(drum_loop(seconds=0.5), options).stems.items():
        same = by_name.separate(drum_loop(seconds=0.5), options).stems[name]
        np.testing.assert_array_equal(stem.samples, same.samples)
    assert loading.hashes("mine", path) == {path.name: file_sha256(path)}


def test_damaged_weights_are_refused(toy_weights: Path, tmp_path: Path) -> None:
    for suffix in (".safetensors", ".json"):
        (tmp_path / f"toy{suffix}").write_bytes((toy_weights / f"toy{suffix}").read_bytes())
    path = tmp_path / "toy.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    with pytest.raises(DrumsepError, match="damaged or replaced"):
        loading.load(weights=path)


def test_the_default_model_is_made_of_the_bundled_weights() -> None:
    assert set(loading.hashes("drumsep")) == {"transcriber", "templates", "idm"}
    separation = loading.load().separate(drum_loop())
    assert tuple(separation.stems) == STEMS
    assert {hit.drum for hit in separation.transcription.hits} >= {Drum.KICK}


@pytest.mark.parametrize("cut", [0.0, 0.049, 0.05, 0.052])
def test_a_loop_may_begin_with_its_first_hit(cut: float) -> None:
    loop = drum_loop()
    samples = np.ascontiguousarray(loop.samples[:, round(cut * loop.rate) :])
    hits = loading.load(device="cpu").transcribe(Audio(samples, loop.rate)).hits
    first = {hit.drum for hit in hits if abs(hit.time - (0.05 - cut)) < 0.01}
    assert first == {Drum.KICK, Drum.HIHAT_CLOSED}


@pytest.mark.parametrize("background", ["noise", "hum"])
def test_what_hums_or_hisses_begins_with_no_hit(background: str) -> None:
    time = np.arange(4 * 44100) / 44100
    noise = 0.002 * np.random.default_rng(0).standard_normal(time.size)
    sound = noise if background == "noise" else 0.02 * np.sin(2 * np.pi * 50 * time + 1)
    samples = drum_loop(4.0).samples + sound.astype(np.float32)
    samples[:, : 44100 // 2] = sound[: 44100 // 2]
    hits = loading.load(device="cpu").transcribe(Audio(samples, 44100)).hits
    assert hits and hits[0].time > 0.4


def test_our_idm_renders_what_our_transcriber_hears() -> None:
    assert set(loading.hashes("idm")) == {"idm", "transcriber", "templates"}
    loop = drum_loop()
    found = loading.load("idm").separate(loop)
    assert found.transcription == loading.load().transcribe(loop)
    assert found.stems["kick"].samples.any()


def test_the_default_models_kit_is_synthesised_by_our_idm() -> None:
    loop = drum_loop()
    kit = loading.load().stream(loop).kit()
    hits = Options(hits=loading.load().transcribe(loop))
    same = loading.load("idm").stream(loop, hits).kit()
    assert kit.one_shots
    for shot, other in zip(kit.one_shots, same.one_shots, strict=True):
        assert shot.drum is other.drum
        np.testing.assert_array_equal(shot.audio.samples, other.audio.samples)


def test_an_idms_one_shots_can_be_adapted(toy_installed: str) -> None:
    loop = drum_loop()
    hits = (Hit(0.05, Drum.KICK, 1.0), Hit(0.30, Drum.SNARE, 0.5))
    options = Options(hits=Transcription(hits, 2.0), adapt=3)
    stems = loading.load("toy").separate(loop, options).stems
    assert not any(stems[name].samples.any() for name in ("toms", "hihat", "cymbals"))
    both = stems["kick"].samples + stems["snare"].samples
    struck = slice(round(0.1 * loop.rate), round(0.45 * loop.rate))
    np.testing.assert_allclose(both[:, struck], loop.samples[:, struck], atol=2e-3)
