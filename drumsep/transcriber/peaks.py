"""From onset probabilities per frame to hits: pure functions on numpy arrays."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from drumsep.drums import Drum

GAP = 2  # frames: a peak is the highest of itself and this many on either side

# How training marks an onset at frame f + d, |d| <= 1/2: 1 at f, SIDE + LEAN * d at f + 1 and
# SIDE - LEAN * d at f - 1. `pick` reads d back.
SIDE = 0.4
LEAN = 0.6

HATS = (Drum.HIHAT_CLOSED.position, Drum.HIHAT_OPEN.position)


@dataclass(frozen=True, eq=False)
class Peaks:
    """Hits, ordered by frame and drum; one entry of each array (H,) a hit."""

    frames: NDArray[np.float64]  # with a fraction
    drums: NDArray[np.int64]  # position in DRUMS
    velocities: NDArray[np.float32]  # 0..1
    confidences: NDArray[np.float32]  # onset probability, threshold..1


def pick(
    onsets: NDArray[np.float32], velocities: NDArray[np.float32], thresholds: NDArray[np.float32]
) -> Peaks:
    """Hits in onset probabilities (9, T) and velocities (9, T), by thresholds (9,).

    A hit is a local maximum over `GAP` frames on either side that reaches its drum's threshold;
    of equal neighbours the first counts. A hi-hat is either open or closed: of two such hits
    within `GAP` frames the more probable stays.
    """
    drums, frames = np.nonzero(_local_maxima(onsets) & (onsets >= thresholds[:, None]))
    kept = _one_hat(onsets, drums, frames)
    drums, frames = drums[kept], frames[kept]
    order = np.lexsort((drums, frames))
    drums, frames = drums[order], frames[order]
    return Peaks(
        frames=frames + _offsets(onsets, drums, frames),
        drums=drums,
        velocities=velocities[drums, frames],
        confidences=onsets[drums, frames],
    )


def _local_maxima(onsets: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Where (9, T) no frame within GAP is higher, nor an earlier one as high."""
    frames = onsets.shape[1]
    padded = np.pad(onsets, ((0, 0), (GAP, GAP)), constant_values=-1)
    highest = np.ones(onsets.shape, bool)
    for shift in range(1, GAP + 1):
        highest &= onsets > padded[:, GAP - shift : GAP - shift + frames]
        highest &= onsets >= padded[:, GAP + shift : GAP + shift + frames]
    return highest


def _one_hat(
    onsets: NDArray[np.float32], drums: NDArray[np.int64], frames: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Which hits (H,) stay when open and closed hi-hats exclude each other."""
    kept = np.ones(len(drums), bool)
    closed, opened = (np.flatnonzero(drums == hat) for hat in HATS)
    for one in closed:
        for other in opened[np.abs(frames[opened] - frames[one]) <= GAP]:
            pair = (one, other)
            kept[min(pair, key=lambda hit: float(onsets[drums[hit], frames[hit]]))] = False
    return kept


def _offsets(
    onsets: NDArray[np.float32], drums: NDArray[np.int64], frames: NDArray[np.int64]
) -> NDArray[np.float64]:
    """How far after its frame each hit lies, -1/2 to 1/2 frames, 0 at the ends."""
    last = onsets.shape[1] - 1
    inside = (frames > 0) & (frames < last)
    after = onsets[drums, np.minimum(frames + 1, last)].astype(np.float64)
    before = onsets[drums, np.maximum(frames - 1, 0)]
    offset = (after - before) / (2 * LEAN * onsets[drums, frames])
    return np.where(inside, np.clip(offset, -0.5, 0.5), 0.0)
