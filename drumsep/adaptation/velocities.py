"""How hard each hit was played, heard from its strength in a fit."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from drumsep.adaptation.adapt import Adapted
from drumsep.results import Transcription

# Amplitude grows with velocity^1.5 in sampled kits, so velocity with amplitude^(2/3).
EXPONENT = 2 / 3
TRUST = 1 / 3  # in this fit: the hits come from a network and from the fit of the second look


def told_by_strengths(
    said: NDArray[np.float64],
    strengths: NDArray[np.floating],
    drums: NDArray[np.int64],
    trust: float | NDArray[np.float64],
) -> NDArray[np.float64]:
    """Velocities (H,): a share of `trust` of what strengths tell, the rest as they were said.

    Strengths (H,) tell how the hits of a drum compare; of what they tell the mean is what was said.
    Of hits without strength nothing is known: they keep theirs. Trust is one for all, or (H,).
    """
    velocities, trusts = said.copy(), np.broadcast_to(trust, said.shape)
    loudness = strengths**EXPONENT
    for drum in np.unique(drums):
        own = (drums == drum) & (strengths > 0)
        if own.any():
            heard = loudness[own] * said[own].mean() / loudness[own].mean()
            velocities[own] += trusts[own] * (heard - said[own])
    return np.clip(velocities, 0, 1)


def with_heard_velocities(transcription: Transcription, adapted: Adapted) -> Transcription:
    """The same hits with velocities that follow their strengths, which are heard in all channels.

    On eval-dev the correlation with the true velocities, mean over recordings, is 0.93 for kicks
    after it (0.90 before), 0.93 for snares (as before), 0.72 for toms (0.74), 0.90 for hi-hats
    (0.86) and 0.74 for cymbals (0.67).
    """
    said = np.array([hit.velocity for hit in transcription.hits])
    strengths = adapted.model.strengths.cpu().numpy()
    velocities = told_by_strengths(said, strengths, adapted.strokes.drum, TRUST)
    hits = zip(transcription.hits, velocities.tolist(), strict=True)
    return replace(
        transcription, hits=tuple(replace(hit, velocity=velocity) for hit, velocity in hits)
    )
