"""A source made ready for a model: at its rate, surveyed once, with one mono signal to listen to.

The networks are trained on peak-normalised mono; the published IDM hears fewer kicks when the level
falls (reference, section 10), so the analysis signal always has a peak of one.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from drumsep.resample import at_rate
from drumsep.results import Samples, Source

BLOCK = 1 << 17  # samples read at a time

# Energy of the mean of the channels over the mean of their energies: 1 for equal channels, 1/2 for
# unrelated ones, 0 for a channel and its inverse. Below this the mean has lost most of the sound.
CANCELS = 0.1


@dataclass(frozen=True, eq=False)
class Recording:
    """A `Source` at a model's rate, with what a first pass over it has found."""

    source: Source
    weights: NDArray[np.float64]  # (channels,), what the mono signal takes of each
    peak: float  # of that mono signal
    cancels: bool  # the channels cancel in their mean, so the loudest one is listened to

    @property
    def rate(self) -> int:
        """Samples per second and channel."""
        return self.source.rate

    @property
    def channels(self) -> int:
        """Number of channels."""
        return self.source.channels

    @property
    def frames(self) -> int:
        """Length in samples per channel."""
        return self.source.frames

    @property
    def duration(self) -> float:
        """Length in seconds."""
        return self.frames / self.rate

    def blocks(self, size: int) -> Iterator[Samples]:
        """Yield float32 (channels, n) with n <= size."""
        return self.source.blocks(size)

    def mono_blocks(self, size: int) -> Iterator[Samples]:
        """Yield the mono signal as float32 (n,), its peak scaled to one; silence stays silent."""
        scale = self.weights / self.peak if self.peak > 0 else self.weights
        for block in self.source.blocks(size):
            yield np.einsum("c,ct->t", scale.astype(np.float32), block)

    def mono(self) -> Samples:
        """The whole mono signal, float32 (frames,); for short recordings and tests."""
        pieces = list(self.mono_blocks(BLOCK))
        return np.concatenate(pieces) if pieces else np.zeros(0, np.float32)


def survey(source: Source, rate: int) -> Recording:
    """Read the source once at `rate` and decide what to listen to: the mean of the channels.

    Where the channels cancel in their mean, the loudest one alone.
    """
    source = at_rate(source, rate)
    channels = source.channels
    energies = np.zeros(channels)
    peaks = np.zeros(channels)
    mean_energy = mean_peak = 0.0
    for block in source.blocks(BLOCK):
        mean = block.mean(axis=0)
        energies += np.square(block).sum(axis=1)
        peaks = np.maximum(peaks, np.maximum(block.max(axis=1), -block.min(axis=1)))
        mean_energy += float(np.square(mean).sum())
        mean_peak = max(mean_peak, float(mean.max()), -float(mean.min()))
    cancels = mean_energy < CANCELS * energies.mean()
    if not cancels:
        return Recording(source, np.full(channels, 1 / channels), mean_peak, False)
    loudest = int(energies.argmax())
    return Recording(source, np.eye(channels)[loudest], float(peaks[loudest]), True)
