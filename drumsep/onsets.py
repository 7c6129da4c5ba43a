"""Hits from separated stems by onset detection, for models that do not transcribe.

Each stem stands for one drum. What is kept is two numbers per stem and frame, so that a recording
of any length can be heard; all else passes by.
"""

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from drumsep.drums import STEMS, Drum
from drumsep.results import Hit, Samples, Transcription

ORIGIN = "onset detection in the stems"
HEARD_AS = {
    "kick": Drum.KICK,
    "snare": Drum.SNARE,
    "toms": Drum.TOM_MID,
    "hihat": Drum.HIHAT_CLOSED,
    "cymbals": Drum.CRASH,
}
"""The drum that the hits of a stem are written as."""

FRAME_RATE = 100  # frames per second
WINDOW = 1024  # samples
BANDS = 24  # evenly spread over log frequency
LOUDNESS = 1000.0  # novelty is measured on log(1 + LOUDNESS * amplitude)
THRESHOLD = 0.15  # of the strongest onset in the stem
FLOOR = 0.02  # of the loudest hit of the recording; softer ones are taken for bleed
APART = 4  # frames at least between two hits of a stem
LOUDEST_WITHIN = 3  # frames after an onset in which its level is read

Envelope = NDArray[np.float32]


def transcribe(
    stems: Iterator[Samples], rate: int, thresholds: Mapping[Drum, float]
) -> Transcription:
    """Find the hits in five stems.

    Args:
        stems: blocks of the mono stems in the order of `STEMS`, float32 (5, n), full scale 1.
        rate: of the stems, in Hz.
        thresholds: replace `THRESHOLD`, by the drum a stem is heard as.
    """
    novelty, level, samples = _envelopes(stems, rate)
    loudest = float(level.max(initial=0.0))
    hits = []
    for stem, row, loudness in zip(STEMS, novelty, level, strict=True):
        drum = HEARD_AS[stem]
        frames = _peaks(row, thresholds.get(drum, THRESHOLD))
        hits += _hits(drum, frames, row, loudness, FLOOR * loudest)
    return Transcription(tuple(sorted(hits)), samples / rate, ORIGIN)


def _envelopes(stems: Iterator[Samples], rate: int) -> tuple[Envelope, Envelope, int]:
    """Novelty and level of each stem (5, T), frame t centred on t / FRAME_RATE s, and the length."""
    hop = round(rate / FRAME_RATE)
    window = np.hanning(WINDOW + 1)[:-1].astype(np.float32)
    margin = np.zeros((len(STEMS), WINDOW // 2), np.float32)
    held = np.zeros((len(STEMS), 0), np.float32)
    before = np.zeros((len(STEMS), 1, BANDS), np.float32)
    novelty, level = (
        [np.zeros((len(STEMS), 0), np.float32)],
        [np.zeros((len(STEMS), 0), np.float32)],
    )
    samples = 0
    for block in itertools.chain([margin], stems, [margin]):
        held = np.concatenate([held, block], axis=-1)
        samples += block.shape[-1]
        count = max(0, (held.shape[-1] - WINDOW) // hop + 1)
        if count == 0:
            continue
        frames = sliding_window_view(held, WINDOW, axis=-1)[:, : count * hop : hop]
        bands = _band_amplitudes(frames * window)
        log = np.concatenate([before, np.log1p(LOUDNESS * bands)], axis=1)
        novelty.append(np.maximum(np.diff(log, axis=1), 0).mean(axis=-1))
        level.append(np.sqrt(np.square(bands).sum(axis=-1)))
        before = log[:, -1:]
        held = held[:, count * hop :]
    return (
        np.concatenate(novelty, axis=1),
        np.concatenate(level, axis=1),
        samples - 2 * margin.shape[-1],
    )


def _band_amplitudes(frames: Envelope) -> Envelope:
    """Amplitudes (..., BANDS) of windowed frames (..., WINDOW); a full-scale sine has about 1."""
    spectrum = np.fft.rfft(frames) / (WINDOW / 4)
    powers = np.add.reduceat(np.square(np.abs(spectrum)), _EDGES[:-1], axis=-1)
    return np.sqrt(powers).astype(np.float32)


def _peaks(novelty: Envelope, threshold: float) -> NDArray[np.int64]:
    """Frames of the onsets of one stem."""
    from librosa.util import peak_pick

    strongest = novelty.max(initial=0.0)
    if strongest == 0:
        return np.zeros(0, np.int64)
    return peak_pick(
        novelty / strongest,
        pre_max=3,
        post_max=4,
        pre_avg=10,
        post_avg=11,
        delta=threshold,
        wait=APART,
    )
