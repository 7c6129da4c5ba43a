"""Results on disk: whole or not at all, never over something else unasked, and resumable."""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from drumsep.errors import DrumsepError, UsageError

MANIFEST = "drumsep.json"

Existing = Literal["refuse", "overwrite", "resume"]
"""What to do about results that are there already."""


@contextmanager
def staged(folder: Path, staging: Path) -> Iterator[Path]:
    """A temporary folder, `staging`, whose files move to `folder` when the block ends well.

    A new folder appears in one rename. Into an existing one each file is moved in one rename, the
    manifest last, so that a manifest always stands for whole files. On any error, interruption
    included, nothing is left behind.

    Raises:
        DrumsepError: the disk is full, or the folder cannot be written.
    """
    try:
        shutil.rmtree(staging, ignore_errors=True)
        staging.mkdir(parents=True)
        yield staging
        _publish(staging, folder)
    except OSError as error:
        raise DrumsepError(f"{folder}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def hidden_beside(path: Path) -> Path:
    """Where the results at `path` are written before they are whole; on the same file system."""
    return path.with_name(f".{path.name}.partial")


def _publish(staging: Path, folder: Path) -> None:
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        staging.rename(folder)
        return
    (folder / MANIFEST).unlink(missing_ok=True)
    files = [path for path in staging.rglob("*") if path.is_file()]
    for path in sorted(files, key=lambda path: (path.name == MANIFEST, path)):
        target = folder / path.relative_to(staging)
        target.parent.mkdir(parents=True, exist_ok=True)
        os.replace(path, target)


def require_writable(folder: Path) -> None:
    """Make the folder, or say at once why nothing can be written there.

    Raises:
        UsageError: the folder cannot be made or written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".drumsep-{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise UsageError(f"cannot write to {folder}: {error.strerror or error}") from error


def write_manifest(folder: Path, manifest: dict[str, Any]) -> None:
    """Write `drumsep.json`."""
    text = json.dumps(manifest, indent=2, ensure_ascii=False, sort_keys=True)
    (folder / MANIFEST).write_text(text + "\n", encoding="utf-8")


def read_manifest(folder: Path) -> dict[str, Any] | None:
    """The manifest of a finished folder; None where there is none that can be read."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return manifest if isinstance(manifest, dict) else None


def is_complete(folder: Path, manifest: dict[str, Any]) -> bool:
    """Whether every file that the manifest lists is there."""
    files = manifest.get("files", [])
    return bool(files) and all((folder / name).is_file() for name in files)
