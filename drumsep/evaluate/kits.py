"""The true kit: the samples that a clip was played with, as laid out in our sampled kits."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from drumsep.audio import AudioFile
from drumsep.drums import STEMS, Drum
from drumsep.errors import DrumsepError
from drumsep.results import Audio, Hit, Samples


@dataclass(frozen=True)
class Sample:
    """One recorded stroke."""

    path: Path
    softest: int  # MIDI velocity
    loudest: int  # MIDI velocity
    gain: float  # amplitude at velocity 127
    exponent: float

    def level(self, velocity: float) -> float:
        """Amplitude of a hit of velocity 0..1."""
        return float(self.gain * velocity**self.exponent)


class TrueKit:
    """A folder with `kit.json` and a file per stroke, read when needed.

    Articulations beyond the nine drums (side stick, pedal hat, ride bell) are left out, and an
    open hat rings on: a rendering is close to what was played, not the same.

    Raises:
        DrumsepError: no such kit, or a `kit.json` that cannot be understood.
    """

    def __init__(self, folder: Path):
        try:
            kit = json.loads((folder / "kit.json").read_text(encoding="utf-8"))
            self._samples = {drum: _samples(folder, kit, drum) for drum in Drum}
            self._lead = int(kit["pre_onset_samples"])
            self._sounds: dict[Path, Audio] = {}
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DrumsepError(f"{folder}: not a kit ({type(error).__name__}: {error})") from error

    def strokes(self, drum: Drum) -> tuple[Audio, ...]:
        """Every sample of a drum; none where the kit lacks it."""
        return tuple(self._sound(sample) for sample in self._samples[drum])

    def play(self, hits: Iterable[Hit], like: Audio) -> dict[str, Samples]:
        """The five stems, float32 (channels, time), as long as `like`.

        Raises:
            DrumsepError: the kit's samples do not have the rate and channels of `like`.
        """
        stems = {stem: np.zeros_like(like.samples) for stem in STEMS}
        for hit in hits:
            sample = self._sample_for(hit)
            if sample is None:
                continue
            sound = self._sound(sample)
            if (sound.rate, sound.channels) != (like.rate, like.channels):
                raise DrumsepError(
                    f"{sample.path}: {sound.channels} channels at {sound.rate} Hz do not fit a "
                    f"mixture of {like.channels} at {like.rate} Hz"
                )
            start = round(hit.time * like.rate) - self._lead
            _add(stems[hit.drum.stem], sample.level(hit.velocity) * sound.samples, start)
        return stems

    def _sample_for(self, hit: Hit) -> Sample | None:
        """The first round robin of the layer that the hit's velocity falls into."""
        samples = self._samples[hit.drum] or self._nearest(hit.drum)
        velocity = round(hit.velocity * 127)
        fitting = [sample for sample in samples if sample.softest <= velocity <= sample.loudest]
        return next(iter(fitting or samples[-1:]), None)

    def _sound(self, sample: Sample) -> Audio:
        """A sample in memory, read at first use."""
        if sample.path not in self._sounds:
            self._sounds[sample.path] = AudioFile(sample.path).read()
        return self._sounds[sample.path]

    def _nearest(self, drum: Drum) -> tuple[Sample, ...]:
        """Samples of another drum of the same stem, for kits without this one."""
        others = sorted(Drum, key=lambda other: abs(other.position - drum.position))
        kin = (self._samples[other] for other in others if other.stem == drum.stem)
        return next((samples for samples in kin if samples), ())


def _samples(folder: Path, kit: dict[str, Any], drum: Drum) -> tuple[Sample, ...]:
    exponents = kit["velocity_exponent"]
    exponent = float(exponents.get(drum.value, exponents["default"]))
    entries = sorted(kit["classes"].get(drum.value, []), key=lambda e: (e["layer"], e["rr"]))
    return tuple(
        Sample(
            folder / entry["file"],
            int(entry["velocity_lo"]),
            int(entry["velocity_hi"]),
            10 ** (float(entry["gain_db"]) / 20),
            exponent,
        )
        for entry in entries
    )


def _add(stem: Samples, sound: Samples, start: int) -> None:
    """Add a sound at a sample, cut where it leaves the stem."""
    first, stop = max(start, 0), min(start + sound.shape[1], stem.shape[1])
    if stop > first:
        stem[:, first:stop] += sound[:, first - start : stop - start]
