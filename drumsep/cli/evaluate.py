"""`drumsep evaluate`."""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from drumsep.cli import options as shared
from drumsep.errors import UsageError
from drumsep.evaluate.plan import (
    DEFAULT_GROUPS,
    GROUPS,
    Oracle,
    System,
    chosen_groups,
    systems,
    without_library,
)

if TYPE_CHECKING:
    from drumsep.evaluate.run import Evaluation, Report

WIDTH = 200  # characters; tables are never cropped, whatever stdout is


Dataset = Annotated[
    Path,
    typer.Argument(
        help="Folder of clips: folders with mixture.*, a file per stem and onsets.csv; or pairs of "
        "<name>.* and <name>.csv for hits alone"
    ),
]
Models = Annotated[
    list[str] | None,
    typer.Option("--model", "-m", help="Name of a model; repeatable  [default: drumsep]"),
]
Oracles = Annotated[
    list[Oracle] | None,
    typer.Option(help="Also measure a ceiling, one that knows this much; repeatable"),
]
Metrics = Annotated[
    str | None,
    typer.Option(
        help=f"Comma-separated, of {', '.join(GROUPS)}  [default: {','.join(DEFAULT_GROUPS)}]"
    ),
]
Kits = Annotated[
    Path | None,
    typer.Option(help="Folder of the true kits, for --oracle kit and --metrics one-shots"),
]
Limit = Annotated[int | None, typer.Option(min=1, help="Only the first so many clips")]
Jobs = Annotated[
    int | None, typer.Option("--jobs", "-j", min=1, help="Processes  [default: one per core]")
]
Cache = Annotated[
    bool, typer.Option(help="Take earlier results where input, weights and code are the same")
]
Json = Annotated[bool, typer.Option("--json", help="Print a JSON object per clip")]
Csv = Annotated[bool, typer.Option("--csv", help="Print a row per clip and stem")]
Markdown = Annotated[bool, typer.Option("--markdown", help="Print Markdown tables")]


def evaluate(
    dataset: Dataset,
    model: Models = None,
    oracle: Oracles = None,
    adapt: shared.Adapt = None,
    alpha: shared.Alpha = None,
    mask: shared.Mask = True,
    device: shared.Device = "auto",
    metrics: Metrics = None,
    kits: Kits = None,
    limit: Limit = None,
    jobs: Jobs = None,
    cache: Cache = True,
    json: Json = False,
    csv: Csv = False,
    markdown: Markdown = False,
    quiet: shared.Quiet = False,
) -> None:
    """Score models on clips whose parts are known, beside what they could reach at best."""
    if json + csv + markdown > 1:
        raise UsageError("--json, --csv and --markdown exclude each other")
    groups = chosen_groups(metrics)
    _check_kits(groups, oracle or (), kits)
    for group, library in without_library(groups).items():
        print(f"note: without {library} no {group}: drumsep[evaluate] has it", file=sys.stderr)
        groups = tuple(other for other in groups if other != group)
    measured = systems(model or ["drumsep"], oracle or (), adapt, alpha, mask, device)

    from drumsep.evaluate.cache import cache_folder
    from drumsep.evaluate.dataset import find_clips
    from drumsep.evaluate.estimates import Trial
    from drumsep.evaluate.run import run

    clips = find_clips(dataset)[:limit]
    trials = [Trial(system, clip, groups, kits) for system in measured for clip in clips]
    workers = jobs or os.cpu_count() or 1
    with _progress(quiet) as progress:
        evaluation = run(trials, workers, cache_folder() if cache else None, progress)
    style = "json" if json else "csv" if csv else "markdown" if markdown else "table"
    _print(evaluation, measured, style)
    for failure in evaluation.failures:
        print(f"failed: {failure.system}: {failure.clip}: {failure.cause}", file=sys.stderr)
    if evaluation.failures:
        raise typer.Exit(1)


def _check_kits(groups: Sequence[str], oracles: Sequence[Oracle], kits: Path | None) -> None:
    if (Oracle.KIT in oracles or "one-shots" in groups) and kits is None:
        raise UsageError("--oracle kit and --metrics one-shots need --kits, a folder of kits")
    if kits is not None and not kits.is_dir():
        raise UsageError(f"--kits takes a folder of kits, {kits} is none")


def _print(evaluation: "Evaluation", measured: Sequence[System], style: str) -> None:
    from rich.console import Console

    from drumsep.evaluate import report
    from drumsep.evaluate.summary import compare, summarise

    done = [results for system in measured if (results := evaluation.of(system.label))]
    summaries = [summarise(results) for results in done]
    comparisons = [compare(done[0], results) for results in done[1:]]
    if style == "json":
        for line in report.json_lines(evaluation.results, summaries, comparisons):
            print(line)
    elif style == "csv":
        print(report.csv_text(evaluation.results), end="")
    else:
        console = Console(width=WIDTH)
        for grid in report.grids(summaries, comparisons):
            if style == "markdown":
                print(report.markdown(grid))
            else:
                console.print(report.rich_table(grid))


@contextmanager
def _progress(quiet: bool) -> Iterator["Report"]:
    """A bar where stderr is a terminal, else plain lines."""
    if quiet:
        yield lambda done, total, name: None
    elif not sys.stderr.isatty():
        yield lambda done, total, name: print(f"[{done}/{total}] {name}", file=sys.stderr)
    else:
        from rich.console import Console
        from rich.progress import Progress

        with Progress(console=Console(stderr=True), transient=True) as bar:
            row = bar.add_task("starting", total=None)
            yield lambda done, total, name: bar.update(
                row, description=name, completed=done, total=total
            )
