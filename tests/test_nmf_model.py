"""The baselines as models: the walk from a recording to stems."""

import numpy as np
import pytest
import torch

from drumsep.adaptation.strokes import LAGS, STFT
from drumsep.drums import Drum
from drumsep.errors import DrumsepError
from drumsep.nmf.model import NmfModel
from drumsep.results import Audio, Hit, Options, Transcription
from drumsep.separator import Separator

NAMES = ("nmfd", "sab-nmf")
FEW = 3  # updates


class Deaf:
    """A transcriber that hears nothing."""

    rate = 44100

    def transcribe(self, recording, options, progress):
        return Transcription((), recording.duration, "deaf")


def separator(name):
    random = torch.Generator().manual_seed(0)
    return Separator(NmfModel(name, torch.rand(9, len(LAGS), STFT.bins, generator=random), Deaf()))


@pytest.mark.parametrize("name", NAMES)
def test_stems_add_up_to_the_recording(name, loop):
    found = separator(name).separate(loop, Options(adapt=FEW))
    total = sum(stem.samples for stem in found.stems.values())
    np.testing.assert_allclose(total, loop.samples, atol=1e-3)


@pytest.mark.parametrize("name", NAMES)
def test_nine_stems(name, loop):
    found = separator(name).separate(loop, Options(adapt=1, stems=9))
    assert list(found.stems) == [drum.value for drum in Drum]


@pytest.mark.parametrize("name", NAMES)
def test_silence_gives_silence(name):
    silence = Audio(np.zeros((2, 10000), np.float32), 44100)
    for stem in separator(name).separate(silence, Options(adapt=FEW)).stems.values():
        assert not stem.samples.any()


@pytest.mark.parametrize("name", NAMES)
def test_levels_do_not_matter(name, loop):
    quiet = Audio((1e-3 * loop.samples).astype(np.float32), loop.rate)
    loud, soft = (separator(name).separate(audio, Options(adapt=FEW)) for audio in (loop, quiet))
    for stem in loud.stems:
        expected = 1e-3 * loud.stems[stem].samples
        np.testing.assert_allclose(soft.stems[stem].samples, expected, atol=1e-6)


def test_given_hits_inform_nmfd(loop):
    hits = Transcription((Hit(0.05, Drum.KICK, 1), Hit(0.3, Drum.SNARE, 1)), 2.0)
    found = separator("nmfd").separate(loop, Options(adapt=FEW, hits=hits))
    sounding = {name for name, stem in found.stems.items() if stem.samples.any()}
    assert sounding == {"kick", "snare"}
    assert found.transcription is hits


def test_segments_of_any_number_are_joined(loop, monkeypatch):
    monkeypatch.setattr("drumsep.nmf.model.SEGMENT", 50)
    found = separator("nmfd").separate(loop, Options(adapt=1))
    total = sum(stem.samples for stem in found.stems.values())
    np.testing.assert_allclose(total, loop.samples, atol=1e-3)


def test_unmasked_stems_are_refused(loop):
    with pytest.raises(DrumsepError, match="by masking only"):
        separator("nmfd").separate(loop, Options(mask=False))
