"""From first templates and hits to a fit of one recording, in bounded memory.

What the drums sound like is fitted to the energy of all channels, and from there on together with
where they stand (`multichannel`). Both are learnt from an excerpt (`pieces.excerpt`), whatever
the length of the recording; the strengths of hits outside of it are found in a second pass, block
by block.
"""

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from drumsep.adaptation import spatial
from drumsep.adaptation.bands import pooled
from drumsep.adaptation.belief import doubted_stems
from drumsep.adaptation.filter import BLOCK, FitFilter
from drumsep.adaptation.fitting import Fit, Hearing, Problem, Pull
from drumsep.adaptation.multichannel import MultichannelModel, Stretch
from drumsep.adaptation.pieces import PIECE, excerpt, heard, others
from drumsep.adaptation.starting import first_fit, first_strengths, pull
from drumsep.adaptation.strokes import RATE, STFT, Placement, Strokes, place
from drumsep.devices import blocks_at_once
from drumsep.drums import DRUM_NAMES, STEMS
from drumsep.errors import DrumsepError
from drumsep.recording import Recording
from drumsep.results import Options, Progress, Transcription

UPDATES = 6  # fewer leave the kit half learnt, twenty and more over-fit
# Exponent of powers: of 1.5, 1.7 and 2 these separate best, on eval-dev and on 48 other renders.
ALPHA, ALPHA_IN_MONO = 1.7, 2.0
STRENGTH_UPDATES = 2  # of the hits outside of the excerpt
JOINT_FRAMES = 640  # of the excerpt, at least, if it has as many: for what is learnt together
LOOKAHEAD = 90  # frames, 1 s: what a hit's strength is judged by, beyond its piece


@dataclass(frozen=True, eq=False)
class Adapted:
    """A recording's hits with the model that explains it."""

    model: MultichannelModel
    strokes: Strokes
    doubted: tuple[str, ...] = ()  # stems whose hits the recording does not confirm: kept silent

    def filter(self, options: Options) -> FitFilter:
        """The filter for the stems that the options ask for."""
        names = STEMS if options.stems == len(STEMS) else DRUM_NAMES
        block = BLOCK * blocks_at_once(self.model.device, options.batch)
        return FitFilter(self.model, self.strokes, names, block)

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
    is fitted, and the filter is a mask that channels share.

    Raises:
        DrumsepError: the recording is not at RATE.
    """
    if recording.rate != RATE:
        raise DrumsepError(f"adaptation works at {RATE} Hz, got {recording.rate} Hz")
    strokes = Strokes.of(transcription.hits)
    strengths = first_strengths(transcription.hits)
    start = first_fit(templates, strokes, strengths)
    alpha = options.alpha or (ALPHA if recording.channels > 1 else ALPHA_IN_MONO)
    anywhere = spatial.of_masks(len(strokes.drums), recording.channels, STFT.bins, start.device)
    if not strokes:
        return Adapted(MultichannelModel.of(start, strokes, anywhere, alpha), strokes)
    updates = UPDATES if options.adapt is None else options.adapt
    frames = STFT.frames(recording.frames)
    chosen = excerpt(strokes, frames)
    learnt_from = _Heard.of(recording, strokes, chosen, start.device)
    confidences = np.array([hit.confidence for hit in transcription.hits])
    of_drums = np.bincount(strokes.drum, confidences) / np.bincount(strokes.drum)
    problem = learnt_from.problem(start, strokes, pull(of_drums, start.device))
    progress("adapting", 0.2)
    fit = problem.scaled().learnt(updates)
    progress("adapting", 0.5)
    rest = others(chosen, frames) if updates else []
    if rest:
        fit = replace(fit, strengths=_strengths(recording, strokes, rest, fit, progress))
    believed = torch.from_numpy(confidences).to(fit.strengths)
    doubted = doubted_stems(fit.in_bands(), problem, strokes, believed)
    fit = _without(doubted, fit, strokes)
    progress("adapting", 0.7)
    model = MultichannelModel.of(fit, strokes, anywhere, alpha)
    if updates:
        model = model.learnt(learnt_from.stretches(strokes, model.level))
    progress("adapting", 1.0)
    return Adapted(model, strokes, doubted)


@dataclass(frozen=True, eq=False)
class _Heard:
    """Some pieces of a recording: their spectra, and what hears which hit."""

    pieces: tuple[tuple[Tensor, Placement], ...]  # spectrum (C, F, T)

    @classmethod
    def of(
        cls, recording: Recording, strokes: Strokes, chosen: list[int], device: torch.device
    ) -> "_Heard":
        spectra = (
            (first, STFT.spectrum(samples))
            for first, samples in heard(recording, chosen, 0, device)
        )
        return cls(
            tuple(
                (spectrum, place(strokes, first, first + spectrum.shape[-1]))
                for first, spectrum in spectra
            )
        )

    def problem(self, start: Fit, strokes: Strokes, pull: Pull) -> Problem:
        """The pieces end to end, as one problem."""
        placement = Placement.joined([placement for _, placement in self.pieces])
        magnitudes = torch.cat([_energies(spectrum) for spectrum, _ in self.pieces])
        return Problem(magnitudes, Hearing(placement, strokes, start.device), start, pull)

    def stretches(self, strokes: Strokes, level: Tensor) -> list[Stretch]:
        """Frames of the pieces, evenly left out, in units of a level."""
        frames = sum(placement.frames for _, placement in self.pieces)
        step = max(1, frames // JOINT_FRAMES)
        return [
            Stretch(
                spatial.in_groups(spectrum[..., ::step] / level),
                Hearing(placement.every(step), strokes, level.device),
            )
            for spectrum, placement in self.pieces
        ]


def _energies(spectrum: Tensor) -> Tensor:
    """Magnitudes (T, F) of a spectrum (C, F, T): the quadratic mean of its channels."""
    powers = spectrum.real.square().add_(spectrum.imag.square())
    return powers.mean(dim=0).sqrt_().T


def _without(stems: tuple[str, ...], fit: Fit, strokes: Strokes) -> Fit:
    """The fit with hits of strength zero in these stems."""
    silent = torch.tensor([drum.stem in stems for drum in strokes.drums])[strokes.drum]
    return replace(fit, strengths=fit.strengths.masked_fill(silent.to(fit.strengths.device), 0.0))


def _strengths(
    recording: Recording, strokes: Strokes, rest: list[int], fit: Fit, progress: Progress
) -> Tensor:
    """Strengths with templates held; hits in the rest of the pieces are judged by their piece."""
    device = fit.device
    strengths = fit.strengths.clone()
    fit = fit.in_bands()
    for done, (first, samples) in enumerate(heard(recording, rest, LOOKAHEAD, device)):
        progress("adapting", 0.5 + 0.2 * done / len(rest))
        spectrum = STFT.spectrum(samples)
        placed = place(strokes, first, first + spectrum.shape[-1])
        hearing = Hearing(placed, strokes, device)
        start = replace(fit, strengths=strengths)
        problem = Problem(pooled(_energies(spectrum)), hearing, start, Pull())
        found = problem.with_strengths(start, STRENGTH_UPDATES)
        own = torch.from_numpy(strokes.within(first, first + PIECE)).to(device)
        strengths[own] = found.strengths[own]
    return strengths
