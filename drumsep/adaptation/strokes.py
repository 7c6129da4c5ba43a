"""Where a hit's template falls on the frames of a recording: a sparse matrix of coefficients.

A template is a sequence of spectra at `LAGS` frames after the hit, dense around the attack, sparse
in the tail. A hit lies anywhere between two frames; a frame hears it at a fractional lag, and takes
its spectrum from the two nearest lags in proportion (linear interpolation). Likewise each drum has
a template of its soft hits and one of its loud hits, and those between take from both.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from drumsep.drums import DRUMS, Drum
from drumsep.dsp import Stft
from drumsep.results import Hit

STFT = Stft(n_fft=2048, hop=512)  # of the fit and of the masks, at RATE
RATE = 44100  # Hz

# Frames after the hit: every frame while the window passes the attack, then half as far again each
# time, up to four seconds. Two frames before it the window has not reached the hit.
LAGS = np.array([*range(-2, 9), 12, 18, 27, 40, 60, 90, 135, 202, 303, 344], np.float64)
FIRST, LAST = float(LAGS[0]), float(LAGS[-1])

LAYERS = 2  # templates of a drum: of its soft and of its loud hits
ROWS = LAYERS * len(LAGS)  # spectra of a drum
SOFT, LOUD = 0.2, 0.8  # velocities below and above which only one of them is taken


@dataclass(frozen=True, eq=False)
class Strokes:
    """Hits on the frames of `STFT`, in order of time, as arrays of one entry per hit."""

    position: NDArray[np.float64]  # (hits,), frames
    drum: NDArray[np.int64]  # (hits,), positions in `drums`
    loudness: NDArray[np.float64]  # (hits,), what is taken of the loud template, in [0, 1]
    drums: tuple[Drum, ...]  # those that are hit, in the order of the vocabulary

    @classmethod
    def of(cls, hits: Sequence[Hit]) -> "Strokes":
        """Strokes of hits that are in order of time."""
        position = np.array([hit.time for hit in hits], float) * (RATE / STFT.hop)
        struck = np.array([hit.drum.position for hit in hits], np.int64)
        present, drum = np.unique(struck, return_inverse=True)
        velocity = np.array([hit.velocity for hit in hits], float)
        loudness = np.clip((velocity - SOFT) / (LOUD - SOFT), 0, 1)
        return cls(position, drum, loudness, tuple(DRUMS[number] for number in present))

    def __len__(self) -> int:
        return len(self.position)

    def within(self, start: int, stop: int) -> NDArray[np.int64]:
        """Numbers of the hits in frames [start, stop)."""
        low, high = np.searchsorted(self.position, (start, stop))
        return np.arange(low, high)

    def heard(self, start: int, stop: int, last: float = LAST) -> NDArray[np.int64]:
        """Numbers of the hits that some frame in [start, stop) can hear, `last` after them."""
        low = np.searchsorted(self.position, start - last, side="left")
        high = np.searchsorted(self.position, stop - FIRST, side="right")
        return np.arange(low, high)


@dataclass(frozen=True, eq=False)
class Placement:
    """What a stretch of frames hears: entries (hit, row, frame) -> coefficient."""

    hit: NDArray[np.int64]  # (entries,), numbers in the `Strokes`
    row: NDArray[np.int64]  # (entries,), (drum * LAYERS + layer) * lags + lag: a spectrum
    frame: NDArray[np.int64]  # (entries,), from the start of the stretch
    coefficient: NDArray[np.float32]  # (entries,), in (0, 1]
    frames: int  # length of the stretch
    lags: int  # of each template that can be heard, the first of LAGS

    def every(self, step: int) -> "Placement":
        """What every `step`-th frame hears, from the first on."""
        kept = self.frame % step == 0
        return Placement(
            hit=self.hit[kept],
            row=self.row[kept],
            frame=self.frame[kept] // step,
            coefficient=self.coefficient[kept],
            frames=-(-self.frames // step),
            lags=self.lags,
        )

    @classmethod
    def joined(cls, parts: Sequence["Placement"]) -> "Placement":
        """Stretches laid end to end."""
        starts = np.cumsum([0, *(part.frames for part in parts)])
        return cls(
            hit=np.concatenate([part.hit for part in parts]),
            row=np.concatenate([part.row for part in parts]),
            frame=np.concatenate(
                [p.frame + start for p, start in zip(parts, starts, strict=False)]
            ),
            coefficient=np.concatenate([part.coefficient for part in parts]),
            frames=int(starts[-1]),
            lags=parts[0].lags,
        )


def lags_until(last: float) -> int:
    """How many of LAGS tell what is heard until `last` frames after a hit."""
    return int(np.searchsorted(LAGS, last)) + 1


def place(strokes: Strokes, start: int, stop: int, last: float = LAST) -> Placement:
    """Find what frames in [start, stop) hear of which hits, at most `last` frames after them."""
    numbers = strokes.heard(start, stop, last)
    position = strokes.position[numbers, None]
    first = np.ceil(position + FIRST).astype(np.int64) - 1
    span = int(last - FIRST) + 2  # frames that one hit can touch
    frame = np.clip(first, start, stop) + np.arange(min(span, stop - start))
    lag = frame - position
    lags = lags_until(last)
    before = np.clip(np.searchsorted(LAGS[:lags], lag, side="right") - 1, 0, lags - 2)
    share = (lag - LAGS[before]) / (LAGS[before + 1] - LAGS[before])
    level = np.clip(1 + share, 0, 1)  # it rises during the frame before the first lag
    level = level * ((lag <= last) & (frame >= start) & (frame < stop))
    share = np.clip(share, 0, 1)
    loudness = strokes.loudness[numbers, None]
    row = strokes.drum[numbers, None] * (LAYERS * lags) + before
    parts = [
        (row + layer * lags + later, level * of_layer * of_lag)
        for layer, of_layer in enumerate((1 - loudness, loudness))
        for later, of_lag in enumerate((1 - share, share))
    ]
    coefficient = np.stack([part for _, part in parts])
    kept = np.nonzero(coefficient)
    return Placement(
        hit=numbers[kept[1]],
        row=np.stack([rows for rows, _ in parts])[kept],
        frame=frame[kept[1:]] - start,
        coefficient=coefficient[kept].astype(np.float32),
        frames=stop - start,
        lags=lags,
    )
