"""First templates from a user's own kit instead of those of many kits."""

import numpy as np
import torch
from torch import Tensor

from drumsep.adaptation.starting import first_templates
from drumsep.adaptation.strokes import RATE
from drumsep.resample import at_rate
from drumsep.results import Kit, OneShot

BLOCK = 1 << 16  # samples read at a time
SOFTEST = 0.05  # velocity below which a one-shot is taken for one of this velocity


def with_kit(templates: Tensor, kit: Kit | None) -> Tensor:
    """Templates (9, L, F), those of drums that the kit has made from its hardest one-shot.

    They keep their levels beside each other, for a hit of velocity one; together they are as loud
    as the templates that they replace.
    """
    hardest = (
        {shot.drum.position: shot for shot in sorted(kit.one_shots, key=_velocity)} if kit else {}
    )
    if not hardest:
        return templates
    own = first_templates(_sounds(list(hardest.values())).to(templates))
    positions = list(hardest)
    replaced = templates.clone()
    replaced[positions] = own * (templates[positions].sum() / own.sum().clamp_min(1e-12))
    return replaced


def _velocity(shot: OneShot) -> float:
    return shot.velocity


def _sounds(shots: list[OneShot]) -> Tensor:
    """One-shots in mono at RATE, of a hit of velocity one: (K, time), zero-padded."""
    sounds = []
    for shot in shots:
        blocks = at_rate(shot.audio, RATE).blocks(BLOCK)
        mono = np.concatenate([block.mean(axis=0) for block in blocks])
        sounds.append(torch.from_numpy(mono / max(shot.velocity, SOFTEST)))
    return torch.nn.utils.rnn.pad_sequence(sounds, batch_first=True)
