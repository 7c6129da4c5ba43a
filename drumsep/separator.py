"""The walk from a source to its stems: the same for every model.

source -> recording at the model's rate -> analysis (hits, masks) -> stems at the source's rate
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from drumsep.errors import DrumsepError
from drumsep.recording import BLOCK, Recording, survey
from drumsep.resample import resampled
from drumsep.results import (
    Audio,
    Kit,
    Options,
    Progress,
    Samples,
    Separation,
    Source,
    StemStream,
    Transcription,
    no_progress,
)


@dataclass(frozen=True, eq=False)
class Analysis:
    """What a model has found in a recording, and how to get its stems from it.

    `stems()` starts anew at each call and yields float32 (stem, channel, n) at the model's rate.
    """

    names: tuple[str, ...]
    transcription: Transcription
    stems: Callable[[], Iterator[Samples]]
    kit: Callable[[], Kit]
    warnings: tuple[str, ...] = ()


class Transcriber(Protocol):
    """Whatever finds hits: the bundled network, or a model's own head."""

    @property
    def rate(self) -> int:
        """Sample rate it listens at, in Hz."""

    def transcribe(
        self, recording: Recording, options: Options, progress: Progress
    ) -> Transcription:
        """Find the hits of a recording at `rate`, with `options.thresholds`."""


def heard_by(
    transcriber: Transcriber, recording: Recording, options: Options, progress: Progress
) -> Transcription:
    """The hits that a transcriber finds in a recording of any rate."""
    if transcriber.rate != recording.rate:
        recording = survey(recording.source, transcriber.rate)
    return transcriber.transcribe(recording, options, progress)


class Model(Protocol):
    """What a separator needs to know of a model."""

    @property
    def name(self) -> str:
        """Name it was loaded by."""

    @property
    def rate(self) -> int:
        """Sample rate it works at, in Hz."""

    def transcribe(
        self, recording: Recording, options: Options, progress: Progress
    ) -> Transcription:
        """Find the hits, and nothing else."""

    def analyse(self, recording: Recording, options: Options, progress: Progress) -> Analysis:
        """Find the hits, or take `options.hits`, and prepare the stems."""


class Separator:
    """A model with its weights on a device, ready for any number of recordings."""

    def __init__(self, model: Model, warnings: tuple[str, ...] = ()):
        self._model = model
        self._warnings = warnings

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is to be said with every result."""
        return self._warnings

    def warned(self, warning: str) -> "Separator":
        """The same, with one more warning."""
        return Separator(self._model, (*self._warnings, warning))

    @property
    def name(self) -> str:
        """Name of the model."""
        return self._model.name

    @property
    def rate(self) -> int:
        """Sample rate the model works at, in Hz; sources of other rates are resampled."""
        return self._model.rate

    def transcribe(
        self,
        source: Source,
        options: Options | None = None,
        progress: Progress = no_progress,
    ) -> Transcription:
        """Find the hits of a recording of any rate, channel count and length."""
        recording = survey(source, self.rate)
        return self._model.transcribe(recording, options or Options(), progress)

    def stream(
        self,
        source: Source,
        options: Options | None = None,
        progress: Progress = no_progress,
    ) -> StemStream:
        """Analyse a recording and return its stems as a stream, in bounded memory.

        Raises:
            DrumsepError: the model cannot do what the options ask.
        """
        recording = survey(source, self.rate)
        analysis = self._model.analyse(recording, options or Options(), progress)
        heard = ("the channels cancel in mono: the loudest one was analysed",)
        return StemStream(
            names=analysis.names,
            rate=source.rate,
            channels=source.channels,
            frames=source.frames,
            transcription=analysis.transcription,
            blocks=lambda: resampled(analysis.stems(), self.rate, source.rate, source.frames),
            kit=analysis.kit,
            warnings=(heard if recording.cancels else ()) + analysis.warnings,
        )

    def separate(
        self,
        audio: Audio,
        options: Options | None = None,
        progress: Progress = no_progress,
    ) -> Separation:
        """Separate sound in memory; stems have its rate, channels and length."""
        if not isinstance(audio, Audio):
            raise DrumsepError(f"separate takes an Audio, got {type(audio).__name__}")
        stream = self.stream(audio, options, progress)
        empty = np.zeros((len(stream.names), audio.channels, 0), np.float32)
        stems = np.concatenate([empty, *stream.blocks()], axis=-1)
        named = {
            name: Audio(np.ascontiguousarray(stem), audio.rate)
            for name, stem in zip(stream.names, stems, strict=True)
        }
        return Separation(named, stream.transcription, stream.warnings)


def with_mixture(stream: StemStream, source: Source) -> Iterator[tuple[Samples, Samples]]:
    """Yield blocks of stems (stem, channel, n), each with its stretch of the source (channel, n).

    Args:
        stream: the stems of `source`.
        source: what was separated.
    """
    pieces = source.blocks(BLOCK)
    held = np.zeros((source.channels, 0), np.float32)
    for block in stream.blocks():
        count = block.shape[-1]
        while held.shape[-1] < count:
            held = np.concatenate([held, next(pieces)], axis=-1)
        yield block, held[:, :count]
        held = held[:, count:]
