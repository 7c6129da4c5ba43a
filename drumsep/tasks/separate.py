"""`drumsep separate`, one file: stems, MIDI and manifest in a folder of their own."""

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from drumsep import __version__, judgement, kit, midi, notes, tempo
from drumsep.audio import AudioFile
from drumsep.hashing import file_sha256, folder_sha256
from drumsep.inputs import Track
from drumsep.judgement import HitPeaks
from drumsep.outputs import (
    MANIFEST,
    Existing,
    hidden_beside,
    is_complete,
    read_manifest,
    staged,
    write_manifest,
)
from drumsep.results import Progress, StemStream, Transcription
from drumsep.separator import Separator, with_mixture
from drumsep.stem_files import StemFiles
from drumsep.tasks.choice import ModelTask
from drumsep.tempo import TempoMap
from drumsep.wav import Depth, WavFormat

SILENT_DB = -200.0  # what a level of zero is written as: JSON knows no infinity


@dataclass(frozen=True)
class SeparateTask(ModelTask):
    """Settings of a separation, the same for every file."""

    onsets: Path | None = None  # a notes file, or a folder with one per track
    kit: Path | None = None  # a kit folder, or a folder with one per track
    depth: Depth = "24"
    residual: bool = False
    tempo: float | None = None  # beats per minute; None: estimated
    existing: Existing = "refuse"

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
        same = manifest.get("settings") == self._settings(track) and manifest.get("input", {}).get(
            "sha256"
        ) == file_sha256(track.path)
        return manifest | {"output": str(folder)} if same else None

    def run(self, separator: Separator, track: Track, progress: Progress) -> dict[str, Any]:
        """Separate one file.

        Raises:
            DrumsepError: it cannot be read, separated or written.
        """
        folder = self.out / track.name
        source = AudioFile(track.path)
        options = replace(
            self.options,
            hits=notes.hits_for(self.onsets, track.name),
            kit=kit.kit_for(self.kit, track.name),
        )
        stream = separator.stream(source, options, progress)
        beats = self._tempo(track, stream.transcription)
        with staged(folder, self.staging(track)) as staging:
            files, heard = self._write_stems(staging, stream, source, progress)
            midi.write(staging / f"{track.title}.mid", stream.transcription, beats)
            peaks = {name: _decibels(peak) for name, peak in files.peaks.items()}
            warnings = separator.warnings + source.warnings + stream.warnings
            warnings += judgement.of_transcription(stream.transcription)
            warnings += judgement.of_stems(peaks, heard)
            if files.gain < 1:
                warnings += (
                    f"all stems were lowered by {-_decibels(files.gain):.2f} dB: one clipped",
                )
            manifest = {
                "drumsep": __version__,
                "input": source.description(),
                "settings": self._settings(track),
                "transcriber": stream.transcription.origin,
                "tempo_changes": beats.changes,
                "hits": judgement.count(stream.transcription),
                "peaks_db": peaks,
                "gain": files.gain,
                "reconstruction_error_db": max(files.error_db, SILENT_DB),
                "unclaimed_db": max(files.stems_error_db, SILENT_DB),
                "warnings": list(warnings),
                "files": sorted([*(path.name for path in staging.iterdir()), MANIFEST]),
            }
            write_manifest(staging, manifest)
        return manifest | {"output": str(folder)}

    def _settings(self, track: Track) -> dict[str, Any]:
        """All that decides the bytes that are written, beside the input."""
        options = self.options
        onsets = notes.file_for(self.onsets, track.name)
        own_kit = kit.folder_for(self.kit, track.name)
        return self.choice.identity | {
            "stems": options.stems,
            "mask": options.mask,
            "alpha": options.alpha,
            "adapt": options.adapt,
            "overlap": options.overlap,
            "seed": options.seed,
            "thresholds": {drum.value: value for drum, value in options.thresholds.items()},
            "onsets_sha256": file_sha256(onsets) if onsets else None,
            "kit_sha256": folder_sha256(own_kit) if own_kit else None,
            "depth": self.depth,
            "residual": self.residual,
            "tempo": self.tempo,
        }

    def _write_stems(
        self, folder: Path, stream: StemStream, source: AudioFile, progress: Progress
    ) -> tuple[StemFiles, HitPeaks]:
        """Write the stems; once more with one common gain for all where one would have clipped."""
        files = StemFiles(folder, stream.names, self._layout(source), 1.0, self.residual)
        heard = _fill(files, stream, source, progress)
        if files.clips:
            gain = files.fitting_gain
            files = StemFiles(folder, stream.names, self._layout(source), gain, self.residual)
            _fill(files, stream, source, progress)
        return files, heard

    def _tempo(self, track: Track, transcription: Transcription) -> TempoMap:
        """The tempo asked for, else that of the MIDI file the hits are from, else an estimate."""
        given = None if self.tempo else notes.tempo_for(self.onsets, track.name)
        return given or tempo.for_hits(transcription.hits, self.tempo)

    def _layout(self, source: AudioFile) -> WavFormat:
        return WavFormat(source.rate, source.channels, self.depth)


def _fill(files: StemFiles, stream: StemStream, source: AudioFile, progress: Progress) -> HitPeaks:
    """Write all stems; how loud they are at their hits."""
    heard = HitPeaks(stream.names, stream.transcription, stream.rate)
    done = 0
    with files:
        for stems, mixture in with_mixture(stream, source):
            files.write(stems, mixture)
            heard.hear(stems)
            done += mixture.shape[-1]
            progress("writing stems", done / source.frames)
    return heard


def _decibels(amplitude: float) -> float:
    return round(20 * math.log10(amplitude), 2) if amplitude > 0 else SILENT_DB
