"""Frame-wise non-negative matrix factorisation, semi-adaptive bases (Dittmar and Gaertner 2014).

Each short-time spectrum is a sum of one basis per drum, on its own. The bases of a frame start at
given ones, may follow the frame, and are drawn back to the given ones less with each update:
B <- a B_given + (1 - a) B_updated, with a = (1 - n / N)^4 in update n of N.

Letters: K drums, F bins, T frames.
"""

from typing import NamedTuple

import torch
from torch import Tensor

STIFFNESS = 4  # exponent of a; the larger, the sooner the bases are free
TINY = 1e-20  # keeps ratios finite where nothing sounds


class FrameFactors(NamedTuple):
    """What every frame is made of."""

    bases: Tensor  # (K, T, F), each frame's own
    gains: Tensor  # (K, T)

    def parts(self) -> Tensor:
        """Each drum's magnitudes, (K, T, F)."""
        return self.bases * self.gains[..., None]


def update_gains(factors: FrameFactors, magnitudes: Tensor) -> FrameFactors:
    """G <- G * (sum_f B V / model) / (sum_f B), Kullback-Leibler; magnitudes are (T, F)."""
    raised = torch.einsum("ktf,tf->kt", factors.bases, _ratio(factors, magnitudes))
    gains = factors.gains * raised / factors.bases.sum(2).clamp_min(TINY)
    return factors._replace(gains=gains)


def update_bases(factors: FrameFactors, magnitudes: Tensor) -> FrameFactors:
    """B <- B * V / model: in a single frame the gains cancel."""
    return factors._replace(bases=factors.bases * _ratio(factors, magnitudes))


def _ratio(factors: FrameFactors, magnitudes: Tensor) -> Tensor:
    """Magnitudes over model, (T, F)."""
    model = torch.einsum("ktf,kt->tf", factors.bases, factors.gains)
    return magnitudes / model.clamp_min(TINY)


def factorise(given: Tensor, magnitudes: Tensor, updates: int) -> FrameFactors:
    """Explain magnitudes (T, F) frame by frame from given bases (K, F)."""
    fixed = given[:, None].expand(-1, *magnitudes.shape)
    factors = FrameFactors(fixed, magnitudes.new_ones(fixed.shape[:2]))
    for number in range(1, updates + 1):
        factors = update_gains(factors, magnitudes)
        factors = update_bases(factors, magnitudes)
        held = (1 - number / updates) ** STIFFNESS
        factors = factors._replace(bases=held * fixed + (1 - held) * factors.bases)
    return factors
