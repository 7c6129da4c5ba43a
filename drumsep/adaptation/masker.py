"""Masks from a fit: each block of frames is modelled anew from the hits that it hears."""

from dataclasses import dataclass

import torch
from torch import Tensor

from drumsep.adaptation.fitting import TINY, Fit, Hearing
from drumsep.adaptation.strokes import LAGS, LAYERS, STFT, Strokes, place
from drumsep.drums import DRUMS, STEMS, Drum
from drumsep.dsp import Stft, wiener

BLOCK = 256  # frames
EPS = 1e-12  # beside powers of magnitudes whose loudest is one


@dataclass(frozen=True, eq=False)
class FitMasker:
    """A `masking.Masker`: alpha-Wiener masks of a fit's stems."""

    fit: Fit
    strokes: Strokes
    stems: tuple[str, ...]  # STEMS or the names of DRUMS
    alpha: float
    stft: Stft = STFT
    block: int = BLOCK
    lookahead: int = 0

    @property
    def device(self) -> torch.device:
        """Where the fit lies."""
        return self.fit.templates.device

    @torch.inference_mode()
    def masks(self, spectrum: Tensor, start: int) -> Tensor:
        """Masks (K, C, F, T) of a block's spectrum (C, F, T); zero where nothing is hit."""
        return wiener(self._magnitudes(spectrum, start), self.alpha, EPS)

    def _magnitudes(self, spectrum: Tensor, start: int) -> Tensor:
        channels, bins, frames = spectrum.shape
        magnitudes = self.fit.templates.new_zeros(len(self.stems), frames, channels * bins)
        placement = place(self.strokes, start, start + frames)
        hearing = Hearing(placement, self.strokes, self.device)
        activations = hearing.activations(self.fit.strengths)
        drums, rows = len(self.strokes.drums), LAYERS * len(LAGS)
        loudest = self.fit.templates.amax((1, 2)).sum().clamp_min(TINY)
        spectra = (self.fit.templates / loudest).view(drums, rows, channels * bins)
        active = activations.view(drums, rows, frames)
        for number, drum in enumerate(self.strokes.drums):
            magnitudes[self._stem(drum)] += active[number].T @ spectra[number]
        return magnitudes.view(-1, frames, channels, bins).permute(0, 2, 3, 1)

    def _stem(self, drum: Drum) -> int:
        return drum.stem_index if self.stems == STEMS else DRUMS.index(drum)
