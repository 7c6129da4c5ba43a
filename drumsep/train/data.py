"""Endless training clips: a groove, kits, a way of playing and a mix, all drawn from one seed.

Clip number i of a seed is always the same, whoever asks for it and in what order, so training can
go on where it stopped, with any number of worker processes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from drumsep.drums import DRUMS, STEMS, Drum
from drumsep.train.grooves import Groove
from drumsep.train.kits import SampledKit
from drumsep.train.mixing import Mix, Strength, mix
from drumsep.train.patterns import excerpt, play_differently
from drumsep.train.render import Timbre, Voice, render

SLOWEST, FASTEST = 1.25, 0.8  # factors of duration
SLIGHTEST_DAMPING, STRONGEST_DAMPING = 0.5, 30.0  # 1/s


@dataclass(frozen=True)
class Recipe:
    """How clips are drawn; the defaults are for training the transcriber."""

    seconds: float = 4.0
    channels: int = 1
    together: bool = True  # one stem, the sum of all, as the transcriber needs no more
    electronic: float = 0.12  # probability that the first kit is a drum machine
    kit_swap: float = 0.6  # probability that stems come from different kits
    doubling: float = 0.15  # probability, per drum, of two kits at once
    pitch: float = 0.6  # probability, per drum
    semitones: float = 4.0  # at most
    tone: float = 0.5  # probability, per drum, of an equaliser
    tone_spread: float = 5.0  # dB, standard deviation of each of its points
    damping: float = 0.3  # probability, per drum
    attack: float = 0.5  # probability, per drum
    playing: float = 0.8  # probability that the groove is played differently
    overlay: float = 0.06  # probability of a second groove on top
    strength: Strength = Strength()


class Clips:
    """Clips by number; `clips[i]` is a `Mix`."""

    def __init__(
        self,
        kits: tuple[SampledKit, ...],
        grooves: tuple[Groove, ...],
        recipe: Recipe,
        seed: int,
    ) -> None:
        self._kits = kits
        self._grooves = grooves
        self._recipe = recipe
        self._seed = seed
        lengths = np.array([min(groove[-1].time, 60.0) + 1 for groove in grooves])
        self._chances = lengths / lengths.sum()
        self._machines = [kit for kit in kits if kit.electronic]
        self._whole = [
            kit for kit in kits if not kit.electronic and all(kit.has(stem) for stem in STEMS)
        ]

    def __getitem__(self, number: int) -> Mix:
        rng = np.random.default_rng((self._seed, number))
        recipe = self._recipe
        notes = self._notes(rng)
        voices = self._voices(rng)
        rendering = render(notes, voices, recipe.seconds, rng, channels=recipe.channels)
        return mix(rendering, recipe.strength, rng, together=recipe.together)

    def _notes(self, rng: np.random.Generator) -> Groove:
        notes = self._excerpt(rng)
        if rng.random() < self._recipe.overlay:
            both = (*notes, *self._excerpt(rng))
            notes = tuple(sorted(both, key=lambda note: (note.time, note.drum.position)))
        if rng.random() < self._recipe.playing:
            notes = play_differently(notes, rng)
        return notes

    def _excerpt(self, rng: np.random.Generator) -> Groove:
        groove = self._grooves[rng.choice(len(self._grooves), p=self._chances)]
        stretch = rng.uniform(FASTEST, SLOWEST)
        latest = groove[-1].time * stretch - self._recipe.seconds / 2
        return excerpt(groove, rng.uniform(-0.3, max(latest, 0.1)), self._recipe.seconds, stretch)

    def _voices(self, rng: np.random.Generator) -> Mapping[Drum, Voice]:
        by_machine = self._machines and rng.random() < self._recipe.electronic
        usual = _any(self._machines if by_machine or not self._whole else self._whole, rng)
        swap = rng.random() < self._recipe.kit_swap
        kits = {}
        for stem in STEMS:
            own = usual.has(stem) and not (swap and rng.random() < 0.6)
            kits[stem] = usual if own else self._kit_with(stem, rng)
        curve = rng.uniform(0.7, 1.3)
        return {drum: self._voice(kits[drum.stem], drum, curve, rng) for drum in DRUMS}

    def _kit_with(self, stem: str, rng: np.random.Generator) -> SampledKit:
        return _any([kit for kit in self._kits if kit.has(stem)], rng)

    def _voice(self, kit: SampledKit, drum: Drum, curve: float, rng: np.random.Generator) -> Voice:
        kits: tuple[SampledKit, ...] = (kit,)
        if rng.random() < self._recipe.doubling:
            kits = (kit, self._kit_with(drum.stem, rng))
        return Voice(kits, tuple(self._timbre(rng) for _ in kits), curve)

    def _timbre(self, rng: np.random.Generator) -> Timbre:
        limit = self._recipe.semitones
        timbre = Timbre()
        if rng.random() < self._recipe.pitch:
            timbre = replace(timbre, semitones=rng.uniform(-limit, limit))
        if rng.random() < self._recipe.tone:
            points = rng.normal(0, self._recipe.tone_spread, rng.integers(4, 11))
            timbre = replace(timbre, tone=tuple(points))
        if rng.random() < self._recipe.damping:
            damping = rng.uniform(np.log(SLIGHTEST_DAMPING), np.log(STRONGEST_DAMPING))
            timbre = replace(timbre, damping=float(np.exp(damping)))
        if rng.random() < self._recipe.attack:
            timbre = replace(timbre, attack=float(np.exp(rng.uniform(np.log(0.35), np.log(2)))))
        return timbre


def _any(kits: list[SampledKit], rng: np.random.Generator) -> SampledKit:
    return kits[rng.integers(len(kits))]
