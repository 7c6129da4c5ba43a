"""Files of every kind: what arrives, what is refused, and in which words."""

import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from drumsep import audio
from drumsep.audio import AUDIO_SUFFIXES, AudioFile
from drumsep.errors import DrumsepError
from drumsep.hashing import file_sha256
from drumsep.results import Audio

LOSSLESS = {
    "wav": ("WAV", "PCM_16"),
    "24.wav": ("WAV", "PCM_24"),
    "float.wav": ("WAV", "FLOAT"),
    "extensible.wav": ("WAVEX", "PCM_24"),
    "flac": ("FLAC", "PCM_16"),
    "aiff": ("AIFF", "PCM_16"),
    "w64": ("W64", "PCM_24"),
    "rf64": ("RF64", "PCM_16"),
    "au": ("AU", "PCM_16"),
    "caf": ("CAF", "PCM_16"),
}


def write(path: Path, sound: Audio, **how: str) -> Path:
    soundfile.write(path, sound.samples.T, sound.rate, **how)
    return path


def wav_with(tag: int, body: bytes = bytes(2), magic: bytes = b"RIFF") -> bytes:
    """A WAV file whose fmt chunk, behind a chunk of odd length, has a tag of choice."""
    order = ">" if magic == b"RIFX" else "<"
    fmt = struct.pack(order + "HHIIHH", tag, 1, 44100, 44100, 1, 8) + body
    odd = struct.pack(order + "4sI", b"LIST", 3) + b"abc\0"
    chunks = odd + struct.pack(order + "4sI", b"fmt ", len(fmt)) + fmt
    return struct.pack(order + "4sI4s", magic, 4 + len(chunks), b"WAVE") + chunks


@pytest.mark.parametrize("name", LOSSLESS)
def test_lossless_files_arrive_sample_for_sample(tmp_path: Path, loop: Audio, name: str) -> None:
    container, subtype = LOSSLESS[name]
    path = write(tmp_path / f"a.{name}", loop, format=container, subtype=subtype)
    file = AudioFile(path)
    expected, _ = soundfile.read(path, dtype="float32")
    assert (file.rate, file.channels, file.frames) == (44100, 2, loop.frames)
    np.testing.assert_array_equal(file.read().samples, expected.T)
    assert file.bits == {"PCM_16": 16, "PCM_24": 24, "FLOAT": None}[subtype]
    assert file.warnings == ()
    assert path.suffix in AUDIO_SUFFIXES


@pytest.mark.parametrize(
    ("name", "how"),
    [
        ("a.mp3", {}),
        ("a.ogg", {}),
        ("a.opus", {"format": "OGG", "subtype": "OPUS"}),
    ],
)
def test_lossy_files_have_the_length_that_is_decoded(
    tmp_path: Path, loop: Audio, name: str, how: dict[str, str]
) -> None:
    sound = Audio(loop.samples, 48000)
    file = AudioFile(write(tmp_path / name, sound, **how))
    assert sum(block.shape[1] for block in file.blocks(1000)) == file.frames
    assert abs(file.frames - sound.frames) < 2000
    assert file.bits is None


@given(size=st.integers(1, 40_000), channels=st.integers(1, 6), frames=st.integers(1, 40_000))
@settings(max_examples=20, deadline=None)
def test_blocks_of_any_size_are_the_file(
    tmp_path_factory: pytest.TempPathFactory, size: int, channels: int, frames: int
) -> None:
    samples = np.random.default_rng(frames).uniform(-1, 1, (channels, frames)).astype(np.float32)
    path = tmp_path_factory.getbasetemp() / "a.wav"
    file = AudioFile(write(path, Audio(samples, 8000), subtype="FLOAT"))
    blocks = list(file.blocks(size))
    assert all(1 <= block.shape[1] <= size and block.dtype == np.float32 for block in blocks)
    np.testing.assert_array_equal(np.concatenate(blocks, axis=1), samples)


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.mp3"])
def test_long_files_are_decoded_at_each_pass_and_sound_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, (2, 3 * audio.DECODE)).astype(np.float32)
    path = write(tmp_path / name, Audio(noise, 44100))
    short = AudioFile(path)
    monkeypatch.setattr(audio, "KEPT", noise.size // 2)
    long = AudioFile(path)
    expected = short.read().samples
    for _ in range(2):
        np.testing.assert_array_equal(long.read().samples, expected)
    path.unlink()
    np.testing.assert_array_equal(short.read().samples, expected)


@pytest.mark.parametrize("kept", [0, 4, 5])
def test_not_finite_samples_are_silence_and_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept: int
) -> None:
    monkeypatch.setattr(audio, "KEPT", kept)
    samples = np.array([[0.5, np.nan, np.inf, -np.inf, 0.25]], np.float32)
    file = AudioFile(write(tmp_path / "a.wav", Audio(samples, 44100), subtype="FLOAT"))
    np.testing.assert_array_equal(file.read().samples, [[0.5, 0, 0, 0, 0.25]])
    assert "3 samples are not finite" in file.warnings[0]


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.mp3", "a.aiff", "a.w64", "a.au"])
def test_a_file_cut_short_is_read_as_far_as_it_goes(tmp_path: Path, loop: Audio, name: str) -> None:
    path = write(tmp_path / name, loop)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    file = AudioFile(path)
    assert 0.2 * loop.frames < file.frames < 0.6 * loop.frames
    assert file.read().frames == file.frames
    assert "cut short" in file.warnings[0]


@pytest.mark.parametrize("size", [0xFFFFFFFF, 0x7FFFF000])
def test_a_streamed_header_without_length_is_no_damage(
    tmp_path: Path, loop: Audio, size: int
) -> None:
    path = write(tmp_path / "a.wav", loop)
    data = bytearray(path.read_bytes())
    data[4:8] = data[40:44] = struct.pack("<I", size)
    path.write_bytes(data)
    file = AudioFile(path)
    assert (file.frames, file.warnings) == (loop.frames, ())


@pytest.mark.parametrize(
    ("name", "content", "cause"),
    [
        ("a.wav", b"", "the file is empty"),
        ("a.wav", b"no sound at all", "cannot be decoded as audio"),
        ("a.m4a", b"\0\0\0 ftypM4A " + bytes(90), "MPEG-4 or AAC.*ffmpeg"),
        ("a.aac", b"\xff\xf1\x50\x80" + bytes(90), "MPEG-4 or AAC.*ffmpeg"),
        ("a.wma", b"\x30\x26\xb2\x75" + bytes(90), "Windows Media.*ffmpeg"),
        ("a.raw", bytes(90), "headerless"),
        ("a.wav", wav_with(0x11), "IMA ADPCM is not safe"),
        ("a.wav", wav_with(0x11, magic=b"RIFX"), "IMA ADPCM is not safe"),
        ("a.wav", wav_with(0x02, magic=b"RF64"), "MS ADPCM is not safe"),
        ("a.wav", wav_with(0xFFFE, bytes(8) + b"\x11\0" + bytes(14)), "IMA ADPCM is not safe"),
    ],
)
def test_what_cannot_be_read_is_refused_by_name_and_cause(
    tmp_path: Path, name: str, content: bytes, cause: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(DrumsepError, match=cause) as refusal:
        AudioFile(path)
    assert str(refusal.value).startswith(f"{path}: ")
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("container", ["WAV", "W64", "AIFF"])
def test_real_adpcm_is_refused_in_every_container(
    tmp_path: Path, loop: Audio, container: str
) -> None:
    path = write(tmp_path / "a.wav", loop, format=container, subtype="IMA_ADPCM")
    with pytest.raises(DrumsepError, match="IMA ADPCM is not safe"):
        AudioFile(path)


def test_adpcm_is_read_once_libsndfile_is_repaired(
    tmp_path: Path, loop: Audio, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "a.wav", loop, subtype="IMA_ADPCM")
    monkeypatch.setattr(audio.soundfile, "__libsndfile_version__", "1.2.3")
    assert AudioFile(path).frames >= loop.frames


def test_missing_files_folders_and_files_without_samples_are_named(tmp_path: Path) -> None:
    with pytest.raises(DrumsepError, match="no such file"):
        AudioFile(tmp_path / "absent.wav")
    with pytest.raises(DrumsepError, match="not a file"):
        AudioFile(tmp_path)
    soundfile.write(tmp_path / "none.wav", np.zeros((0, 2)), 44100)
    with pytest.raises(DrumsepError, match="holds no sound"):
        AudioFile(tmp_path / "none.wav")


def test_an_absurd_rate_is_refused_with_what_is_allowed(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.zeros((10, 1)), 7)
    with pytest.raises(DrumsepError, match="7 Hz; 1000 to 1000000 Hz"):
        AudioFile(tmp_path / "a.wav")


@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_damaged_headers_raise_nothing_but_our_error(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.getbasetemp() / "a.wav"
    soundfile.write(path, np.zeros((100, 2)), 44100)
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, 43))] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    try:
        file = AudioFile(path)
    except DrumsepError as error:
        assert str(error).startswith(str(path))
    else:
        assert file.read().frames == file.frames


def test_names_need_not_be_text(tmp_path: Path, loop: Audio) -> None:
    odd = tmp_path / "caf\udce9 – 50 %.wav"
    try:
        odd.touch()
    except (OSError, UnicodeError):
        pytest.skip("this file system takes text names only")
    write(tmp_path / "a.wav", loop).rename(odd)
    assert AudioFile(odd).frames == loop.frames


def test_a_description_says_what_a_manifest_needs(tmp_path: Path, loop: Audio) -> None:
    path = write(tmp_path / "a.wav", loop)
    assert AudioFile(path).description() == {
        "file": "a.wav",
        "sha256": file_sha256(path),
        "rate": 44100,
        "channels": 2,
        "frames": loop.frames,
        "bits": 16,
    }
