"""Change the sample rate of a stream, block by block, with soxr's high-quality filter."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import soxr

from drumsep.results import Samples, Source


@dataclass(frozen=True, eq=False)
class Resampled:
    """A `Source` heard at another rate; its length is rounded up, so that no sound becomes none."""

    source: Source
    rate: int  # Hz

    @property
    def channels(self) -> int:
        """Number of channels."""
        return self.source.channels

    @property
    def frames(self) -> int:
        """Length in samples per channel at the new rate."""
        return -(-self.source.frames * self.rate // self.source.rate)

    def blocks(self, size: int) -> Iterator[Samples]:
        """Yield float32 (channels, n) with n <= size."""
        pieces = self.source.blocks(size)
        return resampled(pieces, self.source.rate, self.rate, self.frames)


def at_rate(source: Source, rate: int) -> Source:
    """The source itself when it already has the rate, else its resampled form."""
    return source if source.rate == rate else Resampled(source, rate)


def resampled(blocks: Iterator[Samples], old: int, new: int, frames: int) -> Iterator[Samples]:
    """Resample blocks of shape (..., n) from `old` to `new` Hz into exactly `frames` samples."""
    if old == new:
        yield from blocks
        return
    stream: soxr.ResampleStream | None = None
    shape: tuple[int, ...] = ()
    left = frames
    for block in blocks:
        if stream is None:
            shape = block.shape[:-1]
            stream = soxr.ResampleStream(old, new, int(np.prod(shape)), dtype="float32")
        fresh = stream.resample_chunk(_interleaved(block))[:left]
        left -= len(fresh)
        if len(fresh):
            yield fresh.T.reshape(*shape, -1)
    if stream is not None and left:
        silence = np.zeros((0, int(np.prod(shape))), np.float32)
        fresh = stream.resample_chunk(silence, last=True)[:left]
        padded = np.pad(fresh, ((0, left - len(fresh)), (0, 0)))
        yield padded.T.reshape(*shape, -1)


def _interleaved(block: Samples) -> Samples:
    """(..., n) as the contiguous (n, channels) that soxr takes."""
    return np.ascontiguousarray(block.reshape(-1, block.shape[-1]).T)
