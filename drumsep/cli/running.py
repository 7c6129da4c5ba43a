"""Carry out a task on the inputs of a command: plan, refuse or run, print, exit."""

import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import typer

from drumsep.batch import Outcome, Task, run_batch
from drumsep.errors import UsageError
from drumsep.inputs import Track, find_tracks
from drumsep.outputs import Existing, require_writable
from drumsep.results import Progress, no_progress
from drumsep.tasks.choice import ModelChoice


class FileTask(Task, Protocol):
    """A task that writes results per input file."""

    @property
    def choice(self) -> ModelChoice:
        """The model it needs."""

    @property
    def existing(self) -> Existing:
        """What to do about results that are there."""

    def results(self, track: Track) -> tuple[Path, ...]:
        """Files or folders that a track writes."""


@dataclass(frozen=True)
class Run:
    """How a command runs and reports."""

    jobs: int = 1
    json: bool = False
    quiet: bool = False


def carry_out(task: FileTask, inputs: Sequence[Path], out: Path, run: Run) -> None:
    """Do the task for every input, print an outcome each, and exit with 1 if one failed.

    Raises:
        UsageError: nothing was done, because the request itself is at fault.
        typer.Exit: code 1 when some inputs failed.
    """
    tracks = find_tracks(inputs, out)
    _plan(task, tracks, out)
    failed = 0
    with _display(len(tracks), run) as display:
        for number, outcome in enumerate(
            run_batch(task, tracks, run.jobs, display.progress), start=1
        ):
            failed += outcome.status == "failed"
            display.finished(number, outcome)
    if failed:
        print(f"{failed} of {len(tracks)} inputs failed", file=sys.stderr)
        raise typer.Exit(1)


def _plan(task: FileTask, tracks: Sequence[Track], out: Path) -> None:
    """Find every reason not to start before anything is computed or written."""
    _ = task.choice.identity  # unknown models and missing weights are found here
    if task.existing == "refuse":
        there = [path for track in tracks for path in task.results(track) if _occupied(path)]
        if there:
            more = f" and {len(there) - 1} more" if len(there) > 1 else ""
            raise UsageError(
                f"{there[0]}{more} exists already: --overwrite replaces, --resume keeps"
            )
    require_writable(out)


def _occupied(path: Path) -> bool:
    """Whether something is there; an empty folder is free."""
    return any(path.iterdir()) if path.is_dir() else path.exists()


class _Display:
    """What is printed while a batch runs: results on stdout, progress on stderr."""

    def __init__(self, total: int, run: Run, show: Callable[[str, float], None] | None):
        self._total, self._run, self._show = total, run, show
        self._started = time.monotonic()

    def progress(self, track: Track) -> Progress:
        """The progress callable for one file."""
        show = self._show
        if show is None:
            return no_progress
        return lambda stage, fraction: show(f"{track.title}: {stage}", fraction)

    def finished(self, number: int, outcome: Outcome) -> None:
        """Print the outcome of one file."""
        path = str(outcome.track.path)
        if self._run.json:
            line: dict[str, Any] = {"input": path, "status": outcome.status}
            report = {key: value for key, value in outcome.report.items() if key != "input"}
            line |= report | ({"error": outcome.error} if outcome.error else {})
            print(json.dumps(line, ensure_ascii=False), flush=True)
        elif outcome.status != "failed":
            _print_paths(outcome.report["output"])
        if outcome.error:
            cause = outcome.error if path in outcome.error else f"{path}: {outcome.error}"
            print(f"failed: {cause}", file=sys.stderr, flush=True)
        if not self._run.quiet:
            for warning in outcome.report.get("warnings", []):
                print(f"warning: {path}: {warning}", file=sys.stderr, flush=True)
            elapsed = time.monotonic() - self._started
            print(
                f"[{number}/{self._total}] {outcome.status} {path} ({elapsed:.1f} s)",
                file=sys.stderr,
                flush=True,
            )


def _print_paths(output: str | list[str]) -> None:
    for path in [output] if isinstance(output, str) else output:
        print(path, flush=True)


@contextmanager
def _display(total: int, run: Run) -> Iterator[_Display]:
    """A live bar where stderr is a terminal and files are done one at a time, else plain lines."""
    if run.quiet or run.jobs > 1 or not sys.stderr.isatty():
        yield _Display(total, run, None)
        return
    from rich.console import Console
    from rich.progress import Progress as Bar

    with Bar(console=Console(stderr=True), transient=True) as bar:
        row = bar.add_task("reading", total=1.0)
        yield _Display(
            total, run, lambda text, done: bar.update(row, description=text, completed=done)
        )
