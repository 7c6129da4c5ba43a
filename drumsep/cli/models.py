"""`drumsep models`: what is installed, on what terms, and how published models get in."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from drumsep import weights
from drumsep.errors import UsageError
from drumsep.weights import ModelCard

app = typer.Typer(help="List, describe, import and fetch models.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="Name of a model: see drumsep models list")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object per model")]


@app.command("list")
def list_models(as_json: Json = False) -> None:
    """List the installed models, and the names that --model takes."""
    cards = weights.installed()
    if as_json:
        for card in cards:
            _print_json(card)
        return
    from drumsep.loading import installed_models

    rows = [
        (card.name, card.kind, card.licence, "bundled" if card.bundled else str(card.path.parent))
        for card in cards
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        print("  ".join(cells).rstrip())
    print(f"--model takes: {', '.join(installed_models())}", file=sys.stderr)


@app.command()
def info(name: Name, as_json: Json = False) -> None:
    """Describe a model: its file, SHA-256, licence and source."""
    card = weights.find(name)
    if as_json:
        _print_json(card)
        return
    for field, value in (card.to_dict() | {"licence": _terms(card)}).items():
        print(f"{field + ':':<9} {value}")


@app.command("import")
def import_model(
    path: Annotated[
        Path,
        typer.Argument(help="IDM checkpoint (.ckpt, or its folder), or LarsNet's folder or zip"),
    ],
    name: Annotated[str | None, typer.Option(help="Name to install it by")] = None,
    as_json: Json = False,
) -> None:
    """Check a published checkpoint, convert it and install it."""
    from drumsep import importing
    from drumsep.loading import COMPOSED

    if name in COMPOSED:
        raise UsageError(f"--name {name}: a model of drumsep's own is called so")
    _report(importing.import_model(path, name), as_json)


@app.command()
def path(
    name: Annotated[str | None, typer.Argument(help="Name of a model")] = None,
) -> None:
    """Print the file of a model, or the folder of imported ones."""
    print(weights.find(name).path if name else weights.user_folder())


@app.command()
def fetch(
    name: Annotated[str, typer.Argument(help="Name of a published model, such as idm-official")],
    as_json: Json = False,
) -> None:
    """Download a published model, check its SHA-256 and install it."""
    from drumsep import fetching

    print(f"fetching {name}", file=sys.stderr)
    _report(fetching.fetch(name), as_json)


def _report(card: ModelCard, as_json: bool) -> None:
    """Print what was installed, and on stderr where and on what terms."""
    if as_json:
        _print_json(card)
    else:
        print(card.name)
    print(f"installed {card.path}, licence {_terms(card)}: {card.source}", file=sys.stderr)


def _terms(card: ModelCard) -> str:
    return f"{card.licence} (non-commercial use only)" if card.non_commercial else card.licence


def _print_json(card: ModelCard) -> None:
    print(json.dumps(card.to_dict(), ensure_ascii=False))
