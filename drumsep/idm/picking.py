"""Hits out of curves: peak picking, and what a peak becomes.

Böck, Krebs and Schedl 2012 in the reading of librosa's `peak_pick`, with the widths of the
published IDM; without librosa, whose compiled picker costs 0.4 s at the first call.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from drumsep.drums import DRUMS, STEMS, Drum
from drumsep.results import Hit, Samples

MARGIN = 0.2  # of probability, over the mean around

# Widths as fractions of a second.
HIGHEST = 20  # a peak is the highest within 1/20 s before and after
AROUND = 10  # the mean is taken over 1/10 s before and after
WAIT = 16  # at least 1/16 s from one peak to the next

HitFinder = Callable[[Samples, Samples, tuple[int, int], Mapping[Drum, float]], tuple[Hit, ...]]

LOUDEST = 2.0  # amplitude of velocity 1

# Adaptation hears which hits the recording confirms, so it is offered doubtful ones as well.
POSSIBLE_MARGIN = 0.05
UNLIKELY = 0.1  # chance of being a hit below which a peak is not offered

# How often a peak of the published network is a hit: logistic in the log odds of its probability,
# fitted to the 3490 peaks with POSSIBLE_MARGIN in 40 clips, of 8 s each, that kits of the training
# data played. The network is modest: a kick of probability 0.1 is more often true than not.
STEEPNESS = 1.4
CHANCE = dict(zip(STEMS, (3.6, 2.2, 0.1, 1.6, 1.7), strict=True))  # log odds at probability 1/2


def find_hits(
    onsets: Samples,
    amplitudes: Samples,
    rates: tuple[int, int],
    margins: Mapping[Drum, float],
) -> tuple[Hit, ...]:
    """Every peak of every drum's curve as a hit.

    Differs from the published code, which turns frames into seconds and back with truncation: 7 %
    of all frames came back one lower, sounded 6 ms early and took their neighbour's velocity.

    Args:
        onsets: probabilities (9, frames).
        amplitudes: of one-shots that start in a frame (9, frames).
        rates: samples per second, samples per frame.
        margins: by drum, replacing `MARGIN`.
    """
    rate, hop = rates
    hits = []
    for drum in DRUMS:
        curve = onsets[drum.position]
        for frame in pick_peaks(curve, rate / hop, margins.get(drum, MARGIN)):
            velocity = velocity_of(float(amplitudes[drum.position, frame]))
            confidence = min(float(curve[frame]), 1.0)
            hits.append(Hit(float(frame * hop / rate), drum, velocity, confidence))
    return tuple(sorted(hits))


def possible_hits(
    onsets: Samples,
    amplitudes: Samples,
    rates: tuple[int, int],
    margins: Mapping[Drum, float],
) -> tuple[Hit, ...]:
    """Peaks that may be hits, each as confident as such peaks are true; arguments of `find_hits`.

    On eval-dev, 87 % of the hits are among them instead of 70 %, at a lower precision: kick 0.95
    for 1.00, snare 0.68 for 0.82, toms 0.59 for 0.67, hi-hat 0.72 for 0.88, cymbals 0.27 for 0.39.
    """
    all_margins = dict.fromkeys(DRUMS, POSSIBLE_MARGIN) | dict(margins)
    hits = find_hits(onsets, amplitudes, rates, all_margins)
    calibrated = (replace(hit, confidence=likelihood(hit.drum, hit.confidence)) for hit in hits)
    return tuple(hit for hit in calibrated if hit.confidence >= UNLIKELY)


def likelihood(drum: Drum, probability: float) -> float:
    """The chance, 0..1, that a peak to which the network gives a probability is a hit."""
    if not 0 < probability < 1:
        return probability
    log_odds = CHANCE[drum.stem] + STEEPNESS * math.log(probability / (1 - probability))
    return 1 / (1 + math.exp(-log_odds))


def pick_peaks(curve: Samples, frame_rate: float, margin: float) -> NDArray[np.int64]:
    """Frames of the peaks of a curve (frames,), ascending.

    Frame n is a peak if it is the highest of [n - a, n + a), exceeds the mean of [n - b, n + b) by
    at least `margin`, and lies more than w frames after the peak before; a, b and w are 50, 100 and
    62.5 ms in whole frames. At the ends the windows are cut.
    """
    a, b, w = (int(frame_rate // fraction) for fraction in (HIGHEST, AROUND, WAIT))
    padded = np.pad(curve, (a, a - 1), constant_values=-np.inf)
    highest = sliding_window_view(padded, 2 * a).max(axis=1)
    candidates = np.flatnonzero((curve == highest) & (curve >= _means(curve, b) + margin))
    peaks: list[int] = []
    for frame in candidates.tolist():
        if not peaks or frame > peaks[-1] + w:
            peaks.append(frame)
    return np.array(peaks, np.int64)


def _means(curve: Samples, reach: int) -> NDArray[np.float64]:
    """Means of curve[n - reach : n + reach], cut at the ends."""
    sums = np.concatenate([[0.0], np.cumsum(curve, dtype=np.float64)])
    frames = np.arange(curve.size)
    first, stop = np.maximum(frames - reach, 0), np.minimum(frames + reach, curve.size)
    means: NDArray[np.float64] = (sums[stop] - sums[first]) / (stop - first)
    return means


def velocity_of(amplitude: float) -> float:
    """Velocity 0..1 of a hit that plays its one-shot at an amplitude in [0, 2].

    Amplitude goes with the square of velocity, as General MIDI synthesisers are asked to do
    (40 log10(velocity / 127) dB, MIDI Manufacturers Association, DLS 1); the inverse is exact, so a
    transcription that is read back sounds as it did.
    """
    return math.sqrt(min(amplitude / LOUDEST, 1.0))


def amplitude_of(velocity: float) -> float:
    """Amplitude 0..2 at which a hit of a velocity 0..1 plays its one-shot."""
    return LOUDEST * velocity**2
