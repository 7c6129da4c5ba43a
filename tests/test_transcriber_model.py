"""The transcriber on whole recordings: in blocks as in one pass, and at any level."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from drumsep.drums import Drum
from drumsep.recording import survey
from drumsep.results import Audio, Options, Transcription, no_progress
from drumsep.transcriber import model
from drumsep.transcriber.ensemble import Ensemble
from drumsep.transcriber.model import NetworkTranscriber
from drumsep.transcriber.network import Dimensions, Transcriber
from tests.conftest import drum_loop

TOY = Dimensions(bands=16, channels=2, features=8, blocks=2)


@pytest.fixture
def toy() -> NetworkTranscriber:
    torch.manual_seed(0)
    ensemble = Ensemble([Transcriber(TOY), Transcriber(replace(TOY, long_n_fft=4096, blocks=3))])
    with torch.no_grad():
        for parameter in ensemble.parameters():
            parameter.mul_(1.5)  # so that the logits spread around the thresholds
    return NetworkTranscriber(ensemble.eval(), torch.device("cpu"))


def heard(transcriber: NetworkTranscriber, audio: Audio, options: Options) -> Transcription:
    recording = survey(audio, transcriber.rate)
    return transcriber.candidates(recording, options, no_progress, share=1.0).transcription()


@pytest.mark.parametrize("block", [1, 50, 100, 101])
def test_blocks_change_nothing(
    toy: NetworkTranscriber, monkeypatch: pytest.MonkeyPatch, block: int
) -> None:
    recording = survey(drum_loop(seconds=2.003), toy.rate)
    whole = toy.activations(recording, no_progress)
    monkeypatch.setattr(model, "BLOCK", block)
    for in_blocks, at_once in zip(toy.activations(recording, no_progress), whole, strict=True):
        np.testing.assert_allclose(in_blocks, at_once, atol=1e-5)


@pytest.mark.parametrize("frames", [0, 1, 440, 441, 5000])
def test_short_recordings_are_heard(toy: NetworkTranscriber, frames: int) -> None:
    noise = np.random.default_rng(0).standard_normal((1, frames)).astype(np.float32)
    found = heard(toy, Audio(noise, 44100), Options())
    assert all(0 <= hit.time <= found.duration for hit in found.hits)


def test_silence_has_no_hits(toy: NetworkTranscriber) -> None:
    silence = Audio(np.zeros((2, 44100), np.float32), 44100)
    everything = dict.fromkeys(Drum, 0.0)
    assert heard(toy, silence, Options(thresholds=everything)).hits == ()


def test_the_level_makes_no_difference(toy: NetworkTranscriber) -> None:
    loop = drum_loop()
    soft = Audio((loop.samples * 0.01).astype(np.float32), loop.rate)
    loud, quiet = (heard(toy, audio, Options()) for audio in (loop, soft))
    assert [hit.drum for hit in loud.hits] == [hit.drum for hit in quiet.hits]
    np.testing.assert_allclose(
        [hit.time for hit in loud.hits], [hit.time for hit in quiet.hits], atol=1e-3
    )


def test_a_threshold_of_one_drum_leaves_the_others_alone(toy: NetworkTranscriber) -> None:
    loop = drum_loop()
    lowest = dict.fromkeys(Drum, 0.0)
    all_hits = heard(toy, loop, Options(thresholds=lowest))
    no_kick = heard(toy, loop, Options(thresholds=lowest | {Drum.KICK: 1.0}))
    assert all_hits.of(Drum.KICK) and not no_kick.of(Drum.KICK)
    assert all_hits.of(Drum.SNARE) == no_kick.of(Drum.SNARE)


@pytest.mark.parametrize("drum", [Drum.CRASH, Drum.SNARE])
def test_a_threshold_that_is_given_is_taken_as_it_is(toy: NetworkTranscriber, drum: Drum) -> None:
    loop = drum_loop()
    offered = heard(toy, loop, Options(thresholds={drum: 0.0})).of(drum)
    assert offered
    middle = float(np.median([hit.confidence for hit in offered]))
    found = heard(toy, loop, Options(thresholds={drum: middle})).of(drum)
    assert found == tuple(hit for hit in offered if hit.confidence >= middle)


def test_a_share_of_what_hits_need_offers_more(toy: NetworkTranscriber) -> None:
    recording = survey(drum_loop(), toy.rate)
    given = Options(thresholds={Drum.KICK: 0.9})
    strict, some, many = (
        toy.candidates(recording, given, no_progress, share) for share in (1.0, 0.1, 0.01)
    )
    assert set(strict.hits) <= set(some.hits) < set(many.hits)
    assert some.transcription() == many.transcription() == strict.transcription()
    assert all(hit.confidence >= 0.9 for hit in many.hits if hit.drum is Drum.KICK)
    offers = zip(some.hits, some.needed, strict=True)
    assert all(hit.confidence >= 0.1 * (needed - 0.2) for hit, needed in offers)
