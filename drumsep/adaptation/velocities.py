"""How hard each hit was played, heard from its strength in the fit."""

from dataclasses import replace

import numpy as np

from drumsep.adaptation.adapt import Adapted
from drumsep.results import Transcription

# Amplitude grows with velocity^1.5 in sampled kits, so velocity with amplitude^(2/3).
EXPONENT = 2 / 3
TRUST = 0.5  # in what is heard, beside what the transcriber said: either alone is further off


def with_heard_velocities(transcription: Transcription, adapted: Adapted) -> Transcription:
    """The same hits with velocities that follow their strengths.

    What is heard is how the hits of a drum compare; its mean velocity stays the transcriber's. On
    eval-dev the correlation with the true velocities rises from 0.77 to 0.81, and within one drum
    of one recording from 0.65 to 0.81 (kick), 0.72 to 0.83 (snare), 0.86 to 0.94 (toms).
    """
    strokes = adapted.strokes
    said = np.array([hit.velocity for hit in transcription.hits])
    loudness = adapted.fit.strengths.cpu().numpy() ** EXPONENT
    heard = said.copy()
    for number in range(len(strokes.drums)):
        own = strokes.drum == number
        if loudness[own].any():
            heard[own] = loudness[own] * said[own].mean() / loudness[own].mean()
    velocities = np.clip((1 - TRUST) * said + TRUST * heard, 0, 1)
    hits = zip(transcription.hits, velocities, strict=True)
    return replace(
        transcription,
        hits=tuple(replace(hit, velocity=float(velocity)) for hit, velocity in hits),
    )
