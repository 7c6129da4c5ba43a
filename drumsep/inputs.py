"""From what was typed to what will be done: every input file, and the folder its results go to."""

import os
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from drumsep.audio import AUDIO_SUFFIXES
from drumsep.errors import UsageError


@dataclass(frozen=True)
class Track:
    """One input file and the relative path, without suffix, that names all it gives."""

    path: Path
    name: PurePath

    @property
    def title(self) -> str:
        """Last part of the name, for files that carry it."""
        return self.name.name


def find_tracks(inputs: Sequence[Path], out: Path) -> tuple[Track, ...]:
    """List the audio files among files and folders (recursive), each with a name of its own.

    A file named outright is taken whatever its suffix, and whether or not it exists: reading it
    later says what is wrong. Folders keep their sub-folders; hidden files and the output folder
    are left out. Inputs that differ only in their suffix, in the case of letters or in Unicode
    normalisation would meet in one folder somewhere: they keep their suffix in the name.

    Raises:
        UsageError: no audio in a folder, or two inputs that no name tells apart.
    """
    found = [(path, _safe(name)) for path, name in _walk(inputs, out.resolve())]
    unique = list(dict.fromkeys(found))
    by_name = defaultdict(list)
    for path, name in unique:
        by_name[_folded(name)].append(path)
    tracks = [
        Track(path, name if len(by_name[_folded(name)]) == 1 else _with_suffix(path, name))
        for path, name in unique
    ]
    _refuse_collisions(tracks)
    return tuple(tracks)


def _walk(inputs: Iterable[Path], out: Path) -> Iterable[tuple[Path, PurePath]]:
    for given in inputs:
        if not given.is_dir():
            yield given, PurePath(given.stem)
            continue
        files = sorted(_audio_below(given, out))
        if not files:
            raise UsageError(f"no audio files in folder {given}")
        for path in files:
            yield path, path.relative_to(given).with_suffix("")


def _audio_below(folder: Path, out: Path) -> Iterable[Path]:
    for parent, folders, files in os.walk(folder, followlinks=True):
        here = Path(parent)
        folders[:] = [name for name in folders if name[0] != "." and (here / name).resolve() != out]
        for name in files:
            if name[0] != "." and PurePath(name).suffix.lower() in AUDIO_SUFFIXES:
                yield here / name


def _safe(name: PurePath) -> PurePath:
    """The name without what some file system refuses: control characters, ends in dot or space."""
    forbidden = {ord(character): "_" for character in '<>:"|?*\\'}
    parts = []
    for part in name.parts:
        printable = "".join("_" if unicodedata.category(c) == "Cc" else c for c in part)
        parts.append(printable.translate(forbidden).strip(" ").rstrip(".") or "_")
    return PurePath(*parts)


def _folded(name: PurePath) -> str:
    return unicodedata.normalize("NFC", name.as_posix()).casefold()


def _with_suffix(path: Path, name: PurePath) -> PurePath:
    return name.with_name(f"{name.name}_{path.suffix[1:]}") if path.suffix else name


def _refuse_collisions(tracks: Iterable[Track]) -> None:
    seen: dict[str, Track] = {}
    for track in tracks:
        other = seen.setdefault(_folded(track.name), track)
        if other is not track:
            raise UsageError(
                f"{other.path} and {track.path} would both write {track.name}: "
                "give their common folder instead, or separate them into different --out folders"
            )
