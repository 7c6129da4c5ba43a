"""`drumsep train`."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from drumsep.train.loop import TrainOptions


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
Batch = Annotated[int, typer.Option(min=1, help="Clips per step")]
LearningRate = Annotated[float, typer.Option(min=0, help="After warming up, before cooling down")]
Workers = Annotated[int, typer.Option(min=0, help="Processes that render clips")]
Seed = Annotated[int, typer.Option(min=0, help="Seed of the weights and of every clip")]
Licence = Annotated[str, typer.Option(help="Licence of the weights that are made, for their card")]
Start = Annotated[
    Path | None,
    typer.Option(
        help="Stored transcriber weights (.safetensors) to go on from; they may be smaller"
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
    batch: Batch = 8,
    learning_rate: LearningRate = 1e-3,
    workers: Workers = 1,
    seed: Seed = 0,
    licence: Licence = "not stated",
    start: Start = None,
    resume: Resume = False,
) -> None:
    """Train a network on sampled kits and MIDI grooves, rendered on the fly, and on recordings.

    Prints one JSON line per validation; OUT/best.pt holds the best weights so far.
    """
    from importlib import import_module

    from drumsep.errors import UsageError
    from drumsep.train.loop import TrainOptions

    kits, grooves, validation = data / "kits-train", data / "gmd" / "groove", data / "kits-val"
    for folder in (kits, grooves, *(stems or ()), *(recordings or ())):
        if not folder.is_dir():
            raise UsageError(f"no folder {folder}")
    options = TrainOptions(
        kits=kits,
        grooves=grooves,
        out=out,
        validation_kits=validation if validation.is_dir() else None,
        stems=tuple(stems or ()),
        recordings=tuple(recordings or ()),
        minutes=minutes,
        batch=batch,
        learning_rate=learning_rate,
        seed=seed,
        device=device,
        bfloat16=bfloat16,
        workers=workers,
        resume=resume,
        start=start,
        licence=licence,
    )
    _check(network, options)
    import_module(f"drumsep.train.{network}").train(options, _report)


def _check(network: str, options: "TrainOptions") -> None:
    """Refuse what a network cannot use, and to choose by what was trained on."""
    from drumsep.errors import UsageError

    if options.start and network != "transcriber":
        raise UsageError(f"--start is for the transcriber; {network} begins anew")
    if options.start and not options.start.is_file():
        raise UsageError(f"no file {options.start}")
    if options.stems and network == "idm":
        raise UsageError("--stems is not for idm, which learns the kits that it hears")
    chosen_by = {path.resolve() for path in options.recordings}
    for path in options.stems:
        if path.resolve() in chosen_by:
            raise UsageError(f"{path} is to choose by (--recordings), so not to train on")


def _report(line: Mapping[str, float]) -> None:
    print(json.dumps(line), flush=True)
    minutes, score = line["minutes"], line.get("score", 0.0)
    print(f"{minutes:7.1f} min  step {line['step']:7.0f}  score {score:.4f}", file=sys.stderr)
