"""Masks from a fit: each block of frames is modelled anew from the hits that it hears."""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from drumsep.adaptation.fitting import TINY, Fit, Hearing
from drumsep.adaptation.strokes import LAGS, LAYERS, STFT, Strokes, place
from drumsep.drums import DRUMS, STEMS, Drum
from drumsep.dsp import Stft, wiener

BLOCK = 128  # frames: more leave the caches of a processor, fewer keep its threads waiting
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
        return wiener(self._magnitudes(spectrum, start), self.alpha, EPS).transpose(-1, -2)

    def _magnitudes(self, spectrum: Tensor, start: int) -> Tensor:
        """What the fit says the stems sound like in a block, (K, C, T, F)."""
        channels, bins, frames = spectrum.shape
        placement = place(self.strokes, start, start + frames)
        activations = Hearing(placement, self.strokes, self.device).activations(self.fit.strengths)
        magnitudes = activations.new_zeros(len(self.stems), channels, frames, bins)
        for number, (rows, spectra) in self._spectra.items():
            if (active := activations[rows]).any():
                torch.matmul(active.T, spectra, out=magnitudes[number])
        return magnitudes

    @cached_property
    def _spectra(self) -> dict[int, tuple[slice, Tensor]]:
        """By number of a stem: its rows of the activations, and their spectra (C, rows, F)."""
        channels = self.fit.templates.shape[2] // STFT.bins
        loudest = self.fit.templates.amax((1, 2)).sum().clamp_min(TINY)
        spectra = (self.fit.templates / loudest).reshape(-1, channels, STFT.bins)
        owners = [self._stem(drum) for drum in self.strokes.drums]
        rows = LAYERS * len(LAGS)
        found = {}
        for stem in sorted(set(owners)):
            first, count = owners.index(stem), owners.count(stem)  # its drums are neighbours
            own = slice(first * rows, (first + count) * rows)
            found[stem] = (own, spectra[own].transpose(0, 1).contiguous())
        return found

    def _stem(self, drum: Drum) -> int:
        return drum.stem_index if self.stems == STEMS else DRUMS.index(drum)
