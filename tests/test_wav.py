"""WAV files: read back by libsndfile, the same bytes each time, RF64 where it must be."""

import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from drumsep import wav
from drumsep.errors import DrumsepError
from drumsep.results import Audio
from drumsep.wav import DEPTHS, Depth, WavFormat, WavWriter, format_tag, write_audio

SUBTYPES = {"16": "PCM_16", "24": "PCM_24", "float": "FLOAT"}


@given(
    depth=st.sampled_from(DEPTHS),
    channels=st.integers(1, 5),
    lengths=st.lists(st.integers(0, 50), max_size=4),
    seed=st.integers(0, 99),
)
@settings(max_examples=40, deadline=None)
def test_libsndfile_reads_back_what_was_written(
    tmp_path_factory: pytest.TempPathFactory,
    depth: Depth,
    channels: int,
    lengths: list[int],
    seed: int,
) -> None:
    path = tmp_path_factory.getbasetemp() / "a.wav"
    layout = WavFormat(44100, channels, depth)
    noise = np.random.default_rng(seed).uniform(-1.1, 1.1, (channels, sum(lengths)))
    samples = layout.quantise(np.clip(noise, -1, min(layout.highest, 1)))
    with WavWriter(path, layout) as file:
        for piece in np.split(samples, np.cumsum(lengths)[:-1] if lengths else [], axis=1):
            file.write(piece)
    read, rate = soundfile.read(path, dtype="float64", always_2d=True)
    info = soundfile.info(path)
    assert (rate, info.channels, info.subtype) == (44100, channels, SUBTYPES[depth])
    assert "(should be" not in info.extra_info
    np.testing.assert_array_equal(read.T, samples)


@given(value=st.floats(-4, 4), depth=st.sampled_from(["16", "24"]))
def test_quantising_takes_the_nearest_step(value: float, depth: Depth) -> None:
    layout = WavFormat(44100, 1, depth)
    step = 2.0 ** (1 - layout.bits)
    found = layout.quantise(np.array([value]))[0]
    assert abs(found - value) <= step / 2
    assert (found / step).is_integer()


def test_full_scale_fits_and_one_step_more_does_not() -> None:
    layout = WavFormat(44100, 1, "16")
    assert layout.fits(np.array([[-1.0, layout.highest]]))
    assert not layout.fits(np.array([[1.0]]))
    assert not layout.fits(np.array([[-1 - 2**-15]]))
    assert WavFormat(44100, 1, "float").fits(np.array([[7.0]]))


def test_too_loud_a_sound_is_refused_not_clipped(tmp_path: Path) -> None:
    loud = Audio(np.array([[0.0, 1.5]], np.float32), 44100)
    with pytest.raises(DrumsepError, match=r"a peak of 1.5000 does not fit 24"):
        write_audio(tmp_path / "a.wav", loud)
    write_audio(tmp_path / "b.wav", loud, "float")
    assert soundfile.read(tmp_path / "b.wav")[0].tolist() == [0.0, 1.5]


def test_the_same_sound_gives_the_same_bytes(tmp_path: Path, loop: Audio) -> None:
    for name in ("a.wav", "b.wav"):
        write_audio(tmp_path / name, loop, "float")
    assert (tmp_path / "a.wav").read_bytes() == (tmp_path / "b.wav").read_bytes()


def test_beyond_four_gibibytes_the_header_becomes_rf64() -> None:
    frames = (1 << 32) // 6
    header = wav._header(WavFormat(44100, 2, "24"), frames)
    riff, size, count, _ = wav.DS64.unpack(header[20:48])
    assert header[:4] == b"RF64" and header[12:16] == b"ds64"
    assert (size, count) == (6 * frames, frames)
    assert riff == len(header) - 8 + size + size % 2
    assert len(header) == len(wav._header(WavFormat(44100, 2, "24"), 0))


def test_a_small_rf64_is_read_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, loop: Audio
) -> None:
    monkeypatch.setattr(wav, "LARGEST_RIFF", 1000)
    write_audio(tmp_path / "a.wav", loop)
    info = soundfile.info(tmp_path / "a.wav")
    assert (info.format, info.frames) == ("RF64", loop.frames)


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DrumsepError, match=r"none/a.wav: cannot be written: No such file"):
        WavWriter(tmp_path / "none" / "a.wav", WavFormat(44100, 1))


def test_depths_are_the_known_ones() -> None:
    with pytest.raises(DrumsepError, match="bit depth must be one of 16, 24, float, got 8"):
        WavFormat(44100, 1, "8")  # type: ignore[arg-type]


@given(content=st.binary(max_size=120), start=st.sampled_from([b"", b"RIFF", b"riff", b"RF64"]))
def test_looking_for_a_tag_ends_on_any_bytes(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, start: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "a"
    path.write_bytes(start + struct.pack("<I", len(content)) + b"WAVE" + content)
    with path.open("rb") as file:
        tag = format_tag(file)
    assert tag is None or 0 <= tag <= 0xFFFF
