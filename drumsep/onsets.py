"""Hits from separated stems by onset detection, for models that do not transcribe.

Each stem stands for one drum. All that is kept of the sound is two numbers per stem and frame, so
that recordings of any length can be heard.
"""

from collections.abc import Iterable, Mapping

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
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
"""The drum that the hits of a stem are taken for."""

FRAMES_PER_SECOND = 100  # to the nearest whole number of samples per frame
WINDOW = 1024  # samples
BANDS = 24  # at most, spread evenly over log frequency
LOUDNESS = 1000.0  # a rise is one of log(1 + LOUDNESS * amplitude)
THRESHOLD = 0.05  # of the strongest onset in any stem
NEIGHBOURS = 3  # frames on either side that a peak must top
AROUND = 10  # frames on either side whose mean a peak must top by the threshold
APART = 4  # frames at least between two hits of a stem
LOUDEST_WITHIN = 4  # frames from an onset on in which the level of the hit is read

# First bin of each band; where bands are narrower than bins there are fewer.
_EDGES = np.unique(np.geomspace(1, WINDOW // 2 + 1, BANDS + 1).astype(int))[:-1]

Envelope = NDArray[np.float32]


def transcribe(
    stems: Iterable[Samples], rate: int, thresholds: Mapping[Drum, float]
) -> Transcription:
    """Find the hits in five stems.

    Args:
        stems: blocks of the mono stems in the order of `STEMS`, float32 (5, n), full scale 1.
        rate: of the stems, in Hz.
        thresholds: replace `THRESHOLD`, each under the drum its stem is heard as.

    Returns:
        Hits on the grid of frames. A velocity is the level of a hit against the loudest one in its
        stem; a confidence is the strength of its onset against the strongest one in any stem.
    """
    hop = round(rate / FRAMES_PER_SECOND)
    envelopes = _Envelopes(hop)
    for block in stems:
        envelopes.hear(block)
    rises, levels = envelopes.so_far()
    strengths = rises / max(float(rises.max(initial=0.0)), 1e-9)
    hits: list[Hit] = []
    for stem, strength, level in zip(STEMS, strengths, levels, strict=True):
        drum = HEARD_AS[stem]
        frames = _peaks(strength, thresholds.get(drum, THRESHOLD))
        loudness = [float(level[frame : frame + LOUDEST_WITHIN].max()) for frame in frames]
        hits += [
            Hit(int(frame) * hop / rate, drum, loud / max(loudness), float(strength[frame]))
            for frame, loud in zip(frames, loudness, strict=True)
        ]
    return Transcription(tuple(hits), envelopes.samples / rate, ORIGIN)


class _Envelopes:
    """Rise and level of each stem and frame, gathered from blocks; frame t is around t * hop.

    A rise counts by the stem's share of all stems' power in its band: a hit that bleeds into
    another stem rises there as well, but in bands that belong to its own.
    """

    def __init__(self, hop: int) -> None:
        self.samples = 0  # heard so far
        self._hop = hop
        self._held = np.zeros((len(STEMS), WINDOW // 2), np.float32)
        self._loudness = np.zeros((len(STEMS), 1, len(_EDGES)), np.float32)  # of the last frame
        self._rises = [np.zeros((len(STEMS), 0), np.float32)]
        self._levels = [np.zeros((len(STEMS), 0), np.float32)]

    def hear(self, block: Samples) -> None:
        """Take in the next (5, n) samples."""
        self.samples += block.shape[-1]
        held = np.concatenate([self._held, block], axis=-1)
        count = max((held.shape[-1] - WINDOW) // self._hop + 1, 0)
        self._held = held[:, count * self._hop :]
        if count == 0:
            return
        frames = sliding_window_view(held, WINDOW, axis=-1)[:, :: self._hop]
        powers = _band_powers(frames)
        loudness = np.log1p(LOUDNESS * np.sqrt(powers))
        rises = np.diff(np.concatenate([self._loudness, loudness], axis=1), axis=1).clip(min=0)
        shares = powers / (powers.sum(axis=0) + np.finfo(np.float32).tiny)
        self._loudness = loudness[:, -1:]
        self._rises.append((rises * shares).mean(axis=-1))
        self._levels.append(np.sqrt(powers.sum(axis=-1)))

    def so_far(self) -> tuple[Envelope, Envelope]:
        """Rises and levels (5, T) of all frames that were heard whole.

        Frames over the end are left out: sound that is cut off there would rise in all bands.
        """
        return np.concatenate(self._rises, axis=1), np.concatenate(self._levels, axis=1)


def _band_powers(frames: Samples) -> Envelope:
    """Powers (..., bands) of frames (..., WINDOW); a sine of amplitude 1 has about 1."""
    window = np.hanning(WINDOW + 1)[:-1].astype(np.float32)
    amplitudes = np.abs(np.fft.rfft(frames * window)) / (window.sum() / 2)
    return np.add.reduceat(np.square(amplitudes), _EDGES, axis=-1).astype(np.float32)


def _peaks(strength: Envelope, threshold: float) -> NDArray[np.int64]:
    """Frames of the onsets of one stem."""
    if not strength.any():
        return np.zeros(0, np.int64)
    from librosa.util import peak_pick  # librosa takes a second to import

    frames: NDArray[np.int64] = peak_pick(
        strength,
        pre_max=NEIGHBOURS,
        post_max=NEIGHBOURS + 1,
        pre_avg=AROUND,
        post_avg=AROUND + 1,
        delta=threshold,
        wait=APART,
    )
    return frames
