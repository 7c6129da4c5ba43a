"""How hard each hit was played, heard from its strength in a fit."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from drumsep.adaptation.adapt import Adapted
from drumsep.results import Transcription

# Amplitude grows with velocity^1.5 in sampled kits, so velocity with amplitude^(2/3).
EXPONENT = 2 / 3
TRUST = 0.2  # in this fit, beside what was heard of its hits before


def told_by_levels(
    said: NDArray[np.float64], levels: NDArray[np.floating], groups: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Velocities (H,) as amplitudes tell them.

    Levels (H,) tell how the hits of a group compare; of what they tell the mean is what was said,
    but that none exceeds 1. Of hits without a level nothing is known: they keep what was said.
    """
    velocities = said.copy()
    loudness = levels**EXPONENT
    for group in np.unique(groups):
        own = (groups == group) & (levels > 0)
        if own.any():
            velocities[own] = loudness[own] * said[own].mean() / loudness[own].mean()
    return np.minimum(velocities, 1)


def with_heard_velocities(transcription: Transcription, adapted: Adapted) -> Transcription:
    """The same hits with velocities that follow their strengths, which are heard in all channels.

    On eval-dev the correlation with the true velocities, mean over recordings, is 0.95 for kicks
    after it (0.93 before), 0.94 for snares and 0.83 for toms (as before), 0.90 for hi-hats (0.88)
    and 0.75 for cymbals (0.71).
    """
    said = np.array([hit.velocity for hit in transcription.hits])
    strengths = adapted.model.strengths.cpu().numpy()
    heard = told_by_levels(said, strengths, adapted.strokes.drum)
    velocities = said + TRUST * (heard - said)
    hits = zip(transcription.hits, velocities.tolist(), strict=True)
    return replace(
        transcription, hits=tuple(replace(hit, velocity=velocity) for hit, velocity in hits)
    )
