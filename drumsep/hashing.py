"""What files are told by: the SHA-256 of their bytes. Imports nothing heavy."""

import hashlib
from pathlib import Path


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, as 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def folder_sha256(folder: Path, pattern: str = "*") -> str:
    """One SHA-256 for the files below a folder, names and contents."""
    files = sorted(path for path in folder.rglob(pattern) if path.is_file())
    facts = "".join(f"{path.relative_to(folder)} {file_sha256(path)}\n" for path in files)
    return hashlib.sha256(facts.encode()).hexdigest()
