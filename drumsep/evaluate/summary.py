"""From clips to a table: the means of each system, and systems compared clip by clip."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from drumsep.drums import STEMS
from drumsep.evaluate.plan import ALL, METRICS
from drumsep.evaluate.scores import ClipResult
from drumsep.evaluate.statistics import Difference, Interval, Score, difference, mean, pooled

COLUMNS = (*STEMS, ALL)
NOTHING = Score(0, 0)


@dataclass(frozen=True)
class Summary:
    """The means of one system: by metric, then by stem or `ALL`; what has no value is absent."""

    system: str
    clips: int
    speed: float  # s of computing per second of sound
    means: Mapping[str, Mapping[str, Interval]]


@dataclass(frozen=True)
class Comparison:
    """How much higher the second system scores than the first over all stems, by metric."""

    first: str
    second: str
    clips: int
    differences: Mapping[str, Difference]


def clip_score(result: ClipResult, metric: str, column: str) -> Score:
    """A clip's share in one cell of the table; of `ALL`, its stems' shares together."""
    stems = STEMS if column == ALL else (column,)
    return pooled([result.shares[stem].get(metric, NOTHING) for stem in stems])


def summarise(results: Sequence[ClipResult]) -> Summary:
    """The means over the clips of one system, at least one."""
    means: dict[str, dict[str, Interval]] = {}
    for metric in METRICS:
        for column in COLUMNS:
            interval = mean([clip_score(result, metric.key, column) for result in results])
            if interval.clips:
                means.setdefault(metric.key, {})[column] = interval
    duration = sum(result.duration for result in results)
    seconds = sum(result.seconds for result in results)
    return Summary(results[0].system, len(results), seconds / duration, means)


def compare(first: Sequence[ClipResult], second: Sequence[ClipResult]) -> Comparison:
    """Compare two systems on the clips that both have done."""
    by_name = {result.clip: result for result in second}
    pairs = [(result, by_name[result.clip]) for result in first if result.clip in by_name]
    differences = {}
    for metric in METRICS:
        found = difference(
            [clip_score(one, metric.key, ALL) for one, _ in pairs],
            [clip_score(other, metric.key, ALL) for _, other in pairs],
        )
        if found.interval.clips:
            differences[metric.key] = found
    return Comparison(first[0].system, second[0].system, len(pairs), differences)
