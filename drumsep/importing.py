"""Published checkpoints become models: recognised by content, checked, converted, stored.

Understood are the checkpoint of the Inverse Drum Machine (a file, or a folder that holds it) and
the five checkpoints of LarsNet (a folder in their published layout, or a zip of it).
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from drumsep import weights
from drumsep.archives import extract, open_archive
from drumsep.drums import STEMS
from drumsep.errors import DrumsepError
from drumsep.hashing import file_sha256
from drumsep.pickles import is_checkpoint, read_state
from drumsep.weights import ModelCard, Origin

if TYPE_CHECKING:
    from torch import Tensor

# val-epoch=518-global_step=0.ckpt of the official repository
IDM_OFFICIAL_SHA256 = "5856a9bee7c6d503842795756d238dc8470f6f3e010e9e4f33ede0362850cb4c"

IDM_PAPER = (
    "The Inverse Drum Machine, B. Torres, G. Peeters, G. Richard, 2025, "
    "https://github.com/bernardo-torres/inverse-drum-machine"
)
LARSNET_PAPER = (
    "LarsNet, A. I. Mezza, R. Giampiccolo, A. Bernardini, A. Sarti, Toward deep drum source "
    "separation, 2024, https://github.com/polimi-ispl/larsnet"
)
CHANGES = "Tensors renamed and rearranged, values unchanged, optimiser state left out."

LARSNET_FILE = re.compile(
    rf"(?P<root>(?!__MACOSX/)[^/]+/)?(?P<stem>{'|'.join(STEMS)})/pretrained_(?P=stem)_unet\.pth"
)


@dataclass(frozen=True, eq=False)
class Converted:
    """A published model in drumsep's own form, not yet stored."""

    name: str  # it is stored by, unless another is asked for
    state: Mapping[str, "Tensor"]
    metadata: Mapping[str, str]
    origin: Origin


@dataclass(frozen=True, eq=False)
class _Checkpoint:
    title: str  # for messages
    sha256: str  # of the file
    state: dict[str, "Tensor"]


def import_model(path: Path, name: str | None = None) -> ModelCard:
    """Store a published model in the user's data folder; on any error nothing is written.

    Importing the same files again writes the same model again.

    Raises:
        DrumsepError: as `convert`, or the name is taken by another model.
    """
    converted = convert(path)
    name = name or converted.name
    taken = {card.name: card for card in weights.installed()}.get(name)
    # The notes tell the SHA-256 of the files a model was converted from.
    if taken and taken.notes != converted.origin.notes:
        raise DrumsepError(f"{path}: another model is called {name} already: {taken.path}")
    return weights.store(
        weights.user_folder(), name, converted.state, converted.metadata, converted.origin
    )


def convert(path: Path) -> Converted:
    """Read and check a published model without storing it.

    Raises:
        DrumsepError: no such file or folder, not a published model, damaged, hostile, or with
            missing, unexpected, misshaped or non-finite tensors; the message names the file.
    """
    if path.is_dir():
        names = [file.relative_to(path).as_posix() for file in _checkpoint_files(path)]
        if _larsnet_members(path, names):
            return _larsnet(path, dict(_in_folder(path, names)))
        return _idm(_only_checkpoint(path, names))
    if not path.is_file():
        raise DrumsepError(f"{path}: no such file or folder")
    with open_archive(path) as archive:
        names = archive.namelist()
    return _idm(path) if is_checkpoint(names) else _larsnet(path, dict(_in_zip(path, names)))


def _checkpoint_files(folder: Path) -> list[Path]:
    """Checkpoints in a folder and two levels below: the depths of the published layouts."""
    depths = ("*", "*/*", "*/*/*")
    return sorted(
        file
        for depth in depths
        for end in ("ckpt", "pth")
        for file in folder.glob(f"{depth}.{end}")
    )


def _only_checkpoint(folder: Path, names: list[str]) -> Path:
    found = [name for name in names if name.endswith(".ckpt")]
    if len(found) != 1:
        told = ", ".join(found) or "none"
        raise DrumsepError(
            f"{folder}: expected one .ckpt file (Inverse Drum Machine) or "
            f"STEM/pretrained_STEM_unet.pth for {', '.join(STEMS)} (LarsNet); found {told}"
        )
    return folder / found[0]


def _idm(path: Path) -> Converted:
    from drumsep.idm import official

    checkpoint = _read(path, str(path))
    if "input_norm.weight" in checkpoint.state:
        raise DrumsepError(f"{path}: one of LarsNet's five networks: import the folder of all five")
    description = path.with_name("model.yaml")
    try:
        state, metadata = official.convert(checkpoint.state)
        if description.is_file():
            text = description.read_text("utf-8", errors="replace")
            official.check_description(text, official.dimensions_of(checkpoint.state))
    except DrumsepError as error:
        raise DrumsepError(f"{path}: {error}") from error
    except OSError as error:
        raise DrumsepError(f"{description}: {error.strerror}") from error
    published = checkpoint.sha256 == IDM_OFFICIAL_SHA256
    origin = Origin(
        kind="idm",
        licence="Apache-2.0" if published else "not stated",
        source=IDM_PAPER if published else path.name,
        notes=_notes([checkpoint]),
    )
    own_name = re.sub(r"[^a-z0-9]+", "-", path.stem.lower()).strip("-")[:64] or "idm"
    return Converted("idm-official" if published else own_name, state, metadata, origin)


def _larsnet(path: Path, checkpoints: Mapping[str, _Checkpoint]) -> Converted:
    from drumsep.larsnet import official

    try:
        state, metadata = official.convert({stem: checkpoints[stem].state for stem in STEMS})
    except DrumsepError as error:
        raise DrumsepError(f"{path}: {error}") from error
    # No hashes of the published files are known: their layout tells, and the licence binds.
    origin = Origin(
        kind="larsnet",
        licence="CC-BY-NC-4.0",
        source=LARSNET_PAPER,
        notes=_notes(list(checkpoints.values())),
    )
    return Converted("larsnet-official", state, metadata, origin)


def _larsnet_members(path: Path, names: list[str]) -> dict[str, str]:
    """Stem -> name of its checkpoint in the published layout; empty where there is none.

    Raises:
        DrumsepError: some of the five are missing, or there are several sets.
    """
    roots: dict[str, dict[str, str]] = {}
    for name in names:
        match = LARSNET_FILE.fullmatch(name)
        if match:
            roots.setdefault(match["root"] or "", {})[match["stem"]] = name
    if len(roots) > 1:
        raise DrumsepError(f"{path}: several sets of LarsNet networks: {', '.join(sorted(roots))}")
    found = next(iter(roots.values()), {})
    missing = [stem for stem in STEMS if stem not in found]
    if found and missing:
        raise DrumsepError(f"{path}: the LarsNet network for {', '.join(missing)} is missing")
    return found


def _in_folder(path: Path, names: list[str]) -> Iterator[tuple[str, _Checkpoint]]:
    for stem, name in _larsnet_members(path, names).items():
        yield stem, _read(path / name, str(path / name))


def _in_zip(path: Path, names: list[str]) -> Iterator[tuple[str, _Checkpoint]]:
    """Unpack one checkpoint at a time to a temporary file and read it."""
    members = _larsnet_members(path, names)
    if not members:
        raise DrumsepError(f"{path}: a zip file, but no published checkpoint is in it")
    with open_archive(path) as archive, TemporaryDirectory() as folder:
        for stem, member in members.items():
            copy = Path(folder, "checkpoint")
            extract(archive, member, copy)
            yield stem, _read(copy, str(path / member))


def _read(file: Path, title: str) -> _Checkpoint:
    """Read a checkpoint that messages call `title`, and check its values."""
    try:
        state = read_state(file)
        sha256 = file_sha256(file)
    except DrumsepError as error:
        raise DrumsepError(f"{title}: {str(error).removeprefix(f'{file}: ')}") from error
    for name, tensor in state.items():
        if not tensor.isfinite().all():
            raise DrumsepError(f"{title}: tensor {name!r} has values that are not finite")
    return _Checkpoint(title, sha256, state)


def _notes(checkpoints: list[_Checkpoint]) -> str:
    files = ", ".join(f"{Path(c.title).name} (SHA-256 {c.sha256})" for c in checkpoints)
    return f"Converted from {files}. {CHANGES}"
