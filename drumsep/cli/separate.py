"""`drumsep separate`."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from drumsep.cli import options as shared

Out = Annotated[Path, typer.Option("--out", "-o", help="Folder that gets one folder per track")]
Stems = Annotated[
    Literal["5", "9"], typer.Option(help="5 stems, or 9 drums where the model has them")
]
Overlap = Annotated[
    float, typer.Option(help="Cross-fade the chunks of LarsNet by this fraction, 0 to 0.5")
]
Depth = Annotated[
    Literal["16", "24", "float"], typer.Option(help="Bits of the WAV files; float: 32-bit")
]
Residual = Annotated[
    bool, typer.Option("--residual", help="Also write what no stem claims: stems + it = the input")
]


def separate(
    inputs: shared.Inputs,
    out: Out,
    model: shared.Model = "drumsep",
    weights: shared.Weights = None,
    device: shared.Device = "auto",
    stems: Stems = "5",
    alpha: shared.Alpha = None,
    mask: shared.Mask = True,
    adapt: shared.Adapt = None,
    overlap: Overlap = 0.0,
    onsets: shared.Onsets = None,
    kit: shared.Kit = None,
    threshold: shared.Threshold = None,
    seed: shared.Seed = 0,
    tempo: shared.Tempo = None,
    depth: Depth = "24",
    residual: Residual = False,
    jobs: shared.Jobs = 1,
    overwrite: shared.Overwrite = False,
    resume: shared.Resume = False,
    json: shared.Json = False,
    quiet: shared.Quiet = False,
) -> None:
    """Write the stems and the MIDI file of each recording to OUT/<track>/."""
    from drumsep.cli.running import Run, carry_out
    from drumsep.errors import DrumsepError, UsageError
    from drumsep.results import Options
    from drumsep.tasks.choice import ModelChoice
    from drumsep.tasks.separate import SeparateTask

    try:
        options = Options(
            stems=9 if stems == "9" else 5,
            mask=mask,
            alpha=alpha,
            seed=seed,
            adapt=adapt,
            thresholds=shared.thresholds(threshold),
            overlap=overlap,
        )
    except DrumsepError as error:
        raise UsageError(str(error)) from error
    task = SeparateTask(
        choice=ModelChoice(model, weights, device),
        out=out,
        options=options,
        onsets=onsets,
        kit=kit,
        depth=depth,
        residual=residual,
        tempo=tempo,
        existing=shared.existing(overwrite, resume),
    )
    carry_out(task, inputs, out, Run(jobs, json, quiet))
