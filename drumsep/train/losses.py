"""What training minimises."""

import torch
from torch import Tensor
from torch.nn import functional

ONSET_EMPHASIS = 2.0  # how much more a marked frame counts than an empty one, less one
ONSET_SCALE = 20.0  # brings the mean over mostly empty frames near 1


def onset_loss(logits: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
    """Binary cross-entropy of onset logits (B, 9, T) with targets 0..1, marked frames emphasised.

    `weights` (B, 9, T) are 0 where nobody could tell.
    """
    loss = functional.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    return ONSET_SCALE * (loss * weights * (1 + ONSET_EMPHASIS * targets)).mean()


def velocity_loss(velocities: Tensor, truth: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
    """Mean square error of velocities (B, 9, T) 0..1 at the frames of hits (target 1)."""
    hits = (targets == 1) & (weights > 0)
    error = torch.where(hits, (velocities - truth).square(), 0)
    return error.sum() / hits.sum().clamp(min=1)
