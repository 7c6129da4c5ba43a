"""Means over clips, and how far to trust them: bootstrap intervals, and paired differences."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

DRAWS = 2000
LEVEL = 0.95
SEED = 0


@dataclass(frozen=True)
class Score:
    """A clip's share in a mean, which is sum of totals / sum of weights over clips and stems.

    A value per stem has weight 1. Ratios of counts keep their counts (F = 2 hits / (expected +
    found)), so that a clip with many hits counts for more.
    """

    total: float
    weight: float

    @property
    def value(self) -> float:
        """The score of this share alone; NaN without weight."""
        return self.total / self.weight if self.weight else math.nan


@dataclass(frozen=True)
class Interval:
    """A mean over clips and the interval in which 95 % of its bootstrap draws lie."""

    value: float
    low: float
    high: float
    clips: int  # with any weight


@dataclass(frozen=True)
class Difference:
    """How much higher a second system scores on the same clips."""

    interval: Interval
    p: float  # two-sided: how often resampled clips would put the other system ahead


def pooled(scores: Sequence[Score]) -> Score:
    """Several shares as one."""
    return Score(sum(score.total for score in scores), sum(score.weight for score in scores))


def mean(scores: Sequence[Score]) -> Interval:
    """The mean over clips with its percentile bootstrap interval (Efron 1979), seeded.

    Clips are drawn with replacement, each with all its stems; one score per clip.
    """
    draws = _draws(len(scores)) if scores else np.zeros((1, 0), np.intp)
    return _interval(pooled(scores).value, _resampled(scores, draws), scores)


def difference(first: Sequence[Score], second: Sequence[Score]) -> Difference:
    """Second minus first, clip by clip: both are resampled with the same draws of clips.

    p = 2 min(share of draws <= 0, share of draws >= 0), at most 1.
    """
    draws = _draws(len(first)) if first else np.zeros((1, 0), np.intp)
    changes = _resampled(second, draws) - _resampled(first, draws)
    value = pooled(second).value - pooled(first).value
    both = [Score(0, a.weight * b.weight) for a, b in zip(first, second, strict=True)]
    return Difference(_interval(value, changes, both), _two_sided(changes))


def _draws(clips: int) -> NDArray[np.intp]:
    return np.random.default_rng(SEED).integers(clips, size=(DRAWS, clips))


def _resampled(scores: Sequence[Score], draws: NDArray[np.intp]) -> NDArray[Any]:
    """The mean of each draw; NaN where a draw has no weight."""
    totals = np.array([score.total for score in scores])[draws].sum(axis=1)
    weights = np.array([score.weight for score in scores])[draws].sum(axis=1)
    means: NDArray[Any] = np.full(len(draws), np.nan)
    np.divide(totals, weights, out=means, where=weights > 0)
    return means


def _two_sided(changes: NDArray[Any]) -> float:
    valid = changes[np.isfinite(changes)]
    if not len(valid):
        return math.nan
    return float(min(1, 2 * min((valid <= 0).mean(), (valid >= 0).mean())))


def _interval(value: float, draws: NDArray[Any], scores: Sequence[Score]) -> Interval:
    valid = draws[np.isfinite(draws)]
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(valid, [tail, 1 - tail]) if len(valid) else (math.nan, math.nan)
    return Interval(value, float(low), float(high), sum(score.weight > 0 for score in scores))
