"""Grooves: drum performances as notes, from Groove MIDI (Gillick et al. 2019) or any MIDI files.

Groove MIDI is a folder with `info.csv`, whose `split` column says which files are for training.
A folder without one is taken whole: every `.mid` file below it.
"""

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from drumsep import midi
from drumsep.drums import DRUM_OF_NOTE, Drum
from drumsep.errors import DrumsepError
from drumsep.sampled_kits import BELL, PEDAL, XSTICK

ARTICULATIONS = {37: XSTICK, 44: PEDAL, 53: BELL}  # by MIDI note, where a kit may have its own
FEWEST_NOTES = 8  # in a file worth training on


@dataclass(frozen=True)
class Note:
    """One stroke."""

    time: float  # s
    drum: Drum
    velocity: int  # 1 to 127
    articulation: str  # the class of a kit that plays it best


Groove = tuple[Note, ...]  # ordered by time


def read_groove(path: Path) -> Groove:
    """The drum notes of a MIDI file, ordered by time; notes of no drum are left out."""
    notes, _ = midi.read_notes(path)
    strokes = (
        Note(note.time, drum, note.velocity, ARTICULATIONS.get(note.pitch, drum.value))
        for note in notes
        if (drum := DRUM_OF_NOTE.get(note.pitch)) is not None
    )
    return tuple(sorted(strokes, key=lambda note: (note.time, note.drum.position)))


def read_grooves(folder: Path, split: str = "train") -> tuple[Groove, ...]:
    """The grooves of one split of Groove MIDI, or of all MIDI files of a folder without splits."""
    listing = folder / "info.csv"
    if listing.exists():
        with listing.open(newline="") as rows:
            paths: Iterable[Path] = [
                folder / row["midi_filename"]
                for row in csv.DictReader(rows)
                if row["split"] == split
            ]
    else:
        paths = sorted(folder.rglob("*.mid"))
    grooves = tuple(groove for path in paths if len(groove := read_groove(path)) >= FEWEST_NOTES)
    if not grooves:
        raise DrumsepError(f"no MIDI files of split {split} in {folder}")
    return grooves
