"""The baselines as models: each block of a recording is factorised on its own, then masked.

NMFD needs context, so a block is a segment of `SEGMENT` frames; memory does not grow beyond it. The
semi-adaptive method takes frames one at a time. Both hear the mean magnitude of the channels, and
all channels get the same masks.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from drumsep.adaptation.own_kit import with_kit
from drumsep.adaptation.strokes import LAGS, RATE, STFT
from drumsep.drums import DRUM_NAMES, DRUMS, STEMS
from drumsep.dsp import Stft, wiener
from drumsep.errors import DrumsepError
from drumsep.masking import masked_stems
from drumsep.nmf import nmfd, sab
from drumsep.recording import Recording
from drumsep.results import Hit, Kit, Options, Progress, Transcription
from drumsep.separator import Analysis, Transcriber

UPDATES = 200  # of the LarsNet paper, which found 25 and 30 too few
ALPHA = 2.0
SEGMENT = 2584  # frames, 30 s: NMFD's horizon and the bound of its memory
BLOCK = 128  # frames that the frame-wise method computes at a time
EPS = 1e-12  # beside powers of magnitudes whose loudest is one

CONSECUTIVE = int(np.argmax(np.diff(LAGS) > 1)) + 1  # leading lags that are a frame apart
LEAD = int(-LAGS[0])  # frames by which a template starts before its hit
TOLERANCE = 1  # frames around a hit where a score-informed activation may be
RING = 86  # frames, 1 s, for which it may go on
SOFTER = 0.05  # start of an activation that goes on, beside that of a hit


class Parts(Protocol):
    """A baseline proper: magnitudes in, one layer per drum out."""

    def __call__(self, magnitudes: Tensor, start: int) -> Tensor:
        """Magnitudes (T, F) of the frames from `start` on -> magnitudes (9, T, F) of each drum."""


@dataclass(frozen=True, eq=False)
class Nmfd:
    """Factor deconvolution, informed by hits where they are given."""

    templates: Tensor  # (9, L, F) at consecutive frames
    hits: Sequence[Hit] | None
    updates: int

    def __call__(self, magnitudes: Tensor, start: int) -> Tensor:
        """Factorise one segment."""
        activations = magnitudes.new_ones(len(DRUMS), len(magnitudes))
        if self.hits is not None:
            activations = _informed(self.hits, start, len(magnitudes)).to(magnitudes)
        first = nmfd.Factors(self.templates, activations)
        return nmfd.factorise(first, magnitudes, self.updates).parts()


def _informed(hits: Sequence[Hit], start: int, frames: int) -> Tensor:
    """Activations (9, T) of one around hits, little while they ring, and zero elsewhere."""
    activations = torch.zeros(len(DRUMS), frames)
    for hit in hits:
        frame = round(hit.time * RATE / STFT.hop) - LEAD - start
        track = activations[hit.drum.position]
        ringing = slice(max(frame, 0), max(frame + RING, 0))
        track[ringing] = track[ringing].clamp_min(SOFTER)
        track[max(frame - TOLERANCE, 0) : max(frame + TOLERANCE + 1, 0)] = 1
    return activations


@dataclass(frozen=True, eq=False)
class SemiAdaptive:
    """Frame-wise factorisation with semi-adaptive bases."""

    bases: Tensor  # (9, F)
    updates: int

    def __call__(self, magnitudes: Tensor, start: int) -> Tensor:
        """Factorise each frame."""
        return sab.factorise(self.bases, magnitudes, self.updates).parts()


@dataclass(frozen=True, eq=False)
class PartsMasker:
    """A `masking.Masker` of what a baseline finds in a block."""

    parts: Parts
    block: int  # frames
    options: Options
    device: torch.device
    stft: Stft = STFT
    lookahead: int = 0

    @torch.inference_mode()
    def masks(self, spectrum: Tensor, start: int) -> Tensor:
        """Masks (K, 1, F, T) of a block's spectrum (C, F, T)."""
        magnitudes = spectrum.abs().mean(dim=0).T
        loudest = magnitudes.max().clamp_min(torch.finfo(torch.float32).tiny)
        parts = self.parts(magnitudes / loudest, start)
        if self.options.stems == len(STEMS):
            stem = torch.tensor([drum.stem_index for drum in DRUMS], device=parts.device)
            parts = parts.new_zeros(len(STEMS), *parts.shape[1:]).index_add_(0, stem, parts)
        return wiener(parts, self.options.alpha or ALPHA, EPS).transpose(1, 2)[:, None]


@dataclass(frozen=True, eq=False)
class NmfModel:
    """A `separator.Model` of either baseline; its notes are those of a transcriber."""

    name: str  # "nmfd" or "sab-nmf"
    templates: Tensor  # (9, L, F) at LAGS, on the device to compute on
    transcriber: Transcriber

    @property
    def rate(self) -> int:
        """Sample rate it works at, in Hz."""
        return RATE

    def transcribe(
        self, recording: Recording, options: Options, progress: Progress
    ) -> Transcription:
        """Find the hits; the factorisation does not use them."""
        return self.transcriber.transcribe(recording, options, progress)

    def analyse(self, recording: Recording, options: Options, progress: Progress) -> Analysis:
        """Prepare the stems; `options.hits` inform NMFD, `options.adapt` replaces UPDATES.

        Bases are those of `options.kit` for the drums that it has.

        Raises:
            DrumsepError: unmasked stems are asked for.
        """
        if not options.mask:
            raise DrumsepError(f"model {self.name!r} makes stems by masking only")
        hits = options.hits or self.transcribe(recording, options, progress)
        return Analysis(
            names=STEMS if options.stems == len(STEMS) else DRUM_NAMES,
            transcription=hits,
            stems=lambda: masked_stems(recording, self._masker(options)),
            kit=lambda: Kit(()),
        )

    def _masker(self, options: Options) -> PartsMasker:
        updates = UPDATES if options.adapt is None else options.adapt
        templates = with_kit(self.templates, options.kit)[:, :CONSECUTIVE]
        if self.name == "sab-nmf":
            parts: Parts = SemiAdaptive(templates.mean(dim=1), updates)
            return PartsMasker(parts, BLOCK, options, templates.device)
        hits = None if options.hits is None else options.hits.hits
        parts = Nmfd(templates, hits, updates)
        return PartsMasker(parts, SEGMENT, options, templates.device)
