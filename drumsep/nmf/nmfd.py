"""Non-negative matrix factor deconvolution of a magnitude spectrogram, Kullback-Leibler divergence.

Smaragdis 2004: V[t] = sum over drums k and lags l of H[k, t - l] W[k, l], multiplicative updates of
W and H in turn. Uninformed when H starts at one everywhere; score-informed, as in Dittmar and
Mueller 2016, when it starts at zero away from the hits: zeros stay zero.

Letters: K drums, L lags, F bins, T frames.
"""

from typing import NamedTuple

import torch
from torch import Tensor

TINY = 1e-20  # keeps ratios finite where nothing sounds


class Factors(NamedTuple):
    """What a spectrogram is made of."""

    templates: Tensor  # (K, L, F)
    activations: Tensor  # (K, T)

    def parts(self) -> Tensor:
        """Each drum's magnitudes, (K, T, F)."""
        return delayed(self.activations, self.templates.shape[1]).transpose(1, 2) @ self.templates


def delayed(activations: Tensor, lags: int) -> Tensor:
    """Activations (K, T) seen l frames later, zeros before: (K, L, T)."""
    padded = torch.nn.functional.pad(activations, (lags - 1, 0))
    return padded.unfold(1, activations.shape[1], 1).flip(1)


def update_templates(factors: Factors, magnitudes: Tensor) -> Factors:
    """W <- W * (sum_t H[t - l] V[t] / model[t]) / (sum_t H[t - l]); magnitudes are (T, F)."""
    active = delayed(factors.activations, factors.templates.shape[1])
    raised = active @ _ratio(factors, magnitudes)
    templates = factors.templates * raised / active.sum(2, keepdim=True).clamp_min(TINY)
    return factors._replace(templates=templates)


def update_activations(factors: Factors, magnitudes: Tensor) -> Factors:
    """H <- H * (sum_l,f W[l, f] V[t + l, f] / model[t + l, f]) / (sum_l,f W[l, f])."""
    templates = factors.templates
    raised = templates @ _ratio(factors, magnitudes).T
    told = templates.sum(2, keepdim=True).expand_as(raised)
    activations = factors.activations * _advanced(raised) / _advanced(told).clamp_min(TINY)
    return factors._replace(activations=activations)


def _ratio(factors: Factors, magnitudes: Tensor) -> Tensor:
    """Magnitudes over model, (T, F)."""
    return magnitudes / factors.parts().sum(0).clamp_min(TINY)


def _advanced(values: Tensor) -> Tensor:
    """Values (K, L, T) seen l frames earlier and summed over l: (K, T), transpose of `delayed`."""
    total = torch.zeros_like(values[:, 0])
    frames = values.shape[2]
    for lag in range(values.shape[1]):
        total[:, : frames - lag] += values[:, lag, lag:]
    return total


def factorise(start: Factors, magnitudes: Tensor, updates: int) -> Factors:
    """Update templates and activations so many times, in turn, from a start."""
    factors = start
    for _ in range(updates):
        factors = update_activations(factors, magnitudes)
        factors = update_templates(factors, magnitudes)
    return factors
