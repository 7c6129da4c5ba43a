"""From a rendering to a recording: random choices of what `augment` offers, in a studio's order.

Every stem on its own (gain, side, saturation), the microphones, the room they share, the bus
(compressor, saturation), the medium (band limits), and what is on the tape besides drums. The
stems of the result add up to its mixture minus its residue, to float32 rounding.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from drumsep.drums import DRUMS, STEMS
from drumsep.sampled_kits import RATE
from drumsep.train import augment
from drumsep.train.augment import decibels
from drumsep.train.microphones import close_miked
from drumsep.train.render import LOUDNESS_SPAN, Rendering

Audio = NDArray[np.float32]

LONGEST_TAIL = 1.2  # s of reverberation
SHORTEST_FADE, LONGEST_FADE = 0.001, 0.03  # s, at the ends
LATEST_CUT = 1.0  # s, before which nothing is heard
CLOSEST = 0.004  # s from a cut to the hit that it was made for, at most
TOLD = 0.005  # s of a hit that tell of it


@dataclass(frozen=True)
class Strength:
    """How often, and how much, a mix departs from the plain sum; the defaults are for training."""

    any: float = 0.75  # probability that anything is done
    equaliser: float = 3.0  # dB, standard deviation of each point, for the whole recording
    saturation: float = 0.2  # probability, per drum
    remix: float = 0.1  # probability that all stems get a gain of 0.1 to 1
    channel_swap: float = 0.3  # probability, per drum
    panning: float = 0.3  # probability, per drum
    stem_spread: float = 3.0  # dB, standard deviation of the level of a stem
    drum_spread: float = 3.0  # dB, of a drum within its stem
    extreme: float = 0.1  # probability that one stem is moved 8 to 18 dB
    bleed: float = 0.3  # probability that each drum leaks into the microphones of the others
    room: float = 0.6  # probability
    loudest_room: float = 3.0  # dB, energy of the reverberation against the direct sound
    crushed_room: float = 0.35  # probability that the room is compressed hard
    compressor: float = 0.5
    bus_saturation: float = 0.4
    medium: float = 0.4
    residue: float = 0.6
    loudest_residue: float = -26.0  # dB against the drums' peak
    faded: float = 0.5  # probability, per end, of a short fade: so are loops and songs cut
    cut: float = 0.3  # probability that it begins in the midst, half of the time with a hit


NONE = Strength(any=0.0, faded=0.0, cut=0.0)
PAPER = Strength(  # LarsNet's, section 4; kit swap, doubling and pitch are a matter of `data`
    any=1.0,
    saturation=0.3,
    remix=0.3,
    channel_swap=0.5,
    panning=0.0,
    equaliser=0.0,
    stem_spread=0.0,
    drum_spread=0.0,
    extreme=0.0,
    bleed=0.0,
    room=0.0,
    compressor=0.0,
    bus_saturation=0.0,
    medium=0.0,
    residue=0.0,
    faded=0.0,
    cut=0.0,
)
HEAVY = Strength(
    any=1.0,
    equaliser=5.0,
    stem_spread=4.0,
    bleed=0.5,
    room=0.9,
    compressor=0.8,
    bus_saturation=0.7,
    medium=0.7,
    residue=0.9,
    extreme=0.25,
    faded=0.0,
    cut=0.0,
)


@dataclass(frozen=True, eq=False)
class Mix:
    """A rendering after mixing, with what else is in the mixture."""

    rendering: Rendering
    residue: Audio  # (C, N)
    # (H,), amplitude of each hit against everything at its time, before rooms, times what is left
    # of its first moment where the recording begins and ends
    prominence: Audio

    @property
    def mixture(self) -> Audio:
        """Stems and residue (C, N)."""
        return self.rendering.mixture + self.residue


def mix(
    rendering: Rendering, strength: Strength, rng: np.random.Generator, *, together: bool = False
) -> Mix:
    """A rendering as a recording of it might sound, its mixture's peak at 1.

    `together` gives one stem, the sum of all, which takes a third of the time.
    """
    stems = rendering.stems
    gains = np.ones(len(DRUMS), np.float32)
    residue = np.zeros_like(stems[0])
    if rng.random() < strength.any:
        gains = _gains(strength, rng)
        stems = _placed(stems * gains[:, None, None], strength, rng)
        stems = _room_and_tone(stems, strength, rng, together=together)
        stems = _bus(_to_peak(stems), strength, rng)
        if rng.random() < strength.residue:
            residue = _residue(_to_peak(stems).sum(axis=0), strength, rng)
            stems = _to_peak(stems)
    ends = _ends(residue.shape[-1], rendering.onsets, strength, rng)
    stems, residue = stems * ends, residue * ends
    peak = np.abs(stems.sum(axis=0) + residue).max()
    scale = np.float32(1 / peak if peak > augment.EPSILON else 1)
    prominence = _prominence(rendering, gains) * _left(ends, rendering.onsets)
    return Mix(replace(rendering, stems=stems * scale), residue * scale, prominence)


def _prominence(rendering: Rendering, gains: Audio) -> Audio:
    """Level of each hit (H,), over the level of all drums after its onset, drums times `gains`."""
    around = np.array(
        [
            np.sqrt(np.mean(np.square(np.tensordot(gains, rendering.stems[..., first:last], 1))))
            for first, last in zip(
                rendering.onsets, rendering.onsets + round(LOUDNESS_SPAN * RATE), strict=True
            )
        ],
        np.float32,
    )
    levels: Audio = rendering.levels * gains[rendering.rows]
    return levels / (around + np.float32(augment.EPSILON))


def _ends(
    length: int, onsets: NDArray[np.int64], strength: Strength, rng: np.random.Generator
) -> Audio:
    """The gain (N,) of a recording that is cut from a longer one: silence, and fades.

    A loop begins with its first hit, another recording anywhere in what rings.
    """
    gain = np.ones(length, np.float32)
    begin = _cut(onsets, rng) if rng.random() < strength.cut else 0
    gain[:begin] = 0
    for towards in (gain[begin:], gain[::-1]):
        if rng.random() < strength.faded:
            seconds = np.exp(rng.uniform(np.log(SHORTEST_FADE), np.log(LONGEST_FADE)))
            faded = min(round(RATE * seconds), len(towards))
            towards[:faded] *= augment.rising(faded)
    return gain


def _cut(onsets: NDArray[np.int64], rng: np.random.Generator) -> int:
    """The sample that a recording begins with: any, or one just before a hit."""
    latest = round(LATEST_CUT * RATE)
    early = onsets[onsets < latest]
    if rng.random() < 0.5 or not len(early):
        return int(rng.integers(latest))
    return int(max(rng.choice(early) - rng.integers(round(CLOSEST * RATE)), 0))


def _left(ends: Audio, onsets: NDArray[np.int64]) -> Audio:
    """The mean gain (H,) of the first moment of each hit; nothing is left after the end."""
    span = round(TOLD * RATE)
    summed = np.concatenate([[0.0], np.cumsum(ends, dtype=np.float64)])
    stops = np.minimum(onsets + span, len(ends))
    left: Audio = ((summed[stops] - summed[onsets]) / span).astype(np.float32)
    return left


def _gains(strength: Strength, rng: np.random.Generator) -> Audio:
    """One amplitude for each drum (9,)."""
    of_stem = rng.normal(0, strength.stem_spread, len(STEMS))
    if rng.random() < strength.extreme:
        of_stem[rng.integers(len(STEMS))] += rng.choice([-1, -1, 1]) * rng.uniform(8, 18)
    if rng.random() < strength.remix:
        of_stem += 20 * np.log10(rng.uniform(0.1, 1, len(STEMS)))
    of_drum = rng.normal(0, strength.drum_spread, len(DRUMS))
    levels = [of_stem[drum.stem_index] + of_drum[drum.position] for drum in DRUMS]
    return np.array([decibels(level) for level in levels], np.float32)


def _to_peak(stems: Audio) -> Audio:
    """Stems (9, C, N) scaled so that their sum has a peak of 1; silence stays."""
    return stems / np.float32(max(np.abs(stems.sum(axis=0)).max(), augment.EPSILON))


def _placed(stems: Audio, strength: Strength, rng: np.random.Generator) -> Audio:
    """Stems (9, C, N) with drums moved to other sides; only stereo has sides."""
    if stems.shape[1] != 2:
        return stems
    moved = []
    for stem in stems:
        if rng.random() < strength.channel_swap:
            stem = augment.swap_channels(stem)
        if rng.random() < strength.panning:
            stem = augment.pan(stem, rng.uniform(-1, 1))
        moved.append(stem)
    return np.stack(moved)


def _room_and_tone(
    stems: Audio, strength: Strength, rng: np.random.Generator, *, together: bool
) -> Audio:
    """Saturation of every drum by itself, microphones, the room around all, the tone of it all.

    Stems (9, C, N) -> (9, C, N), or (1, C, N), their sum, where they are wanted `together`.
    """
    stems = np.stack([_driven(stem, strength, rng) for stem in stems])
    sends = np.exp(rng.normal(0, 0.5, len(DRUMS))).astype(np.float32)
    near, far = stems, stems * sends[:, None, None]
    if rng.random() < strength.bleed:
        near = close_miked(stems, rng, together=together)
    if together:
        near, far = (both.sum(axis=0, keepdims=True) for both in (near, far))
    length = stems.shape[-1]
    size = fft.next_fast_len(length + int(LONGEST_TAIL * RATE), real=True)
    direct = augment.spectrum(near, size) * _tone(size, strength, rng)
    if rng.random() >= strength.room:
        return augment.inverse(direct, length, size)
    around = augment.spectrum(far, size) * _room(size, strength, rng)
    if rng.random() >= strength.crushed_room:
        return augment.inverse(direct + around, length, size)
    wet = augment.inverse(around, length, size)
    return augment.inverse(direct, length, size) + _crushed(wet, rng)


def _driven(stem: Audio, strength: Strength, rng: np.random.Generator) -> Audio:
    """A stem (C, N), saturated or not, with the same peak but for the tanh of the drive."""
    if rng.random() >= strength.saturation or not stem.any():
        return stem
    peak = np.abs(stem).max()
    driven: Audio = augment.saturate(stem / peak, rng.uniform(1, 5)) * peak
    return driven


def _tone(size: int, strength: Strength, rng: np.random.Generator) -> Audio:
    """The frequency response of the whole recording: an equaliser and, maybe, band limits."""
    points = rng.normal(0, strength.equaliser, rng.integers(4, 11))
    response = augment.equaliser(size, points)
    if rng.random() < strength.medium:
        low, high = rng.uniform(20, 90), rng.uniform(5000, 16500)
        response = response * augment.band_limit(size, low, high, slope=rng.choice([12, 24, 90]))
    return response


def _room(size: int, strength: Strength, rng: np.random.Generator) -> NDArray[np.complexfloating]:
    """The frequency response of early echoes and a tail, from a booth to a hall or a plate."""
    tail = np.zeros(int(LONGEST_TAIL * RATE), np.float32)
    decay = np.exp(rng.uniform(np.log(0.12), np.log(2.0)))
    diffuse = augment.decaying_noise(
        rng, min(decay, LONGEST_TAIL), decay, rng.uniform(0, 0.9), rng.uniform(0, 0.03)
    )
    tail[: len(diffuse)] += diffuse[: len(tail)]
    echoes = augment.early_reflections(rng, int(rng.integers(2, 20)), rng.uniform(0.004, 0.05))
    tail[: len(echoes)] += echoes * np.float32(rng.uniform(0, 1.5))
    level = decibels(rng.uniform(-24, strength.loudest_room))
    return augment.spectrum(tail * np.float32(level), size)


def _crushed(wet: Audio, rng: np.random.Generator) -> Audio:
    """The room through a hard compressor, as engineers like it."""
    total = wet.sum(axis=0)
    peak = float(np.abs(total).max()) + augment.EPSILON
    gain = augment.compressor_gain(
        total,
        threshold=peak * rng.uniform(0.05, 0.2),
        ratio=rng.uniform(4, 20),
        attack=rng.uniform(0.0005, 0.01),
        release=rng.uniform(0.05, 0.4),
    )
    return wet * gain * np.float32(rng.uniform(1, 2.5))


def _bus(stems: Audio, strength: Strength, rng: np.random.Generator) -> Audio:
    """Compressor and saturation of the sum; stems with a sum of peak 1."""
    if rng.random() < strength.compressor:
        gain = augment.compressor_gain(
            stems.sum(axis=0),
            threshold=decibels(rng.uniform(-26, -4)),
            ratio=rng.uniform(1.5, 8),
            attack=float(np.exp(rng.uniform(np.log(0.0003), np.log(0.03)))),
            release=rng.uniform(0.03, 0.4),
        )
        stems = _to_peak(stems * gain)
    if rng.random() < strength.bus_saturation:
        stems = stems * augment.saturation_gain(stems.sum(axis=0), rng.uniform(1, 5))
    return stems


def _residue(mixture: Audio, strength: Strength, rng: np.random.Generator) -> Audio:
    """Noise, hum, leaked tones and smears (C, N), for drums (C, N) with a peak of 1."""
    length = mixture.shape[-1]
    kinds: tuple[tuple[float, float, Callable[[], Audio]], ...] = (
        (0.7, -25, lambda: augment.coloured_noise(rng, length, rng.uniform(-3, 6))),
        (0.15, -10, lambda: augment.hum(rng, length)),
        (0.25, 0, lambda: augment.leaked_tones(rng, length)),
        (0.2, 0, lambda: augment.smear(mixture[0], rng)),
    )
    total = np.zeros(length, np.float32)
    for probability, offset, make in kinds:
        if rng.random() < probability:
            level = strength.loudest_residue + offset + rng.uniform(-25, 0)
            total += make() * np.float32(decibels(level))
    return np.repeat(total[None], mixture.shape[0], axis=0)
