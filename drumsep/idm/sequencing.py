"""One-shots placed at their hits: what the stems sound like according to the transcription."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from drumsep.drums import Drum
from drumsep.results import Hit, Samples

Onset = tuple[int, float, Drum]
"""First sample, amplitude of the one-shot, and drum."""


@dataclass(frozen=True, eq=False)
class Sequenced:
    """Stems rendered block by block, as a `Source` with one channel for each stem.

    One-shots are added sample by sample: exact, seventy times cheaper than convolving the nearly
    empty signal of all onsets, and silent where nothing sounds. The published code convolves by FFT
    and leaves rounding noise there, which then decides the masks.
    """

    onsets: Sequence[Onset]  # in order of time
    one_shots: Mapping[Drum, Samples]  # (T,) each
    rows: Mapping[Drum, int]  # which channel each drum sounds in
    frames: int  # samples
    rate: int  # Hz

    @property
    def channels(self) -> int:
        """Number of stems."""
        return max(self.rows.values()) + 1

    def blocks(self, size: int) -> Iterator[Samples]:
        """Yield float32 (stems, n) with n <= size."""
        starts = [start for start, _, _ in self.onsets]
        longest = max((shot.size for shot in self.one_shots.values()), default=0)
        for begin in range(0, self.frames, size):
            end = min(begin + size, self.frames)
            block = np.zeros((self.channels, end - begin), np.float32)
            sounding = slice(bisect_right(starts, begin - longest), bisect_left(starts, end))
            for start, amplitude, drum in self.onsets[sounding]:
                shot = self.one_shots[drum][max(begin - start, 0) : end - start]
                first = max(start - begin, 0)
                block[self.rows[drum], first : first + shot.size] += np.float32(amplitude) * shot
            yield block


def onset_sample(hit: Hit, rate: int) -> int:
    """The sample a hit starts on, to the nearest."""
    return round(hit.time * rate)
