"""Recordings on disk: whatever libsndfile decodes, as a `Source` that is read in blocks.

Headers lie, so a file is decoded once when it is opened: its length is what came out of it.
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile

from drumsep.errors import DrumsepError
from drumsep.hashing import file_sha256
from drumsep.results import Audio, Samples
from drumsep.wav import format_tag

# What a folder is searched for. The last row is not decoded by libsndfile: such a file is found,
# and fails by name, instead of being passed over in silence.
AUDIO_SUFFIXES = frozenset(
    ".wav .wave .bwf .rf64 .w64 .flac .ogg .oga .opus .mp3 .aif .aiff .aifc .au .snd .caf"
    " .m4a .aac .wma".split()
)

DECODE = 1 << 14  # samples decoded at a time, and lost at most before damage
KEPT = 1 << 24  # samples, 64 MB or three minutes of stereo: a shorter file is decoded only once
RATES = range(1_000, 1_000_001)  # Hz; a header outside is damaged

# libsndfile up to 1.2.2 writes past its buffers on crafted ADPCM (CVE-2026-37555).
ADPCM_TAGS = {0x0002: "MS ADPCM", 0x0011: "IMA ADPCM"}
ADPCM_SUBTYPES = ("MS_ADPCM", "IMA_ADPCM")
ADPCM_UNSAFE_UP_TO = (1, 2, 2)

INTEGER_BITS = {"PCM_S8": 8, "PCM_U8": 8, "PCM_16": 16, "PCM_24": 24, "PCM_32": 32} | {
    f"ALAC_{bits}": bits for bits in (16, 20, 24, 32)
}

# How libsndfile logs a header that promises more or less than the file holds.
PROMISE = re.compile(r": (\d+) \(should be (\d+)\)")
SLACK = 64  # bytes; chunk sizes that miscount their own padding are no loss of sound


class AudioFile:
    """A recording on disk: a `Source` of float32 samples; a long one is decoded at each pass.

    Integer samples of up to 24 bits arrive exactly, as integer / 2^(bits - 1). Samples that are not
    finite arrive as silence. `warnings` says what was wrong with the file.

    Raises:
        DrumsepError: missing, empty, not audio, no samples, or a format that is not safe to read.
    """

    def __init__(self, path: Path | str):
        self.path = path = Path(path)
        _check_readable(path)
        with _opened(path) as file:
            _check_header(path, file)
            self.rate: int = file.samplerate
            self.channels: int = file.channels
            self.bits: int | None = INTEGER_BITS.get(file.subtype)  # None: float or lossy
            promised: int = file.frames
            cut = _promises_more(file.extra_info)
        self.frames = bad = 0
        pieces: list[Samples] = []
        for block, not_finite in self._decoded():
            self.frames += block.shape[1]
            bad += not_finite
            pieces.append(block)
            if not self._is_short:
                pieces.clear()
        if not self.frames:
            raise DrumsepError(f"{path}: holds no sound that can be decoded")
        self._kept = np.ascontiguousarray(np.concatenate(pieces, axis=1)) if pieces else None
        cut = cut or self.frames < promised < np.iinfo(np.int64).max
        self.warnings = _warnings(self.duration, cut, bad)

    def blocks(self, size: int) -> Iterator[Samples]:
        """Yield float32 (channels, n) with n <= size, in order, `frames` samples in all."""
        pieces = (block for block, _ in self._decoded()) if self._kept is None else [self._kept]
        for piece in pieces:
            for start in range(0, piece.shape[1], size):
                yield piece[:, start : start + size]

    def read(self) -> Audio:
        """The whole recording in memory, for short ones."""
        samples = np.concatenate(list(self.blocks(DECODE)), axis=1)
        return Audio(np.ascontiguousarray(samples), self.rate)

    @property
    def duration(self) -> float:
        """Length in seconds."""
        return self.frames / self.rate

    def description(self) -> dict[str, str | int | None]:
        """What a manifest says of the file."""
        return {
            "file": self.path.name,
            "sha256": file_sha256(self.path),
            "rate": self.rate,
            "channels": self.channels,
            "frames": self.frames,
            "bits": self.bits,
        }

    @property
    def _is_short(self) -> bool:
        return self.frames * self.channels <= KEPT

    def _decoded(self) -> Iterator[tuple[Samples, int]]:
        """Blocks of float32 (channels, n) up to the end, or to the first that does not decode.

        With each comes how many of its samples were not finite, and have become silence.
        """
        with _opened(self.path) as file:
            while True:
                try:
                    block = file.read(DECODE, dtype="float32", always_2d=True)
                except soundfile.LibsndfileError:
                    return
                if not len(block):
                    return
                finite = np.isfinite(block)
                block[~finite] = 0
                yield block.T, block.size - int(np.count_nonzero(finite))


def _check_readable(path: Path) -> None:
    """Refuse what must not reach the decoder."""
    if not path.exists():
        raise DrumsepError(f"{path}: no such file")
    if not path.is_file():
        raise DrumsepError(f"{path}: not a file")
    try:
        with path.open("rb") as file:
            tag = format_tag(file)
    except OSError as error:
        raise DrumsepError(f"{path}: cannot be read: {error.strerror}") from None
    if not path.stat().st_size:
        raise DrumsepError(f"{path}: the file is empty")
    if tag in ADPCM_TAGS and _adpcm_unsafe():
        raise DrumsepError(_adpcm_refusal(path, ADPCM_TAGS[tag]))


def _opened(path: Path) -> soundfile.SoundFile:
    # POSIX names are bytes, and need not be valid text.
    name = os.fsencode(path) if os.name == "posix" else str(path)
    try:
        return soundfile.SoundFile(name)
    except soundfile.LibsndfileError as error:
        raise DrumsepError(f"{path}: {_cause(path, error)}") from None
    except (TypeError, ValueError):  # headerless .raw: soundfile wants rate and channels from us
        raise DrumsepError(f"{path}: headerless audio is not supported") from None


def _cause(path: Path, error: soundfile.LibsndfileError) -> str:
    """Why libsndfile refused a file, and what helps."""
    with path.open("rb") as file:
        start = file.read(16)
    mpeg4 = start[4:8] == b"ftyp"
    aac = start[:1] == b"\xff" and start[1:2] in (b"\xf0", b"\xf1", b"\xf8", b"\xf9")
    windows_media = start[:4] == b"\x30\x26\xb2\x75"
    if mpeg4 or aac or windows_media:
        kind = "Windows Media" if windows_media else "MPEG-4 or AAC"
        return f"{kind} audio cannot be read; convert it first: ffmpeg -i INPUT OUTPUT.wav"
    return f"cannot be decoded as audio (libsndfile: {error.error_string.rstrip('.')})"


def _check_header(path: Path, file: soundfile.SoundFile) -> None:
    if file.channels < 1:
        raise DrumsepError(f"{path}: has no channels")
    if file.samplerate not in RATES:
        allowed = f"{RATES.start} to {RATES.stop - 1} Hz are understood"
        raise DrumsepError(f"{path}: a sample rate of {file.samplerate} Hz; {allowed}")
    if file.subtype in ADPCM_SUBTYPES and _adpcm_unsafe():
        raise DrumsepError(_adpcm_refusal(path, file.subtype.replace("_", " ")))


def _adpcm_unsafe() -> bool:
    version = re.findall(r"\d+", soundfile.__libsndfile_version__)[:3]
    return tuple(map(int, version)) <= ADPCM_UNSAFE_UP_TO


def _adpcm_refusal(path: Path, kind: str) -> str:
    version = soundfile.__libsndfile_version__
    return f"{path}: {kind} is not safe to decode with libsndfile {version}; convert it to PCM"


def _promises_more(log: str) -> bool:
    """Whether a header announces more bytes than there are; a stream announces no real number."""
    found = [(int(said), int(there)) for said, there in PROMISE.findall(log)]
    return any(there + SLACK < said and not _is_streamed(said) for said, there in found)


def _is_streamed(size: int) -> bool:
    """Whether a size is what programs write that do not know it yet: close to 2 or 4 GiB."""
    return any(abs(size - limit) < 1 << 16 for limit in (1 << 31, 1 << 32))


def _warnings(seconds: float, cut: bool, not_finite: int) -> tuple[str, ...]:
    found = []
    if cut:
        found.append(f"the file is damaged or cut short: {seconds:.3f} s of it could be read")
    if not_finite:
        found.append(f"{not_finite} samples are not finite numbers: taken as silence")
    return tuple(found)
