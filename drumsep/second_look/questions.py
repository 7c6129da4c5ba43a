"""What is asked of doubtful hits, and of those that are only the wash of another."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from drumsep.drums import Drum
from drumsep.second_look.case import Case, Mask, likelier, near

WASHES = 1 / 8  # of the strokes of cymbals, at least, that a wash is heard with
SURE = 0.7  # confidence from which a hit by itself is not doubtful
WEAKEST, STRONGEST = 0.02, 2.0  # strengths that are told apart, of the usual

# What each stem is mistaken for where both are hit, in the order of asking.
BESIDE: tuple[dict[str, tuple[str, ...]], ...] = (
    {"kick": ("toms",), "cymbals": ("hihat",)},
    {"toms": ("kick", "snare")},
    {"snare": ("toms",)},
)


@dataclass(frozen=True)
class Evidence:
    """What the strength of a hit tells: its log-odds rise by slope * log(strength / even)."""

    slope: float
    even: float  # of the usual strength

    def weighed(
        self, confidences: NDArray[np.float64], strengths: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Confidences (H,) after hearing the strengths (H,), where these are known."""
        told = np.clip(strengths, WEAKEST, STRONGEST) / self.even
        weighed = likelier(confidences, self.slope * np.log(told))
        return np.where(np.isfinite(strengths), weighed, confidences)


# By logistic regression on 114 recordings and renders the slopes are 1.1 and 2.3. F is the same for
# slopes of unsure hits from 0.35 to 1, and stems are best between. Of hits that others are mistaken
# for, the strength tells more: such a mistake takes what is left of the other sound.
ALONE = Evidence(slope=0.5, even=0.2)
BESIDE_ANOTHER = Evidence(slope=2.5, even=0.5)
EVENLY = 0.5  # confidence under which a hit beside another is none


class Beside:
    """Is a hit needed that falls together with one it is often mistaken for?"""

    def __init__(self, mistaken: dict[str, tuple[str, ...]]) -> None:
        self._mistaken = mistaken

    def doubtful(self, case: Case) -> Mask:
        """Believed hits beside others that are believed."""
        together = np.zeros(len(case.times), bool)
        for stem, others in self._mistaken.items():
            together |= case.on(stem) & near(case.times, case.struck(*others))
        return together & case.believed & case.open

    def settle(self, case: Case, doubtful: Mask, strengths: NDArray[np.float64]) -> None:
        """Refuse those that are too weak for how sure the networks are of them.

        A hit of which nobody knows how strong it should be is left alone.
        """
        weighed = BESIDE_ANOTHER.weighed(case.confidences, strengths)
        case.refused |= doubtful & np.isfinite(strengths) & (weighed < EVENLY)


class Unsure:
    """Is a hit needed that the networks are not sure of?"""

    def doubtful(self, case: Case) -> Mask:
        """Candidates of low confidence."""
        unsure: Mask = (case.confidences < SURE) & ~case.refused & case.open
        return unsure

    def settle(self, case: Case, doubtful: Mask, strengths: NDArray[np.float64]) -> None:
        """Make those likelier that are as strong as usual, and others less likely."""
        weighed = ALONE.weighed(case.confidences, strengths)
        case.confidences = np.where(doubtful, weighed, case.confidences)


Question = Beside | Unsure
QUESTIONS: tuple[Question, ...] = (Unsure(), *(Beside(mistaken) for mistaken in BESIDE))


def washes(case: Case) -> Mask:
    """Believed open hi-hats of a recording that has none but together with cymbals.

    A cymbal's wash comes with a good share of its strokes; hi-hats that fall together with a few of
    a long ride pattern do so because both keep time.
    """
    hats = case.believed & (case.drums == Drum.HIHAT_OPEN.position)
    cymbals = case.struck("cymbals")
    often = hats.sum() >= WASHES * len(cymbals)
    washes: Mask = hats & case.open & near(case.times[hats], cymbals).all() & often
    return washes
