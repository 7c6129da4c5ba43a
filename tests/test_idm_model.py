"""IDM at work on a toy network: what was repaired, what is streamed, what is promised."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from drumsep.adaptation.adapt import Adapted
from drumsep.adaptation.multichannel import MultichannelModel
from drumsep.adaptation.spatial import of_masks
from drumsep.adaptation.starting import first_fit
from drumsep.adaptation.strokes import STFT, Strokes
from drumsep.drums import DRUM_NAMES, DRUMS, STEMS, Drum
from drumsep.errors import DrumsepError
from drumsep.idm import listening, model
from drumsep.idm.listening import listen
from drumsep.idm.model import IdmModel
from drumsep.idm.picking import UNLIKELY, amplitude_of, find_hits, likelihood, possible_hits
from drumsep.recording import survey
from drumsep.results import Audio, Hit, Kit, Options, Separation, Transcription, no_progress
from drumsep.separator import Separator
from tests.conftest import drum_loop
from tests.goldens.make_idm import PATH, TOY, compute, toy, toy_model

RATE = TOY.rate


@pytest.fixture(scope="module")
def separator() -> Separator:
    return Separator(toy_model())


@pytest.fixture(scope="module")
def sound() -> Audio:
    return drum_loop(seconds=1.0, rate=RATE)


def matrix(separation: Separation) -> np.ndarray:
    return np.stack([stem.samples for stem in separation.stems.values()])


def decibels(signal: np.ndarray, other: np.ndarray) -> float:
    error = np.square(signal.astype(np.float64) - other).sum()
    return float(10 * np.log10(np.square(signal, dtype=np.float64).sum() / max(error, 1e-30)))


def given(*hits: Hit) -> Options:
    return Options(hits=Transcription(hits, 1.0))


def test_the_toy_gives_the_stored_numbers() -> None:
    stored = np.load(PATH)
    fresh = compute()
    assert set(stored.files) == set(fresh)
    for name, value in fresh.items():
        np.testing.assert_allclose(value, stored[name], rtol=1e-3, atol=2e-5, err_msg=name)


def test_analysis_says_what_it_is(separator: Separator, sound: Audio) -> None:
    seen: list[tuple[str, float]] = []
    stream = separator.stream(sound, Options(stems=9), lambda *step: seen.append(step))
    assert (separator.name, separator.rate) == ("idm", RATE)
    assert stream.names == DRUM_NAMES
    assert stream.transcription.origin == "idm"
    assert len(stream.transcription.hits) > 10
    assert all(0 <= hit.time < 1 for hit in stream.transcription.hits)
    assert seen[0][0] == "listening"
    assert seen[-1] == ("synthesising", 1.0)
    assert separator.transcribe(sound) == stream.transcription


# What the published code gets wrong -------------------------------------------------------------


def test_channels_are_masked_alike(separator: Separator, sound: Audio) -> None:
    one = sound.samples.mean(axis=0)
    panned = Audio(np.stack([one, 0.25 * one, 0 * one]), RATE)
    stems = matrix(separator.separate(panned))
    assert stems.shape == (5, 3, RATE)
    np.testing.assert_allclose(stems[:, 1], 0.25 * stems[:, 0], atol=1e-6)
    assert not stems[:, 2].any()


def test_a_mix_that_cancels_in_mono_is_still_heard(separator: Separator, sound: Audio) -> None:
    one = sound.samples[:1]
    mono = separator.separate(Audio(one, RATE))
    cancelling = separator.separate(Audio(np.concatenate([one, -one]), RATE))
    assert cancelling.transcription == mono.transcription
    np.testing.assert_allclose(matrix(cancelling)[:, :1], matrix(mono), atol=1e-6)
    np.testing.assert_allclose(matrix(cancelling)[:, 1:], -matrix(mono), atol=1e-6)
    assert any("cancel" in warning for warning in cancelling.warnings)


def test_level_does_not_matter(separator: Separator, sound: Audio) -> None:
    loud, soft = (
        separator.separate(Audio(np.float32(gain) * sound.samples, RATE)) for gain in (1.0, 2**-9)
    )
    assert [hit.time for hit in loud.transcription.hits] == [
        hit.time for hit in soft.transcription.hits
    ]
    assert decibels(matrix(loud), 2.0**9 * matrix(soft)) > 100


def test_noise_is_seeded_and_leaves_the_global_generator_alone(
    separator: Separator, sound: Audio
) -> None:
    torch.manual_seed(0)
    expected = torch.rand(1, generator=torch.Generator().manual_seed(0))
    first, again, other = (
        matrix(separator.separate(sound, Options(seed=seed))) for seed in (7, 7, 8)
    )
    assert np.array_equal(first, again)
    assert not np.allclose(first, other)
    assert torch.equal(torch.rand(1), expected)


def test_six_hits_fifty_milliseconds_apart_are_six_hits(separator: Separator, sound: Audio) -> None:
    velocities = (1.0, 0.5, 0.25, 0.75, 0.1, 0.6)
    times = [0.2 + 0.05 * index + 0.00031 for index in range(6)]
    hits = [
        Hit(time, Drum.HIHAT_CLOSED, velocity)
        for time, velocity in zip(times, velocities, strict=True)
    ]
    separation = separator.separate(sound, replace(given(*hits), mask=False))
    assert separation.transcription.hits == tuple(hits)
    alone = separator.separate(sound, replace(given(Hit(0, hits[0].drum, 1)), mask=False))
    shot = matrix(alone)[3, 0]
    expected = np.zeros(RATE)
    for time, velocity in zip(times, velocities, strict=True):
        start = round(time * RATE)
        expected[start:] += amplitude_of(velocity) / 2 * shot[: RATE - start]
    rendered = matrix(separation)[3, 0]
    np.testing.assert_allclose(rendered, expected, atol=1e-5 * np.abs(expected).max())
    assert not rendered[: round(times[0] * RATE)].any()


def test_hits_found_and_given_back_render_the_same(separator: Separator, sound: Audio) -> None:
    found = separator.separate(sound)
    again = separator.separate(sound, Options(hits=found.transcription))
    assert np.array_equal(matrix(found), matrix(again))


def test_where_nothing_is_played_stems_are_exactly_silent(
    separator: Separator, sound: Audio
) -> None:
    stems = matrix(separator.separate(sound, given(Hit(0.5, Drum.SNARE, 0.8))))
    snare = STEMS.index("snare")
    assert not np.delete(stems, snare, axis=0).any()
    ringing = slice(4000 - TOY.n_fft, 4000 + TOY.one_shot + TOY.n_fft)
    assert stems[snare, :, ringing].any()
    stems[snare, :, ringing] = 0
    assert not stems.any()


@pytest.mark.parametrize("frames", [0, 1, 31, 32, 33, 500])
def test_silence_and_scraps_give_stems_of_their_length(separator: Separator, frames: int) -> None:
    for samples in (np.zeros((2, frames)), np.random.default_rng(0).uniform(-1, 1, (2, frames))):
        for mask in (True, False):
            audio = Audio(samples.astype(np.float32), RATE)
            separation = separator.separate(audio, Options(mask=mask))
            assert matrix(separation).shape == (5, 2, frames)
            assert np.isfinite(matrix(separation)).all()
            if not samples.any():
                assert separation.transcription.hits == ()
                assert not matrix(separation).any()


# Streaming --------------------------------------------------------------------------------------

# Around whole chunks of 64 frames, less and more than the encoder's growth of four frames.
LENGTHS = [
    64 * TOY.hop * chunks + extra for chunks in (1, 2) for extra in (-161, -33, -1, 0, 1, 99)
]


@pytest.mark.parametrize("frames", LENGTHS)
def test_blocks_give_what_the_whole_gives(monkeypatch: pytest.MonkeyPatch, frames: int) -> None:
    audio = Audio(drum_loop(seconds=1.2, rate=RATE).samples[:, :frames], RATE)
    recording = survey(audio, RATE)
    whole = listen(toy(), recording, no_progress)
    whole_stems = separate_in_blocks(monkeypatch, audio, 1 << 16)
    monkeypatch.setattr(listening, "CHUNK", 64)
    pieces = listen(toy(), recording, no_progress)
    assert decibels(whole.onsets, pieces.onsets) > 100
    assert decibels(whole.amplitudes, pieces.amplitudes) > 100
    torch.testing.assert_close(whole.kit, pieces.kit)
    stems = separate_in_blocks(monkeypatch, audio, 16)
    assert [hit.time for hit in stems.transcription.hits] == [
        hit.time for hit in whole_stems.transcription.hits
    ]
    assert decibels(matrix(whole_stems), matrix(stems)) > 100


def separate_in_blocks(monkeypatch: pytest.MonkeyPatch, audio: Audio, block: int) -> Separation:
    monkeypatch.setattr(model, "MASK_BLOCK", block)
    return Separator(toy_model()).separate(audio)


def test_a_stream_can_be_read_twice(separator: Separator, sound: Audio) -> None:
    stream = separator.stream(sound)
    first, second = (np.concatenate(list(stream.blocks()), axis=-1) for _ in range(2))
    assert np.array_equal(first, second)


# Hits that adaptation may confirm ----------------------------------------------------------------

RATES = (44100, 256)


def curves(*peaks: tuple[Drum, int, float]) -> np.ndarray:
    """Onset probabilities (9, 400) that are 0.01 but for peaks of one frame."""
    onsets = np.full((9, 400), 0.01, np.float32)
    for drum, frame, probability in peaks:
        onsets[drum.position, frame] = probability
    return onsets


def test_low_peaks_are_possible_hits_of_low_confidence() -> None:
    peaks = [(Drum.KICK, 50, 0.1), (Drum.KICK, 150, 0.6), (Drum.TOM_MID, 250, 0.1)]
    arguments = (curves(*peaks), np.ones((9, 400), np.float32), RATES)
    found, possible = find_hits(*arguments, {}), possible_hits(*arguments, {})
    assert [(hit.drum, round(hit.confidence, 3)) for hit in found] == [(Drum.KICK, 0.6)]
    assert likelihood(Drum.TOM_MID, 0.1) < UNLIKELY
    # sigmoid(3.6 + 1.4 logit(0.1)) and sigmoid(3.6 + 1.4 logit(0.6))
    assert [hit.drum for hit in possible] == [Drum.KICK, Drum.KICK]
    assert [hit.confidence for hit in possible] == pytest.approx([0.628, 0.985], abs=1e-3)
    assert possible[1] == replace(found[0], confidence=possible[1].confidence)


def test_margins_that_are_asked_for_hold_for_possible_hits() -> None:
    arguments = (curves((Drum.KICK, 50, 0.1), (Drum.SNARE, 90, 0.3)), np.ones((9, 400)), RATES)
    possible = possible_hits(*arguments, {Drum.KICK: 0.2})
    assert [hit.drum for hit in possible] == [Drum.SNARE]


@pytest.mark.parametrize("drum", DRUMS)
def test_likelihood_grows_with_probability(drum: Drum) -> None:
    chances = [likelihood(drum, probability) for probability in (0, 1e-9, 0.1, 0.5, 0.9, 1)]
    assert chances == sorted(chances)
    assert (chances[0], chances[-1]) == (0, 1)


def test_adaptation_is_offered_more_than_the_transcription_has(
    separator: Separator, sound: Audio, monkeypatch: pytest.MonkeyPatch
) -> None:
    offered: list[Transcription] = []

    def nothing_heard(templates: torch.Tensor, hits: Transcription, *rest: object) -> Adapted:
        offered.append(hits)
        strokes = Strokes.of(hits.hits)
        still = first_fit(templates, strokes, torch.zeros(len(strokes)))
        masks = of_masks(len(strokes.drums), sound.channels, STFT.bins, still.device)
        return Adapted(MultichannelModel.of(still, strokes, masks, 2.0), strokes)

    monkeypatch.setattr(model, "adapt", nothing_heard)
    usual, adapted = (separator.stream(sound, Options(adapt=updates)) for updates in (0, 2))
    separator.stream(sound, Options(adapt=2, hits=usual.transcription))
    assert adapted.transcription == usual.transcription
    possible, given_hits = offered
    assert len(possible.hits) > len(usual.transcription.hits)
    assert all(UNLIKELY <= hit.confidence <= 1 for hit in possible.hits)
    assert given_hits == usual.transcription


# Options ----------------------------------------------------------------------------------------


class Told:
    """A transcriber that hears one kick."""

    rate = RATE

    def transcribe(self, recording, options, progress):
        return Transcription((Hit(0.25, Drum.KICK, 0.5),), recording.duration, "told")


def test_a_transcriber_replaces_its_own_head(separator: Separator, sound: Audio) -> None:
    with_transcriber = Separator(IdmModel(toy(), transcriber=Told()))
    found = with_transcriber.separate(sound)
    assert found.transcription == with_transcriber.transcribe(sound)
    assert found.transcription.origin == "told"
    expected = separator.separate(sound, Options(hits=found.transcription))
    np.testing.assert_array_equal(matrix(found), matrix(expected))
    assert found.stems["kick"].samples.any()


def test_five_stems_are_drums_rendered_together(separator: Separator, sound: Audio) -> None:
    nine = matrix(separator.separate(sound, Options(stems=9, mask=False)))
    five = matrix(separator.separate(sound, Options(mask=False)))
    grouped = np.zeros_like(five)
    for drum in DRUMS:
        grouped[drum.stem_index] += nine[drum.position]
    np.testing.assert_allclose(five, grouped, atol=1e-6)


def test_masked_stems_add_up_where_something_sounds(separator: Separator, sound: Audio) -> None:
    for stems in (5, 9):
        options = replace(given(*(Hit(0.001, drum, 0.7) for drum in DRUMS)), stems=stems)
        total = matrix(separator.separate(sound, options)).sum(axis=0)
        heard = slice(TOY.n_fft, TOY.one_shot - TOY.n_fft)
        np.testing.assert_allclose(total[:, heard], sound.samples[:, heard], atol=1e-5)


def test_direct_stems_follow_the_level_of_the_recording(separator: Separator, sound: Audio) -> None:
    hits = given(Hit(0.1, Drum.KICK, 1), Hit(0.4, Drum.CRASH, 0.5))
    options = replace(hits, mask=False)
    loud = matrix(separator.separate(sound, options))
    soft = matrix(separator.separate(Audio(sound.samples / 4, RATE), options))
    assert np.array_equal(loud[:, 0], loud[:, 1])
    assert decibels(loud, 4 * soft) > 100


def test_margins_replace_the_published_one(separator: Separator, sound: Audio) -> None:
    strict = separator.transcribe(sound, Options(thresholds={Drum.KICK: 1.0}))
    usual = separator.transcribe(sound)
    assert usual.of(Drum.KICK)
    assert not strict.of(Drum.KICK)
    assert strict.of(Drum.SNARE) == usual.of(Drum.SNARE)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (Options(adapt=3, mask=False), "synthesised stems cannot be adapted"),
        (Options(overlap=0.2), "idm does not work in chunks"),
        (Options(kit=Kit(())), "cannot start from yours"),
    ],
)
def test_what_it_cannot_do_is_refused(
    separator: Separator, sound: Audio, options: Options, message: str
) -> None:
    with pytest.raises(DrumsepError, match=message):
        separator.stream(sound, options)


def test_hits_after_the_end_are_reported(separator: Separator, sound: Audio) -> None:
    separation = separator.separate(sound, given(Hit(0.5, Drum.KICK, 1), Hit(1.0, Drum.KICK, 1)))
    assert separation.warnings == ("hits after the end of the recording: 1",)


def test_the_kit_holds_the_drums_that_are_played(separator: Separator, sound: Audio) -> None:
    hits = (Hit(0.1, Drum.KICK, 1), Hit(0.2, Drum.RIDE, 0.1), Hit(2.0, Drum.CRASH, 1))
    kit = separator.stream(sound, given(*hits)).kit()
    assert [shot.drum for shot in kit.one_shots] == [Drum.KICK, Drum.RIDE]
    assert {shot.kind for shot in kit.one_shots} == {"synthesised"}
    assert {shot.audio.samples.shape for shot in kit.one_shots} == {(1, TOY.one_shot)}
    assert max(np.abs(shot.audio.samples).max() for shot in kit.one_shots) == pytest.approx(0.95)
    assert all(abs(shot.audio.samples[0, -1]) < 1e-6 for shot in kit.one_shots)
