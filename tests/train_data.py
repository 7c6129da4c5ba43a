"""Kits and grooves by formula, written to a folder, for the tests of training."""

import json
from pathlib import Path

import numpy as np
import soundfile

from drumsep import midi
from drumsep.drums import DRUM_NAMES, DRUMS, STEMS
from drumsep.results import Hit, Transcription
from drumsep.sampled_kits import RATE
from drumsep.tempo import TempoMap

BEFORE = 22  # samples of a file before its onset


def one_shot(pitch: float, decay: float, noise: float, seed: int) -> np.ndarray:
    """A decaying tone and noise (N, 2) whose first sample that is not silent is BEFORE."""
    time = np.arange(int(0.25 * RATE)) / RATE
    rng = np.random.default_rng(seed)
    sound = np.cos(2 * np.pi * pitch * time) + noise * rng.standard_normal(time.size)
    sound *= np.exp(-decay * time)
    mono = np.concatenate([np.zeros(BEFORE), 0.5 * sound / np.abs(sound).max()])
    return np.stack([mono, 0.8 * mono], axis=1).astype(np.float32)


def write_kit(folder: Path, name: str, *, electronic: bool = False, seed: int = 0) -> Path:
    """A kit of nine drums with two layers each; returns its folder."""
    kit = folder / name
    classes = {}
    for place, drum in enumerate(DRUM_NAMES):
        (kit / drum).mkdir(parents=True)
        classes[drum] = []
        for layer, (lowest, highest) in enumerate(((1, 63), (64, 127))):
            file = f"{drum}/v{layer}.wav"
            sound = one_shot(60 * 1.9**place, 12 + 3 * place, 0.1 * place, seed + place)
            soundfile.write(kit / file, sound, RATE, subtype="FLOAT")
            classes[drum].append(
                {"file": file, "layer": layer, "velocity_lo": lowest, "velocity_hi": highest,
                 "gain_db": -6.0}
            )  # fmt: skip
    facts = {
        "id": name, "licence": "CC0-1.0", "electronic": electronic, "pre_onset_samples": BEFORE,
        "velocity_exponent": {"kick": 1.0, "default": 1.5}, "classes": classes,
    }  # fmt: skip
    (kit / "kit.json").write_text(json.dumps(facts))
    return kit


def write_grooves(folder: Path, count: int = 2, seconds: float = 4.0) -> Path:
    """MIDI files in which every drum plays; returns their folder."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(1)
    for number in range(count):
        hits = tuple(
            Hit(float(time), DRUMS[rng.integers(len(DRUMS))], int(rng.integers(30, 128)) / 127)
            for time in np.arange(0, seconds, 0.125)
        )
        path = folder / f"groove{number}.mid"
        midi.write(path, Transcription(hits, seconds), TempoMap.constant(120))
    return folder


def write_recording(
    folder: Path,
    name: str = "song",
    *,
    names: tuple[str, ...] = STEMS,
    frames: int = 2 * RATE,
    onsets: str | None = "time,class,velocity\n0.5,tom-floor,127\n1.5,kick,64\n",
    seed: int = 0,
) -> Path:
    """Stereo stems of noise, their sum as the mixture, and a table of hits; returns `folder`."""
    own = folder / name
    own.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    stems = 0.1 * rng.standard_normal((max(len(names), 1), frames, 2))
    for stem, sound in zip(names, stems, strict=False):
        soundfile.write(own / f"{stem}.wav", sound, RATE, subtype="FLOAT")
    soundfile.write(own / "mixture.wav", stems.sum(axis=0), RATE, subtype="FLOAT")
    if onsets is not None:
        (own / "onsets.csv").write_text(onsets)
    return folder
