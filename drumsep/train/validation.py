"""Recordings with known hits, for choosing checkpoints and thresholds; never for training.

Two layouts are read. A folder of folders, each with `mixture.*` and `onsets.csv` (columns time,
class, velocity), as drumsep renders them; or a folder of audio files, each beside a `.csv` of the
same name (columns time, stem).
"""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from drumsep.drums import DRUMS, STEMS
from drumsep.errors import DrumsepError
from drumsep.sampled_kits import RATE
from drumsep.train.data import Clips
from drumsep.train.scoring import Times

AUDIO = (".flac", ".wav", ".ogg")


@dataclass(frozen=True, eq=False)
class Annotated:
    """Mono audio (N,) with a peak of 1, the times of its hits by stem and their velocities."""

    name: str
    samples: NDArray[np.float32]
    times: tuple[Times, ...]  # s, ascending, one array for each of STEMS
    velocities: tuple[NDArray[np.float64], ...]  # 0..1, as many; empty when not known


def read_recordings(folder: Path) -> tuple[Annotated, ...]:
    """All annotated recordings of `folder`, in either layout."""
    found = tuple(_recordings(folder))
    if not found:
        raise DrumsepError(f"no annotated recordings in {folder}")
    return found


def _recordings(folder: Path) -> Iterator[Annotated]:
    for path in sorted(folder.iterdir()):
        if path.is_dir() and (path / "onsets.csv").exists():
            mixture = next(path.glob("mixture.*"))
            yield _annotated(path.name, mixture, path / "onsets.csv")
        elif path.suffix in AUDIO and path.with_suffix(".csv").exists():
            yield _annotated(path.stem, path, path.with_suffix(".csv"))


def _annotated(name: str, audio: Path, table: Path) -> Annotated:
    samples, rate = soundfile.read(audio, dtype="float32", always_2d=True)
    if rate != RATE:
        raise DrumsepError(f"{audio} has {rate} Hz; validation needs {RATE} Hz")
    with table.open(newline="") as rows:
        lines = sorted(csv.DictReader(rows), key=lambda row: float(row["time"]))
    times, velocities = [], []
    for stem in STEMS:
        own = [row for row in lines if row["stem"] == stem]
        times.append(np.array([float(row["time"]) for row in own]))
        velocities.append(
            np.array([float(row["velocity"]) / 127 for row in own if "velocity" in row])
        )
    return Annotated(name, at_peak(samples.mean(axis=1)), tuple(times), tuple(velocities))


def rendered(clips: Clips, count: int) -> tuple[Annotated, ...]:
    """The first `count` clips as annotated recordings: what training sees, on other kits."""
    return tuple(_from_clip(clips, number) for number in range(count))


def _from_clip(clips: Clips, number: int) -> Annotated:
    mix = clips[number]
    hits = mix.rendering
    stems = np.array([DRUMS[drum].stem_index for drum in hits.drums])
    chosen = [np.flatnonzero(stems == stem) for stem in range(len(STEMS))]
    chosen = [own[np.argsort(hits.onsets[own], kind="stable")] for own in chosen]
    return Annotated(
        name=f"rendered-{number}",
        samples=at_peak(mix.mixture.mean(axis=0)),
        times=tuple(hits.onsets[own] / RATE for own in chosen),
        velocities=tuple(hits.velocities[own].astype(np.float64) for own in chosen),
    )


def at_peak(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Samples scaled to a peak of 1; silence stays."""
    peak = float(np.abs(samples).max(initial=0))
    return samples / np.float32(peak) if peak > 0 else samples
