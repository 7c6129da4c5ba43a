"""From first templates and hits to a fit of one recording, in bounded memory.

Templates are learnt from an excerpt that is at most `EXCERPT` long, whatever the length of the
recording; the strengths of hits outside of it are found in a second pass, block by block.
"""

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from drumsep.adaptation.bands import pooled
from drumsep.adaptation.belief import doubted_stems
from drumsep.adaptation.fitting import Fit, Hearing, Problem, Pull
from drumsep.adaptation.masker import FitMasker
from drumsep.adaptation.strokes import (
    FIRST,
    LAGS,
    LAST,
    LAYERS,
    RATE,
    STFT,
    Placement,
    Strokes,
    place,
)
from drumsep.drums import DRUM_NAMES, STEMS
from drumsep.dsp import magnitude
from drumsep.errors import DrumsepError
from drumsep.masking import Masker, framed_blocks, spectral_blocks
from drumsep.recording import Recording
from drumsep.results import Hit, Options, Progress, Transcription

UPDATES = 8  # fewer leave the kit half learnt, twenty and more over-fit
ALPHA = 2.0
PIECE = 430  # frames, 5 s: the excerpt is made of such pieces
PIECES = 6
PULL, DOUBT = 0.8, 5.0  # of templates to their start, in hits: when certain, and added when not
STRENGTH_UPDATES = 2  # of the hits outside of the excerpt
LOOKAHEAD = 90  # frames, 1 s: what a hit's strength is judged by, beyond its piece

# Every template starts with a little sound everywhere, dying away, that updates can make grow.
SPREAD = 0.05  # of the mean magnitude during the first half second
DECAY = 50.0  # frames
SOFTEST = 0.02  # strength of a hit of velocity zero


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


def first_templates(one_shots: Tensor) -> Tensor:
    """Templates of one-shots (K, time), struck at their first sample, at RATE: (K, L, F)."""
    lead = int(-FIRST) * STFT.hop + STFT.margin
    needed = int(LAST - FIRST) * STFT.hop + STFT.n_fft
    length = min(one_shots.shape[1], needed - lead)
    padded = one_shots.new_zeros(len(one_shots), needed)
    padded[:, lead : lead + length] = one_shots[:, :length]
    magnitudes = STFT.spectrum(padded).abs()
    return magnitudes[..., torch.from_numpy(LAGS - FIRST).long()].transpose(1, 2)


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
    start = _start(templates, strokes, transcription.hits, recording.channels)
    if not strokes:
        return Adapted(start, strokes)
    updates = UPDATES if options.adapt is None else options.adapt
    frames = STFT.frames(recording.frames)
    chosen = _excerpt(strokes, frames)
    pull = _pull(strokes, transcription.hits, templates.device)
    problem = _problem(recording, strokes, chosen, start, pull)
    progress("adapting", 0.2)
    fit = problem.scaled().learnt(updates)
    progress("adapting", 0.7)
    if len(chosen) * PIECE < frames and updates:
        fit = replace(fit, strengths=_strengths(recording, strokes, fit))
    progress("adapting", 1.0)
    confidences = torch.tensor([hit.confidence for hit in transcription.hits]).to(fit.strengths)
    doubted = doubted_stems(fit.in_bands(), problem, strokes, confidences)
    return Adapted(_without(doubted, fit, strokes), strokes, doubted)


def _without(stems: tuple[str, ...], fit: Fit, strokes: Strokes) -> Fit:
    """The fit with hits of strength zero in these stems."""
    silent = torch.tensor([drum.stem in stems for drum in strokes.drums])[strokes.drum]
    return replace(fit, strengths=fit.strengths.masked_fill(silent.to(fit.strengths.device), 0.0))


def _start(templates: Tensor, strokes: Strokes, hits: tuple[Hit, ...], channels: int) -> Fit:
    """The drums that are hit, equal in all channels, as loud at strength one as their mean hit."""
    spread = torch.from_numpy(np.exp(-np.maximum(LAGS, 0) / DECAY)).to(templates)
    level = templates[:, LAGS < DECAY].mean()
    softened = templates + SPREAD * level * spread[:, None]
    struck = torch.tensor([drum.position for drum in strokes.drums], dtype=torch.long)
    drum = torch.from_numpy(strokes.drum)
    strengths = torch.tensor([(hit.velocity + SOFTEST) * hit.confidence for hit in hits])
    count = torch.bincount(drum, minlength=len(struck))
    mean = torch.zeros(len(struck)).index_add_(0, drum, strengths) / count
    loud = softened[struck] * mean.to(templates)[:, None, None]
    layers = loud.repeat_interleave(LAYERS, dim=0).repeat(1, 1, channels)
    return Fit(layers, (strengths / mean[drum]).to(templates))


def _pull(strokes: Strokes, hits: tuple[Hit, ...], device: torch.device) -> Pull:
    """Drums whose hits are uncertain learn less: what they hear may be another drum."""
    confidence = np.bincount(strokes.drum, [hit.confidence for hit in hits])
    mean = confidence / np.bincount(strokes.drum)
    pull = torch.from_numpy(PULL + DOUBT * (1 - mean)).float()
    return Pull(templates=pull.repeat_interleave(LAYERS)[:, None, None].to(device))


def _excerpt(strokes: Strokes, frames: int) -> list[int]:
    """Numbers of the pieces to learn from, at most PIECES: those with most that is new.

    Each piece in turn is the one with most hits, a hit counting the less, the more of its drum
    are already chosen: so rare drums are heard as well.
    """
    pieces = -(-frames // PIECE)
    hits = np.zeros((pieces, len(strokes.drums)))
    np.add.at(
        hits, (np.minimum(strokes.position // PIECE, pieces - 1).astype(int), strokes.drum), 1
    )
    chosen: list[int] = []
    while len(chosen) < min(PIECES, pieces):
        gain = (hits / (1 + hits[chosen].sum(axis=0))).sum(axis=1)
        gain[chosen] = -1
        chosen.append(int(gain.argmax()))
    return sorted(chosen)


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
        found = start
        for _ in range(STRENGTH_UPDATES):
            found = problem.with_strengths(found)
        own = torch.from_numpy(strokes.within(first, first + PIECE)).to(device)
        strengths[own] = found.strengths[own]
    return strengths
