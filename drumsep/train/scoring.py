"""Onset scores for choosing checkpoints and thresholds: hits of nine drums against five stems."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from drumsep.drums import STEMS

Times = NDArray[np.float64]


def matched(truth: Times, found: Times, window: float) -> list[tuple[int, int]]:
    """Index pairs of two ascending rows of times (s) at most `window` apart, as many as can be.

    In one dimension, pairing each with the earliest that is left is a maximum matching.
    """
    pairs, i, j = [], 0, 0
    while i < len(truth) and j < len(found):
        if abs(found[j] - truth[i]) <= window:
            pairs.append((i, j))
            i, j = i + 1, j + 1
        elif found[j] < truth[i]:
            j += 1
        else:
            i += 1
    return pairs


@dataclass(frozen=True)
class Counts:
    """Hits found and right, true, and found; they add up over recordings."""

    right: int = 0
    true: int = 0
    found: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(self.right + other.right, self.true + other.true, self.found + other.found)

    @property
    def f_measure(self) -> float:
        """Harmonic mean of precision and recall; 1 where nothing is and nothing was found."""
        both = self.true + self.found
        return 2 * self.right / both if both else 1.0


def count(truth: Sequence[Times], found: Sequence[Times], window: float) -> list[Counts]:
    """For each stem, what was found of the truth within `window` seconds."""
    return [
        Counts(len(matched(one, other, window)), len(one), len(other))
        for one, other in zip(truth, found, strict=True)
    ]


def f_measures(counts: Iterable[Sequence[Counts]]) -> Mapping[str, float]:
    """Onset F of each stem and, under "all", of all together, pooled over recordings."""
    pooled = [Counts()] * len(STEMS)
    for one in counts:
        pooled = [total + more for total, more in zip(pooled, one, strict=True)]
    scores = {stem: one.f_measure for stem, one in zip(STEMS, pooled, strict=True)}
    return {"all": sum(pooled, Counts()).f_measure, **scores}
