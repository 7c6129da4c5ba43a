"""Listen to a recording of any length with networks: blocks in, candidates for hits out."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

import numpy as np
import torch
from numpy.typing import NDArray

from drumsep.devices import ahead, blocks_at_once, fetched, sent
from drumsep.drums import DRUMS
from drumsep.recording import Recording
from drumsep.results import Hit, Options, Progress, Samples, Transcription
from drumsep.transcriber import peaks
from drumsep.transcriber.beginning import lead
from drumsep.transcriber.ensemble import Ensemble

ORIGIN = "transcriber"
LOWEST = 1e-3  # threshold: below it every ripple of silence would be a hit
BLOCK = 4000  # frames computed at a time by a CPU, beside the context they need


@dataclass(frozen=True, eq=False)
class Candidates:
    """What may be a hit, in order of time, and from which confidence on each is one."""

    hits: tuple[Hit, ...]
    needed: NDArray[np.float32]  # (H,)
    duration: float  # s

    def transcription(self) -> Transcription:
        """Those that are confident enough."""
        pairs = zip(self.hits, self.needed, strict=True)
        hits = tuple(hit for hit, least in pairs if hit.confidence >= least)
        return Transcription(hits, self.duration, ORIGIN)


class NetworkTranscriber:
    """An ensemble of networks on a device: what it hears may be hits."""

    def __init__(self, ensemble: Ensemble, device: torch.device):
        self._ensemble = ensemble.fused().to(device)
        self._device = device

    @property
    def rate(self) -> int:
        """Sample rate it listens at, in Hz."""
        return self._ensemble.dimensions.rate

    def candidates(
        self, recording: Recording, options: Options, progress: Progress, share: float
    ) -> Candidates:
        """The hits of a recording at `rate`, and what reaches a `share` of what a hit needs.

        `options.thresholds` replace the fitted ones. They are taken as they are: no doubt is added
        to them, and of their drums only what reaches them is offered.
        """
        onsets, velocities = self.activations(recording, progress, options.batch)
        thresholds, doubt = self._ensemble.thresholds.cpu().numpy().copy(), peaks.DOUBT.copy()
        offered = np.maximum(thresholds * share, LOWEST)
        for drum, threshold in options.thresholds.items():
            thresholds[drum.position] = offered[drum.position] = max(threshold, LOWEST)
            doubt[drum.position] = 0
        found = peaks.candidates(onsets, velocities, offered)
        needed = peaks.needed(found, thresholds, doubt)
        hits = _hits(found, self._ensemble.dimensions.frame_rate, recording.duration)
        offers = sorted(zip(hits, needed.tolist(), strict=True))
        return Candidates(
            hits=tuple(hit for hit, _ in offers),
            needed=np.array([least for _, least in offers], np.float32),
            duration=recording.duration,
        )

    def activations(
        self, recording: Recording, progress: Progress, batch: int | None = None
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Onset probabilities and velocities, each (9, frames), of the whole recording.

        Equal to those of one pass over it: each block is computed with the frames around it that
        the networks look at. 72 bytes per frame, 26 MB per hour, are kept. `batch` is that of
        `Options`.
        """
        before = lead(recording.mono_blocks(self.rate), self.rate)
        total = before + 1 + recording.frames // self._ensemble.dimensions.hop
        probabilities = np.zeros((len(DRUMS), total), np.float32)
        velocities = np.zeros_like(probabilities)
        if recording.peak == 0:
            return probabilities, velocities
        block = BLOCK * blocks_at_once(self._device, batch)
        for first, margin, samples in self._stretches(recording, before, block):
            with torch.inference_mode():
                heard = self._ensemble(sent(samples[None], self._device))
            probability, velocity = (fetched(curves[0]) for curves in heard)
            count = min(block, total - first)
            here = slice(margin, margin + count)
            probabilities[:, first : first + count] = probability[:, here]
            velocities[:, first : first + count] = velocity[:, here]
            progress("transcribing", (first + count) / total)
        return probabilities[:, before:], velocities[:, before:]

    def _stretches(
        self, recording: Recording, before: int, block: int
    ) -> Iterator[tuple[int, int, Samples]]:
        """Yield (first frame, frames of context before it, mono samples of block and context).

        There are so many frames of silence before the recording.
        """
        hop, context = self._ensemble.dimensions.hop, self._ensemble.context
        silence = np.zeros(before * hop, np.float32)
        total = silence.size + recording.frames
        pieces = ahead(chain([silence], recording.mono_blocks(block * hop)), self._device)
        held = np.zeros(0, np.float32)
        held_from = 0  # frame that the held samples start with
        for first in range(0, 1 + total // hop, block):
            start = max(first - context, 0)
            held = held[(start - held_from) * hop :]
            held_from = start
            stop = min((first + block + context) * hop, total)
            while held_from * hop + held.size < stop:
                held = np.concatenate([held, next(pieces)])
            yield first, first - start, held[: stop - held_from * hop]


def _hits(found: peaks.Peaks, frame_rate: float, duration: float) -> Iterator[Hit]:
    """Peaks as hits, kept inside the recording where an offset would lead out of it."""
    times = np.clip(found.frames / frame_rate, 0, duration)
    rows = zip(times, found.drums, found.velocities, found.confidences, strict=True)
    for time, drum, velocity, confidence in rows:
        yield Hit(float(time), DRUMS[drum], float(velocity), float(confidence))
