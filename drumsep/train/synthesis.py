"""Kits that nobody recorded: drums built from the physics of membranes, plates and noise.

Recorded kits are few, and their cymbals fewer; a network that heard only these knows them by
heart. Here every sound is a sum of decaying modes and of shaped noise whose parameters are drawn
anew for each kit, over the whole range that drums and drum machines cover. Files are laid out as
`sampled_kits` reads them.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from drumsep.results import Audio
from drumsep.sampled_kits import BELL, PEDAL, RATE, XSTICK, SampledKit, read_kit
from drumsep.train import augment
from drumsep.wav import write_audio

Sound = NDArray[np.float32]
Floats = NDArray[np.floating]

BEFORE = 22  # samples of silence before the onset
STEP = 512  # samples that modes are worked out at a time
FADE = 0.2  # share of a sound over which its end is faded out
PEAK = 0.9
LAYERS = ((1, 70), (71, 127))  # velocities of the soft and the hard recordings
SOFTNESS = (0.35, 1.0)  # of the blow: how much of the high end and of the stick is left
ROUND_ROBINS = 2
MACHINES = 0.25  # share of kits that are drum machines
EXPONENTS = {"kick": 1.0, "hihat-closed": 1.2, "hihat-open": 1.2, PEDAL: 1.2, "default": 1.5}

# Frequencies of a circular membrane's modes over the lowest (Fletcher & Rossing, The Physics of
# Musical Instruments, section 18.1).
MEMBRANE = np.array([1.0, 1.594, 2.136, 2.296, 2.653, 2.918, 3.156, 3.501, 3.600, 3.652])

# Energy of the first LOUDNESS_SPAN at velocity 127, dB against the snare; see `loudness`.
LOUDNESS_SPAN = 0.3  # s
LEVELS = {
    "kick": 1.0,
    "snare": 0.0,
    "tom-high": 0.0,
    "tom-mid": 0.0,
    "tom-floor": 0.0,
    "hihat-closed": -5.0,
    "hihat-open": -1.0,
    "crash": 1.0,
    "ride": -7.0,
    XSTICK: -6.0,
    PEDAL: -9.0,
    BELL: -6.0,
}
SNARE_GAIN = -6.0  # dB


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


def synthetic_kits(folder: Path, count: int, seed: int) -> tuple[SampledKit, ...]:
    """Kits `synthetic-000` and so on, mono, from `folder`; those not there yet are made (3 s each).

    Raises:
        DrumsepError: a file cannot be written or read.
    """
    folders = [folder / f"synthetic-{number:03}" for number in range(count)]
    for number, kit in enumerate(folders):
        if not (kit / "kit.json").exists():
            _write_kit(kit, np.random.default_rng((seed, number)))
    return tuple(read_kit(kit, channels=1) for kit in folders)


def _write_kit(folder: Path, rng: np.random.Generator) -> None:
    """One kit; kit.json comes last, so that a kit that has one is whole."""
    machine = bool(rng.random() < MACHINES)
    instruments = _machine(rng) if machine else _drummer(rng)
    classes = {name: _files(folder, name, hit, rng) for name, hit in instruments.items()}
    facts = {
        "id": folder.name,
        "licence": "CC0-1.0",
        "electronic": machine,
        "pre_onset_samples": BEFORE,
        "velocity_exponent": EXPONENTS,
        "classes": classes,
    }
    (folder / "kit.json").write_text(json.dumps(facts, indent=1), encoding="utf-8")


Hit = Callable[[float, np.random.Generator], Sound]  # (softness, round robin) -> (N,)


def _files(
    folder: Path, name: str, hit: Hit, rng: np.random.Generator
) -> list[dict[str, str | int | float]]:
    """Record one instrument; the entries of its class in kit.json."""
    entries: list[dict[str, str | int | float]] = []
    (folder / name).mkdir(parents=True, exist_ok=True)
    for layer, ((lowest, highest), softness) in enumerate(zip(LAYERS, SOFTNESS, strict=True)):
        for turn in range(ROUND_ROBINS):
            sound = _finished(hit(softness, rng))
            file = f"{name}/v{layer}_r{turn}.wav"
            write_audio(folder / file, Audio(sound[None], RATE), "16")
            entries.append(
                {
                    "file": file,
                    "layer": layer,
                    "velocity_lo": lowest,
                    "velocity_hi": highest,
                    "gain_db": round(SNARE_GAIN + LEVELS[name] - loudness(sound), 2),
                }
            )
    return entries


def _finished(sound: Sound) -> Sound:
    """A sound with its silence before, faded in and out, at PEAK."""
    fade = int(len(sound) * FADE)
    sound[-fade:] *= np.linspace(1, 0, fade, dtype=np.float32) ** 2
    sound[:BEFORE] *= np.linspace(0, 1, BEFORE, dtype=np.float32)
    padded = np.pad(sound, (BEFORE, 0))
    return padded * np.float32(PEAK / np.abs(padded).max())


def loudness(sound: Sound) -> float:
    """Level in dB of the first LOUDNESS_SPAN, lows taken off and highs raised as ears do."""
    span = int(LOUDNESS_SPAN * RATE)
    size = 1 << span.bit_length()
    hearing = augment.equaliser(size, np.array([-12.0, -2, 0, 0, 2, 4, 4]))
    heard = augment.inverse(augment.spectrum(sound[:span], size) * hearing, span, size)
    return float(10 * np.log10(np.mean(np.square(heard)) + augment.EPSILON))


def _between(rng: np.random.Generator, low: float, high: float) -> float:
    """A number between two positive ones, evenly over their logarithm."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def _hiss(
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


def _gliding(
    frequencies: Floats, amplitudes: Floats, decays: Floats, glide: float, time: float, long: float
) -> Sound:
    """Modes (N,) that start `glide` times as high and fall with the time constant `time` s."""
    clock = np.arange(int(long * RATE)) / RATE
    phase = 2 * np.pi * (clock + (glide - 1) * time * (1 - np.exp(-clock / time)))
    modes = amplitudes[:, None] * np.exp(-clock / decays[:, None])
    sound: Sound = (modes * np.sin(frequencies[:, None] * phase)).sum(axis=0).astype(np.float32)
    return sound


def _sum(*parts: tuple[float, Sound]) -> Sound:
    """Sounds of different lengths, each brought to a peak of its level (amplitude), and added."""
    total = np.zeros(max(len(sound) for _, sound in parts), np.float32)
    for level, sound in parts:
        total[: len(sound)] += float(level / (np.abs(sound).max() + augment.EPSILON)) * sound
    return total


def _drummer(rng: np.random.Generator) -> Mapping[str, Hit]:
    """An acoustic kit: every instrument by class name."""
    floor = _between(rng, 60, 110)
    middle = floor * rng.uniform(1.2, 1.6)
    high = middle * rng.uniform(1.15, 1.5)
    hat = _plate(rng, lowest=(150, 900), brightest=(1500, 11000))
    return {
        "kick": _kick(rng),
        "snare": _snare(rng),
        XSTICK: _rim(rng),
        "tom-floor": _tom(rng, floor),
        "tom-mid": _tom(rng, middle),
        "tom-high": _tom(rng, high),
        "hihat-closed": _hat(rng, hat, _between(rng, 0.015, 0.2)),
        PEDAL: _hat(rng, hat, _between(rng, 0.015, 0.08)),
        "hihat-open": _hat(rng, hat, _between(rng, 0.15, 1.0)),
        "crash": _crash(rng),
        **_rides(rng),
    }


def _machine(rng: np.random.Generator) -> Mapping[str, Hit]:
    """A drum machine: fewer modes, plainer noise, wider ranges."""
    floor = _between(rng, 55, 130)
    middle = floor * rng.uniform(1.2, 1.8)
    high = middle * rng.uniform(1.2, 1.8)
    squares = _squares(rng)
    return {
        "kick": _machine_kick(rng),
        "snare": _machine_snare(rng),
        "tom-floor": _machine_tom(rng, floor),
        "tom-mid": _machine_tom(rng, middle),
        "tom-high": _machine_tom(rng, high),
        "hihat-closed": _metal(rng, squares, _between(rng, 0.01, 0.08)),
        "hihat-open": _metal(rng, squares, _between(rng, 0.12, 0.6)),
        "crash": _metal(rng, squares, _between(rng, 0.4, 1.2)),
        "ride": _metal(rng, _squares(rng), _between(rng, 0.15, 0.8)),
    }


def _kick(rng: np.random.Generator) -> Hit:
    """A low membrane whose pitch falls, the beater's click, the air in the shell."""
    lowest, glide, time = _between(rng, 42, 90), rng.uniform(1.0, 2.5), _between(rng, 0.008, 0.05)
    ratios = MEMBRANE[:5] * rng.uniform(0.95, 1.08, 5)
    decays = _between(rng, 0.03, 0.3) * ratios ** -rng.uniform(0.3, 1.2)
    levels = np.array([1, *rng.uniform(0, 0.5, 4)])
    click, air = _between(rng, 0.02, 0.7), _between(rng, 0.01, 0.25)
    click_tone = rng.normal([-20, -10, 0, 5, 5, 0, -10], 6)
    air_tone, air_decay = rng.normal([5, 5, 0, -10, -15, -25], 6), _between(rng, 0.03, 0.3)
    click_decay = _between(rng, 0.001, 0.008)

    def hit(softness: float, rng: np.random.Generator) -> Sound:
        levels_now = levels * rng.uniform(0.8, 1.2, 5)
        skin = _gliding(lowest * ratios, levels_now, decays, glide, time, 6 * decays.max())
        beater = _hiss(rng, click_tone, click_decay, 0.05)
        return _sum(
            (1.0, skin), (click * softness, beater), (air, _hiss(rng, air_tone, air_decay, 0.5))
        )

    return hit


def _snare(rng: np.random.Generator) -> Hit:
    """Two skins, the wires' noise, the stick."""
    lowest, glide = _between(rng, 130, 340), rng.uniform(1.0, 1.25)
    ratios = MEMBRANE[:8] * rng.uniform(0.92, 1.1, 8)
    decays = _between(rng, 0.02, 0.15) * ratios ** -rng.uniform(0, 1)
    levels = rng.uniform(0.1, 1, 8) * ratios ** -rng.uniform(0.3, 1.5)
    wires, wire_decay = _between(rng, 0.05, 1.0), _between(rng, 0.02, 0.15)
    wire_tone = rng.normal([-20, -8, -2, 2, 4, 3, 0], 4)
    stick, stick_tone = _between(rng, 0.1, 0.8), rng.normal([-15, -5, 0, 4, 4, 0], 5)
    low = _between(rng, 200, 1500)

    def hit(softness: float, rng: np.random.Generator) -> Sound:
        levels_now = levels * rng.uniform(0.7, 1.3, 8)
        skin = _gliding(lowest * ratios, levels_now, decays, glide, 0.02, 6 * decays.max())
        rattle = _hiss(rng, wire_tone, wire_decay * rng.uniform(0.9, 1.1), 6 * wire_decay, low)
        blow = _hiss(rng, stick_tone, 0.003, 0.03)
        return _sum((1.0, skin), (wires, rattle), (stick * softness, blow))

    return hit


def _rim(rng: np.random.Generator) -> Hit:
    """A stick laid across the snare: short wood with a little of the skin."""
    modes = np.sort(np.exp(rng.uniform(np.log(350), np.log(5000), 9)))
    decays = rng.uniform(0.006, 0.04, 9)
    levels = rng.uniform(0.1, 1, 9)

    def hit(softness: float, rng: np.random.Generator) -> Sound:
        bright = softness ** (modes / 2500)
        wood = Modes(modes, levels * bright * rng.uniform(0.7, 1.3, 9), decays).sound(0.3, rng)
        return _sum((1.0, wood), (0.3 * softness, _hiss(rng, np.zeros(2), 0.002, 0.02, 1000)))

    return hit


def _tom(rng: np.random.Generator, lowest: float) -> Hit:
    """A membrane with a slight fall in pitch and a stick."""
    glide, time = rng.uniform(1.0, 1.35), _between(rng, 0.02, 0.12)
    ratios = MEMBRANE * rng.uniform(0.95, 1.06, len(MEMBRANE))
    decays = _between(rng, 0.08, 0.6) * ratios ** -rng.uniform(0.2, 1.2)
    levels = rng.uniform(0.1, 1, len(ratios)) * ratios ** -rng.uniform(0.5, 2)
    stick, stick_tone = _between(rng, 0.03, 0.5), rng.normal([-10, 0, 3, 3, -3, -10], 5)
    rattle = _between(rng, 0.005, 0.15)  # of snare wires nearby

    def hit(softness: float, rng: np.random.Generator) -> Sound:
        levels_now = levels * rng.uniform(0.7, 1.3, len(ratios)) * softness ** (ratios / 3)
        skin = _gliding(lowest * ratios, levels_now, decays, glide, time, 6 * decays.max())
        return _sum(
            (1.0, skin),
            (stick * softness, _hiss(rng, stick_tone, 0.004, 0.05)),
            (rattle, _hiss(rng, np.array([-20.0, -5, 0, 0]), 0.15, 0.6)),
        )

    return hit


def _plate(
    rng: np.random.Generator, lowest: tuple[float, float], brightest: tuple[float, float]
) -> Modes:
    """The modes of a cymbal: evenly dense in frequency, as a plate's are, with decays of 1 s.

    Their levels gather around one frequency, with a roughness from mode to mode and broad bumps.
    """
    count = int(_between(rng, 600, 3000))
    frequencies = rng.uniform(_between(rng, *lowest), 18000, count)
    octaves = np.log2(frequencies / _between(rng, *brightest))
    slopes = rng.uniform(1, 10, 2)
    levels = -np.where(octaves < 0, slopes[0], slopes[1]) * np.abs(octaves)
    bumps = np.interp(octaves, np.linspace(-6, 3, 10), rng.normal(0, 5, 10))
    levels = levels + bumps + rng.normal(0, rng.uniform(2, 8), count)
    decays = (frequencies / 1000) ** -rng.uniform(0.1, 0.9) * np.exp(rng.normal(0, 0.3, count))
    return Modes(frequencies, 10 ** (levels / 20), decays)


def _struck(
    plate: Modes, decay: float, softness: float, rng: np.random.Generator, bloom: float = 0.0
) -> Modes:
    """A plate struck in another place each time; with `bloom` s its high end comes later."""
    places = rng.normal(0, 2, len(plate.frequencies))
    dulled = 10 ** (places / 20) * softness ** (plate.frequencies / 8000)
    rises = bloom * (plate.frequencies / 5000) if bloom else None
    return Modes(plate.frequencies, plate.amplitudes * dulled, plate.decays * decay, rises)


def _hat(rng: np.random.Generator, plate: Modes, decay: float) -> Hit:
    """Two plates: closed they damp each other at once, open they sizzle."""
    stick, sizzle = _between(rng, 0.05, 0.8), _between(rng, 0.1, 1.5)
    tone = rng.normal([-25, -15, -5, 0, 3, 3], 4)
    seconds = min(6 * decay + 0.1, 3.5)

    def hit(softness: float, rng: np.random.Generator) -> Sound:
        now = decay * rng.uniform(0.85, 1.15)
        plates = _struck(plate, now, softness, rng).sound(seconds, rng)
        noise = _hiss(rng, tone, now, seconds, 1500)
        chick = _hiss(rng, tone, 0.004, 0.03, 800)
        return _sum((1.0, plates), (sizzle, noise), (stick * softness, chick))

    return hit


def _crash(rng: np.random.Generator) -> Hit:
    """A thin plate, its whole surface driven: splashes, crashes, chinas."""
    plate = _plate(rng, lowest=(120, 500), brightest=(1500, 8000))
    decay, bloom = _between(rng, 0.25, 2.2), _between(rng, 0.0005, 0.02)
    stick, tone = _between(rng, 0.02, 0.5), rng.normal([-20, -8, 0, 2, 2, 0], 4)

    def hit(softness: float, rng: np.random.Generator) -> Sound:
        wash = _struck(plate, decay, softness, rng, bloom).sound(min(5 * decay, 4.0), rng)
        return _sum((1.0, wash), (stick * softness, _hiss(rng, tone, 0.006, 0.06, 300)))

    return hit


def _rides(rng: np.random.Generator) -> Mapping[str, Hit]:
    """A heavy plate: the stick's ping over a wash, and the bell's few clear modes."""
    plate = _plate(rng, lowest=(150, 500), brightest=(2000, 10000))
    decay, wash_level = _between(rng, 0.5, 2.5), _between(rng, 0.1, 1.5)
    pings = _clear(rng, int(rng.integers(6, 40)), (1500, 11000), (0.05, 0.7))
    bells = _clear(rng, int(rng.integers(4, 14)), (500, 6000), (0.3, 1.8))
    stick, tone = _between(rng, 0.05, 1.0), rng.normal([-25, -10, -3, 2, 3, 0], 4)
    bell_level = _between(rng, 0.5, 3.0)

    def struck(clear: Modes, level: float) -> Hit:
        def hit(softness: float, rng: np.random.Generator) -> Sound:
            seconds = min(5 * decay, 4.0)
            wash = _struck(plate, decay, softness, rng, 0.004).sound(seconds, rng)
            ping = _struck(clear, 1.0, softness, rng).sound(min(seconds, 3.0), rng)
            blow = _hiss(rng, tone, 0.003, 0.03, 1000)
            return _sum((level, ping), (wash_level, wash), (stick * softness, blow))

        return hit

    return {"ride": struck(pings, 1.0), BELL: struck(bells, bell_level)}


def _clear(
    rng: np.random.Generator, count: int, span: tuple[float, float], decays: tuple[float, float]
) -> Modes:
    """A few modes that stand out."""
    frequencies = np.exp(rng.uniform(np.log(span[0]), np.log(span[1]), count))
    times = _between(rng, *decays) * np.exp(rng.normal(0, 0.4, count))
    return Modes(frequencies, 10 ** (rng.normal(0, 6, count) / 20), times)


def _machine_kick(rng: np.random.Generator) -> Hit:
    """One sine that falls from far above, driven, with or without a click."""
    lowest, glide, time = _between(rng, 38, 80), _between(rng, 1.5, 10), _between(rng, 0.004, 0.08)
    decay, drive = _between(rng, 0.08, 0.7), _between(rng, 0.3, 6)
    click = _between(rng, 0.01, 0.4)

    def hit(softness: float, rng: np.random.Generator) -> Sound:
        one = np.ones(1)
        sine = _gliding(lowest * one, one, decay * one, glide, time, min(6 * decay, 2.5))
        driven = augment.saturate(sine, drive * softness)
        return _sum((1.0, driven), (click * softness, _hiss(rng, np.zeros(2), 0.002, 0.02, 500)))

    return hit


def _machine_snare(rng: np.random.Generator) -> Hit:
    """Two sines and a burst of noise."""
    sines = np.array([_between(rng, 120, 260), _between(rng, 200, 500)])
    glide = rng.uniform(1.0, 2.0)
    decays, tone = rng.uniform(0.02, 0.18, 2), rng.normal([-15, -5, 0, 3, 3], 4)
    noise, decay = _between(rng, 0.2, 3.0), _between(rng, 0.03, 0.3)
    low = _between(rng, 300, 3000)

    def hit(softness: float, rng: np.random.Generator) -> Sound:
        body = _gliding(sines, np.array([1.0, 0.5]), decays, glide, 0.01, 1.0)
        return _sum((1.0, body), (noise * softness, _hiss(rng, tone, decay, 5 * decay, low)))

    return hit


def _machine_tom(rng: np.random.Generator, lowest: float) -> Hit:
    """A falling sine and some noise."""
    glide, time = rng.uniform(1.0, 2.5), _between(rng, 0.02, 0.15)
    decay, noise = _between(rng, 0.08, 0.5), _between(rng, 0.005, 0.3)

    def hit(softness: float, rng: np.random.Generator) -> Sound:
        modes = lowest * np.array([1.0, 1.5])
        sine = _gliding(modes, np.array([1.0, 0.2]), np.full(2, decay), glide, time, 5 * decay)
        hiss = _hiss(rng, np.array([0.0, 0, -5, -15]), decay / 2, 3 * decay)
        return _sum((1.0, sine), (noise * softness, hiss))

    return hit


def _squares(rng: np.random.Generator) -> Modes:
    """Odd harmonics of six square waves that are out of tune, decaying in 1 s."""
    bases = np.exp(rng.uniform(np.log(150), np.log(1200), 6))
    orders = np.arange(1, 80, 2)
    frequencies, levels = np.outer(bases, orders).ravel(), np.tile(1 / orders, 6)
    kept = frequencies < 18000
    high = (frequencies[kept] / 6000) ** rng.uniform(0.5, 2)  # the machine's high-pass
    return Modes(frequencies[kept], levels[kept] * high, np.ones(int(kept.sum())))


def _metal(rng: np.random.Generator, squares: Modes, decay: float) -> Hit:
    """Square waves or noise, high-passed, with one decay: a machine's hats and cymbals."""
    noise, tone = _between(rng, 0.05, 5.0), rng.normal([-25, -12, 0, 3, 3], 4)
    low, seconds = _between(rng, 800, 6000), min(5 * decay + 0.05, 3.5)

    def hit(softness: float, rng: np.random.Generator) -> Sound:
        metal = _struck(squares, decay, 1.0, rng).sound(seconds, rng)
        return _sum((1.0, metal), (noise, _hiss(rng, tone, decay, seconds, low))) * np.float32(
            softness
        )

    return hit
