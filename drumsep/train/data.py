"""Endless training clips: a groove, kits, a way of playing and a mix, all drawn from one seed.

Where there are recordings with stems, some of the clips are excerpts of these, mixed anew.

Clip number i of a seed is always the same, whoever asks for it and in what order, so training can
go on where it stopped, with any number of worker processes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from drumsep.drums import DRUMS, STEMS, Drum
from drumsep.sampled_kits import SampledKit
from drumsep.train.grooves import Groove
from drumsep.train.mixing import NONE, PAPER, Mix, Strength, mix
from drumsep.train.patterns import excerpt, few_drums, play_differently
from drumsep.train.render import Timbre, Voice, render
from drumsep.train.stem_recordings import StemRecording, any_excerpt

SLOWEST, FASTEST = 1.25, 0.8  # factors of duration
SLIGHTEST_DAMPING, STRONGEST_DAMPING = 0.5, 30.0  # 1/s
SOFTEST_ATTACK, HARDEST_ATTACK = 0.35, 2.0  # amplitude against the rest of the hit
SWAPPED = 0.6  # share of stems that another kit plays, where kits are swapped
POINTS = 12  # of the equalisers that divide the spectrum: 0.8 octaves apart
DIVIDED = -30.0  # dB, of what the other kit plays
FROM_RECORDINGS = 1  # tells their random numbers from those of renderings


@dataclass(frozen=True)
class Recipe:
    """How clips are drawn; the defaults are for training the transcriber."""

    seconds: float = 6.0
    channels: int = 1
    together: bool = True  # one stem, the sum of all, as the transcriber needs no more
    few_drums: float = 0.0  # probability that no more than three drums play
    plain: float = 0.15  # probability that nothing below happens
    electronic: float = 0.12  # probability that the first kit is a drum machine
    kit_swap: float = 0.5  # probability that stems come from different kits
    doubling: float = 0.35  # probability, per drum, of two kits at once
    splice: float = 0.5  # share of the doubled whose kits divide the spectrum between them
    pitch: float = 0.6  # probability, per drum
    semitones: float = 4.0  # at most
    tone: float = 0.5  # probability, per drum, of an equaliser
    tone_spread: float = 5.0  # dB, standard deviation of each of its points
    damping: float = 0.3  # probability, per drum
    attack: float = 0.5  # probability, per drum
    playing: float = 0.65  # probability that the groove is played differently
    overlay: float = 0.06  # probability of a second groove on top
    unrelated: float = 0.03  # probability that every stem plays a groove of its own
    recorded: float = 0.3  # probability of an excerpt instead, where there are recordings
    strength: Strength = Strength()

    def plainly(self) -> "Recipe":
        """The same without any change to grooves and sounds, but where it is cut."""
        chances = ("electronic", "kit_swap", "doubling", "pitch", "tone", "damping", "attack")
        never = dict.fromkeys((*chances, "playing", "overlay", "unrelated"), 0.0)
        strength = replace(NONE, faded=self.strength.faded, cut=self.strength.cut)
        return replace(self, strength=strength, **never)  # type: ignore[arg-type]


# LarsNet's training clips, section 4 of the paper. Its probabilities are per stem, ours per drum,
# and pitch shifts are not rounded to semitones.
PAPER_RECIPE = Recipe(
    channels=2,
    together=False,
    plain=0.5,
    electronic=0.0,
    kit_swap=0.5,
    doubling=0.3,
    splice=0.0,
    pitch=0.3,
    semitones=3.0,
    tone=0.0,
    damping=0.0,
    attack=0.0,
    playing=0.0,
    overlay=0.0,
    unrelated=0.0,
    strength=PAPER,
)


class Clips:
    """Clips by number; `clips[i]` is a `Mix`."""

    def __init__(
        self,
        kits: tuple[SampledKit, ...],
        grooves: tuple[Groove, ...],
        recipe: Recipe,
        seed: int,
        recordings: Sequence[StemRecording] = (),
    ) -> None:
        self._kits = kits
        self._grooves = grooves
        self._recipe = recipe
        self._seed = seed
        self._recordings = recordings
        lengths = np.array([min(groove[-1].time, 60.0) + 1 for groove in grooves])
        self._chances = lengths / lengths.sum()
        self._machines = [kit for kit in kits if kit.electronic]
        self._whole = [
            kit for kit in kits if not kit.electronic and all(kit.has(stem) for stem in STEMS)
        ]

    @property
    def usual_kits(self) -> tuple[SampledKit, ...]:
        """The kits that play whole clips; the others only stems that these lack or swap."""
        return (*(self._whole or self._kits), *self._machines)

    def __getitem__(self, number: int) -> Mix:
        rng = np.random.default_rng((self._seed, number, FROM_RECORDINGS))
        if self._recordings and rng.random() < self._recipe.recorded:
            return self._excerpt_of_recordings(rng)
        return self.rendered(number)[1]

    def _excerpt_of_recordings(self, rng: np.random.Generator) -> Mix:
        recipe = self._recipe
        if rng.random() < recipe.plain:
            recipe = recipe.plainly()
        rendering = any_excerpt(self._recordings, recipe.seconds, recipe.channels, rng)
        return mix(rendering, recipe.strength, rng, together=recipe.together)

    def rendered(self, number: int) -> tuple[SampledKit | None, Mix]:
        """Clip `number` and the kit that plays it; no kit where its sound may be changed."""
        rng = np.random.default_rng((self._seed, number))
        recipe = self._recipe
        plain = rng.random() < recipe.plain
        if plain:
            recipe = recipe.plainly()
        notes = self._notes(recipe, rng)
        kit = self._usual_kit(recipe, rng)
        rendering = render(
            notes, self._voices(kit, recipe, rng), recipe.seconds, rng, channels=recipe.channels
        )
        mixed = mix(rendering, recipe.strength, rng, together=recipe.together)
        return kit if plain else None, mixed

    def _notes(self, recipe: Recipe, rng: np.random.Generator) -> Groove:
        notes = self._excerpt(recipe, rng)
        if recipe.few_drums and rng.random() < recipe.few_drums:
            notes = few_drums(notes, rng)
        if rng.random() < recipe.overlay:
            notes = _together((*notes, *self._excerpt(recipe, rng)))
        if rng.random() < recipe.unrelated:
            others = (self._excerpt(recipe, rng) for _ in STEMS)
            pairs = zip(STEMS, others, strict=True)
            notes = _together(
                tuple(note for stem, other in pairs for note in other if note.drum.stem == stem)
            )
        if rng.random() < recipe.playing:
            notes = play_differently(notes, rng)
        return notes

    def _excerpt(self, recipe: Recipe, rng: np.random.Generator) -> Groove:
        groove = self._grooves[rng.choice(len(self._grooves), p=self._chances)]
        stretch = rng.uniform(FASTEST, SLOWEST)
        latest = groove[-1].time * stretch - recipe.seconds / 2
        return excerpt(groove, rng.uniform(-0.3, max(latest, 0.1)), recipe.seconds, stretch)

    def _usual_kit(self, recipe: Recipe, rng: np.random.Generator) -> SampledKit:
        by_machine = self._machines and rng.random() < recipe.electronic
        return _any(self._machines if by_machine or not self._whole else self._whole, rng)

    def _voices(
        self, usual: SampledKit, recipe: Recipe, rng: np.random.Generator
    ) -> Mapping[Drum, Voice]:
        swap = rng.random() < recipe.kit_swap
        kits = {}
        for stem in STEMS:
            own = usual.has(stem) and not (swap and rng.random() < SWAPPED)
            kits[stem] = usual if own else self._kit_with(stem, rng)
        curve = rng.uniform(0.7, 1.3) if recipe.playing else 1.0
        return {drum: self._voice(kits[drum.stem], drum, curve, recipe, rng) for drum in DRUMS}

    def _kit_with(self, stem: str, rng: np.random.Generator) -> SampledKit:
        return _any([kit for kit in self._kits if kit.has(stem)], rng)

    def _voice(
        self, kit: SampledKit, drum: Drum, curve: float, recipe: Recipe, rng: np.random.Generator
    ) -> Voice:
        chance = rng.random()
        if chance >= recipe.doubling:
            return Voice((kit,), (_timbre(recipe, rng),), curve)
        kits = (kit, self._kit_with(drum.stem, rng))
        below, above = _timbre(recipe, rng), _timbre(recipe, rng)
        if chance < recipe.doubling * recipe.splice:
            low = np.where(np.arange(POINTS) < rng.integers(2, POINTS - 1), 0.0, DIVIDED)
            below = replace(below, tone=tuple(low))
            above = replace(above, tone=tuple(DIVIDED - low))
        return Voice(kits, (below, above), curve)


def _timbre(recipe: Recipe, rng: np.random.Generator) -> Timbre:
    timbre = Timbre()
    if rng.random() < recipe.pitch:
        timbre = replace(timbre, semitones=rng.uniform(-recipe.semitones, recipe.semitones))
    if rng.random() < recipe.tone:
        points = rng.normal(0, recipe.tone_spread, rng.integers(4, 11))
        timbre = replace(timbre, tone=tuple(points))
    if rng.random() < recipe.damping:
        damping = rng.uniform(np.log(SLIGHTEST_DAMPING), np.log(STRONGEST_DAMPING))
        timbre = replace(timbre, damping=float(np.exp(damping)))
    if rng.random() < recipe.attack:
        attack = rng.uniform(np.log(SOFTEST_ATTACK), np.log(HARDEST_ATTACK))
        timbre = replace(timbre, attack=float(np.exp(attack)))
    return timbre


def _together(notes: Groove) -> Groove:
    return tuple(sorted(notes, key=lambda note: (note.time, note.drum.position)))


def _any(kits: list[SampledKit], rng: np.random.Generator) -> SampledKit:
    return kits[rng.integers(len(kits))]
