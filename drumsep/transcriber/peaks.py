"""From onset probabilities per frame to hits: pure functions on numpy arrays.

Hits are looked for stem by stem. Where the network wavers between two toms, or crash and ride,
it gives each a share of one stroke: the stem has been struck with the probability that they sum
to, and the drum with the largest share was hit.

Washy hi-hats sound like rides, but where a cymbal is played, some of its strokes are beyond doubt.
A cymbal with none of these around must be likelier than one with.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from drumsep.drums import DRUMS, STEMS, Drum

NEAR = 1  # frames around a peak in which the drums of its stem are compared
SURE = 0.85  # probability from which a second drum of a stem counts as struck at the same time

# Where fewer than CONFIRMING peaks within NEARBY frames on either side have a probability of
# CERTAIN, the threshold of a cymbal is higher by DOUBT: many recordings have no crash at all, and
# a single one that is none leaves a stem with something in it that has to be silent.
CERTAIN = 0.95
CONFIRMING = 2
NEARBY = 2000  # frames
DOUBT_OF_CYMBALS = {Drum.CRASH: 0.35, Drum.RIDE: 0.2}
DOUBT = np.array([DOUBT_OF_CYMBALS.get(drum, 0.0) for drum in DRUMS], np.float32)

# How training marks an onset at frame f + d, |d| <= 1/2: 1 at f, SIDE + LEAN * d at f + 1 and
# SIDE - LEAN * d at f - 1. `pick` reads d back.
SIDE = 0.4
LEAN = 0.6
DIP = SIDE + LEAN / 2  # of two strokes: at most what it marks between them when two frames apart

STEM_OF_DRUM = np.array([drum.stem_index for drum in DRUMS])
HATS = (Drum.HIHAT_CLOSED.position, Drum.HIHAT_OPEN.position)  # one pair, open or closed

Activations = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Peaks:
    """Hits, ordered by frame and drum; one entry of each array (H,) a hit."""

    frames: NDArray[np.float64]  # with a fraction
    drums: NDArray[np.int64]  # position in DRUMS
    velocities: NDArray[np.float32]  # 0..1
    confidences: NDArray[np.float32]  # probability of an onset in the stem, threshold..1


def pick(
    onsets: Activations,
    velocities: Activations,
    thresholds: Activations,
    doubt: Activations = DOUBT,
) -> Peaks:
    """Hits in onset probabilities (9, T) and velocities (9, T), by thresholds (9,).

    `doubt` (9,) is added to the thresholds of drums that are nowhere certain around.
    """
    return reaching(candidates(onsets, velocities, thresholds), thresholds, doubt)


def candidates(onsets: Activations, velocities: Activations, thresholds: Activations) -> Peaks:
    """Hits in onset probabilities (9, T) and velocities (9, T), whatever is around them.

    A stem is struck at a local maximum of its drums' summed probabilities; of equal neighbours the
    first counts, of two maxima that are two frames apart the lower only with a `DIP` between. The
    likeliest drum around it is hit when the sum reaches that drum's threshold; so are others of
    the stem that are sure, but for the hi-hat, which is either open or closed.
    """
    summed = np.stack([onsets[STEM_OF_DRUM == stem].sum(axis=0) for stem in range(len(STEMS))])
    confidences = np.minimum(summed, 1)[STEM_OF_DRUM]
    struck = _local_maxima(summed)[STEM_OF_DRUM] & _struck_drums(onsets)
    frames, drums = np.nonzero((struck & (confidences >= thresholds[:, None])).T)
    return Peaks(
        frames=frames + _offsets(summed, STEM_OF_DRUM[drums], frames),
        drums=drums,
        velocities=velocities[drums, frames],
        confidences=confidences[drums, frames],
    )


def reaching(peaks: Peaks, thresholds: Activations, doubt: Activations = DOUBT) -> Peaks:
    """The peaks that reach the threshold (9,) of their drum, with its doubt where there is any."""
    kept = peaks.confidences >= needed(peaks, thresholds, doubt)
    return Peaks(
        peaks.frames[kept], peaks.drums[kept], peaks.velocities[kept], peaks.confidences[kept]
    )


def needed(peaks: Peaks, thresholds: Activations, doubt: Activations = DOUBT) -> Activations:
    """Confidences (H,) from which peaks count: their drum's threshold, and its doubt if any."""
    least = thresholds[peaks.drums]
    for drum in np.flatnonzero(doubt):
        own = peaks.drums == drum
        frames = peaks.frames[own]
        certain = np.sort(frames[peaks.confidences[own] >= CERTAIN])
        until = np.searchsorted(certain, frames + NEARBY, side="right")
        around = until - np.searchsorted(certain, frames - NEARBY, side="left")
        least[own] += np.where(around < CONFIRMING, doubt[drum], 0)
    return least


def _local_maxima(onsets: Activations) -> NDArray[np.bool_]:
    """Where no frame beside is higher, nor one two frames away but for a dip between.

    Of equal frames the first counts.
    """
    frames = onsets.shape[1]
    padded = np.pad(onsets, ((0, 0), (2, 2)), constant_values=-1)
    earlier, before, _, after, later = (padded[:, first : first + frames] for first in range(5))
    dip = DIP * onsets
    highest: NDArray[np.bool_] = (onsets > before) & (onsets >= after)
    highest &= (onsets > earlier) | (before < dip)
    highest &= (onsets >= later) | (after < dip)
    return highest


def _struck_drums(onsets: Activations) -> NDArray[np.bool_]:
    """Which drums (9, T) would be hit if their stem were struck in a frame."""
    frames = onsets.shape[1]
    padded = np.pad(onsets, ((0, 0), (NEAR, NEAR)))
    near = np.max([padded[:, shift : shift + frames] for shift in range(2 * NEAR + 1)], axis=0)
    struck = near >= SURE
    struck[list(HATS)] = False
    for stem in range(len(STEMS)):
        own = np.flatnonzero(STEM_OF_DRUM == stem)
        struck[own[near[own].argmax(axis=0)], np.arange(frames)] = True
    result: NDArray[np.bool_] = struck
    return result


def _offsets(
    onsets: Activations, rows: NDArray[np.int64], frames: NDArray[np.int64]
) -> NDArray[np.float64]:
    """How far after its frame each peak lies, -1/2 to 1/2 frames, 0 at the ends."""
    last = onsets.shape[1] - 1
    inside = (frames > 0) & (frames < last)
    after = onsets[rows, np.minimum(frames + 1, last)].astype(np.float64)
    before = onsets[rows, np.maximum(frames - 1, 0)]
    offset = (after - before) / (2 * LEAN * onsets[rows, frames])
    return np.where(inside, np.clip(offset, -0.5, 0.5), 0.0)
