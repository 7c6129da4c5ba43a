"""Close microphones: each hears its own stem, and the others a little later, duller and softer.

Every channel has its own band and compressor, so that what leaks into it is another sound than
the drum in its own microphone. Leaks belong to the drum that makes them: stems go on adding up.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from drumsep.drums import DRUMS, STEMS
from drumsep.sampled_kits import RATE
from drumsep.train import augment

Audio = NDArray[np.float32]

NEAREST, FARTHEST = 0.0005, 0.005  # s from a drum to the microphone of another: 0.2 to 1.7 m
LOUDEST, SOFTEST = -15.0, -35.0  # dB, of a leak against the drum in its own microphone
LOW, HIGH = (30.0, 300.0), (1500.0, 10000.0)  # Hz, where the band of a leak begins and ends
COMPRESSED = 0.5  # probability, per channel

OWN = np.array([drum.stem_index for drum in DRUMS])  # the microphone of each drum


def close_miked(stems: Audio, rng: np.random.Generator, *, together: bool = False) -> Audio:
    """What all microphones together pick up of each drum.

    Stems (9, C, N) -> (9, C, N), or (1, C, N), their sum, where they are wanted `together`. A drum
    reaches its own microphone at once and unchanged.
    """
    shape = len(STEMS), len(STEMS)
    delays = np.rint(rng.uniform(NEAREST, FARTHEST, shape) * RATE).astype(int)
    levels = (10 ** (rng.uniform(SOFTEST, LOUDEST, shape) / 20)).astype(np.float32)
    own, parts = OWN, np.arange(len(DRUMS))
    if together:
        stems = np.stack([stems[stem == OWN].sum(axis=0) for stem in range(len(STEMS))])
        own, parts = np.arange(len(STEMS)), np.zeros(len(STEMS), int)
    sounding = [row for row in range(len(stems)) if stems[row].any()]
    total = np.zeros((parts[-1] + 1, *stems.shape[1:]), np.float32)
    for microphone in range(len(STEMS)):
        near, far = np.zeros_like(total), np.zeros_like(total)
        for row in sounding:
            delay, level = delays[own[row], microphone], levels[own[row], microphone]
            if own[row] == microphone:
                near[parts[row]] += stems[row]
            else:
                far[parts[row], :, delay:] += stems[row, :, :-delay] * level
        total += _channel(near + _off_axis(far, rng), rng)
    return total


def _off_axis(leaks: Audio, rng: np.random.Generator) -> Audio:
    """Leaks (..., N) in a random band, 6 dB per octave on both sides."""
    band = [float(np.exp(rng.uniform(*np.log(edge)))) for edge in (LOW, HIGH)]
    taps = (row.astype(np.float32) for row in signal.butter(1, band, "bandpass", fs=RATE))
    filtered: Audio = signal.lfilter(*taps, leaks)
    return filtered


def _channel(sounds: Audio, rng: np.random.Generator) -> Audio:
    """Sounds (K, C, N) of one microphone through its compressor, which hears their sum."""
    squeezed = rng.random() < COMPRESSED
    depth, ratio = rng.uniform(0.1, 0.5), rng.uniform(2, 6)
    attack, release = rng.uniform(0.001, 0.02), rng.uniform(0.05, 0.3)
    heard = sounds.sum(axis=0)
    peak = float(np.abs(heard).max())
    if not squeezed or peak < augment.EPSILON:
        return sounds
    return sounds * augment.compressor_gain(heard, depth * peak, ratio, attack, release)
