"""An evaluation as text: tables for people, JSON lines and CSV for programs."""

import csv
import io
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from drumsep.drums import STEMS
from drumsep.evaluate.plan import ALL, METRICS, Metric
from drumsep.evaluate.scores import ClipResult
from drumsep.evaluate.statistics import DRAWS
from drumsep.evaluate.summary import COLUMNS, Comparison, Summary, clip_score

if TYPE_CHECKING:
    from rich.table import Table

BY_KEY = {metric.key: metric for metric in METRICS}


@dataclass(frozen=True)
class Grid:
    """A table before it is drawn."""

    title: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def grids(summaries: Sequence[Summary], comparisons: Sequence[Comparison]) -> tuple[Grid, ...]:
    """A table per system, one row per metric; then a table per comparison."""
    means = [_means(summary) for summary in summaries]
    return (*means, *(_differences(comparison) for comparison in comparisons))


def markdown(grid: Grid) -> str:
    """The table in GitHub's dialect."""
    lines = [grid.heads, ("---", *("---:" for _ in grid.heads[1:])), *grid.rows]
    return "\n".join([f"**{grid.title}**", "", *(f"| {' | '.join(line)} |" for line in lines), ""])


def rich_table(grid: Grid) -> "Table":
    """The table for a terminal."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(title=grid.title, title_justify="left", box=SIMPLE_HEAD)
    for number, head in enumerate(grid.heads):
        table.add_column(head, justify="right" if number else "left", no_wrap=True)
    for row in grid.rows:
        table.add_row(*row)
    return table


def json_lines(
    results: Sequence[ClipResult],
    summaries: Sequence[Summary],
    comparisons: Sequence[Comparison],
) -> Iterator[str]:
    """One object per line: `kind` is clip, summary or comparison; what has no value is null."""
    for result in results:
        yield _json({"kind": "clip", **_facts(result), "stems": _clip_values(result)})
    for summary in summaries:
        yield _json({"kind": "summary", **asdict(summary)})
    for comparison in comparisons:
        yield _json({"kind": "comparison", **asdict(comparison)})


def csv_text(results: Sequence[ClipResult]) -> str:
    """One line per system, clip and stem, and one for all stems; empty where there is no value."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    keys = [metric.key for metric in METRICS]
    writer.writerow(["system", "clip", "stem", "sounding", *keys])
    for result in results:
        for stem, values in _clip_values(result).items():
            row = [result.system, result.clip, stem, values.pop("sounding")]
            writer.writerow([*row, *(values.get(key) for key in keys)])
    return text.getvalue()


def _means(summary: Summary) -> Grid:
    title = f"{summary.system}: {summary.clips} clips, {summary.speed:.3g} s per second"
    rows = []
    for key, means in summary.means.items():
        metric, whole = BY_KEY[key], means[ALL]
        cells = [f"{means[c].value:.{metric.decimals}f}" if c in means else "" for c in COLUMNS]
        rows.append((metric.heading, *cells, _range(whole.low, whole.high, metric)))
    return Grid(title, ("", *COLUMNS, "95 %"), tuple(rows))


def _differences(comparison: Comparison) -> Grid:
    title = f"{comparison.second} minus {comparison.first}: {comparison.clips} clips"
    rows = []
    for key, found in comparison.differences.items():
        metric, interval = BY_KEY[key], found.interval
        number = f"{interval.value:+.{metric.decimals}f}"
        reach = _range(interval.low, interval.high, metric)
        rows.append((metric.heading, number, reach, _chance(found.p)))
    return Grid(title, ("", "difference", "95 %", "p"), tuple(rows))


def _clip_values(result: ClipResult) -> dict[str, dict[str, Any]]:
    """By stem and for all: whether it sounds, and each metric's value."""
    values: dict[str, dict[str, Any]] = {}
    for column in (*STEMS, ALL):
        scores = {metric.key: clip_score(result, metric.key, column) for metric in METRICS}
        numbers = {key: round(score.value, 6) for key, score in scores.items() if score.weight}
        values[column] = {"sounding": result.sounding.get(column), **numbers}
    return values


def _facts(result: ClipResult) -> dict[str, Any]:
    return {
        "system": result.system,
        "clip": result.clip,
        "duration": round(result.duration, 6),
        "seconds": round(result.seconds, 3),
    }


def _chance(p: float) -> str:
    """No p below what the number of draws can tell apart."""
    return f"{p:.3f}" if p >= 2 / DRAWS else f"< {2 / DRAWS}"


def _range(low: float, high: float, metric: Metric) -> str:
    return f"{low:.{metric.decimals}f} .. {high:.{metric.decimals}f}"


def _json(facts: dict[str, Any]) -> str:
    return json.dumps(_finite(facts), ensure_ascii=False, allow_nan=False)


def _finite(value: Any) -> Any:
    """JSON knows no NaN."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value
