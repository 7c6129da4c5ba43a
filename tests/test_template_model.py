"""The default model: the walk from a recording to stems, with a transcriber that is told."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch

from drumsep.adaptation.strokes import LAGS, STFT
from drumsep.drums import DRUM_NAMES, STEMS, Drum
from drumsep.results import Audio, Hit, Kit, OneShot, Options, Transcription
from drumsep.separator import Analysis, Separator
from drumsep.template.model import TemplateModel

HITS = (Hit(0.05, Drum.KICK, 0.9), Hit(0.3, Drum.SNARE, 0.8), Hit(0.55, Drum.KICK, 0.5))


@dataclass
class Told:
    """A transcriber that hears what it is told, and counts how often it is asked."""

    hits: tuple[Hit, ...] = HITS
    asked: int = 0
    rate: int = 44100

    def transcribe(self, recording, options, progress):
        self.asked += 1
        return Transcription(self.hits, recording.duration, "told")


@dataclass
class Synthesiser:
    """A model that makes a one-shot of every drum it is told was hit."""

    name: str = "synthesiser"
    rate: int = 44100

    def analyse(self, recording, options, progress):
        """Stems that are full of the seed, and one-shots of the drums that are hit."""
        drums = {hit.drum for hit in options.hits.hits}
        sound = Audio(np.ones((1, 9), np.float32), self.rate)
        kit = Kit(tuple(OneShot(drum, sound, "synthesised", 1.0) for drum in drums))
        stems = np.full((5, recording.channels, recording.frames), options.seed, np.float32)
        return Analysis(STEMS, options.hits, lambda: iter([stems]), lambda: kit)


@pytest.fixture
def told():
    return Told()


@pytest.fixture
def separator(told):
    random = torch.Generator().manual_seed(0)
    decay = torch.exp(-torch.from_numpy(LAGS).float().clamp_min(0) / 20)[:, None]
    templates = torch.rand(9, len(LAGS), STFT.bins, generator=random) * decay
    return Separator(TemplateModel(templates, told, Synthesiser))


def test_the_transcribers_hits_are_used(separator, loop):
    found = separator.separate(loop)
    assert found.transcription.origin == "told"
    assert {name for name, stem in found.stems.items() if stem.samples.any()} == {"kick", "snare"}


def test_given_hits_come_first(separator, told, loop):
    given = Transcription((Hit(0.05, Drum.RIDE, 1),), 2.0)
    found = separator.separate(loop, Options(hits=given))
    assert found.transcription is given and not told.asked
    assert [name for name, stem in found.stems.items() if stem.samples.any()] == ["cymbals"]


def test_nine_stems_add_up_to_five(separator, loop):
    nine = separator.separate(loop, Options(stems=9)).stems
    five = separator.separate(loop).stems
    assert tuple(nine) == DRUM_NAMES and tuple(five) == STEMS
    np.testing.assert_allclose(nine["kick"].samples, five["kick"].samples, atol=1e-6)


def test_mono_of_another_rate(separator):
    noise = np.random.default_rng(0).standard_normal((1, 22050)).astype(np.float32)
    found = separator.separate(Audio(0.1 * noise, 22050))
    assert all(stem.samples.shape == (1, 22050) for stem in found.stems.values())


def test_the_same_twice(separator, loop):
    once, twice = separator.separate(loop), separator.separate(loop)
    for name in STEMS:
        np.testing.assert_array_equal(once.stems[name].samples, twice.stems[name].samples)


def test_the_kit_is_synthesised_from_the_hits(separator, loop):
    kit = separator.stream(loop, Options(alpha=1.5, adapt=3)).kit()
    assert {shot.drum for shot in kit.one_shots} == {Drum.KICK, Drum.SNARE}


def test_unmasked_stems_are_the_synthesisers(separator, told, loop):
    options = Options(mask=False, seed=3)
    separation = separator.separate(loop, options)
    assert all((stem.samples == 3).all() for stem in separation.stems.values())
    assert separation.transcription.hits == told.hits
