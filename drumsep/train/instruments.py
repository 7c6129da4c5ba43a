"""Drums and cymbals to strike: membranes, plates and noise with parameters drawn at random.

The ranges were chosen so that spectral centroids and decays spread about as widely as those of the
recorded kits.
"""

from collections.abc import Callable, Mapping

import numpy as np

from drumsep.sampled_kits import BELL, PEDAL, XSTICK
from drumsep.train import augment
from drumsep.train.sound_sources import Modes, Sound, between, gliding, hiss, together

# Struck with a force, from 0 to 1, an instrument sounds (N,); a little different each time.
Instrument = Callable[[float, np.random.Generator], Sound]

# Frequencies of a circular membrane's modes over the lowest: zeros of Bessel functions.
MEMBRANE = np.array([1.0, 1.593, 2.136, 2.295, 2.653, 2.917, 3.156, 3.5, 3.599, 3.648])


def acoustic_kit(rng: np.random.Generator) -> Mapping[str, Instrument]:
    """An acoustic kit: every instrument by class name."""
    floor = between(rng, 60, 110)
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
        "hihat-closed": _hat(rng, hat, between(rng, 0.015, 0.2)),
        PEDAL: _hat(rng, hat, between(rng, 0.015, 0.08)),
        "hihat-open": _hat(rng, hat, between(rng, 0.15, 1.0)),
        "crash": _crash(rng),
        **_rides(rng),
    }


def drum_machine(rng: np.random.Generator) -> Mapping[str, Instrument]:
    """A drum machine: fewer modes, plainer noise, wider ranges."""
    floor = between(rng, 55, 130)
    middle = floor * rng.uniform(1.2, 1.8)
    high = middle * rng.uniform(1.2, 1.8)
    squares = _squares(rng)
    return {
        "kick": _machine_kick(rng),
        "snare": _machine_snare(rng),
        "tom-floor": _machine_tom(rng, floor),
        "tom-mid": _machine_tom(rng, middle),
        "tom-high": _machine_tom(rng, high),
        "hihat-closed": _metal(rng, squares, between(rng, 0.01, 0.08)),
        "hihat-open": _metal(rng, squares, between(rng, 0.12, 0.6)),
        "crash": _metal(rng, squares, between(rng, 0.4, 1.2)),
        "ride": _metal(rng, _squares(rng), between(rng, 0.15, 0.8)),
    }


def _kick(rng: np.random.Generator) -> Instrument:
    """A low membrane whose pitch falls, the beater's click, the air in the shell."""
    lowest, glide, time = between(rng, 42, 90), rng.uniform(1.0, 2.5), between(rng, 0.008, 0.05)
    ratios = MEMBRANE[:5] * rng.uniform(0.95, 1.08, 5)
    decays = between(rng, 0.03, 0.3) * ratios ** -rng.uniform(0.3, 1.2)
    levels = np.array([1, *rng.uniform(0, 0.5, 4)])
    click, air = between(rng, 0.02, 0.7), between(rng, 0.01, 0.25)
    click_tone = rng.normal([-20, -10, 0, 5, 5, 0, -10], 6)
    air_tone, air_decay = rng.normal([5, 5, 0, -10, -15, -25], 6), between(rng, 0.03, 0.3)
    click_decay = between(rng, 0.001, 0.008)

    def hit(force: float, rng: np.random.Generator) -> Sound:
        levels_now = levels * rng.uniform(0.8, 1.2, 5)
        skin = gliding(lowest * ratios, levels_now, decays, glide, time, 6 * decays.max())
        beater = hiss(rng, click_tone, click_decay, 0.05)
        return together(
            (1.0, skin), (click * force, beater), (air, hiss(rng, air_tone, air_decay, 0.5))
        )

    return hit


def _snare(rng: np.random.Generator) -> Instrument:
    """Two skins, the wires' noise, the stick."""
    lowest, glide = between(rng, 130, 340), rng.uniform(1.0, 1.25)
    ratios = MEMBRANE[:8] * rng.uniform(0.92, 1.1, 8)
    decays = between(rng, 0.02, 0.15) * ratios ** -rng.uniform(0, 1)
    levels = rng.uniform(0.1, 1, 8) * ratios ** -rng.uniform(0.3, 1.5)
    wires, wire_decay = between(rng, 0.05, 1.0), between(rng, 0.02, 0.15)
    wire_tone = rng.normal([-20, -8, -2, 2, 4, 3, 0], 4)
    stick, stick_tone = between(rng, 0.1, 0.8), rng.normal([-15, -5, 0, 4, 4, 0], 5)
    low = between(rng, 200, 1500)

    def hit(force: float, rng: np.random.Generator) -> Sound:
        levels_now = levels * rng.uniform(0.7, 1.3, 8)
        skin = gliding(lowest * ratios, levels_now, decays, glide, 0.02, 6 * decays.max())
        rattle = hiss(rng, wire_tone, wire_decay * rng.uniform(0.9, 1.1), 6 * wire_decay, low)
        blow = hiss(rng, stick_tone, 0.003, 0.03)
        return together((1.0, skin), (wires, rattle), (stick * force, blow))

    return hit


def _rim(rng: np.random.Generator) -> Instrument:
    """A stick laid across the snare: short wood with a little of the skin."""
    modes = np.sort(np.exp(rng.uniform(np.log(350), np.log(5000), 9)))
    decays = rng.uniform(0.006, 0.04, 9)
    levels = rng.uniform(0.1, 1, 9)

    def hit(force: float, rng: np.random.Generator) -> Sound:
        bright = force ** (modes / 2500)
        wood = Modes(modes, levels * bright * rng.uniform(0.7, 1.3, 9), decays).sound(0.3, rng)
        return together((1.0, wood), (0.3 * force, hiss(rng, np.zeros(2), 0.002, 0.02, 1000)))

    return hit


def _tom(rng: np.random.Generator, lowest: float) -> Instrument:
    """A membrane with a slight fall in pitch and a stick."""
    glide, time = rng.uniform(1.0, 1.35), between(rng, 0.02, 0.12)
    ratios = MEMBRANE * rng.uniform(0.95, 1.06, len(MEMBRANE))
    decays = between(rng, 0.08, 0.6) * ratios ** -rng.uniform(0.2, 1.2)
    levels = rng.uniform(0.1, 1, len(ratios)) * ratios ** -rng.uniform(0.5, 2)
    stick, stick_tone = between(rng, 0.03, 0.5), rng.normal([-10, 0, 3, 3, -3, -10], 5)
    rattle = between(rng, 0.005, 0.15)  # of snare wires nearby

    def hit(force: float, rng: np.random.Generator) -> Sound:
        levels_now = levels * rng.uniform(0.7, 1.3, len(ratios)) * force ** (ratios / 3)
        skin = gliding(lowest * ratios, levels_now, decays, glide, time, 6 * decays.max())
        return together(
            (1.0, skin),
            (stick * force, hiss(rng, stick_tone, 0.004, 0.05)),
            (rattle, hiss(rng, np.array([-20.0, -5, 0, 0]), 0.15, 0.6)),
        )

    return hit


def _plate(
    rng: np.random.Generator, lowest: tuple[float, float], brightest: tuple[float, float]
) -> Modes:
    """The modes of a cymbal: evenly dense in frequency, as a plate's are, with decays of 1 s.

    Their levels gather around one frequency, with a roughness from mode to mode and broad bumps.
    """
    count = int(between(rng, 600, 3000))
    frequencies = rng.uniform(between(rng, *lowest), 18000, count)
    octaves = np.log2(frequencies / between(rng, *brightest))
    slopes = rng.uniform(1, 10, 2)
    levels = -np.where(octaves < 0, slopes[0], slopes[1]) * np.abs(octaves)
    bumps = np.interp(octaves, np.linspace(-6, 3, 10), rng.normal(0, 5, 10))
    levels = levels + bumps + rng.normal(0, rng.uniform(2, 8), count)
    decays = (frequencies / 1000) ** -rng.uniform(0.1, 0.9) * np.exp(rng.normal(0, 0.3, count))
    return Modes(frequencies, 10 ** (levels / 20), decays)


def _struck(
    plate: Modes, decay: float, force: float, rng: np.random.Generator, bloom: float = 0.0
) -> Modes:
    """A plate struck in another place each time; with `bloom` s its high end comes later."""
    places = rng.normal(0, 2, len(plate.frequencies))
    dulled = 10 ** (places / 20) * force ** (plate.frequencies / 8000)
    rises = bloom * (plate.frequencies / 5000) if bloom else None
    return Modes(plate.frequencies, plate.amplitudes * dulled, plate.decays * decay, rises)


def _hat(rng: np.random.Generator, plate: Modes, decay: float) -> Instrument:
    """Two plates: closed they damp each other at once, open they sizzle."""
    stick, sizzle = between(rng, 0.05, 0.8), between(rng, 0.1, 1.5)
    tone = rng.normal([-25, -15, -5, 0, 3, 3], 4)
    seconds = min(6 * decay + 0.1, 3.5)

    def hit(force: float, rng: np.random.Generator) -> Sound:
        now = decay * rng.uniform(0.85, 1.15)
        plates = _struck(plate, now, force, rng).sound(seconds, rng)
        noise = hiss(rng, tone, now, seconds, 1500)
        chick = hiss(rng, tone, 0.004, 0.03, 800)
        return together((1.0, plates), (sizzle, noise), (stick * force, chick))

    return hit


def _crash(rng: np.random.Generator) -> Instrument:
    """A thin plate, its whole surface driven: splashes, crashes, chinas."""
    plate = _plate(rng, lowest=(120, 500), brightest=(1500, 8000))
    decay, bloom = between(rng, 0.25, 2.2), between(rng, 0.0005, 0.02)
    stick, tone = between(rng, 0.02, 0.5), rng.normal([-20, -8, 0, 2, 2, 0], 4)

    def hit(force: float, rng: np.random.Generator) -> Sound:
        wash = _struck(plate, decay, force, rng, bloom).sound(min(5 * decay, 4.0), rng)
        return together((1.0, wash), (stick * force, hiss(rng, tone, 0.006, 0.06, 300)))

    return hit


def _rides(rng: np.random.Generator) -> Mapping[str, Instrument]:
    """A heavy plate: the stick's ping over a wash, and the bell's few clear modes."""
    plate = _plate(rng, lowest=(150, 500), brightest=(2000, 10000))
    decay, wash_level = between(rng, 0.5, 2.5), between(rng, 0.1, 1.5)
    pings = _clear(rng, int(rng.integers(6, 40)), (1500, 11000), (0.05, 0.7))
    bells = _clear(rng, int(rng.integers(4, 14)), (500, 6000), (0.3, 1.8))
    stick, tone = between(rng, 0.05, 1.0), rng.normal([-25, -10, -3, 2, 3, 0], 4)
    bell_level = between(rng, 0.5, 3.0)

    def struck(clear: Modes, level: float) -> Instrument:
        def hit(force: float, rng: np.random.Generator) -> Sound:
            seconds = min(5 * decay, 4.0)
            wash = _struck(plate, decay, force, rng, 0.004).sound(seconds, rng)
            ping = _struck(clear, 1.0, force, rng).sound(min(seconds, 3.0), rng)
            blow = hiss(rng, tone, 0.003, 0.03, 1000)
            return together((level, ping), (wash_level, wash), (stick * force, blow))

        return hit

    return {"ride": struck(pings, 1.0), BELL: struck(bells, bell_level)}


def _clear(
    rng: np.random.Generator, count: int, span: tuple[float, float], decays: tuple[float, float]
) -> Modes:
    """A few modes that stand out."""
    frequencies = np.exp(rng.uniform(np.log(span[0]), np.log(span[1]), count))
    times = between(rng, *decays) * np.exp(rng.normal(0, 0.4, count))
    return Modes(frequencies, 10 ** (rng.normal(0, 6, count) / 20), times)


def _machine_kick(rng: np.random.Generator) -> Instrument:
    """One sine that falls from far above, driven, with or without a click."""
    lowest, glide, time = between(rng, 38, 80), between(rng, 1.5, 10), between(rng, 0.004, 0.08)
    decay, drive = between(rng, 0.08, 0.7), between(rng, 0.3, 6)
    click = between(rng, 0.01, 0.4)

    def hit(force: float, rng: np.random.Generator) -> Sound:
        one = np.ones(1)
        sine = gliding(lowest * one, one, decay * one, glide, time, min(6 * decay, 2.5))
        driven = augment.saturate(sine, drive * force)
        return together((1.0, driven), (click * force, hiss(rng, np.zeros(2), 0.002, 0.02, 500)))

    return hit


def _machine_snare(rng: np.random.Generator) -> Instrument:
    """Two sines and a burst of noise."""
    sines = np.array([between(rng, 120, 260), between(rng, 200, 500)])
    glide = rng.uniform(1.0, 2.0)
    decays, tone = rng.uniform(0.02, 0.18, 2), rng.normal([-15, -5, 0, 3, 3], 4)
    noise, decay = between(rng, 0.2, 3.0), between(rng, 0.03, 0.3)
    low = between(rng, 300, 3000)

    def hit(force: float, rng: np.random.Generator) -> Sound:
        body = gliding(sines, np.array([1.0, 0.5]), decays, glide, 0.01, 1.0)
        return together((1.0, body), (noise * force, hiss(rng, tone, decay, 5 * decay, low)))

    return hit


def _machine_tom(rng: np.random.Generator, lowest: float) -> Instrument:
    """A falling sine and some noise."""
    glide, time = rng.uniform(1.0, 2.5), between(rng, 0.02, 0.15)
    decay, noise = between(rng, 0.08, 0.5), between(rng, 0.005, 0.3)

    def hit(force: float, rng: np.random.Generator) -> Sound:
        modes = lowest * np.array([1.0, 1.5])
        sine = gliding(modes, np.array([1.0, 0.2]), np.full(2, decay), glide, time, 5 * decay)
        air = hiss(rng, np.array([0.0, 0, -5, -15]), decay / 2, 3 * decay)
        return together((1.0, sine), (noise * force, air))

    return hit


def _squares(rng: np.random.Generator) -> Modes:
    """Odd harmonics of six square waves that are out of tune, decaying in 1 s."""
    bases = np.exp(rng.uniform(np.log(150), np.log(1200), 6))
    orders = np.arange(1, 80, 2)
    frequencies, levels = np.outer(bases, orders).ravel(), np.tile(1 / orders, 6)
    kept = frequencies < 18000
    high = (frequencies[kept] / 6000) ** rng.uniform(0.5, 2)  # the machine's high-pass
    return Modes(frequencies[kept], levels[kept] * high, np.ones(int(kept.sum())))


def _metal(rng: np.random.Generator, squares: Modes, decay: float) -> Instrument:
    """Square waves or noise, high-passed, with one decay: a machine's hats and cymbals."""
    noise, tone = between(rng, 0.05, 5.0), rng.normal([-25, -12, 0, 3, 3], 4)
    low, seconds = between(rng, 800, 6000), min(5 * decay + 0.05, 3.5)

    def hit(force: float, rng: np.random.Generator) -> Sound:
        metal = _struck(squares, decay, 1.0, rng).sound(seconds, rng)
        return together((1.0, metal), (noise, hiss(rng, tone, decay, seconds, low))) * np.float32(
            force
        )

    return hit
