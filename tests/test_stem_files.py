"""Stems on disk: exact sums, peaks that are told, and nothing ever clipped."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from drumsep.audio import AudioFile
from drumsep.errors import DrumsepError
from drumsep.results import Audio
from drumsep.stem_files import NOTHING_DB, StemFiles
from drumsep.wav import DEPTHS, Depth, WavFormat, write_audio

NAMES = ("kick", "snare", "toms")


def parts(mixture: np.ndarray, seed: int = 0) -> np.ndarray:
    """Three stems that leave a tenth of the mixture unclaimed."""
    shares = np.random.default_rng(seed).uniform(0, 1, (3, *mixture.shape))
    return (0.9 * mixture * shares / shares.sum(axis=0)).astype(np.float32)


def read_all(folder: Path, names: tuple[str, ...]) -> np.ndarray:
    return np.stack([soundfile.read(folder / f"{name}.wav", always_2d=True)[0].T for name in names])


@given(
    depth=st.sampled_from(["16", "24"]),
    source_bits=st.sampled_from(["16", "24"]),
    sizes=st.lists(st.integers(1, 300), min_size=1, max_size=5),
    seed=st.integers(0, 99),
)
@settings(max_examples=25, deadline=None)
def test_integer_stems_and_residual_add_up_to_the_last_bit(
    tmp_path_factory: pytest.TempPathFactory,
    depth: Depth,
    source_bits: Depth,
    sizes: list[int],
    seed: int,
) -> None:
    folder = tmp_path_factory.getbasetemp()
    noise = np.random.default_rng(seed).uniform(-0.9, 0.9, (2, sum(sizes)))
    mixture = WavFormat(44100, 2, source_bits).quantise(noise).astype(np.float32)
    stems = parts(mixture, seed)
    with StemFiles(folder, NAMES, WavFormat(44100, 2, depth), residual=True) as files:
        for start, size in zip(np.cumsum([0, *sizes]), sizes, strict=False):
            span = slice(start, start + size)
            files.write(stems[..., span], mixture[:, span])
    written = read_all(folder, (*NAMES, "residual"))
    np.testing.assert_array_equal(written.sum(axis=0), WavFormat(44100, 2, depth).quantise(mixture))
    if depth >= source_bits:
        np.testing.assert_array_equal(written.sum(axis=0), mixture)
        assert files.error_db == NOTHING_DB
    assert files.stems_error_db == pytest.approx(-20, abs=1)


def test_float_stems_and_residual_add_up_within_a_rounding_of_the_residual(
    tmp_path: Path, loop: Audio
) -> None:
    mixture = loop.samples
    with StemFiles(tmp_path, NAMES, WavFormat(44100, 2, "float"), residual=True) as files:
        files.write(parts(mixture), mixture)
    written = read_all(tmp_path, (*NAMES, "residual"))
    error = np.abs(written.sum(axis=0) - mixture)
    assert (error <= 2.0**-24 * np.abs(written[-1])).all()
    assert files.error_db < -150


@pytest.mark.parametrize("depth", DEPTHS)
def test_peaks_are_those_of_the_files(tmp_path: Path, loop: Audio, depth: Depth) -> None:
    with StemFiles(tmp_path, NAMES, WavFormat(44100, 2, depth), gain=0.5) as files:
        files.write(parts(loop.samples), loop.samples)
    written = read_all(tmp_path, NAMES)
    assert list(files.peaks) == list(NAMES)
    np.testing.assert_array_equal(list(files.peaks.values()), np.abs(written).max(axis=(1, 2)))
    assert (files.clips, files.fitting_gain) == (False, 0.5)


def test_a_stem_that_would_clip_is_told_and_fits_with_the_gain_that_is_told(
    tmp_path: Path,
) -> None:
    mixture = np.linspace(-0.9, 0.9, 1000, dtype=np.float32)[np.newaxis]
    stems = np.stack([1.5 * mixture, -0.5 * mixture, np.zeros_like(mixture)])
    layout = WavFormat(44100, 1, "24")
    with StemFiles(tmp_path, NAMES, layout, residual=True) as files:
        files.write(stems[..., :10] / 2, mixture[:, :10])
        files.write(stems, mixture)
    assert files.clips
    assert soundfile.info(tmp_path / "kick.wav").frames == 10, "nothing clipped was written"
    with StemFiles(tmp_path, NAMES, layout, files.fitting_gain, residual=True) as again:
        again.write(stems, mixture)
    assert not again.clips
    assert max(again.peaks.values()) == pytest.approx(0.99, abs=1e-6)
    written = read_all(tmp_path, (*NAMES, "residual"))
    np.testing.assert_allclose(written.sum(axis=0), again.gain * mixture, atol=2**-23)


def test_float_files_hold_any_peak(tmp_path: Path) -> None:
    mixture = np.full((1, 10), 3.0, np.float32)
    with StemFiles(tmp_path, ("kick",), WavFormat(44100, 1, "float")) as files:
        files.write(mixture[np.newaxis], mixture)
    assert not files.clips
    assert AudioFile(tmp_path / "kick.wav").read().samples.max() == 3


def test_silence_has_no_error(tmp_path: Path) -> None:
    silence = np.zeros((2, 10), np.float32)
    with StemFiles(tmp_path, NAMES, WavFormat(44100, 2)) as files:
        files.write(np.zeros((3, 2, 10), np.float32), silence)
    assert files.error_db == files.stems_error_db == NOTHING_DB


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with (
        pytest.raises(DrumsepError, match=r"kick.wav: cannot be written"),
        StemFiles(tmp_path / "none", NAMES, WavFormat(44100, 1)),
    ):
        pass


def test_stems_have_the_length_and_shape_of_the_input(tmp_path: Path, loop: Audio) -> None:
    write_audio(tmp_path / "song.wav", loop)
    source = AudioFile(tmp_path / "song.wav")
    layout = WavFormat(source.rate, source.channels)
    with StemFiles(tmp_path, NAMES, layout) as files:
        for block in source.blocks(1000):
            files.write(parts(block), block)
    for path in files.paths:
        stem = AudioFile(path)
        assert (stem.rate, stem.channels, stem.frames) == (44100, 2, loop.frames)
