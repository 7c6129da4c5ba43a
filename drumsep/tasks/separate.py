"""`drumsep separate`, one file: stems, MIDI and manifest in a folder of their own."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from drumsep import __version__, judgement, midi, notes, tempo
from drumsep.audio import AudioFile, Depth, StemFiles, sha256
from drumsep.inputs import Track
from drumsep.outputs import (
    MANIFEST,
    Existing,
    hidden_beside,
    is_complete,
    read_manifest,
    staged,
    write_manifest,
)
from drumsep.results import Options, Progress, StemStream
from drumsep.separator import Separator, with_mixture
from drumsep.tasks.choice import ModelChoice

# A little below full scale: what rounding adds to the loudest sample must not clip either.
LOUDEST = 0.9999


@dataclass(frozen=True)
class SeparateTask:
    """Settings of a separation, the same for every file."""

    choice: ModelChoice
    out: Path
    options: Options
    onsets: Path | None = None  # a notes file, or a folder with one per track
    depth: Depth = "24"
    residual: bool = False
    tempo: float | None = None  # beats per minute; None: estimated
    existing: Existing = "refuse"

    def open(self) -> Separator:
        """Load the model."""
        return self.choice.open()

    def results(self, track: Track) -> tuple[Path, ...]:
        """What a track writes: one folder."""
        return (self.out / track.name,)

    def staging(self, track: Track) -> Path:
        """Where the folder is filled."""
        return hidden_beside(self.out / track.name)

    def finished(self, track: Track) -> dict[str, Any] | None:
        """The manifest of an earlier run with the same settings and input, all files there."""
        if self.existing != "resume":
            return None
        folder = self.out / track.name
        manifest = read_manifest(folder)
        if manifest is None or not is_complete(folder, manifest) or not track.path.is_file():
            return None
        same = (
            manifest.get("settings") == self._settings(track)
            and manifest.get("input", {}).get("sha256") == sha256(track.path)
        )
        return manifest | {"output": str(folder)} if same else None

    def run(self, separator: Separator, track: Track, progress: Progress) -> dict[str, Any]:
        """Separate one file.

        Raises:
            DrumsepError: it cannot be read, separated or written.
        """
        folder = self.out / track.name
        source = AudioFile(track.path)
        options = replace(self.options, hits=notes.hits_for(self.onsets, track.name))
        stream = separator.stream(source, options, progress)
        beats = tempo.for_hits(stream.transcription.hits, self.tempo)
        with staged(folder, self.staging(track)) as staging:
            written = self._write_stems(staging, stream, source, progress)
            midi.write(staging / f"{track.title}.mid", stream.transcription, beats)
            warnings = source.warnings + stream.warnings
            warnings += judgement.of_transcription(stream.transcription, source.duration)
            warnings += judgement.of_stems(written.levels_db, stream.transcription)
            manifest = {
                "drumsep": __version__,
                "input": source.description(),
                "settings": self._settings(track),
                "levels_db": written.levels_db,
                "gain": written.gain,
                "reconstruction_error_db": written.error_db,
                "transcriber": stream.transcription.origin,
                "tempo_bpm": beats.description(),
                "hits": judgement.count(stream.transcription),
                "warnings": list(warnings + written.warnings),
                "files": sorted([*(path.name for path in staging.iterdir()), MANIFEST]),
            }
            write_manifest(staging, manifest)
        return manifest | {"output": str(folder)}

    def _settings(self, track: Track) -> dict[str, Any]:
        """All that decides the bytes that are written, beside the input."""
        options = self.options
        onsets = notes.file_for(self.onsets, track.name)
        return self.choice.identity() | {
            "stems": options.stems,
            "mask": options.mask,
            "alpha": options.alpha,
            "adapt": options.adapt,
            "overlap": options.overlap,
            "seed": options.seed,
            "thresholds": {drum.value: value for drum, value in options.thresholds.items()},
            "onsets_sha256": sha256(onsets) if onsets else None,
            "depth": self.depth,
            "residual": self.residual,
            "tempo": self.tempo,
        }

    def _write_stems(
        self, folder: Path, stream: StemStream, source: AudioFile, progress: Progress
    ) -> StemFiles:
        """Write the stems; once more with one common gain for all where one would have clipped."""
        files = self._write_once(folder, stream, source, progress, gain=1.0)
        if self.depth != "float" and files.peak > LOUDEST:
            files = self._write_once(folder, stream, source, progress, LOUDEST / files.peak)
        return files
