"""Real recordings as training clips: random excerpts of stems that users have themselves.

A folder holds a folder for each recording: `mixture.*`, a file for each of the five stems or of the
nine drums, and `onsets.csv` with the columns time (s), class (one of the nine drums) and, where
they are known, velocity (1..127). What is mixed are the stems; the mixture stands in for them where
there are none. Excerpts are read from disk when they are asked for: only hits stay in memory.
"""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import soundfile
from numpy.typing import NDArray

from drumsep.drums import DRUM_NAMES, DRUMS, STEMS
from drumsep.errors import DrumsepError
from drumsep.evaluate.dataset import Clip, audio_named, find_clips, read_hits
from drumsep.sampled_kits import RATE
from drumsep.train.render import LOUDNESS_SPAN, Rendering

Audio = NDArray[np.float32]
Needed = Literal["onsets", "stems"]

# The row of a rendering that holds each drum: its own, its stem's first one's, or the only one.
OF_DRUMS = np.arange(len(DRUMS))
OF_STEMS = np.array([[drum.stem for drum in DRUMS].index(drum.stem) for drum in DRUMS])
OF_MIXTURE = np.zeros(len(DRUMS), np.int64)


@dataclass(frozen=True, eq=False)
class StemRecording:
    """Files of one length, and the hits in them, one entry of each array a hit."""

    files: tuple[tuple[int, Path], ...]  # with the row of a rendering that each belongs to
    rows: NDArray[np.int64]  # (9,), the row that holds each drum
    frames: int
    onsets: NDArray[np.int64]  # sample
    drums: NDArray[np.int64]  # position in DRUMS
    velocities: Audio  # 0..1; 0 where not known

    def excerpt(self, first: int, length: int, channels: int) -> Rendering:
        """What is heard in `length` samples from sample `first`; silence after the end."""
        stems = np.zeros((len(DRUMS), channels, length), np.float32)
        for row, path in self.files:
            sound = _read(path, first, length, channels)
            stems[row, :, : sound.shape[-1]] = sound
        inside = (self.onsets >= first) & (self.onsets < first + length)
        onsets, drums = self.onsets[inside] - first, self.drums[inside]
        return Rendering(
            stems=stems,
            onsets=onsets,
            drums=drums,
            rows=self.rows[drums],
            velocities=self.velocities[inside],
            levels=_levels(stems, onsets, self.rows[drums]),
        )


def any_excerpt(
    recordings: Sequence[StemRecording], seconds: float, channels: int, rng: np.random.Generator
) -> Rendering:
    """A random place in all that was recorded, every second as likely."""
    frames = np.array([recording.frames for recording in recordings])
    recording = recordings[rng.choice(len(frames), p=frames / frames.sum())]
    length = round(seconds * RATE)
    first = int(rng.integers(max(recording.frames - length, 0) + 1))
    return recording.excerpt(first, length, channels)


def read_stem_recordings(folders: Sequence[Path], needed: Needed) -> tuple[StemRecording, ...]:
    """All recordings of these folders; headers and hits are read, sound is not.

    Raises:
        DrumsepError: what is `needed` is missing, or files of a recording do not fit each other.
    """
    return tuple(_recording(clip, needed) for folder in folders for clip in find_clips(folder))


def credit(folders: Sequence[Path], recordings: Sequence[StemRecording]) -> str:
    """What weights were also made from, for their card; nothing where there are no recordings."""
    names = ", ".join(folder.name for folder in folders)
    return f" and {len(recordings)} recordings of {names}" if recordings else ""


def _recording(clip: Clip, needed: Needed) -> StemRecording:
    files, rows = _files(clip)
    if needed == "stems" and not clip.stems:
        raise DrumsepError(f"{clip.mixture.parent}: no stems, which this training needs")
    onsets, drums, velocities = _no_hits() if needed == "stems" else _hits(clip)
    return StemRecording(files, rows, _length(clip.mixture, files), onsets, drums, velocities)


def _files(clip: Clip) -> tuple[tuple[tuple[int, Path], ...], NDArray[np.int64]]:
    """Files with their rows, and the row of each drum: of nine drums, of five stems, of neither."""
    if not clip.stems:
        return ((0, clip.mixture),), OF_MIXTURE
    folder = clip.mixture.parent
    drums = {name: path for name in DRUM_NAMES if (path := audio_named(folder, name))}
    layouts: tuple[tuple[tuple[str, ...], Mapping[str, Path], NDArray[np.int64]], ...] = (
        (DRUM_NAMES, drums, OF_DRUMS),
        (STEMS, clip.stems, OF_STEMS),
    )
    for names, found, rows in layouts:
        if len(found) == len(names):
            return tuple(zip(np.unique(rows).tolist(), found.values(), strict=True)), rows
    missing = ", ".join(name for name in STEMS if name not in clip.stems)
    raise DrumsepError(
        f"{folder}: no {missing}; all five stems or all nine drums are needed, silent ones too"
    )


def _length(mixture: Path, files: Sequence[tuple[int, Path]]) -> int:
    """Samples per channel, the same in all files."""
    frames = _frames(mixture)
    for _, path in files:
        if (own := _frames(path)) != frames:
            raise DrumsepError(f"{path} has {own} samples, its mixture {frames}")
    return frames


def _frames(path: Path) -> int:
    with _opened(path) as file:
        if file.samplerate != RATE:
            raise DrumsepError(f"{path} has {file.samplerate} Hz; training needs {RATE} Hz")
        return int(file.frames)


def _hits(clip: Clip) -> tuple[NDArray[np.int64], NDArray[np.int64], Audio]:
    """Onsets (samples), drums and velocities of a recording."""
    if clip.onsets is None:
        raise DrumsepError(f"{clip.mixture.parent}: no onsets.csv, which this training needs")
    with clip.onsets.open(newline="", encoding="utf-8") as file:
        if "class" not in next(csv.reader(file), ()):
            raise DrumsepError(f"{clip.onsets}: no column class, which says the drum of a hit")
    hits, known = read_hits(clip.onsets)
    onsets = np.array([round(hit.time * RATE) for hit in hits], np.int64)
    drums = np.array([hit.drum.position for hit in hits], np.int64)
    velocities = np.array([hit.velocity if known else 0 for hit in hits], np.float32)
    return onsets, drums, velocities


def _no_hits() -> tuple[NDArray[np.int64], NDArray[np.int64], Audio]:
    return np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.float32)


def _levels(stems: Audio, onsets: NDArray[np.int64], rows: NDArray[np.int64]) -> Audio:
    """Root mean square (H,) of what sounds in the rows of hits over their first LOUDNESS_SPAN.

    What still rings there is heard with the hit: no recording has it alone.
    """
    length = round(LOUDNESS_SPAN * RATE)
    spans = (stems[row, :, at : at + length] for at, row in zip(onsets, rows, strict=True))
    return np.array([np.sqrt(np.mean(np.square(span))) for span in spans], np.float32)


def _read(path: Path, first: int, length: int, channels: int) -> Audio:
    """Up to `length` samples (C, n); other numbers of channels become C equal ones."""
    with _opened(path) as file:
        file.seek(first)
        audio: Audio = file.read(length, dtype="float32", always_2d=True).T
    if not np.isfinite(audio).all():
        raise DrumsepError(f"{path}: samples are not finite numbers")
    if len(audio) != channels:
        audio = np.repeat(audio.mean(axis=0, keepdims=True), channels, axis=0)
    return audio


def _opened(path: Path) -> soundfile.SoundFile:
    try:
        return soundfile.SoundFile(path)
    except soundfile.LibsndfileError as error:
        raise DrumsepError(f"{path}: cannot be read: {error.error_string}") from None
