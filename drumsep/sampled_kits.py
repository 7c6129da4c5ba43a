"""Sampled drum kits: folders of one-shots that grooves are rendered with.

A kit is a folder with a `kit.json` and audio files of any rate:

    {"id": "my-kit", "licence": "CC0-1.0", "electronic": false, "pre_onset_samples": 22,
     "velocity_exponent": {"kick": 1.0, "default": 1.5},
     "classes": {"kick": [{"file": "kick/v0.ogg", "layer": 0, "velocity_lo": 1,
                           "velocity_hi": 127, "gain_db": -3.0}, ...], "snare": [...], ...}}

The classes are the nine drums and three more articulations, used where a kit has them:
`snare-xstick`, `hihat-pedal` and `ride-bell`. A note of velocity v (1 to 127) sounds at
10^(gain_db / 20) * (v / 127)^velocity_exponent; its onset lies `pre_onset_samples` of 44.1 kHz
after the start of the file.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from drumsep.audio import AudioFile
from drumsep.drums import DRUM_NAMES, STEMS, Drum
from drumsep.errors import DrumsepError
from drumsep.resample import at_rate
from drumsep.results import Samples

RATE = 44100  # Hz, of onsets in kit.json, and of everything that training renders
BLOCK = 1 << 20  # samples read at a time

XSTICK, PEDAL, BELL = "snare-xstick", "hihat-pedal", "ride-bell"

# What plays a class that a kit lacks; always another class of the same stem.
FALLBACKS: Mapping[str, tuple[str, ...]] = {
    "tom-high": ("tom-mid", "tom-floor"),
    "tom-mid": ("tom-high", "tom-floor"),
    "tom-floor": ("tom-mid", "tom-high"),
    "hihat-closed": ("hihat-open",),
    "hihat-open": ("hihat-closed",),
    "ride": (BELL,),
    XSTICK: ("snare",),
    PEDAL: ("hihat-closed",),
    BELL: ("ride",),
}


@dataclass(frozen=True, eq=False)
class Sample:
    """One recorded hit; its file is read when first asked for and then kept."""

    path: Path
    gain: float  # amplitude at velocity 127
    before: int  # samples before the onset
    channels: int
    rate: int = RATE  # Hz

    @cached_property
    def audio(self) -> Samples:
        """The samples (C, N) at `rate`; other numbers of channels become C equal ones.

        Raises:
            DrumsepError: the file cannot be read.
        """
        audio = np.concatenate([*at_rate(AudioFile(self.path), self.rate).blocks(BLOCK)], axis=1)
        if len(audio) != self.channels:
            audio = np.repeat(audio.mean(axis=0, keepdims=True), self.channels, axis=0)
        return np.ascontiguousarray(audio)


@dataclass(frozen=True, eq=False)
class Layer:
    """The recordings of one loudness, for velocities `lowest` to `highest` (1 to 127)."""

    lowest: int
    highest: int
    samples: tuple[Sample, ...]


@dataclass(frozen=True, eq=False)
class SampledKit:
    """The recordings of one kit, by class name."""

    name: str
    licence: str
    electronic: bool
    classes: Mapping[str, tuple[Layer, ...]]
    exponents: Mapping[str, float]  # of loudness over velocity, by class name or "default"

    def has(self, stem: str) -> bool:
        """Whether the kit can play notes of this stem."""
        return any(name in self.classes for name in DRUM_NAMES if Drum(name).stem == stem)

    def resolve(self, name: str) -> str | None:
        """The class that plays notes of class `name`, or None when the kit has nothing like it."""
        choices = (name, *FALLBACKS.get(name, ()))
        return next((choice for choice in choices if choice in self.classes), None)

    def layer(self, name: str, velocity: int) -> Layer:
        """The layer of class `name` that plays `velocity`."""
        layers = self.classes[name]
        return next((one for one in layers if one.lowest <= velocity <= one.highest), layers[-1])

    def exponent(self, name: str) -> float:
        """Exponent of loudness over velocity of class `name`."""
        return self.exponents.get(name, self.exponents["default"])


def read_kit(folder: Path, channels: int = 2, rate: int = RATE) -> SampledKit:
    """The kit in `folder`; its samples will be loaded with so many channels, at `rate`.

    Raises:
        DrumsepError: no `kit.json`, or one that does not describe a kit.
    """
    try:
        facts = json.loads((folder / "kit.json").read_text(encoding="utf-8"))
        before = round(facts["pre_onset_samples"] * rate / RATE)
        return SampledKit(
            name=facts.get("id", folder.name),
            licence=facts.get("licence", "not stated"),
            electronic=bool(facts.get("electronic", False)),
            classes={
                name: _layers(folder, entries, Sample(folder, 1.0, before, channels, rate))
                for name, entries in facts["classes"].items()
            },
            exponents=facts["velocity_exponent"],
        )
    except (OSError, KeyError, ValueError, TypeError, AttributeError) as error:
        raise DrumsepError(f"{folder / 'kit.json'} does not describe a kit: {error!r}") from None


def _layers(folder: Path, entries: list[dict[str, Any]], like: Sample) -> tuple[Layer, ...]:
    """Entries of one class, by layer; `like` says how their samples are loaded."""
    grouped: dict[int, list[dict[str, Any]]] = {}
    for entry in entries:
        grouped.setdefault(entry["layer"], []).append(entry)
    return tuple(
        Layer(
            lowest=same[0]["velocity_lo"],
            highest=same[0]["velocity_hi"],
            samples=tuple(
                replace(like, path=folder / entry["file"], gain=10 ** (entry["gain_db"] / 20))
                for entry in same
            ),
        )
        for _, same in sorted(grouped.items())
    )


def read_kits(folder: Path, channels: int = 2) -> tuple[SampledKit, ...]:
    """All kits in the folders of `folder`, by name; together they must have every stem."""
    found = sorted(path.parent for path in folder.glob("*/kit.json"))
    kits = tuple(read_kit(path, channels) for path in found)
    missing = [stem for stem in STEMS if not any(kit.has(stem) for kit in kits)]
    if missing:
        raise DrumsepError(f"the {len(kits)} kits in {folder} have nothing for {missing}")
    return kits


def credits(kits: Sequence[SampledKit]) -> str:
    """Names and licences of kits, for the card of weights made from them."""
    return ", ".join(f"{kit.name} ({kit.licence})" for kit in kits)
