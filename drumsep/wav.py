"""WAV files written sample by sample: 16 and 24-bit integers, 32-bit floats, and RF64 beyond 4 GiB.

Not left to libsndfile, which stamps the time into float files (so that two runs differ) and wants
to be told beforehand whether a file will outgrow 4 GiB. RF64 as in EBU Tech 3306: the JUNK chunk
at the start becomes ds64 when it is needed.
"""

import struct
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Literal

import numpy as np
from numpy.typing import NDArray

from drumsep.errors import DrumsepError
from drumsep.results import Audio

Depth = Literal["16", "24", "float"]
Floats = NDArray[np.float32] | NDArray[np.float64]
DEPTHS: tuple[Depth, ...] = ("16", "24", "float")

PCM, IEEE_FLOAT, EXTENSIBLE = 0x0001, 0x0003, 0xFFFE  # format tags
LARGEST_RIFF = 0xFFFF_FFFF  # bytes
DS64 = struct.Struct("<QQQI")  # sizes of RIFF and data, samples per channel, length of a table


@dataclass(frozen=True)
class WavFormat:
    """How samples are stored."""

    rate: int  # Hz
    channels: int
    depth: Depth = "24"

    def __post_init__(self) -> None:
        if self.depth not in DEPTHS:
            raise DrumsepError(f"bit depth must be one of {', '.join(DEPTHS)}, got {self.depth}")

    @property
    def bits(self) -> int:
        """Bits of a stored sample."""
        return 32 if self.depth == "float" else int(self.depth)

    @property
    def frame_bytes(self) -> int:
        """Bytes of one sample of every channel."""
        return self.channels * self.bits // 8

    @property
    def highest(self) -> float:
        """Largest sample that can be stored."""
        return np.inf if self.depth == "float" else 1 - 2.0 ** (1 - self.bits)

    def fits(self, samples: Floats) -> bool:
        """Whether samples can be stored without clipping."""
        lowest = -np.inf if self.depth == "float" else -1
        return not samples.size or bool(lowest <= samples.min() and samples.max() <= self.highest)

    @property
    def _steps(self) -> np.float32:
        """Steps of an integer sample in 1.0: a power of two, by which no product is rounded."""
        return np.float32(2.0 ** (self.bits - 1))

    def quantise(self, samples: Floats) -> Floats:
        """The nearest samples that can be stored, of any size, exact in the precision given."""
        if self.depth == "float":
            return samples.astype(np.float32, copy=False)
        steps = samples * self._steps
        np.rint(steps, out=steps)
        steps /= self._steps
        return steps

    def encode(self, samples: Floats) -> bytes:
        """Bytes of quantised samples (channels, n), which must lie in [-1, highest]."""
        words = np.empty(samples.shape[::-1], "<f4" if self.depth == "float" else "<i4")
        for number, channel in enumerate(samples):  # not in one: turning both axes takes longer
            words[:, number] = channel if self.depth == "float" else channel * self._steps
        if self.depth == "24":
            packed = np.empty((words.size, 3), np.uint8)
            for place in range(3):
                packed[:, place] = words.view(np.uint8).reshape(-1, 4)[:, place]
            return packed.tobytes()
        return words.astype("<i2").tobytes() if self.depth == "16" else words.tobytes()


class WavWriter:
    """One WAV file, written in blocks; its header is completed when it is closed.

    Raises:
        DrumsepError: the file cannot be written, from any of the methods.
    """

    def __init__(self, path: Path, layout: WavFormat):
        self.path = path
        self._layout = layout
        self._frames = 0
        try:
            self._file: BinaryIO = path.open("wb")
            self._file.write(_header(layout, 0))
        except OSError as error:
            raise self._failure(error) from None

    def write(self, samples: Floats) -> None:
        """Append samples (channels, n) that the format holds exactly."""
        try:
            self._file.write(self._layout.encode(samples))
        except OSError as error:
            raise self._failure(error) from None
        self._frames += samples.shape[1]

    def close(self) -> None:
        """Complete the header."""
        try:
            with self._file:
                if self._frames * self._layout.frame_bytes % 2:
                    self._file.write(b"\0")
                self._file.seek(0)
                self._file.write(_header(self._layout, self._frames))
        except OSError as error:
            raise self._failure(error) from None

    def __enter__(self) -> "WavWriter":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _failure(self, error: OSError) -> DrumsepError:
        return DrumsepError(f"{self.path}: cannot be written: {error.strerror}")


def write_audio(path: Path, audio: Audio, depth: Depth = "24") -> None:
    """Write a sound that fits into [-1, 1); anything louder raises instead of clipping.

    Raises:
        DrumsepError: too loud for the depth, or the file cannot be written.
    """
    layout = WavFormat(audio.rate, audio.channels, depth)
    samples = layout.quantise(audio.samples)
    if not layout.fits(samples):
        raise DrumsepError(f"{path}: a peak of {np.abs(samples).max():.4f} does not fit {depth}")
    with WavWriter(path, layout) as file:
        file.write(samples)


def format_tag(file: BinaryIO) -> int | None:
    """Format tag of a WAV file in any of its forms (RIFF, RIFX, RF64, W64); None for the rest."""
    start = file.read(40)
    wide = start[:4] == b"riff" and start[24:28] == b"wave"  # W64: 16-byte names, 8-byte sizes
    narrow = start[:4] in (b"RIFF", b"RIFX", b"RF64") and start[8:12] == b"WAVE"
    if not wide and not narrow:
        return None
    order: Literal["<", ">"] = ">" if start[:4] == b"RIFX" else "<"
    head = struct.Struct(order + ("16sQ" if wide else "4sI"))
    position = 40 if wide else 12
    while True:
        file.seek(position)
        found = file.read(head.size)
        if len(found) < head.size:
            return None
        name, size = head.unpack(found)
        if name[:4] == b"fmt ":
            return _tag_of(file.read(26), order)
        # W64 counts the head in the size and aligns to 8 bytes; the others leave out and align to 2
        position += max(-(-size // 8) * 8, head.size) if wide else head.size + size + size % 2


def _tag_of(body: bytes, order: Literal["<", ">"]) -> int | None:
    """The tag in a fmt chunk; the extensible form keeps it in the first bytes of a GUID."""
    at = 24 if body[:2] == struct.pack(order + "H", EXTENSIBLE) else 0
    found = body[at : at + 2]
    return int(struct.unpack(order + "H", found)[0]) if len(found) == 2 else None


def _header(layout: WavFormat, frames: int) -> bytes:
    """Everything before the samples; the same length for every number of frames."""
    size = frames * layout.frame_bytes
    chunks = _format_chunks(layout, min(frames, LARGEST_RIFF))
    riff = 4 + 8 + DS64.size + len(chunks) + 8 + size + size % 2
    if riff <= LARGEST_RIFF:
        room = struct.pack("<4sI", b"JUNK", DS64.size) + bytes(DS64.size)
        start = struct.pack("<4sI4s", b"RIFF", riff, b"WAVE") + room
        return start + chunks + struct.pack("<4sI", b"data", size)
    ds64 = struct.pack("<4sI", b"ds64", DS64.size) + DS64.pack(riff, size, frames, 0)
    start = struct.pack("<4sI4s", b"RF64", LARGEST_RIFF, b"WAVE") + ds64
    return start + chunks + struct.pack("<4sI", b"data", LARGEST_RIFF)


def _format_chunks(layout: WavFormat, frames: int) -> bytes:
    """The fmt chunk, and for floats the fact chunk that goes with them."""
    floats = layout.depth == "float"
    tag = IEEE_FLOAT if floats else PCM
    rate, frame = layout.rate, layout.frame_bytes
    body = struct.pack("<HHIIHH", tag, layout.channels, rate, rate * frame, frame, layout.bits)
    if not floats:
        return struct.pack("<4sI", b"fmt ", len(body)) + body
    extended = struct.pack("<4sI", b"fmt ", len(body) + 2) + body + bytes(2)
    return extended + struct.pack("<4sII", b"fact", 4, frames)
