"""Hits as text and MIDI, told apart by the suffix of the file: .mid, .csv, .json.

What `drumsep transcribe` writes, `--onsets` reads: as it is, or edited by hand. CSV and JSON keep
times, velocities and confidences to the last digit.
"""

import csv
import io
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePath
from typing import Any

from drumsep import midi
from drumsep.drums import DRUM_NAMES, DRUM_OF_NOTE, Drum
from drumsep.errors import DrumsepError
from drumsep.results import Hit, Transcription
from drumsep.tempo import TempoMap

SUFFIXES = (".mid", ".midi", ".csv", ".json")
COLUMNS = ("time", "drum", "note", "velocity", "confidence")
FORMAT = "drumsep-hits-1"
NOTE_NAMES = {str(pitch): drum for pitch, drum in DRUM_OF_NOTE.items()}
PLAIN_VELOCITY = 0.8  # of a hit that is given without one


def write(path: Path, transcription: Transcription, tempo: TempoMap) -> None:
    """Write hits in the format that the suffix names; CSV has no room for the tempo.

    Raises:
        DrumsepError: another suffix, or the file cannot be written.
    """
    suffix = _suffix(path)
    if suffix in (".mid", ".midi"):
        midi.write(path, transcription, tempo)
        return
    text = _csv(transcription) if suffix == ".csv" else _json(transcription, tempo)
    try:
        path.write_text(text, encoding="utf-8", newline="")
    except OSError as error:
        raise DrumsepError(f"{path}: cannot be written: {error.strerror}") from None


def read_hits(path: Path) -> Transcription:
    """Read hits from MIDI, CSV or JSON.

    A hit needs a time (s) and a drum, by its name or else by its note; of both the name counts.
    Velocity (0..1) is 0.8 and confidence (0..1) is 1 where absent. A CSV file starts with the names
    of its columns, in any order and case; other columns are ignored.

    Raises:
        DrumsepError: not such a file, with the line or hit that is wrong and what is allowed.
    """
    suffix = _suffix(path)
    if suffix in (".mid", ".midi"):
        return midi.read(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise DrumsepError(f"{path}: not text in UTF-8") from None
    except OSError as error:
        raise DrumsepError(f"{path}: cannot be read: {error.strerror}") from None
    return _from_csv(path, text) if suffix == ".csv" else _from_json(path, text)


def file_for(given: Path | None, track: PurePath) -> Path | None:
    """The notes file of a track: the one given, or that in a folder which has the track's name.

    Raises:
        DrumsepError: nothing, or more than one, in the folder is named like the track.
    """
    if given is None or not given.is_dir():
        return given
    base = given / track
    found = [path for suffix in SUFFIXES if (path := base.with_name(base.name + suffix)).is_file()]
    if len(found) == 1:
        return found[0]
    problem = "more than one notes file" if found else "no notes file"
    raise DrumsepError(f"{given}: {problem} for {track}; wanted is one of {', '.join(SUFFIXES)}")


def hits_for(given: Path | None, track: PurePath) -> Transcription | None:
    """The user's hits of a track, or None where none are given.

    Raises:
        DrumsepError: as `file_for` and `read_hits`.
    """
    path = file_for(given, track)
    return None if path is None else read_hits(path)


def tempo_for(given: Path | None, track: PurePath) -> TempoMap | None:
    """The tempo map of a track's notes file, where it is MIDI: its hits then keep their ticks.

    Raises:
        DrumsepError: as `file_for`, or not a MIDI file.
    """
    path = file_for(given, track)
    if path is None or path.suffix.lower() not in (".mid", ".midi"):
        return None
    return midi.read_tempo(path)


def _suffix(path: Path) -> str:
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise DrumsepError(f"{path}: notes files end in {', '.join(SUFFIXES)}")
    return suffix


def _row(hit: Hit) -> dict[str, str | int | float]:
    values = (hit.time, hit.drum.value, hit.drum.note, hit.velocity, hit.confidence)
    return dict(zip(COLUMNS, values, strict=True))


def _csv(transcription: Transcription) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(_row(hit) for hit in transcription.hits)
    return text.getvalue()


def _json(transcription: Transcription, tempo: TempoMap) -> str:
    content = {
        "format": FORMAT,
        "duration": transcription.duration,
        "origin": transcription.origin,
        "tempo": [{"time": time, "bpm": bpm} for time, bpm in tempo.changes],
        "hits": [_row(hit) for hit in transcription.hits],
    }
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def _from_csv(path: Path, text: str) -> Transcription:
    try:
        hits = list(_csv_hits(path, text))
    except csv.Error as error:
        raise DrumsepError(f"{path}: not a CSV file: {error}") from None
    return _given(hits, 0.0)


def _csv_hits(path: Path, text: str) -> Iterator[Hit]:
    reader = csv.reader(io.StringIO(text, newline=""))
    header = [name.strip().lower() for name in next(reader, [])]
    if "time" not in header or not {"drum", "note"} & set(header):
        known = ",".join(COLUMNS)
        raise DrumsepError(f"{path}: line 1: needs the columns time and drum, of {known}")
    for cells in reader:
        row = {name: cell.strip() for name, cell in zip(header, cells, strict=False)}
        filled = {name: cell for name, cell in row.items() if cell}
        if filled:
            with _located(f"{path}: line {reader.line_num}"):
                yield _hit(filled)


def _from_json(path: Path, text: str) -> Transcription:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DrumsepError(f"{path}: not JSON: {error}") from None
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise DrumsepError(f'{path}: not a file of hits: "format" must be "{FORMAT}"')
    rows = content.get("hits")
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise DrumsepError(f'{path}: "hits" must be a list of objects')
    hits = []
    for number, row in enumerate(rows, start=1):
        with _located(f"{path}: hit {number}"):
            hits.append(_hit(row))
    with _located(path):
        return _given(hits, _number(content, "duration", 0.0))


def _given(hits: Sequence[Hit], duration: float) -> Transcription:
    """Hits from a file are the user's, whoever found them first."""
    return Transcription(tuple(hits), max([duration, *(hit.time for hit in hits)]))


@contextmanager
def _located(where: Path | str) -> Iterator[None]:
    """Say where in a file an error is."""
    try:
        yield
    except DrumsepError as error:
        raise DrumsepError(f"{where}: {error}") from None


def _hit(row: Mapping[str, Any]) -> Hit:
    """A hit from its named values, which are text or numbers."""
    return Hit(
        time=_number(row, "time"),
        drum=_drum(row),
        velocity=_number(row, "velocity", PLAIN_VELOCITY),
        confidence=_number(row, "confidence", 1.0),
    )


def _number(row: Mapping[str, Any], name: str, absent: float | None = None) -> float:
    value = row.get(name, absent)
    try:
        number = float(value)  # None raises TypeError
    except (TypeError, ValueError, OverflowError):
        raise DrumsepError(f"{name} must be a number, got {value!r}") from None
    if not math.isfinite(number):
        raise DrumsepError(f"{name} must be finite, got {value!r}")
    return number


def _drum(row: Mapping[str, Any]) -> Drum:
    name, note = row.get("drum"), row.get("note")
    if name is None and str(note) in NOTE_NAMES:
        return NOTE_NAMES[str(note)]
    if str(name).strip().lower() in DRUM_NAMES:
        return Drum(str(name).strip().lower())
    given = f"drum {name!r}" if name is not None else f"note {note!r}"
    raise DrumsepError(f"unknown {given}; drums are {', '.join(DRUM_NAMES)}")
