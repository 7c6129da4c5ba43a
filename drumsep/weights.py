"""Where weights lie, what is known of them, and their way from file to tensors.

A model is a pair of files, NAME.safetensors and its card NAME.json: kind, licence, source and the
SHA-256 that is checked before use. The first folder that has a name wins: $DRUMSEP_WEIGHTS, the
user's data folder (what was imported), the package's own.
"""

import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from platformdirs import user_data_path

from drumsep.errors import DrumsepError
from drumsep.hashing import file_sha256

if TYPE_CHECKING:
    from torch import Tensor

Kind = Literal["idm", "larsnet", "transcriber", "templates"]

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")  # also a file name on every system


CARD_FIELDS = ("kind", "licence", "source", "notes", "sha256")  # what a card file tells


@dataclass(frozen=True, kw_only=True)
class Origin:
    """What weights are, on what terms they may be used, and where they come from."""

    kind: Kind
    licence: str  # SPDX identifier where there is one; "not stated" where nothing is known
    source: str  # what they were converted from or how they were made, and by whom
    notes: str = ""

    @property
    def non_commercial(self) -> bool:
        """Whether the licence forbids commercial use."""
        return "-NC" in self.licence


@dataclass(frozen=True, kw_only=True)
class ModelCard(Origin):
    """One installed model."""

    name: str
    path: Path  # of its safetensors file
    sha256: str  # of that file
    bundled: bool  # came with the package

    def to_dict(self) -> dict[str, str | bool]:
        """The card as plain values, for JSON."""
        return {"name": self.name} | asdict(self) | {"path": str(self.path)}


def user_folder() -> Path:
    """Where imported models are kept; it need not exist yet."""
    return user_data_path("drumsep", appauthor=False) / "models"


def bundled_folder() -> Path:
    """Where the models of the package lie: inside it, or at the top of a checkout."""
    package = Path(__file__).parent
    inside = package / "bundled"
    return inside if inside.is_dir() else package.parent / "weights"


def folders() -> tuple[Path, ...]:
    """The folders that are searched, in order."""
    given = os.environ.get("DRUMSEP_WEIGHTS")
    first = (Path(given),) if given else ()
    return (*first, user_folder(), bundled_folder())


def installed() -> tuple[ModelCard, ...]:
    """The cards of all models that can be found by name, in order of name.

    Raises:
        DrumsepError: a safetensors file has no readable card.
    """
    return tuple(read_card(path) for path in _paths().values())


def find(name: str) -> ModelCard:
    """The card of the model of this name.

    Raises:
        DrumsepError: there is none, or its card cannot be read.
    """
    paths = _paths()
    if name not in paths:
        places = ", ".join(map(str, folders()))
        raise DrumsepError(
            f"no model is called {name!r} (installed: {', '.join(paths) or 'none'}; looked in "
            f"{places}); 'drumsep models fetch' and 'drumsep models import' install published ones"
        )
    return read_card(paths[name])


def _paths() -> dict[str, Path]:
    """Name -> safetensors file, in order of name; the first folder that has a name wins."""
    found: dict[str, Path] = {}
    for folder in folders():
        for path in folder.glob("*.safetensors"):
            found.setdefault(path.stem, path)
    return dict(sorted(found.items()))


def read_card(path: Path) -> ModelCard:
    """The card beside a safetensors file.

    Raises:
        DrumsepError: there is none, or it lacks something.
    """
    card = path.with_suffix(".json")
    try:
        told: dict[str, Any] = json.loads(card.read_text("utf-8"))
        told = {field: str(told[field]) for field in CARD_FIELDS}
    except OSError as error:
        raise DrumsepError(f"{path} has no readable card {card.name}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise DrumsepError(f"{card}: not the card of a model: {error!r}") from error
    if told["kind"] not in get_args(Kind):
        raise DrumsepError(f"{card}: unknown kind {told['kind']!r}")
    bundled = path.parent == bundled_folder()
    return ModelCard(**told, name=path.stem, path=path, bundled=bundled)


def read(card: ModelCard) -> tuple[dict[str, "Tensor"], dict[str, str]]:
    """Read the tensors (on the CPU, mapped from the file) and the metadata of a model.

    Raises:
        DrumsepError: the file is gone, damaged, or not the one its card describes.
    """
    from safetensors import SafetensorError, safe_open

    try:
        found = file_sha256(card.path)
        if found != card.sha256:
            raise DrumsepError(
                f"{card.path}: damaged or replaced: its SHA-256 is {found}, "
                f"its card says {card.sha256}"
            )
        with safe_open(card.path, framework="pt") as file:
            state = {name: file.get_tensor(name) for name in file.keys()}
            return state, dict(file.metadata() or {})
    except OSError as error:
        raise DrumsepError(f"{card.path}: {error.strerror or error}") from error
    except SafetensorError as error:
        raise DrumsepError(f"{card.path}: not a safetensors file: {error}") from error


def store(
    folder: Path,
    name: str,
    state: Mapping[str, "Tensor"],
    metadata: Mapping[str, str],
    origin: Origin,
) -> ModelCard:
    """Write a model and its card into a folder; the same model always gives the same bytes.

    Both files appear whole or not at all, and replace those of a model of the same name.

    Raises:
        DrumsepError: the name cannot be a file name, or the folder cannot be written.
    """
    if not NAME.fullmatch(name):
        raise DrumsepError(
            f"{name!r} cannot name a model: letters, digits, '.', '_' and '-', at most 64"
        )
    data = _serialised(state, metadata)
    path = folder / f"{name}.safetensors"
    sha256 = hashlib.sha256(data).hexdigest()
    card = json.dumps(asdict(origin) | {"sha256": sha256}, indent=2, ensure_ascii=False) + "\n"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # The card first: alone it is no model, while a model without its card is an error.
        _write({path.with_suffix(".json"): card.encode(), path: data})
    except OSError as error:
        raise DrumsepError(f"{folder}: cannot be written: {error.strerror or error}") from error
    return read_card(path)


def _serialised(state: Mapping[str, "Tensor"], metadata: Mapping[str, str]) -> bytes:
    """The bytes of a safetensors file, with the metadata in order.

    The library writes them in an order that differs from run to run (safetensors 0.8).
    """
    from safetensors.torch import save

    data = save({name: tensor.contiguous() for name, tensor in state.items()}, dict(metadata))
    end = 8 + int.from_bytes(data[:8], "little")
    header: dict[str, Any] = json.loads(data[8:end])
    header["__metadata__"] = dict(sorted(metadata.items()))
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # the values start at a multiple of 8 bytes
    return len(text).to_bytes(8, "little") + text + data[end:]


def _write(files: Mapping[Path, bytes]) -> None:
    """Write files beside their places, then move them there in order."""
    partial = {path: path.with_name(f".{path.name}.{os.getpid()}") for path in files}
    try:
        for path, data in files.items():
            partial[path].write_bytes(data)
        for path in files:
            partial[path].replace(path)
    finally:
        for path in partial.values():
            path.unlink(missing_ok=True)
