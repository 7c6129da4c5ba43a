"""What is asked of doubtful hits, and of those that are only the wash of another."""

import numpy as np
from numpy.typing import NDArray

from drumsep.drums import STEMS, Drum
from drumsep.second_look.case import Case, Mask, near

SURE = 0.7  # confidence from which a hit by itself is not doubtful

# The log-odds of an unsure hit rise by SLOPE * log(strength / EVEN); strengths are of the usual.
SLOPE, EVEN = 0.35, 0.2
WEAKEST, STRONGEST = 0.02, 2.0  # strengths that are told apart

# What each stem is mistaken for where both are hit, in the order of asking.
BESIDE: tuple[dict[str, tuple[str, ...]], ...] = (
    {"kick": ("toms",), "cymbals": ("hihat",)},
    {"toms": ("kick", "snare")},
    {"snare": ("toms",)},
)
LEAST = 1 / 3  # of the usual strength, under which a hit beside another is none


class Beside:
    """Is a hit needed that falls together with one it is often mistaken for?"""

    def __init__(self, mistaken: dict[str, tuple[str, ...]]) -> None:
        self._mistaken = {
            STEMS.index(stem): [STEMS.index(other) for other in others]
            for stem, others in mistaken.items()
        }

    def doubtful(self, case: Case) -> Mask:
        """Believed hits beside others that are believed."""
        believed = case.believed
        together = np.zeros(len(believed), bool)
        for stem, others in self._mistaken.items():
            beside = case.times[believed & np.isin(case.stems, others)]
            together |= (case.stems == stem) & near(case.times, beside)
        return together & believed & case.open

    def settle(self, case: Case, doubtful: Mask, strengths: NDArray[np.float64]) -> None:
        """Refuse those that are much weaker than usual."""
        case.refused |= doubtful & (strengths < LEAST)


class Unsure:
    """Is a hit needed that the networks are not sure of?"""

    def doubtful(self, case: Case) -> Mask:
        """Candidates of low confidence."""
        unsure: Mask = (case.confidences < SURE) & ~case.refused & case.open
        return unsure

    def settle(self, case: Case, doubtful: Mask, strengths: NDArray[np.float64]) -> None:
        """Make those likelier that are as strong as usual, and others less likely."""
        told = doubtful & np.isfinite(strengths)
        before = case.confidences[told]
        weight = SLOPE * np.log(np.clip(strengths[told], WEAKEST, STRONGEST) / EVEN)
        case.confidences[told] = before / (before + (1 - before) * np.exp(-weight))


Question = Beside | Unsure
QUESTIONS: tuple[Question, ...] = (Unsure(), *(Beside(mistaken) for mistaken in BESIDE))


def washes(case: Case) -> Mask:
    """Believed open hi-hats of a recording that has none but together with cymbals."""
    hats = case.believed & (case.drums == Drum.HIHAT_OPEN.position)
    cymbals = case.times[case.believed & (case.stems == STEMS.index("cymbals"))]
    washes: Mask = hats & case.open & near(case.times[hats], cymbals).all()
    return washes
