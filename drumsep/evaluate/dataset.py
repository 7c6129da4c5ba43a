"""A folder of clips whose parts are known: what to separate, and what should come out.

Either a folder per clip, with `mixture.*`, a file per stem named after it, and optionally
`onsets.csv` and `meta.json` (its "kit" names the kit that was played); or, for hits alone, pairs
`<name>.*` and `<name>.csv`.
"""

import csv
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from drumsep.audio import AUDIO_SUFFIXES, AudioFile
from drumsep.drums import DRUM_NAMES, STEMS, Drum
from drumsep.errors import DrumsepError, UsageError
from drumsep.results import Audio, Hit, Transcription

# A stem of which nothing is written sounds if a sample exceeds this: -60 dBFS.
AUDIBLE = 1e-3


@dataclass(frozen=True, eq=False)
class Clip:
    """The files of one clip."""

    name: str
    mixture: Path
    stems: Mapping[str, Path]  # by stem; empty where only hits are known
    onsets: Path | None = None
    kit: str | None = None

    @property
    def files(self) -> tuple[Path, ...]:
        """All that decides what is expected of this clip."""
        onsets = (self.onsets,) if self.onsets else ()
        return self.mixture, *self.stems.values(), *onsets


@dataclass(frozen=True, eq=False)
class Truth:
    """A clip in memory."""

    mixture: Audio
    stems: Mapping[str, Audio]  # as long as the mixture, with its rate and channels
    hits: Transcription | None
    velocities: bool  # whether the hits have velocities of their own
    sounding: Mapping[str, bool]  # by stem; those without a hit, or else without energy, are silent


def find_clips(folder: Path) -> tuple[Clip, ...]:
    """List the clips of a folder, by name.

    Raises:
        UsageError: there are none, or one has neither stems nor onsets.
    """
    if not folder.is_dir():
        raise UsageError(f"a dataset is a folder of clips, {folder} is none")
    folders = (entry for entry in [folder, *folder.iterdir()] if entry.is_dir())
    clips = [
        _clip_in(entry, mixture) for entry in folders if (mixture := audio_named(entry, "mixture"))
    ]
    pairs = (path for path in folder.iterdir() if path.suffix.lower() in AUDIO_SUFFIXES)
    clips += [
        Clip(path.stem, path, {}, path.with_suffix(".csv"))
        for path in pairs
        if path.with_suffix(".csv").is_file()
    ]
    if not clips:
        expected = "folders with mixture.* and stems, or <name>.* with <name>.csv"
        raise UsageError(f"no clips in {folder}: expected {expected}")
    return tuple(sorted(clips, key=lambda clip: clip.name))


def read_truth(clip: Clip) -> Truth:
    """Read a clip.

    Raises:
        DrumsepError: a file cannot be read, or a stem does not fit its mixture.
    """
    mixture = AudioFile(clip.mixture).read()
    stems = {name: AudioFile(path).read() for name, path in clip.stems.items()}
    for name, stem in stems.items():
        if (stem.rate, stem.samples.shape) != (mixture.rate, mixture.samples.shape):
            raise DrumsepError(
                f"{clip.stems[name]}: {stem.samples.shape} at {stem.rate} Hz does not fit its "
                f"mixture, {mixture.samples.shape} at {mixture.rate} Hz"
            )
    if clip.onsets is None:
        loud = {name: bool((np.abs(stem.samples) > AUDIBLE).any()) for name, stem in stems.items()}
        return Truth(mixture, stems, None, False, loud)
    hits, velocities = read_hits(clip.onsets)
    played = {hit.drum.stem for hit in hits}
    transcription = Transcription(hits, mixture.frames / mixture.rate)
    return Truth(mixture, stems, transcription, velocities, {s: s in played for s in STEMS})


def read_hits(path: Path) -> tuple[tuple[Hit, ...], bool]:
    """Read a table of hits, and say whether it gives velocities.

    Columns: `time` in seconds; `class`, one of the nine drums, or `stem`; `velocity`, 0..127, if
    known. A hit of which only the stem is known stands for the stem's first drum.

    Raises:
        DrumsepError: a line that is not such a row, with its number.
    """
    with path.open(newline="", encoding="utf-8") as file:
        table = csv.DictReader(file)
        hits = tuple(_hit(row, f"{path}:{line}") for line, row in enumerate(table, start=2))
        return tuple(sorted(hits)), "velocity" in (table.fieldnames or ())


def _clip_in(folder: Path, mixture: Path) -> Clip:
    found = {name: path for name in STEMS if (path := audio_named(folder, name))}
    onsets = folder / "onsets.csv"
    if not (found or onsets.is_file()):
        raise UsageError(f"{folder} has neither stems ({', '.join(STEMS)}) nor onsets.csv")
    return Clip(folder.name, mixture, found, onsets if onsets.is_file() else None, _kit(folder))


def audio_named(folder: Path, name: str) -> Path | None:
    """The audio file of that name, whatever its format."""
    files = (path for path in folder.glob(f"{name}.*") if path.suffix.lower() in AUDIO_SUFFIXES)
    return min(files, default=None)


def _kit(folder: Path) -> str | None:
    path = folder / "meta.json"
    if not path.is_file():
        return None
    try:
        kit = json.loads(path.read_text(encoding="utf-8")).get("kit")
    except (ValueError, AttributeError) as error:
        raise UsageError(f"{path}: not a JSON object: {error}") from error
    return kit if isinstance(kit, str) else None


def _hit(row: Mapping[str, Any], place: str) -> Hit:
    try:
        velocity = float(row.get("velocity") or 127) / 127
        return Hit(float(row["time"]), _drum(row), velocity)
    except (KeyError, TypeError, ValueError, DrumsepError) as error:
        given = dict(row)
        raise DrumsepError(
            f"{place}: not a hit: {given} ({type(error).__name__}: {error})"
        ) from error


def _drum(row: Mapping[str, Any]) -> Drum:
    if row.get("class"):
        return Drum(row["class"])
    if row["stem"] not in STEMS:
        raise DrumsepError(
            f"a stem is one of {', '.join(STEMS)}, a class of {', '.join(DRUM_NAMES)}"
        )
    return next(drum for drum in Drum if drum.stem == row["stem"])
