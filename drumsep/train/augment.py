"""What studios, rooms and codecs do to drums: pure functions on float32 arrays (..., N) at `RATE`.

Nothing here is random but what takes a generator, and nothing writes into its arguments. Whatever
acts on a sum of stems does so by one gain per sample for all of them, so that they go on adding up.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import fft, signal

from drumsep.sampled_kits import RATE

Audio = NDArray[np.float32]
Spectrum = NDArray[np.complexfloating]

EPSILON = 1e-9  # keeps divisions by a peak or an envelope finite; far below any sound


def decibels(level: float) -> float:
    """An amplitude from a level in dB."""
    return float(10 ** (level / 20))


def saturate(audio: Audio, drive: float) -> Audio:
    """tanh(drive * audio), as in the LarsNet paper, section 4; drive 1 to 5."""
    result: Audio = np.tanh(np.float32(drive) * audio)
    return result


def swap_channels(audio: Audio) -> Audio:
    """Left and right of (..., 2, N) exchanged."""
    return audio[..., ::-1, :]


def pan(audio: Audio, position: float) -> Audio:
    """Stereo (..., 2, N) moved from -1, left, to 1, right; constant power, unity in the middle."""
    angle = (position + 1) * np.pi / 4
    gains = np.sqrt(2) * np.array([[np.cos(angle)], [np.sin(angle)]], np.float32)
    result: Audio = audio * gains.astype(np.float32)
    return result


def rising(length: int) -> Audio:
    """Half a period of a cosine (length,) from 0 to 1."""
    return (0.5 - 0.5 * np.cos(np.pi * (np.arange(length) + 0.5) / max(length, 1))).astype(
        np.float32
    )


def saturation_gain(mixture: Audio, drive: float) -> Audio:
    """The gain per sample by which tanh saturates `mixture` (..., N), 1 for small signals."""
    driven = np.float32(drive) * mixture
    small = np.abs(driven) < 1e-4
    return np.where(small, 1, np.tanh(driven) / np.where(small, 1, driven)).astype(np.float32)


def compressor_gain(
    mixture: Audio, threshold: float, ratio: float, attack: float, release: float
) -> Audio:
    """The gain (N,) of a feed-forward compressor for `mixture` (C, N).

    Above `threshold` (amplitude), `ratio` decibels in become one out; the envelope of the channels'
    peak rises in `attack` and falls in `release` seconds. Worked out every 64 samples, and linear
    between.
    """
    step = 64
    length = mixture.shape[-1]
    padded = np.pad(mixture, ((0, 0), (0, -length % step)))
    blocks = np.abs(padded).reshape(len(mixture), -1, step).max(axis=(0, 2))
    rise, fall = (1 - float(np.exp(-step / RATE / time)) for time in (attack, release))
    envelope, state = [], 0.0
    for level in blocks.tolist():
        state += (level - state) * (rise if level > state else fall)
        envelope.append(state)
    over = np.maximum(np.array(envelope, np.float32) / np.float32(threshold), 1)
    gain = over ** np.float32(1 / ratio - 1)
    ramp = np.linspace(0, 1, step, endpoint=False, dtype=np.float32)
    change = np.diff(gain, append=gain[-1:])
    result: Audio = (gain[:, None] + change[:, None] * ramp).reshape(-1)[:length]
    return result


def spectrum(audio: Audio, size: int) -> Spectrum:
    """The Fourier transform of (..., N), zero-padded to `size`."""
    return fft.rfft(audio, size)  # type: ignore[no-any-return]


def inverse(transform: Spectrum, length: int, size: int) -> Audio:
    """The audio (..., length) of a `spectrum` of `size`."""
    audio: Audio = fft.irfft(transform, size)[..., :length]
    return audio


def frequencies(size: int) -> Audio:
    """Frequency of each bin of a transform of `size`, in Hz."""
    return (np.arange(size // 2 + 1, dtype=np.float32) * np.float32(RATE / size)).astype(np.float32)


def equaliser(size: int, gains: NDArray[np.floating]) -> Audio:
    """A smooth zero-phase response: `gains` in dB at points spread evenly over 40 Hz to 16 kHz.

    Linear in between over log-frequency, in steps of about 2 % of frequency.
    """
    points = np.geomspace(40, 16000, len(gains))
    levels = np.interp(np.log(_STEPS), np.log(points), gains)
    response: Audio = (10 ** (levels / 20)).astype(np.float32)[_steps(size)]
    return response


def band_limit(size: int, low: float, high: float, slope: float) -> Audio:
    """A response that falls by `slope` dB per octave below `low` and above `high` Hz."""
    octaves = np.maximum(np.log2(low / _STEPS), 0) + np.maximum(np.log2(_STEPS / high), 0)
    response: Audio = (10 ** (-slope * octaves / 20)).astype(np.float32)[_steps(size)]
    return response


_STEPS = np.geomspace(10, RATE / 2, 400)  # Hz at which responses are worked out


@lru_cache(maxsize=8)
def _steps(size: int) -> NDArray[np.int64]:
    """For each bin of a transform of `size`, the position of its frequency in _STEPS."""
    return np.searchsorted(_STEPS, frequencies(size)).clip(max=len(_STEPS) - 1)


def decaying_noise(
    rng: np.random.Generator, seconds: float, decay: float, dulling: float, delay: float
) -> Audio:
    """A diffuse reverberation tail (M,) of unit energy.

    Gaussian noise from `delay` s on, falling by 60 dB in `decay` s; the high end falls faster, by
    the time `dulling` (0: not at all, 1: at once), as in rooms with soft walls.
    """
    length = max(int(seconds * RATE), 64)
    time = np.arange(length, dtype=np.float32) / RATE
    noise = rng.standard_normal(length, dtype=np.float32)
    dull = signal.lfilter([0.12], [1, -0.88], noise).astype(np.float32) * 2.8
    bright = np.exp(-6.9 / decay * time / max(1 - dulling, 0.05))
    tail = noise * bright + dull * np.exp(-6.9 / decay * time)
    tail[: int(delay * RATE)] = 0
    result: Audio = (tail / np.sqrt(np.sum(tail**2) + EPSILON)).astype(np.float32)
    return result


def early_reflections(rng: np.random.Generator, count: int, latest: float) -> Audio:
    """An impulse response (M,) of `count` echoes up to `latest` s, of either sign, unit energy."""
    response = np.zeros(int(latest * RATE) + 1, np.float32)
    places = rng.integers(int(0.0007 * RATE), len(response), count)
    response[places] = rng.choice([-1, 1], count) * (1 - 0.8 * places / len(response))
    result: Audio = (response / np.sqrt(np.sum(response**2) + EPSILON)).astype(np.float32)
    return result


def coloured_noise(rng: np.random.Generator, length: int, slope: float) -> Audio:
    """Noise (length,) of unit deviation whose power falls by `slope` dB per octave."""
    size = fft.next_fast_len(length, real=True)
    shape = np.maximum(frequencies(size), 20) ** np.float32(-slope / 6.02)
    white = fft.rfft(rng.standard_normal(size, dtype=np.float32))
    noise = fft.irfft(white * shape, size)[:length]
    result: Audio = (noise / (noise.std() + EPSILON)).astype(np.float32)
    return result


def hum(rng: np.random.Generator, length: int) -> Audio:
    """Mains hum (length,): 50 or 60 Hz and its harmonics, unit deviation."""
    base = 50.0 if rng.random() < 0.5 else 60.0
    time = np.arange(length, dtype=np.float32) / RATE
    tones = [
        rng.uniform(0, 1) / order * np.sin(2 * np.pi * (base * order * time + rng.random()))
        for order in range(1, 8)
    ]
    total = np.sum(tones, axis=0)
    result: Audio = (total / (total.std() + EPSILON)).astype(np.float32)
    return result


def leaked_tones(rng: np.random.Generator, length: int) -> Audio:
    """What a song splitter leaves of bass, guitars and voices (length,), unit deviation.

    Notes of five to fifteen harmonics with soft attacks, random pitches and durations.
    """
    total = np.zeros(length, np.float32)
    low, high = sorted(rng.uniform(np.log(40), np.log(900), 2))
    for _ in range(int(rng.integers(3, 16))):
        start = int(rng.uniform(-0.1, 1) * length)
        first, last = max(start, 0), min(start + int(rng.uniform(0.15, 2.0) * RATE), length)
        if last <= first:
            continue
        time = np.arange(last - first, dtype=np.float32) / RATE
        envelope = np.minimum(time / rng.uniform(0.005, 0.2), 1) * np.exp(-time * rng.uniform(0, 4))
        pitch = float(np.exp(rng.uniform(low, high)))
        slope = rng.uniform(0.5, 2.0)
        vibrato = 1 + 0.004 * rng.random() * np.sin(2 * np.pi * 5.5 * time)
        phase = 2 * np.pi * np.cumsum(pitch * vibrato) / RATE
        for order in range(1, int(rng.integers(3, 9))):
            if order * pitch < 15000:
                tone = np.sin(order * phase + rng.uniform(0, 6.28)) / order**slope
                total[first:last] += (tone * envelope).astype(np.float32)
    result: Audio = total / (total.std() + np.float32(EPSILON))
    return result


def smear(audio: Audio, rng: np.random.Generator) -> Audio:
    """Sound (N,) without its attacks: what a splitter leaves of other instruments' noise.

    Convolved with half a second to two seconds of noise, to unit deviation.
    """
    tail = decaying_noise(rng, rng.uniform(0.5, 2.0), 4.0, rng.uniform(0, 0.5), 0.0)
    smeared = signal.oaconvolve(audio, tail)[: len(audio)]
    result: Audio = (smeared / (smeared.std() + EPSILON)).astype(np.float32)
    return result
