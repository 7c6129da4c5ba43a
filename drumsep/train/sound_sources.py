"""What synthetic drums are made of: decaying modes, shaped noise, and their sums."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from drumsep.sampled_kits import RATE
from drumsep.train import augment

Sound = NDArray[np.float32]
Floats = NDArray[np.floating]

STEP = 512  # samples that modes are worked out at a time


@dataclass(frozen=True, eq=False)
class Modes:
    """Decaying sines, one entry of each array (M,) a mode."""

    frequencies: Floats  # Hz
    amplitudes: Floats
    decays: Floats  # s, time constants
    rises: Floats | None = None  # s, time constants of the attack; at once without

    def sound(self, seconds: float, rng: np.random.Generator) -> Sound:
        """Their sum (N,), each beginning at a phase of its own."""
        amplitudes = self.amplitudes * np.exp(2j * np.pi * rng.random(len(self.amplitudes)))
        total = self._ring(amplitudes, 1 / self.decays, seconds)
        if self.rises is not None:
            total -= self._ring(amplitudes, 1 / self.decays + 1 / self.rises, seconds)
        return total

    def _ring(self, amplitudes: Floats, damping: Floats, seconds: float) -> Sound:
        """As a product of two small matrices: exp(a (i + j)) is exp(a i) exp(a j)."""
        exponents = (2j * np.pi * self.frequencies - damping) / RATE
        steps = np.arange(-(-int(seconds * RATE) // STEP)) * STEP
        starts = (amplitudes * np.exp(np.outer(steps, exponents))).astype(np.complex64)
        within = np.exp(np.outer(exponents, np.arange(STEP))).astype(np.complex64)
        ring: Sound = (starts @ within).imag.reshape(-1)
        return ring


def hiss(
    rng: np.random.Generator, tone: Floats, decay: float, seconds: float, low: float = 20.0
) -> Sound:
    """Decaying noise (N,) with an equaliser `tone` in dB, without what lies below `low` Hz."""
    length = int(seconds * RATE)
    size = 1 << length.bit_length()
    shape = augment.equaliser(size, tone) * augment.band_limit(size, low, 20000, 24)
    noise = augment.spectrum(rng.standard_normal(length, dtype=np.float32), size) * shape
    sound = augment.inverse(noise, length, size)
    sound *= np.exp(-np.arange(length, dtype=np.float32) / (decay * RATE))
    return sound / np.float32(np.abs(sound).max() + augment.EPSILON)


def gliding(
    frequencies: Floats, amplitudes: Floats, decays: Floats, glide: float, time: float, long: float
) -> Sound:
    """Modes (N,) that start `glide` times as high and fall with the time constant `time` s."""
    clock = np.arange(int(long * RATE)) / RATE
    phase = 2 * np.pi * (clock + (glide - 1) * time * (1 - np.exp(-clock / time)))
    modes = amplitudes[:, None] * np.exp(-clock / decays[:, None])
    sound: Sound = (modes * np.sin(frequencies[:, None] * phase)).sum(axis=0).astype(np.float32)
    return sound


def together(*parts: tuple[float, Sound]) -> Sound:
    """Sounds of different lengths, each brought to a peak of its level (amplitude), and added."""
    total = np.zeros(max(len(sound) for _, sound in parts), np.float32)
    for level, sound in parts:
        total[: len(sound)] += float(level / (np.abs(sound).max() + augment.EPSILON)) * sound
    return total


def between(rng: np.random.Generator, low: float, high: float) -> float:
    """A number between two positive ones, evenly over their logarithm."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))
