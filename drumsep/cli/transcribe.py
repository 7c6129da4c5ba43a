"""`drumsep transcribe`."""

from pathlib import Path
from typing import Annotated

import typer

from drumsep.cli import options as shared


def transcribe(
    inputs: shared.Inputs,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the notes files")] = Path(
        "."
    ),
    midi: Annotated[bool, typer.Option("--midi", help="Write <track>.mid (the default)")] = False,
    csv: Annotated[bool, typer.Option("--csv", help="Write <track>.csv")] = False,
    json_notes: Annotated[bool, typer.Option("--json-notes", help="Write <track>.json")] = False,
    model: shared.Model = "drumsep",
    weights: shared.Weights = None,
    device: shared.Device = "auto",
    threshold: shared.Threshold = None,
    tempo: shared.Tempo = None,
    jobs: shared.Jobs = 1,
    overwrite: shared.Overwrite = False,
    resume: shared.Resume = False,
    json: shared.Json = False,
    quiet: shared.Quiet = False,
) -> None:
    """Write the notes of each recording: General MIDI drums with velocities and tempo."""
    from drumsep.cli.running import Run, carry_out
    from drumsep.results import Options
    from drumsep.tasks.choice import ModelChoice
    from drumsep.tasks.transcribe import TranscribeTask

    wanted = {".mid": midi or not (csv or json_notes), ".csv": csv, ".json": json_notes}
    task = TranscribeTask(
        choice=ModelChoice(model, weights, device),
        out=out,
        options=Options(thresholds=shared.thresholds(threshold)),
        suffixes=tuple(suffix for suffix, asked in wanted.items() if asked),
        tempo=tempo,
        existing=shared.existing(overwrite, resume),
    )
    carry_out(task, inputs, out, Run(jobs, json, quiet))
