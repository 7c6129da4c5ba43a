"""Recordings with known hits, for choosing checkpoints and thresholds; never for training."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from drumsep.audio import AudioFile
from drumsep.drums import DRUMS, STEMS
from drumsep.errors import DrumsepError
from drumsep.evaluate.dataset import find_clips, read_hits
from drumsep.sampled_kits import RATE
from drumsep.train.data import Clips
from drumsep.train.scoring import Times


@dataclass(frozen=True, eq=False)
class Annotated:
    """Mono audio (N,) with a peak of 1, the times of its hits by stem and their velocities."""

    name: str
    samples: NDArray[np.float32]
    times: tuple[Times, ...]  # s, ascending, one array for each of STEMS
    velocities: tuple[NDArray[np.float64], ...]  # 0..1, as many; empty when not known


def read_recordings(folder: Path) -> tuple[Annotated, ...]:
    """All annotated recordings of `folder`, laid out as `drumsep evaluate` reads them."""
    found = tuple(_recordings(folder))
    if not found:
        raise DrumsepError(f"no annotated recordings in {folder}")
    return found


def _recordings(folder: Path) -> Iterator[Annotated]:
    for clip in find_clips(folder):
        if clip.onsets is not None:
            yield _annotated(clip.name, clip.mixture, clip.onsets)


def _annotated(name: str, mixture: Path, onsets: Path) -> Annotated:
    audio = AudioFile(mixture).read()
    if audio.rate != RATE:
        raise DrumsepError(f"{mixture} has {audio.rate} Hz; validation needs {RATE} Hz")
    hits, known = read_hits(onsets)
    own = [[hit for hit in hits if hit.drum.stem == stem] for stem in STEMS]
    return Annotated(
        name=name,
        samples=at_peak(audio.samples.mean(axis=0)),
        times=tuple(np.array([hit.time for hit in one]) for one in own),
        velocities=tuple(np.array([hit.velocity for hit in one if known]) for one in own),
    )


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
