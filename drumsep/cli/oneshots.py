"""`drumsep oneshots`."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from drumsep.cli import options as shared

Kind = Literal["auto", "extracted", "synthesised"]


def oneshots(
    inputs: shared.Inputs,
    export: Annotated[
        Path,
        typer.Option(help="Kit folder; for several inputs, one folder per track in it"),
    ],
    kind: Annotated[
        Kind, typer.Option(help="auto takes a real hit where a clean one exists")
    ] = "auto",
    model: shared.Model = "drumsep",
    weights: shared.Weights = None,
    device: shared.Device = "auto",
    onsets: shared.Onsets = None,
    threshold: shared.Threshold = None,
    adapt: shared.Adapt = None,
    seed: shared.Seed = 0,
    jobs: shared.Jobs = 1,
    overwrite: shared.Overwrite = False,
    resume: shared.Resume = False,
    json: shared.Json = False,
    quiet: shared.Quiet = False,
) -> None:
    """Write the kit of each recording: WAVs per drum and layer, SFZ, and kit.json."""
    from drumsep.cli.running import Run, carry_out
    from drumsep.results import Options
    from drumsep.tasks.choice import ModelChoice
    from drumsep.tasks.oneshots import OneShotsTask

    task = OneShotsTask(
        choice=ModelChoice(model, weights, device),
        out=export,
        options=Options(seed=seed, adapt=adapt, thresholds=shared.thresholds(threshold)),
        onsets=onsets,
        kind=kind,
        single=len(inputs) == 1 and not inputs[0].is_dir(),
        existing=shared.existing(overwrite, resume),
    )
    carry_out(task, inputs, export, Run(jobs, json, quiet))
