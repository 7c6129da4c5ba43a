"""`drumsep train`."""

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from rich.live import Live
    from rich.table import Table

    from drumsep.train.loop import Report, TrainOptions

SHOWN = 20  # validations in the table on a terminal
SCORE = "score"  # in what is reported, where it was validated

Network = Annotated[Literal["transcriber", "idm", "larsnet"], typer.Argument(help="What to train")]
Data = Annotated[
    Path,
    typer.Option(
        help="Folder with kits-train/ and gmd/groove/, and kits-val/ to choose by if there"
    ),
]
Out = Annotated[Path, typer.Option(help="Folder for last.pt, best.pt and log.jsonl")]
Minutes = Annotated[float, typer.Option(min=0.01, help="Wall-clock budget over all sittings")]
Stems = Annotated[
    list[Path] | None,
    typer.Option(help="Recordings with stems to train on as well; repeatable"),
]
Recordings = Annotated[
    list[Path] | None,
    typer.Option(help="Annotated recordings to choose by, never trained on; repeatable"),
]
Device = Annotated[str, typer.Option(help="cpu, cuda or cuda:N")]
Bfloat16 = Annotated[bool, typer.Option("--bfloat16", help="Autocast: faster, less precise")]
Published = Annotated[
    bool, typer.Option("--published-size", help="idm, larsnet: not our compact variant of it")
]
Batch = Annotated[
    int | None, typer.Option(min=1, help="Clips per step  [default: the network's own]")
]
LearningRate = Annotated[
    float | None,
    typer.Option(min=0, help="After warming up, before cooling down  [default: the network's own]"),
]
Workers = Annotated[int, typer.Option(min=0, help="Processes that render clips")]
Seed = Annotated[int, typer.Option(min=0, help="Seed of the weights and of every clip")]
Licence = Annotated[str, typer.Option(help="Licence of the weights that are made, for their card")]
Start = Annotated[
    Path | None,
    typer.Option(
        help="Stored transcriber weights (.safetensors) to go on from; they may be smaller"
    ),
]
Beside = Annotated[
    Path | None,
    typer.Option(
        help="Stored transcriber (.safetensors) that a new one, which listens differently, joins"
    ),
]
Resume = Annotated[bool, typer.Option("--resume", help="Go on from last.pt in OUT")]


def train(
    network: Network,
    data: Data,
    out: Out,
    minutes: Minutes = 60.0,
    stems: Stems = None,
    recordings: Recordings = None,
    device: Device = "cpu",
    bfloat16: Bfloat16 = False,
    published_size: Published = False,
    batch: Batch = None,
    learning_rate: LearningRate = None,
    workers: Workers = 1,
    seed: Seed = 0,
    licence: Licence = "not stated",
    start: Start = None,
    beside: Beside = None,
    resume: Resume = False,
) -> None:
    """Train a network on sampled kits and MIDI grooves, rendered on the fly, and on recordings.

    Prints one JSON line per validation, and a table of them where stderr is a terminal. OUT/best.pt
    holds the best weights so far.
    """
    from importlib import import_module

    from drumsep.errors import UsageError
    from drumsep.train.loop import TrainOptions

    kits, grooves, validation = data / "kits-train", data / "gmd" / "groove", data / "kits-val"
    for folder in (kits, grooves, *(stems or ()), *(recordings or ())):
        if not folder.is_dir():
            raise UsageError(f"no folder {folder}")
    if published_size and network == "transcriber":
        raise UsageError("--published-size is for idm and larsnet; the transcriber is our own")
    room = import_module(f"drumsep.train.{network}")
    options = TrainOptions(
        kits=kits,
        grooves=grooves,
        out=out,
        validation_kits=validation if validation.is_dir() else None,
        stems=tuple(stems or ()),
        recordings=tuple(recordings or ()),
        minutes=minutes,
        batch=batch or room.BATCH,
        learning_rate=room.LEARNING_RATE if learning_rate is None else learning_rate,
        seed=seed,
        device=device,
        bfloat16=bfloat16,
        workers=workers,
        resume=resume,
        start=start,
        beside=beside,
        licence=licence,
    )
    _check(network, options)
    size = {"dimensions": room.Dimensions()} if published_size else {}
    with _display() as report:
        room.train(options, report, **size)


def _check(network: str, options: "TrainOptions") -> None:
    """Refuse what a network cannot use, and to choose by what was trained on."""
    from drumsep.errors import UsageError

    for option, path in (("--start", options.start), ("--beside", options.beside)):
        if path and network != "transcriber":
            raise UsageError(f"{option} is for the transcriber, not for {network}")
        if path and not path.is_file():
            raise UsageError(f"no file {path}")
    if options.start and options.beside:
        raise UsageError("--start goes on with a transcriber, --beside adds one: give one of them")
    if options.stems and network == "idm":
        raise UsageError("--stems is not for idm, which learns the kits that it hears")
    chosen_by = {path.resolve() for path in options.recordings}
    for path in options.stems:
        if path.resolve() in chosen_by:
            raise UsageError(f"{path} is to choose by (--recordings), so not to train on")


@contextmanager
def _display() -> Iterator["Report"]:
    """What reports: a live table where stderr is a terminal, else a line per validation."""
    if not sys.stderr.isatty():
        yield _print
        return
    from rich.console import Console
    from rich.live import Live

    # What is piped must not become part of the display.
    console, piped = Console(stderr=True), not sys.stdout.isatty()
    with Live(console=console, redirect_stdout=not piped) as live:
        yield _TableReport(live, piped)


def _print(line: Mapping[str, float]) -> None:
    if SCORE in line:
        print(json.dumps(line), flush=True)
        minutes, step, score = line["minutes"], line["step"], line[SCORE]
        print(f"{minutes:7.1f} min  step {step:7.0f}  score {score:.4f}", file=sys.stderr)


class _TableReport:
    """The last validations and the step at work, as a table that is drawn anew at every step."""

    def __init__(self, live: "Live", piped: bool) -> None:
        self._live = live
        self._piped = piped  # whether someone else than the one who sees the table reads stdout
        self._validated: list[Mapping[str, float]] = []

    def __call__(self, line: Mapping[str, float]) -> None:
        at_work = [line]
        if SCORE in line:
            self._validated, at_work = [*self._validated, line][-SHOWN:], []
            if self._piped:
                print(json.dumps(line), flush=True)
        self._live.update(_table([*self._validated, *at_work]))


def _table(lines: list[Mapping[str, float]]) -> "Table":
    """Steps, minutes, rate, losses and the score; single sets' scores are in log.jsonl."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD)
    names = [name for name in lines[-1] if " " not in name and name != SCORE]
    for name in (*names, SCORE):
        table.add_column(name, justify="right")
    for line in lines:
        table.add_row(*(f"{line[name]:g}" if name in line else "" for name in (*names, SCORE)))
    return table
