"""What a recording plays again: a hit is likelier where others like it were played.

A network hears a few seconds, but drums play the same over and over. The strokes around a doubtful
hit are compared with those around other places, by the cosine between two smoothed windows. Where
the places that are alike have a stroke of its stem the hit is likelier, where they have none it is
less likely: a non-local mean, as Buades, Coll and Morel (2005) took of images, here of strokes.
What its stem plays at the hit itself is left out of the comparison.
"""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from drumsep.drums import STEMS
from drumsep.second_look.case import Case, Mask, likelier, near

FRAME_RATE = 100.0  # per s
SPREAD = 3.0  # frames, standard deviation of a stroke's time
BUMP = np.exp(-0.5 * (np.arange(-8, 9) / SPREAD) ** 2).astype(np.float32)
AROUND = 100  # frames on either side that are compared
TAPER = np.hanning(2 * AROUND + 3)[1:-1].astype(np.float32)
OWN = 4  # frames around the hit in which its stem is left out
MIDDLE = TAPER[AROUND - OWN : AROUND + OWN + 1]
NEAREST, FARTHEST = 20, 1000  # frames: the places that it is compared with lie between
PAD = AROUND + FARTHEST
SHARPNESS = 16.0  # a place of likeness 1 - x counts exp(-SHARPNESS * x)
FAINTEST = 0.05  # energy of a window, at least: what is nearly empty is like nothing

CERTAIN = 0.95  # confidence from which a hit is not doubtful
SLOPE = 1.0  # of log-odds
INDIFFERENT = 0.1  # more than usual, where what is played elsewhere speaks neither way


def weigh(case: Case) -> None:
    """Make doubtful hits likelier that are played again, and others less likely.

    Log-odds change by SLOPE * (`Pattern.oftener` - INDIFFERENT).
    """
    comparable = np.flatnonzero(_comparable(case))
    if not len(comparable):
        return
    pattern = Pattern(case)
    oftener = np.array([pattern.oftener(number) for number in comparable.tolist()])
    weighed = likelier(case.confidences[comparable], SLOPE * (oftener - INDIFFERENT))
    case.confidences[comparable] = weighed


def _comparable(case: Case) -> Mask:
    """Doubtful hits of stems that have other hits, but for hi-hats where a cymbal is hit.

    The hand that keeps time on the hi-hat leaves out the strokes that it gives to a cymbal.
    """
    believed = case.believed
    others = np.bincount(case.stems[believed], minlength=len(STEMS))[case.stems] - believed
    given_up = case.on("hihat") & near(case.times, case.struck("cymbals"))
    comparable: Mask = (case.confidences < CERTAIN) & case.open & (others > 0) & ~given_up
    return comparable


class Pattern:
    """The strokes of a recording that are believed when it is made; 16 MB for an hour."""

    def __init__(self, case: Case) -> None:
        self._frames = np.round((case.times - case.times[0]) * FRAME_RATE).astype(np.int64)
        self._stems = case.stems
        believed = case.believed
        self._strokes = self._frames[believed], case.stems[believed], case.confidences[believed]
        frames, stems, confidences = self._strokes
        points = np.zeros((len(STEMS), self._frames[-1] + 1 + 2 * PAD), np.float32)
        np.maximum.at(points, (stems, frames + PAD), confidences)
        self._struck = np.stack([np.convolve(stem, BUMP, "same") for stem in points])
        self._elsewhere = sliding_window_view(self._struck, 2 * FARTHEST + 1, axis=1)
        self._energies = points * self._struck  # of single strokes, (5, L)
        self._around = np.convolve(self._energies.sum(axis=0), TAPER, "same")  # of windows, (L,)
        self._usual = np.minimum(self._struck[:, PAD:-PAD], 1).mean(axis=1)

    def oftener(self, number: int) -> float:
        """How much oftener than usual its stem is struck in places like that of a hit, -1 to 1."""
        frame, stem = self._frames[number], self._stems[number]
        counts = np.exp(SHARPNESS * (self._likeness(frame, stem) - 1))
        counts[FARTHEST - NEAREST : FARTHEST + NEAREST + 1] = 0
        struck = np.minimum(self._elsewhere[stem, frame + AROUND], 1)
        return float(counts @ struck / counts.sum() - self._usual[stem])

    def _likeness(self, frame: int, stem: int) -> NDArray[np.float64]:
        """The cosines between the window around a frame and those FARTHEST to either side of it.

        What the stem plays in the middle of the windows does not count.
        """
        frames, stems, confidences = self._strokes
        window = slice(*np.searchsorted(frames, (frame - AROUND, frame + AROUND + 1)))
        frames, stems = frames[window], stems[window]
        weights = confidences[window] * TAPER[frames - frame + AROUND]
        weights *= (stems != stem) | (np.abs(frames - frame) > OWN)
        products = weights @ self._elsewhere[stems, frames + AROUND]
        energy = weights @ self._struck[stems, frames + PAD]

        places = slice(frame + AROUND - OWN, frame + AROUND + 2 * FARTHEST + 1 + OWN)
        middle = np.convolve(self._energies[stem, places], MIDDLE, "valid")
        energies = self._around[places][OWN:-OWN] - middle
        norms = np.sqrt(np.maximum(energies, FAINTEST) * max(energy, FAINTEST))
        likeness: NDArray[np.float64] = np.minimum(products / norms, 1)  # tapers may make it more
        return likeness
