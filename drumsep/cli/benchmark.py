"""`drumsep benchmark`."""

import json as jsonlib
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from drumsep.cli import options as shared
from drumsep.errors import DrumsepError, UsageError

if TYPE_CHECKING:
    from drumsep.benchmark import Job, Measurement

WIDTH = 200  # characters; tables are never cropped, whatever stdout is


def benchmark(
    file: Annotated[
        Path | None, typer.Argument(help="Recording to separate  [default: made-up drums]")
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option("--model", "-m", help="Name of a model; repeatable  [default: all installed]"),
    ] = None,
    seconds: Annotated[
        str, typer.Option(help="Lengths of the made-up drums in s, comma-separated")
    ] = "10,60",
    device: shared.Device = "auto",
    threads: Annotated[
        int | None, typer.Option(min=1, help="Threads  [default: as torch finds best]")
    ] = None,
    runs: Annotated[int, typer.Option(min=1, help="Runs of which the median is shown")] = 1,
    json: Annotated[bool, typer.Option("--json", help="Print a JSON object per line")] = False,
    quiet: shared.Quiet = False,
) -> None:
    """Measure each model's seconds per stage, real-time ratio and memory, to compare and report."""
    lengths = _lengths(seconds)
    if file is not None and not file.is_file():
        raise UsageError(f"{file}: no such file")

    from drumsep.benchmark import Job, environment, write_drums
    from drumsep.loading import installed_models

    names = model or list(installed_models())
    with tempfile.TemporaryDirectory() as folder:
        made = (write_drums(Path(folder) / f"{length:g}s.wav", length) for length in lengths)
        files = [file] if file else list(made)
        jobs = [Job(name, path, device, threads) for name in names for path in files]
        found = []
        for measurement in _measurements(jobs, runs, quiet):
            found.append(measurement)
            if json:
                print(jsonlib.dumps(measurement.facts() | environment()), flush=True)
    if not json:
        _print_table(found, environment())
    if len(found) < len(jobs):
        raise typer.Exit(1)


def _measurements(jobs: Sequence["Job"], runs: int, quiet: bool) -> Iterator["Measurement"]:
    """Those that succeed; the others are named on stderr."""
    from drumsep.benchmark import measured

    for number, job in enumerate(jobs, start=1):
        name = f"{job.model}: {job.file.name}"
        if not quiet:
            print(f"[{number}/{len(jobs)}] {name}", file=sys.stderr, flush=True)
        try:
            yield measured(job, runs)
        except DrumsepError as error:
            print(f"failed: {name}: {error}", file=sys.stderr, flush=True)


def _lengths(text: str) -> tuple[float, ...]:
    try:
        lengths = tuple(float(part) for part in text.split(","))
    except ValueError:
        lengths = ()
    if not lengths or min(lengths) <= 0:
        raise UsageError(f"--seconds takes lengths in s, such as 10,60: got {text}")
    return lengths


def _print_table(found: Sequence["Measurement"], facts: dict[str, object]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    from drumsep.benchmark import COLUMNS, rows

    ran_on = sorted({f"{one.device}, {one.threads} threads" for one in found})
    table = Table(title="; ".join(ran_on), title_justify="left", box=SIMPLE_HEAD)
    for name in COLUMNS:
        table.add_column(name, justify="left" if name == "model" else "right", no_wrap=True)
    for row in rows(found):
        table.add_row(*row)
    Console(width=WIDTH).print(table)
    print(", ".join(f"{name} {value}" for name, value in facts.items() if value))
