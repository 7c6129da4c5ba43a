"""`drumsep transcribe`, one file: its hits as MIDI, CSV or JSON."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from drumsep import judgement, notes, tempo
from drumsep.audio import AudioFile
from drumsep.inputs import Track
from drumsep.outputs import Existing, hidden_beside, staged
from drumsep.results import Progress
from drumsep.separator import Separator
from drumsep.tasks.choice import ModelTask


@dataclass(frozen=True)
class TranscribeTask(ModelTask):
    """Settings of a transcription, the same for every file."""

    suffixes: tuple[str, ...] = (".mid",)  # notes files to write
    tempo: float | None = None  # beats per minute; None: estimated
    existing: Existing = "refuse"

    def results(self, track: Track) -> tuple[Path, ...]:
        """What a track writes: notes files."""
        base = self.out / track.name
        return tuple(base.with_name(base.name + suffix) for suffix in self.suffixes)

    def staging(self, track: Track) -> Path:
        """Where the notes files are written first."""
        return hidden_beside(self.out / track.name)

    def finished(self, track: Track) -> dict[str, Any] | None:
        """With `--resume`, a track whose files are all there is done."""
        files = self.results(track)
        if self.existing != "resume" or not all(path.is_file() for path in files):
            return None
        return {"output": [str(path) for path in files]}

    def run(self, separator: Separator, track: Track, progress: Progress) -> dict[str, Any]:
        """Transcribe one file.

        Raises:
            DrumsepError: it cannot be read or written.
        """
        source = AudioFile(track.path)
        transcription = separator.transcribe(source, self.options, progress)
        beats = tempo.for_hits(transcription.hits, self.tempo)
        warnings = separator.warnings + source.warnings + judgement.of_transcription(transcription)
        results = self.results(track)
        with staged(results[0].parent, self.staging(track)) as staging:
            for path in results:
                notes.write(staging / path.name, transcription, beats)
        return {
            "input": source.description(),
            "transcriber": transcription.origin,
            "tempo_changes": beats.changes,
            "hits": judgement.count(transcription),
            "warnings": list(warnings),
            "output": [str(path) for path in results],
        }
