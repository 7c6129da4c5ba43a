"""A kit as a folder: normalised WAVs for any sampler, an SFZ that plays them, and kit.json.

    kit/<title>.sfz
    kit/kit.json
    kit/samples/36_kick_v1_rr1.wav   note, drum, velocity layer, round robin

kit.json has the level each sample was recorded at, so that a kit which is read back sounds as it
did in the recording, and tells which samples were synthesised and which cut from it.
"""

import json
from collections.abc import Iterator, Mapping
from itertools import groupby
from pathlib import Path, PurePath, PurePosixPath
from typing import Any

import numpy as np

from drumsep import sfz
from drumsep.audio import AudioFile
from drumsep.drums import DRUM_NAMES, DRUMS, Drum
from drumsep.errors import DrumsepError
from drumsep.hashing import file_sha256
from drumsep.results import Audio, Kit, OneShot
from drumsep.wav import write_audio

DESCRIPTION = "kit.json"
SAMPLES = "samples"
FORMAT = "drumsep-kit-1"
KINDS = ("synthesised", "extracted")

LAYERS = 4  # velocity layers of equal width
PEAK_DB = -1.0  # dBFS, of every file
FULL_VELOCITY = 1.0  # of a sample that is given without one


def layer_of(velocity: float) -> int:
    """The velocity layer that a stroke belongs to, 0 for the softest."""
    return min(int(velocity * LAYERS), LAYERS - 1)


def write(folder: Path, kit: Kit, title: str) -> None:
    """Write a kit into an existing folder.

    Args:
        folder: exists; nothing is removed from it.
        kit: its one-shots; where a drum has several of one velocity layer, they take turns.
        title: names the SFZ file.

    Raises:
        DrumsepError: a file cannot be written.
    """
    zones, entries = [], []
    try:
        (folder / SAMPLES).mkdir(exist_ok=True)
        for shot, layer, robin in _places(kit):
            file = f"{shot.drum.note}_{shot.drum.value}_v{layer}_rr{robin}.wav"
            gain_db = _write_sample(folder / SAMPLES / file, shot.audio)
            zones.append(sfz.Zone(file, shot.drum, shot.velocity, gain_db, layer, robin))
            entries.append(_entry(folder, file, shot, gain_db))
        content = {"format": FORMAT, "samples": entries}
        description = json.dumps(content, indent=1, ensure_ascii=False) + "\n"
        (folder / DESCRIPTION).write_text(description, encoding="utf-8")
        (folder / f"{title}.sfz").write_text(sfz.text(zones, title, SAMPLES), encoding="utf-8")
    except OSError as error:
        raise DrumsepError(f"{folder}: cannot be written: {error.strerror}") from None


def read(folder: Path) -> Kit:
    """Read a kit that `write` wrote, or one made by hand.

    In kit.json a sample needs its file, relative to the folder, and its drum. It may have velocity
    (0..1, else 1), gain_db (from the file's level to the recorded one, else 0), kind, time (s) and
    isolation_db.

    Raises:
        DrumsepError: no kit.json, or a sample that is described wrongly or cannot be read.
    """
    path = folder / DESCRIPTION
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise DrumsepError(f"{path}: cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise DrumsepError(f"{path}: not JSON: {error}") from None
    entries = content.get("samples") if isinstance(content, dict) else None
    if not isinstance(entries, list) or content.get("format") != FORMAT:
        raise DrumsepError(f'{path}: needs "format": "{FORMAT}" and a list of "samples"')
    return Kit(tuple(_read_sample(path, number, entry) for number, entry in enumerate(entries, 1)))


def folder_for(given: Path | None, track: PurePath) -> Path | None:
    """The kit folder of a track: the one given, or that in it which has the track's name."""
    if given is None or (given / DESCRIPTION).is_file():
        return given
    return given / track


def kit_for(given: Path | None, track: PurePath) -> Kit | None:
    """The user's kit of a track, or None where none is given.

    Raises:
        DrumsepError: as `read`.
    """
    folder = folder_for(given, track)
    return None if folder is None else read(folder)


def _places(kit: Kit) -> Iterator[tuple[OneShot, int, int]]:
    """Every one-shot with its velocity layer and its turn in it, both from 1, in order."""
    for drum in DRUMS:
        layers = groupby(kit.of(drum), key=lambda shot: layer_of(shot.velocity))
        for layer, (_, shots) in enumerate(layers, start=1):
            for robin, shot in enumerate(shots, start=1):
                yield shot, layer, robin


def _write_sample(path: Path, audio: Audio) -> float:
    """Write a sample with its peak at `PEAK_DB`; return the gain in dB that restores its level."""
    peak = float(np.abs(audio.samples).max(initial=0))
    gain_db = 20 * float(np.log10(peak)) - PEAK_DB if peak > 0 else 0.0
    scaled = audio.samples / np.float32(10 ** (gain_db / 20))
    write_audio(path, Audio(scaled, audio.rate))
    return gain_db


def _entry(folder: Path, file: str, shot: OneShot, gain_db: float) -> dict[str, Any]:
    return {
        "file": f"{SAMPLES}/{file}",
        "drum": shot.drum.value,
        "note": shot.drum.note,
        "kind": shot.kind,
        "velocity": shot.velocity,
        "gain_db": gain_db,
        "time": shot.time,
        "isolation_db": shot.isolation,
        "sha256": file_sha256(folder / SAMPLES / file),
    }


def _read_sample(description: Path, number: int, entry: Any) -> OneShot:
    where = f"{description}: sample {number}"
    if not isinstance(entry, dict):
        raise DrumsepError(f"{where}: must be an object")
    if entry.get("drum") not in DRUM_NAMES:
        raise DrumsepError(f"{where}: drum must be one of {', '.join(DRUM_NAMES)}")
    kind = entry.get("kind", "extracted")
    if kind not in KINDS:
        raise DrumsepError(f"{where}: kind must be one of {', '.join(KINDS)}, got {kind!r}")
    velocity = _number(where, entry, "velocity", FULL_VELOCITY)
    if velocity is None or not 0 <= velocity <= 1:
        raise DrumsepError(f"{where}: velocity must be in [0, 1], got {velocity}")
    sound = AudioFile(description.parent / _inside(where, entry.get("file"))).read()
    gain = 10 ** ((_number(where, entry, "gain_db", 0.0) or 0.0) / 20)
    return OneShot(
        drum=Drum(entry["drum"]),
        audio=Audio(sound.samples * np.float32(gain), sound.rate),
        kind=kind,
        velocity=velocity,
        time=_number(where, entry, "time", None),
        isolation=_number(where, entry, "isolation_db", None),
    )


def _inside(where: str, file: Any) -> PurePosixPath:
    """A file's path relative to the kit, which it must not leave."""
    path = PurePosixPath(file) if isinstance(file, str) and file else PurePosixPath("..")
    if path.is_absolute() or ".." in path.parts or "\0" in str(path):
        raise DrumsepError(f"{where}: file must be a path inside the kit, got {file!r}")
    return path


def _number(where: str, entry: Mapping[str, Any], name: str, absent: float | None) -> float | None:
    value = entry.get(name)
    if value is None:
        return absent
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e9:
        raise DrumsepError(f"{where}: {name} must be a finite number, got {value!r}")
    return float(value)
