"""Stems from a fit: each block of frames is modelled anew from the hits that it hears."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from drumsep.adaptation import spatial
from drumsep.adaptation.fitting import TINY, Fit, Hearing
from drumsep.adaptation.spatial import PAIR, Covariances, Stretch
from drumsep.adaptation.strokes import LAGS, LAYERS, STFT, Placement, Strokes, place
from drumsep.drums import STEMS
from drumsep.dsp import Stft

BLOCK = 128  # frames: more leave the caches of a processor, fewer keep its threads waiting

# In stereo every second frame of the fit is filtered: all of them are 0.1 dB better on eval-dev
# and take twice the time. In mono, which is faster, they are 0.1 dB better.
STEP, STEP_IN_MONO = 2, 1


class Powers:
    """The drums' powers by a fit: its magnitudes, of which the loudest is one, to an exponent."""

    def __init__(self, fit: Fit, strokes: Strokes, alpha: float) -> None:
        loudest = fit.templates.amax((1, 2)).sum().clamp_min(TINY)
        self._spectra = (fit.templates / loudest).flatten(0, 1)  # (drums * rows, F)
        self._strengths = fit.strengths
        self.strokes = strokes
        self._alpha = alpha

    @property
    def device(self) -> torch.device:
        """Where the fit lies."""
        return self._spectra.device

    def of(self, placement: Placement) -> tuple[Tensor, Tensor]:
        """Powers (D, T, F) of the drums that sound in a stretch, and their numbers (D,)."""
        rows = LAYERS * len(LAGS)
        hearing = Hearing(placement, self.strokes, self.device)
        activations = hearing.activations(self._strengths).view(-1, rows, placement.frames)
        drums = activations.flatten(1).any(dim=1).nonzero().flatten()
        powers = activations.new_empty(len(drums), placement.frames, self._spectra.shape[1])
        for own, drum in zip(powers, drums.tolist(), strict=True):
            spectra = self._spectra[drum * rows : (drum + 1) * rows]
            torch.matmul(activations[drum].T, spectra, out=own)
            own.square_() if self._alpha == 2 else own.pow_(self._alpha)
        return powers, drums

    def stretch(self, spectrum: Tensor, placement: Placement) -> Stretch:
        """A stretch of a recording, of spectrum (C, F, T)."""
        return Stretch(spatial.in_groups(spectrum), *self.of(placement))


@dataclass(frozen=True, eq=False)
class FitFilter:
    """A `masking.Filter`: multichannel Wiener filters of a fit's stems."""

    powers: Powers
    covariances: Covariances
    names: tuple[str, ...]  # STEMS or the names of DRUMS
    block: int = BLOCK
    lookahead: int = 0

    @property
    def device(self) -> torch.device:
        """Where the fit lies."""
        return self.powers.device

    @property
    def stft(self) -> Stft:
        """The transform whose frames are filtered: some of those of the fit."""
        return Stft(STFT.n_fft, self._step * STFT.hop)

    @property
    def _step(self) -> int:
        """Frames of the fit from one that is filtered to the next."""
        in_pairs = any(group.shape[1] == PAIR for group in self.covariances)
        return STEP if in_pairs else STEP_IN_MONO

    def stems(self, spectrum: Tensor, start: int) -> Iterator[Tensor | None]:
        """Yield each stem's complex (C, F, T) of a block's spectrum (C, F, T)."""
        stop = start + spectrum.shape[-1]
        step = self._step
        placement = place(self.powers.strokes, step * start, step * stop).every(step)
        stretch = self.powers.stretch(spectrum, placement)
        if not len(stretch.drums):
            yield from (None for _ in self.names)
            return
        owners = self._owners[stretch.drums.cpu()]
        parts = [
            _Part.of(stretch, covariances, heard, owners)
            for covariances, heard in zip(self.covariances, stretch.heard, strict=True)
        ]
        for stem in range(len(self.names)):
            if (owners == stem).any():
                groups = [part.of_stem(stem) for part in parts]
                both = torch.cat(groups) if len(groups) > 1 else groups[0]
                yield both.transpose(-1, -2)
            else:
                yield None

    @cached_property
    def _owners(self) -> Tensor:
        """Of each drum that is hit, the number of its stem."""
        drums = self.powers.strokes.drums
        five = self.names == STEMS
        return torch.tensor([drum.stem_index if five else drum.position for drum in drums])


@dataclass(frozen=True, eq=False)
class _Part:
    """One group of channels of a block: the stems' covariances in every bin, and z."""

    own: dict[int, Tensor]  # by stem: (planes, T, F)
    white: Tensor  # (channels, 2, T, F)
    white_turned: Tensor

    @classmethod
    def of(cls, stretch: Stretch, covariances: Tensor, heard: Tensor, owners: Tensor) -> "_Part":
        own = {}
        for stem in sorted(set(owners.tolist())):
            mine = owners == stem
            drums = stretch.drums[mine]
            own[stem] = spatial.summed(stretch.powers[mine], covariances[drums], heard[0, 0])
        first, *others = own.values()
        total = sum(others, start=first)
        white = spatial.whitened(total, heard)
        return cls(own, white, spatial.turned(white))

    def of_stem(self, stem: int) -> Tensor:
        """The stem's complex (channels, T, F)."""
        return spatial.taken(self.own[stem], self.white, self.white_turned)
