"""Options that several commands share, each with its help and unit, and what they are read into."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from drumsep.drums import Drum
from drumsep.errors import UsageError

Inputs = Annotated[
    list[Path],
    typer.Argument(help="Audio files, and folders that are searched for them recursively"),
]
Model = Annotated[str, typer.Option("--model", "-m", help="Name of a model: see drumsep models")]
Weights = Annotated[
    Path | None,
    typer.Option(help="Weights file or checkpoint to use instead of an installed model"),
]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N")]
Seed = Annotated[int, typer.Option(min=0, help="Seed of the synthesis noise")]
Jobs = Annotated[int, typer.Option("--jobs", "-j", min=1, help="Processes to share the files")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object per input file")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress on stderr")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace results that exist")]
Resume = Annotated[bool, typer.Option("--resume", help="Skip inputs whose results are complete")]
Tempo = Annotated[
    float | None,
    typer.Option(min=10, max=1000, help="Beats per minute of the MIDI file [default: estimated]"),
]
Threshold = Annotated[
    list[str] | None,
    typer.Option(
        help="DRUM=P: report hits of this drum from confidence P in 0..1, as the networks hear it, "
        "without a second look; repeatable",
        metavar="DRUM=P",
    ),
]
Onsets = Annotated[
    Path | None,
    typer.Option(help="Your own hits, placed as given: .mid, .csv or .json, or a folder of them"),
]
Kit = Annotated[
    Path | None,
    typer.Option(help="Your own kit for the model to start from: a folder of drumsep oneshots"),
]
Adapt = Annotated[
    int | None,
    typer.Option(min=0, help="Updates that fit the drums to this recording; 0: off"),
]
Alpha = Annotated[
    float | None,
    typer.Option(help="Exponent of the Wiener filter, 0 < alpha <= 2 [default: the model's]"),
]
Mask = Annotated[
    bool, typer.Option("--mask/--no-mask", help="Without: the model's own output, e.g. synthesis")
]


def existing(overwrite: bool, resume: bool) -> Literal["refuse", "overwrite", "resume"]:
    """What to do about results that are there.

    Raises:
        UsageError: both asked for.
    """
    if overwrite and resume:
        raise UsageError("--overwrite and --resume exclude each other")
    return "overwrite" if overwrite else "resume" if resume else "refuse"


def thresholds(given: list[str] | None) -> dict[Drum, float]:
    """Read DRUM=P pairs.

    Raises:
        UsageError: an unknown drum, or a number outside 0..1.
    """
    found = {}
    for pair in given or []:
        name, _, number = pair.partition("=")
        try:
            value = float(number)
            found[Drum(name)] = value
        except ValueError:
            allowed = ", ".join(Drum)
            raise UsageError(
                f"--threshold takes DRUM=P with DRUM of {allowed}: got {pair}"
            ) from None
        if not 0 <= value <= 1:
            raise UsageError(f"--threshold {pair}: P must be in 0..1")
    return found
