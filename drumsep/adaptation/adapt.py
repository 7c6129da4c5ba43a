"""From first templates and hits to a fit of one recording, in bounded memory.

Templates are learnt from an excerpt (`starting.excerpt`), whatever the length of the recording; the
strengths of hits outside of it are found in a second pass, block by block.
"""

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from drumsep.adaptation.bands import pooled
from drumsep.adaptation.belief import doubted_stems
from drumsep.adaptation.fitting import Fit, Hearing, Problem, Pull
from drumsep.adaptation.masker import FitMasker
from drumsep.adaptation.starting import PIECE, excerpt, first_fit, first_strengths, pull
from drumsep.adaptation.strokes import RATE, STFT, Placement, Strokes, place
from drumsep.drums import DRUM_NAMES, STEMS
from drumsep.dsp import magnitude
from drumsep.errors import DrumsepError
from drumsep.masking import Masker, framed_blocks, spectral_blocks
from drumsep.recording import Recording
from drumsep.results import Options, Progress, Transcription

UPDATES = 8  # fewer leave the kit half learnt, twenty and more over-fit
ALPHA = 2.0
STRENGTH_UPDATES = 2  # of the hits outside of the excerpt
LOOKAHEAD = 90  # frames, 1 s: what a hit's strength is judged by, beyond its piece


@dataclass(frozen=True, eq=False)
class Adapted:
    """A recording's hits with the templates and strengths that explain it."""

    fit: Fit
    strokes: Strokes
    doubted: tuple[str, ...] = ()  # stems whose hits the recording does not confirm: kept silent

    def masker(self, options: Options) -> Masker:
        """A fresh masker for the stems that the options ask for."""
        stems = STEMS if options.stems == len(STEMS) else DRUM_NAMES
        return FitMasker(self.fit, self.strokes, stems, options.alpha or ALPHA)

    def warnings(self, transcription: Transcription) -> tuple[str, ...]:
        """What to say of the stems that are kept silent although hits were found on them."""
        found = {hit.drum.stem for hit in transcription.hits}
        return tuple(
            f"the recording does not confirm the hits found on {stem}: its stem is left silent"
            for stem in self.doubted
            if stem in found
        )


@torch.inference_mode()
def adapt(
    templates: Tensor,
    transcription: Transcription,
    recording: Recording,
    options: Options,
    progress: Progress,
) -> Adapted:
    """Fit templates (9, L, F), in the order of DRUMS, and the strengths of hits to a recording.

    The templates tell how loud a hit of velocity one is, beside those of other drums; their level
    as a whole does not matter. `options.adapt` is the number of updates; with none, only that level
    is fitted.

    Raises:
        DrumsepError: the recording is not at RATE.
    """
    if recording.rate != RATE:
        raise DrumsepError(f"adaptation works at {RATE} Hz, got {recording.rate} Hz")
    strokes = Strokes.of(transcription.hits)
    strengths = first_strengths(transcription.hits)
    start = first_fit(templates, strokes, strengths, recording.channels)
    if not strokes:
        return Adapted(start, strokes)
    updates = UPDATES if options.adapt is None else options.adapt
    frames = STFT.frames(recording.frames)
    chosen = excerpt(strokes, frames)
    confidences = np.array([hit.confidence for hit in transcription.hits])
    of_drums = np.bincount(strokes.drum, confidences) / np.bincount(strokes.drum)
    pulled = pull(of_drums, templates.device)
    problem = _problem(recording, strokes, chosen, start, pulled)
    progress("adapting", 0.2)
    fit = problem.scaled().learnt(updates)
    progress("adapting", 0.7)
    if len(chosen) * PIECE < frames and updates:
        fit = replace(fit, strengths=_strengths(recording, strokes, fit))
    progress("adapting", 1.0)
    believed = torch.from_numpy(confidences).to(fit.strengths)
    doubted = doubted_stems(fit.in_bands(), problem, strokes, believed)
    return Adapted(_without(doubted, fit, strokes), strokes, doubted)


def _without(stems: tuple[str, ...], fit: Fit, strokes: Strokes) -> Fit:
    """The fit with hits of strength zero in these stems."""
    silent = torch.tensor([drum.stem in stems for drum in strokes.drums])[strokes.drum]
    return replace(fit, strengths=fit.strengths.masked_fill(silent.to(fit.strengths.device), 0.0))


def _problem(
    recording: Recording, strokes: Strokes, chosen: list[int], start: Fit, pull: Pull
) -> Problem:
    """The chosen pieces of a recording, end to end, as one problem."""
    device = start.templates.device
    spectra = [
        (first, magnitude(STFT.spectrum(samples)))
        for first, samples in framed_blocks(recording, STFT, PIECE, 0, device)
        if first // PIECE in chosen
    ]
    placed = [place(strokes, first, first + piece.shape[-1]) for first, piece in spectra]
    hearing = Hearing(Placement.joined(placed), strokes, device)
    magnitudes = torch.cat([_flat(piece) for _, piece in spectra])
    return Problem(magnitudes, hearing, start, pull)


def _flat(magnitudes: Tensor) -> Tensor:
    """(C, F, T) as (T, C * F)."""
    return magnitudes.permute(2, 0, 1).flatten(1)


def _strengths(recording: Recording, strokes: Strokes, fit: Fit) -> Tensor:
    """Strengths of all hits with templates held, each judged by its piece and what follows."""
    device = fit.templates.device
    strengths = fit.strengths.clone()
    fit = fit.in_bands()
    for first, spectrum in spectral_blocks(recording, STFT, PIECE, LOOKAHEAD, device):
        placed = place(strokes, first, first + spectrum.shape[-1])
        hearing = Hearing(placed, strokes, device)
        start = replace(fit, strengths=strengths)
        problem = Problem(pooled(_flat(magnitude(spectrum))), hearing, start, Pull())
        found = problem.with_strengths(start, STRENGTH_UPDATES)
        own = torch.from_numpy(strokes.within(first, first + PIECE)).to(device)
        strengths[own] = found.strengths[own]
    return strengths
