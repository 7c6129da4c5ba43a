"""`drumsep train`."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import typer


def train(
    network: Annotated[
        Literal["transcriber", "idm", "larsnet"], typer.Argument(help="What to train")
    ],
    data: Annotated[
        Path,
        typer.Option(
            help="Folder with kits-train/ and gmd/groove/, and kits-val/ to choose by if there"
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder for last.pt, best.pt and log.jsonl")],
    minutes: Annotated[
        float, typer.Option(min=0.01, help="Wall-clock budget over all sittings")
    ] = 60.0,
    recordings: Annotated[
        list[Path] | None,
        typer.Option(help="Annotated recordings to choose by, never trained on; repeatable"),
    ] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda or cuda:N")] = "cpu",
    bfloat16: Annotated[
        bool, typer.Option("--bfloat16", help="Autocast: faster, less precise")
    ] = False,
    batch: Annotated[int, typer.Option(min=1, help="Clips per step")] = 8,
    workers: Annotated[int, typer.Option(min=0, help="Processes that render clips")] = 1,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the weights and of every clip")] = 0,
    licence: Annotated[
        str, typer.Option(help="Licence of the weights that are made, for their card")
    ] = "not stated",
    resume: Annotated[bool, typer.Option("--resume", help="Go on from last.pt in OUT")] = False,
) -> None:
    """Train a network on sampled kits and MIDI grooves, rendered on the fly.

    Prints one JSON line per validation; OUT/best.pt holds the best weights so far.
    """
    from importlib import import_module

    from drumsep.errors import UsageError
    from drumsep.train.loop import TrainOptions

    kits, grooves, validation = data / "kits-train", data / "gmd" / "groove", data / "kits-val"
    for folder in (kits, grooves, *(recordings or ())):
        if not folder.is_dir():
            raise UsageError(f"no folder {folder}")
    options = TrainOptions(
        kits=kits,
        grooves=grooves,
        out=out,
        validation_kits=validation if validation.is_dir() else None,
        recordings=tuple(recordings or ()),
        minutes=minutes,
        batch=batch,
        seed=seed,
        device=device,
        bfloat16=bfloat16,
        workers=workers,
        resume=resume,
        licence=licence,
    )
    import_module(f"drumsep.train.{network}").train(options, _report)


def _report(line: Mapping[str, float]) -> None:
    print(json.dumps(line), flush=True)
    minutes, score = line["minutes"], line.get("score", 0.0)
    print(f"{minutes:7.1f} min  step {line['step']:7.0f}  score {score:.4f}", file=sys.stderr)
