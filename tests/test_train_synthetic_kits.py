"""Synthetic kits: whole kits with marked onsets and common levels, the same from the same seed."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import special

from drumsep.drums import DRUM_NAMES, STEMS
from drumsep.sampled_kits import BELL, PEDAL, RATE, XSTICK, SampledKit, read_kits
from drumsep.train.data import Clips, Recipe
from drumsep.train.grooves import read_grooves
from drumsep.train.instruments import MEMBRANE
from drumsep.train.sound_sources import Modes
from drumsep.train.synthetic_kits import BEFORE, LEVELS, SNARE_GAIN, loudness, synthetic_kits
from tests.train_data import write_grooves, write_kit

SEED = 8  # of it, kit 0 is an acoustic one and kit 1 a drum machine


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("synthetic")


@pytest.fixture(scope="module")
def kits(folder: Path) -> tuple[SampledKit, ...]:
    return synthetic_kits(folder, 2, SEED)


def centroid(audio: np.ndarray) -> float:
    power = np.abs(np.fft.rfft(audio[0])) ** 2
    return float(np.vdot(power, np.fft.rfftfreq(audio.shape[1], 1 / RATE)) / power.sum())


def test_modes_are_a_sum_of_decaying_sines() -> None:
    modes = Modes(np.array([220.0, 3300.0]), np.array([1.0, 0.4]), np.array([0.1, 0.03]))
    found = modes.sound(0.2, np.random.default_rng(5))
    phases = 2 * np.pi * np.random.default_rng(5).random(2)
    time = np.arange(len(found)) / RATE
    rows = zip(modes.frequencies, modes.amplitudes, modes.decays, phases, strict=True)
    expected = sum(a * np.exp(-time / d) * np.sin(2 * np.pi * f * time + p) for f, a, d, p in rows)
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_a_membrane_rings_at_zeros_of_bessel_functions() -> None:
    zeros = np.sort(np.concatenate([special.jn_zeros(order, 4) for order in range(9)]))
    np.testing.assert_allclose(MEMBRANE, zeros[: len(MEMBRANE)] / zeros[0], atol=1e-3)


def test_a_kit_has_every_drum_and_articulation(kits: tuple[SampledKit, ...]) -> None:
    acoustic, machine = kits
    assert (acoustic.electronic, machine.electronic) == (False, True)
    assert set(acoustic.classes) == {*DRUM_NAMES, XSTICK, PEDAL, BELL}
    assert set(machine.classes) == set(DRUM_NAMES)


def test_onsets_are_where_the_kit_says_and_levels_agree(kits: tuple[SampledKit, ...]) -> None:
    for kit in kits:
        for name, layers in kit.classes.items():
            for sample in (sample for layer in layers for sample in layer.samples):
                audio = sample.audio
                early = np.abs(audio[0, : BEFORE + RATE // 100])
                assert not audio[:, :BEFORE].any()
                assert np.argmax(early >= 0.03 * early.max()) <= BEFORE + RATE // 1000
                assert 0.5 < np.abs(audio).max() < 1
                level = loudness(audio[0, BEFORE:]) + 20 * np.log10(sample.gain)
                assert level == pytest.approx(SNARE_GAIN + LEVELS[name], abs=0.3)


def test_drums_lie_where_drums_lie(kits: tuple[SampledKit, ...]) -> None:
    for kit in kits:
        hard = {name: layers[-1].samples[0].audio for name, layers in kit.classes.items()}
        assert centroid(hard["kick"]) < 600 < centroid(hard["crash"])
        assert centroid(hard["tom-floor"]) < centroid(hard["hihat-closed"])
        assert hard["hihat-closed"].shape[1] < hard["hihat-open"].shape[1]


def test_kits_follow_from_their_seed_and_number(kits: tuple[SampledKit, ...], folder: Path) -> None:
    written = {path: path.stat().st_mtime_ns for path in folder.rglob("*.wav")}
    again = synthetic_kits(folder, 2, SEED)
    assert written == {path: path.stat().st_mtime_ns for path in folder.rglob("*.wav")}
    whole = (folder / "synthetic-001" / "kit.json").read_text()
    (folder / "synthetic-001" / "kit.json").unlink()
    (interrupted,) = synthetic_kits(folder, 2, SEED)[1:]
    assert (folder / "synthetic-001" / "kit.json").read_text() == whole
    for before, after in ((kits[0], again[0]), (kits[1], interrupted)):
        for one, other in zip(before.classes["ride"], after.classes["ride"], strict=True):
            np.testing.assert_array_equal(one.samples[0].audio, other.samples[0].audio)
    kicks = [kit.classes["kick"][0].samples[0].audio for kit in kits]
    assert kicks[0].shape != kicks[1].shape or not np.allclose(*kicks)


def test_clips_draw_synthetic_kits_as_often_as_told(
    kits: tuple[SampledKit, ...], tmp_path: Path
) -> None:
    write_kit(tmp_path / "kits", "recorded")
    recorded = read_kits(tmp_path / "kits", channels=1)
    grooves = read_grooves(write_grooves(tmp_path / "grooves"))

    def players(share: float, synthetic: tuple[SampledKit, ...]) -> set[str]:
        recipe = replace(Recipe(), seconds=0.5, plain=0, synthetic=share)
        clips = Clips(recorded, grooves, recipe, 0, synthetic=synthetic)
        return {clips.rendered(number)[0].name for number in range(12)}

    assert players(1.0, kits) == {kit.name for kit in kits}
    assert players(0.5, kits) == {"recorded", *(kit.name for kit in kits)}
    assert players(0.0, kits) == players(1.0, ()) == {"recorded"}
    assert all(recorded[0].has(stem) and kits[0].has(stem) for stem in STEMS)
