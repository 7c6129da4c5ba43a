"""Results that need not be computed again: same clip, system, weights, metrics and code."""

import hashlib
import json
import os
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import Any

import platformdirs

import drumsep
from drumsep.evaluate.estimates import Trial
from drumsep.evaluate.plan import System
from drumsep.evaluate.scores import ClipResult
from drumsep.evaluate.statistics import Score
from drumsep.hashing import file_sha256, folder_sha256
from drumsep.loading import hashes

_hash_once = lru_cache(folder_sha256)


def cache_folder() -> Path:
    """Where this user's earlier results are kept."""
    return Path(platformdirs.user_cache_dir("drumsep")) / "evaluate"


def place(folder: Path, trial: Trial) -> Path:
    """The file that remembers a trial, named by a hash of all that decides its result."""
    facts = {
        "system": trial.system.settings(),
        "weights": weights(trial.system),
        "groups": trial.groups,
        "clip": trial.clip.name,
        "files": [file_sha256(path) for path in trial.clip.files],
        "kit": _kit_version(trial),
        "code": _code_version(),
    }
    key = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
    return folder / f"{key}.json"


def weights(system: System) -> dict[str, str]:
    """SHA-256 of the weights that a system uses, by name.

    Raises:
        DrumsepError: an unknown model.
    """
    return hashes(system.model) if system.model else {}


def _kit_version(trial: Trial) -> str | None:
    """Hash of the true kit's files, if there is one to look at."""
    return _hash_once(trial.kits / trial.clip.kit) if trial.kits and trial.clip.kit else None


def _code_version() -> str:
    """Version and hash of the code: results of changed code are never taken for new ones."""
    return f"{drumsep.__version__} {_hash_once(Path(drumsep.__file__).parent, '*.py')}"


def remember(path: Path, result: ClipResult) -> None:
    """Write a result, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(f".{os.getpid()}")
    partial.write_text(json.dumps(asdict(result)), encoding="utf-8")
    partial.replace(path)


def recall(path: Path) -> ClipResult | None:
    """An earlier result; None where there is none that can be read."""
    try:
        facts: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        facts["shares"] = {
            stem: {key: Score(**share) for key, share in shares.items()}
            for stem, shares in facts["shares"].items()
        }
        return ClipResult(**facts)
    except (OSError, ValueError, KeyError, TypeError):
        return None
