"""Stems on disk: quantised and summed as they are written, so that the residual is exact.

With integer samples everything is a whole number of steps of 2^-15 or 2^-23. Stems and mixture are
rounded to steps, the residual is what is left of the mixture, and stems + residual = mixture holds
to the last bit (a mixture that was not made of such steps, from a lossy or a float file, is rounded
to them first). With floats each stem is rounded to float32 and the residual is the rest, rounded
once: in double precision the sum is off by at most 2^-25 of the residual.
"""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from drumsep.results import Samples
from drumsep.wav import Floats, WavFormat, WavWriter

RESIDUAL = "residual"
TARGET_PEAK = 0.99  # after lowering the gain; leaves room for rounding
NOTHING_DB = -200.0  # stands for no energy at all, and for less than this


class StemFiles:
    """A folder of WAV files that is written block by block, and what is learned on the way.

    Nothing is ever clipped: from the first block that does not fit on, nothing more is written and
    only the peaks are followed. `clips` then tells that the files are worthless, and `fitting_gain`
    with which gain to write them again.

    Args:
        folder: exists already; the files in it are `<name>.wav`.
        names: of the stems, in the order of the first axis.
        layout: rate, channels and depth of every file.
        gain: applied to stems and mixture alike, before rounding.
        residual: also write residual.wav, what of the mixture no stem claims.
    """

    def __init__(
        self,
        folder: Path,
        names: Sequence[str],
        layout: WavFormat,
        gain: float = 1.0,
        residual: bool = False,
    ):
        self.gain = gain
        self.clips = False
        self._layout = layout
        self._residual = residual
        self._names = (*names, RESIDUAL) if residual else tuple(names)
        self.paths = tuple(folder / f"{name}.wav" for name in self._names)
        self._peaks = np.zeros(len(self._names))
        self._mixture_energy = self._error = self._stems_error = 0.0
        self._open = ExitStack()
        self._writers: list[WavWriter] = []

    def __enter__(self) -> "StemFiles":
        with ExitStack() as opening:
            for path in self.paths:
                self._writers.append(opening.enter_context(WavWriter(path, self._layout)))
            self._open = opening.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._open.close()

    def write(self, stems: Samples, mixture: Samples) -> None:
        """Append a block: stems (K, C, n) and the mixture (C, n) they were taken from.

        Raises:
            DrumsepError: a file cannot be written.
        """
        target = self.gain * mixture.astype(np.float64)
        stored = self._layout.quantise(stems * np.float32(self.gain))
        total = stored.sum(axis=0, dtype=np.float64)
        sounds: list[Floats] = list(stored)
        left = target - total
        self._mixture_energy += _energy(target)
        self._stems_error += _energy(left)
        if self._residual:
            sounds.append(self._rest(target, total))
            left -= sounds[-1]
        self._error += _energy(left)
        self._follow(sounds)
        if not self.clips:
            for writer, sound in zip(self._writers, sounds, strict=True):
                writer.write(sound)

    def _rest(self, target: NDArray[np.float64], total: NDArray[np.float64]) -> Floats:
        """The residual (C, n): the mixture as it can be stored, less the sum of the stems."""
        if self._layout.depth == "float":
            return self._layout.quantise(target - total)
        return self._layout.quantise(target) - total

    def _follow(self, sounds: Sequence[Floats]) -> None:
        """Keep the peaks of a block, and whether all of it can be stored."""
        for at, sound in enumerate(sounds):
            low, high = sound.min(initial=0), sound.max(initial=0)
            self._peaks[at] = max(self._peaks[at], high, -low)
            self.clips = self.clips or not self._layout.fits(np.array([low, high]))

    @property
    def peaks(self) -> Mapping[str, float]:
        """Largest magnitude in each file so far, as written or as it would have been."""
        return dict(zip(self._names, self._peaks.tolist(), strict=True))

    @property
    def fitting_gain(self) -> float:
        """The gain with which nothing clips: the present one if it fits, else a lower one."""
        return self.gain * TARGET_PEAK / float(self._peaks.max()) if self.clips else self.gain

    @property
    def error_db(self) -> float:
        """Energy of (mixture - sum of all files) over the mixture's; `NOTHING_DB` when exact."""
        return _decibels(self._error, self._mixture_energy)

    @property
    def stems_error_db(self) -> float:
        """Energy of (mixture - sum of the stems, without the residual) over the mixture's."""
        return _decibels(self._stems_error, self._mixture_energy)


def _energy(samples: NDArray[np.float64]) -> float:
    return float(np.square(samples).sum())


def _decibels(part: float, whole: float) -> float:
    """Ratio of energies in dB, never under `NOTHING_DB`; a silent whole counts as the smallest."""
    smallest = np.finfo(np.float64).tiny
    ratio = part / max(whole, smallest)
    return max(10 * float(np.log10(max(ratio, smallest))), NOTHING_DB)
