"""Stems from a fit: each block of frames is modelled anew from the hits that it hears."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from drumsep.adaptation import spatial
from drumsep.adaptation.fitting import Hearing
from drumsep.adaptation.multichannel import MultichannelModel
from drumsep.adaptation.spatial import PAIR
from drumsep.adaptation.strokes import STFT, Strokes, place
from drumsep.drums import STEMS
from drumsep.dsp import Stft

BLOCK = 128  # frames: more leave the caches of a CPU, fewer keep its threads waiting

# In stereo every second frame of the fit is filtered: all of them are 0.1 dB better on eval-dev
# and take twice the time. In mono, which is faster, they are 0.1 dB better.
STEP, STEP_IN_MONO = 2, 1


@dataclass(frozen=True, eq=False)
class FitFilter:
    """A `masking.Filter`: multichannel Wiener filters of a model's stems."""

    model: MultichannelModel
    strokes: Strokes
    names: tuple[str, ...]  # STEMS or the names of DRUMS
    block: int
    lookahead: int = 0

    @property
    def device(self) -> torch.device:
        """Where the model lies."""
        return self.model.device

    @property
    def stft(self) -> Stft:
        """The transform whose frames are filtered: some of those of the fit."""
        return Stft(STFT.n_fft, self._step * STFT.hop)

    @property
    def _step(self) -> int:
        """Frames of the fit from one that is filtered to the next."""
        in_pairs = any(group.shape[1] == PAIR for group in self.model.covariances)
        return STEP if in_pairs else STEP_IN_MONO

    def stems(self, spectrum: Tensor, start: int) -> Iterator[Tensor | None]:
        """Yield each stem's complex (C, F, T) of a block's spectrum (C, F, T)."""
        stop = start + spectrum.shape[-1]
        step = self._step
        placement = place(self.strokes, step * start, step * stop).every(step)
        sounding = self.model.sounding(Hearing(placement, self.strokes, self.device))
        if not len(sounding.drums):
            yield from (None for _ in self.names)
            return
        owners = self._owners[sounding.drums.cpu()]
        parts = [
            _Part.of(sounding.powers, covariances[sounding.drums], heard, owners)
            for covariances, heard in zip(
                self.model.covariances, spatial.in_groups(spectrum), strict=True
            )
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
        five = self.names == STEMS
        drums = self.strokes.drums
        return torch.tensor([drum.stem_index if five else drum.position for drum in drums])


@dataclass(frozen=True, eq=False)
class _Part:
    """One group of channels of a block: the stems' covariances in every bin, and z."""

    own: dict[int, Tensor]  # by stem: (planes, T, F)
    white: Tensor  # (channels, 2, T, F)
    white_turned: Tensor

    @classmethod
    def of(cls, powers: Tensor, covariances: Tensor, heard: Tensor, owners: Tensor) -> "_Part":
        own = {}
        for stem in sorted(set(owners.tolist())):
            mine = owners == stem
            own[stem] = spatial.summed(powers[mine], covariances[mine], heard[0, 0])
        first, *others = own.values()
        inverse = spatial.inverse(sum(others, start=first))
        white = spatial.whitened(inverse, heard)
        return cls(own, white, spatial.turned(white))

    def of_stem(self, stem: int) -> Tensor:
        """The stem's complex (channels, T, F)."""
        planes = spatial.times(self.own[stem], self.white, self.white_turned)
        return torch.complex(planes[:, 0], planes[:, 1])
