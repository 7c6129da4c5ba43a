"""Kits that nobody recorded, laid out as `sampled_kits` reads them.

Recorded kits are few, and their cymbals fewer; a network that heard only these knows them by
heart. Synthetic ones can be as many as wanted, each made of other `instruments`.
"""

import json
from pathlib import Path

import numpy as np

from drumsep.results import Audio
from drumsep.sampled_kits import BELL, PEDAL, RATE, XSTICK, SampledKit, read_kit
from drumsep.train import augment
from drumsep.train.instruments import Instrument, acoustic_kit, drum_machine
from drumsep.train.sound_sources import Sound
from drumsep.wav import write_audio

BEFORE = 22  # samples of silence before the onset
FADE = 0.2  # share of a sound over which its end is faded out
PEAK = 0.9
LAYERS = ((1, 70), (71, 127))  # velocities of the soft and the hard recordings
FORCES = (0.35, 1.0)  # of their blows: what is left of the high end and of the stick
ROUND_ROBINS = 2
MACHINES = 0.25  # share of kits that are drum machines
EXPONENTS = {"kick": 1.0, "hihat-closed": 1.2, "hihat-open": 1.2, PEDAL: 1.2, "default": 1.5}

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
    instruments = (drum_machine if machine else acoustic_kit)(rng)
    classes = {name: _files(folder, name, struck, rng) for name, struck in instruments.items()}
    facts = {
        "id": folder.name,
        "licence": "CC0-1.0",
        "electronic": machine,
        "pre_onset_samples": BEFORE,
        "velocity_exponent": EXPONENTS,
        "classes": classes,
    }
    (folder / "kit.json").write_text(json.dumps(facts, indent=1), encoding="utf-8")


def _files(
    folder: Path, name: str, struck: Instrument, rng: np.random.Generator
) -> list[dict[str, str | int | float]]:
    """Record one instrument; the entries of its class in kit.json."""
    entries: list[dict[str, str | int | float]] = []
    (folder / name).mkdir(parents=True, exist_ok=True)
    for layer, ((lowest, highest), force) in enumerate(zip(LAYERS, FORCES, strict=True)):
        for turn in range(ROUND_ROBINS):
            sound = _finished(struck(force, rng))
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
