"""The `drumsep` command: its sub-commands, and what an error becomes."""

import os
import signal
import sys
from typing import Annotated

import typer

from drumsep import __version__
from drumsep.cli import benchmark, evaluate, models, oneshots, separate, train, transcribe
from drumsep.errors import DrumsepError, UsageError

OK, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130

app = typer.Typer(
    name="drumsep",
    help="Take a drum recording apart: five stems, the notes as MIDI, the kit as one-shots.",
    no_args_is_help=False,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(separate.separate)
app.command()(transcribe.transcribe)
app.command()(oneshots.oneshots)
app.add_typer(models.app, name="models")
app.command()(evaluate.evaluate)
app.command()(benchmark.benchmark)
app.command()(train.train)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"drumsep {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version"),
    ] = False,
) -> None:
    pass


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit: 0 done, 1 something failed, 2 usage, 130 interrupted."""
    signal.signal(signal.SIGTERM, _interrupt)  # `kill` cleans up as Ctrl-C does
    # Threads that wait must soon sleep: by default they spin, and where other programs want the
    # cores as well, a minute of sound then takes three times as long. To wake them takes longer
    # than much of what they do: first they spin for some microseconds. Read when torch is imported.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    sys.exit(run(arguments))


def _interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt


def run(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit code; every expected error is one line."""
    try:
        code = app(arguments, prog_name="drumsep", standalone_mode=False)
    except typer.TyperException as error:
        return _say(f"{error.format_message()} (drumsep --help lists what there is)", USAGE)
    except UsageError as error:
        return _say(str(error), USAGE)
    except DrumsepError as error:
        return _say(str(error), FAILED)
    except (KeyboardInterrupt, typer.Abort):
        return _say("interrupted: only whole files were kept", INTERRUPTED)
    return code if isinstance(code, int) else OK


def _say(message: str, code: int) -> int:
    print(f"drumsep: {message}", file=sys.stderr)
    return code
