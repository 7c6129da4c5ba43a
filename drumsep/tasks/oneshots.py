"""`drumsep oneshots`, one file: the kit of a recording as samples, SFZ and `kit.json`."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from drumsep import extraction, judgement, kit, notes
from drumsep.audio import AudioFile
from drumsep.errors import DrumsepError
from drumsep.inputs import Track
from drumsep.outputs import Existing, hidden_beside, staged
from drumsep.results import Kit, Progress, StemStream
from drumsep.separator import Separator, with_mixture
from drumsep.tasks.choice import ModelTask

Kind = Literal["auto", "extracted", "synthesised"]


@dataclass(frozen=True)
class OneShotsTask(ModelTask):
    """Settings of a kit's extraction, the same for every file."""

    onsets: Path | None = None  # a notes file, or a folder with one per track
    kind: Kind = "auto"
    single: bool = False  # one input: the kit is `out` itself, not a folder in it
    existing: Existing = "refuse"

    def results(self, track: Track) -> tuple[Path, ...]:
        """What a track writes: one kit folder."""
        return (self.out if self.single else self.out / track.name,)

    def staging(self, track: Track) -> Path:
        """Where the kit is filled."""
        return hidden_beside(self.results(track)[0])

    def finished(self, track: Track) -> dict[str, Any] | None:
        """With `--resume`, a track whose kit is there is done."""
        (folder,) = self.results(track)
        if self.existing != "resume" or not (folder / kit.DESCRIPTION).is_file():
            return None
        return {"output": str(folder)}

    def run(self, separator: Separator, track: Track, progress: Progress) -> dict[str, Any]:
        """Cut and synthesise the one-shots of one file.

        Raises:
            DrumsepError: it cannot be read or written, or has no hits to make a kit of.
        """
        (folder,) = self.results(track)
        source = AudioFile(track.path)
        options = replace(self.options, hits=notes.hits_for(self.onsets, track.name))
        stream = separator.stream(source, options, progress)
        found = self._one_shots(stream, source, progress)
        if not found.one_shots:
            cause = "no drum hits found"
            if stream.transcription.hits:
                cause = f"{separator.name} made no one-shot of its hits"
            raise DrumsepError(f"{track.path}: {cause}, so there is no kit to export")
        with staged(folder, self.staging(track)) as staging:
            kit.write(staging, found, track.title)
        warnings = separator.warnings + source.warnings + stream.warnings
        warnings += judgement.of_transcription(stream.transcription)
        return {
            "input": source.description(),
            "hits": judgement.count(stream.transcription),
            "one_shots": [
                {"drum": shot.drum.value, "kind": shot.kind, "velocity": round(shot.velocity, 3)}
                for shot in found.one_shots
            ],
            "warnings": list(warnings),
            "output": str(folder),
        }

    def _one_shots(self, stream: StemStream, source: AudioFile, progress: Progress) -> Kit:
        synthesised = Kit(()) if self.kind == "extracted" else stream.kit()
        if self.kind == "synthesised":
            return synthesised
        collector = extraction.Collector(
            extraction.choose(stream.transcription, stream.names), stream
        )
        done = 0
        for block, mixture in with_mixture(stream, source):
            collector.write(block, mixture)
            done += block.shape[-1]
            progress("cutting one-shots", done / source.frames)
        return extraction.merge(collector.one_shots(), synthesised)
