"""Adaptation: laws of the placement and of the updates, and its behaviour on a loop by formula."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from drumsep.adaptation import adapt as adapting
from drumsep.adaptation import pieces
from drumsep.adaptation.adapt import adapt
from drumsep.adaptation.bands import pooled, spread
from drumsep.adaptation.fitting import FARTHEST_OFF, Fit, Hearing, Problem, Pull
from drumsep.adaptation.starting import first_templates
from drumsep.adaptation.strokes import (
    FIRST,
    LAGS,
    LAST,
    LAYERS,
    RATE,
    STFT,
    Placement,
    Strokes,
    lags_until,
    place,
)
from drumsep.adaptation.velocities import EXPONENT, TRUST, with_heard_velocities
from drumsep.drums import DRUM_NAMES, DRUMS, STEMS, Drum
from drumsep.errors import DrumsepError
from drumsep.masking import filtered_stems
from drumsep.recording import survey
from drumsep.results import Audio, Hit, Options, Transcription, no_progress

FRAME = STFT.hop / RATE  # s


def loop_hits(seconds=2.0):
    """The hits of `conftest.drum_loop`."""
    times = {
        Drum.KICK: np.arange(0.05, seconds, 0.5),
        Drum.SNARE: np.arange(0.30, seconds, 0.5),
        Drum.HIHAT_CLOSED: np.arange(0.05, seconds, 0.25),
    }
    hits = [Hit(float(time), drum, 0.8) for drum, every in times.items() for time in every]
    return Transcription(tuple(hits), seconds)


def toy_templates():
    """One-shots of decaying, coloured noise: lower drums have more of the low bins."""
    random = torch.Generator().manual_seed(0)
    time = torch.arange(RATE // 2) / RATE
    one_shots = torch.randn(9, RATE // 2, generator=random) * torch.exp(-20 * time)
    slope = torch.linspace(3, -1, 9)[:, None, None]
    frequency = torch.arange(STFT.bins) + 1.0
    return first_templates(one_shots) * frequency**-slope * 10**slope


def adapted(audio, hits, **options):
    recording = survey(audio, RATE)
    return adapt(toy_templates(), hits, recording, Options(**options), no_progress), recording


def stems_of(audio, hits, **options):
    result, recording = adapted(audio, hits, **options)
    return np.concatenate(
        list(filtered_stems(recording, result.filter(Options(**options)))), axis=-1
    )


def divergence(values, model):
    return float((torch.xlogy(values, values / model) - values + model).double().sum())


def problem_of(width):
    """Two drums, three hits, in 90 frames of `width` bins."""
    random = torch.Generator().manual_seed(1)
    strokes = Strokes.of([Hit(0.1, DRUMS[0], 1), Hit(0.22, DRUMS[0], 1), Hit(0.25, DRUMS[3], 1)])
    placement = place(strokes, 0, 90)
    hearing = Hearing(placement, strokes, torch.device("cpu"))
    start = Fit(
        torch.rand(2 * LAYERS, len(LAGS), width, generator=random), torch.tensor([1.0, 0.4, 0.7])
    )
    magnitudes = torch.rand(90, width, generator=random).square()
    return Problem(magnitudes, hearing, start, Pull())


@pytest.fixture
def problem():
    return problem_of(12)


def model_of(hearing, fit):
    """What a fit says of a stretch of frames, (T, X)."""
    return hearing.activations(fit.strengths).T @ fit.templates.flatten(0, 1)


def objective(problem, fit):
    """What updates lower: the divergence from the magnitudes, and from the start by the pull."""
    start, pull = problem.start, problem.pull
    weight = problem.hearing.of_levels(start.templates.sum(2).flatten())
    model = model_of(problem.hearing, fit)
    moved = divergence(start.templates, fit.templates)
    shifted = divergence(weight * start.strengths, weight * fit.strengths)
    told = divergence(problem.magnitudes, model.clamp_min(1e-30))
    return told + pull.templates * moved + pull.strengths * shifted


class TestPlacement:
    def test_a_hit_on_a_frame_is_heard_at_whole_lags(self):
        placement = place(Strokes.of([Hit(10 * FRAME, Drum.KICK, 1)]), 0, 20)
        assert placement.frame.min() == 8
        dense = placement.frame < 19
        lag = LAGS[placement.row[dense] - len(LAGS)]  # of the loud template
        np.testing.assert_array_equal(lag, placement.frame[dense] - 10)
        np.testing.assert_allclose(placement.coefficient[dense], 1)

    @pytest.mark.parametrize("offset", [0.0, 0.25, 0.5, 0.9])
    def test_inside_its_span_a_hit_is_heard_once(self, offset):
        placement = place(Strokes.of([Hit((400 + offset) * FRAME, Drum.RIDE, 1)]), 0, 1000)
        heard = np.bincount(placement.frame, placement.coefficient, minlength=1000)
        frame = np.arange(1000) - 400 - offset
        inside = (frame >= FIRST) & (frame <= LAST)
        np.testing.assert_allclose(heard[inside], 1, atol=1e-6)
        assert not heard[(frame < FIRST - 1) | (frame > LAST)].any()

    def test_a_hit_half_way_takes_half_of_either_lag(self):
        placement = place(Strokes.of([Hit(10.5 * FRAME, Drum.KICK, 1)]), 12, 13)
        assert sorted(LAGS[placement.row % len(LAGS)]) == [1, 2]
        np.testing.assert_allclose(placement.coefficient, 0.5, atol=1e-6)

    @pytest.mark.parametrize(
        ("velocity", "of_soft", "of_loud"), [(0.1, 1, 0), (0.5, 0.5, 0.5), (0.9, 0, 1)]
    )
    def test_a_hit_takes_from_the_soft_and_the_loud_template(self, velocity, of_soft, of_loud):
        placement = place(Strokes.of([Hit(10 * FRAME, Drum.KICK, velocity)]), 12, 13)
        found = np.bincount(placement.row // len(LAGS), placement.coefficient, minlength=2)
        np.testing.assert_allclose(found, [of_soft, of_loud], atol=1e-6)

    def test_stretches_laid_end_to_end_hear_what_the_whole_hears(self):
        strokes = Strokes.of([Hit(0.1, Drum.KICK, 1), Hit(0.5, Drum.RIDE, 1)])
        halves = Placement.joined([place(strokes, 0, 37), place(strokes, 37, 100)])
        whole = place(strokes, 0, 100)
        of_halves, of_whole = (
            Hearing(part, strokes, torch.device("cpu")) for part in (halves, whole)
        )
        strengths = torch.tensor([1.0, 2.0])
        torch.testing.assert_close(
            of_halves.activations(strengths), of_whole.activations(strengths)
        )

    @pytest.mark.parametrize("last", [5, 8, 10, 40])
    def test_what_is_not_listened_to_has_no_rows(self, last):
        strokes = Strokes.of([Hit(0.0, Drum.KICK, 0.4), Hit(0.0, Drum.SNARE, 0.9)])
        templates = torch.rand(2 * LAYERS, len(LAGS), 7)
        models = []
        for placement in (place(strokes, 0, last + 1), place(strokes, 0, last + 1, last)):
            hearing = Hearing(placement, strokes, torch.device("cpu"))
            fit = Fit(templates[:, : placement.lags], torch.tensor([1.0, 0.5]))
            models.append(model_of(hearing, fit))
        assert placement.lags == lags_until(last) < len(LAGS)
        torch.testing.assert_close(*models)

    def test_hits_before_the_start_are_heard(self):
        assert len(place(Strokes.of([Hit(0, Drum.KICK, 1)]), 100, 110).hit) == 20


class TestBands:
    def test_they_hold_all_there_is_channel_by_channel(self):
        spectra = torch.rand(3, 2 * STFT.bins)
        bands = pooled(spectra).unflatten(-1, (2, -1))
        assert bands.shape[-1] < STFT.bins / 8
        torch.testing.assert_close(bands.sum(-1), spectra.unflatten(-1, (2, -1)).sum(-1))

    def test_bins_take_the_value_of_their_band(self):
        flat = torch.ones(1, 2 * STFT.bins)
        widths = pooled(flat)
        assert (widths[0, :40] == 1).all() and widths.max() > 20
        torch.testing.assert_close(pooled(spread(5 / widths)), torch.full_like(widths, 5))


class TestUpdates:
    @pytest.mark.parametrize("pull", [Pull(0, 0), Pull(), Pull(3, 2)])
    def test_none_increases_the_penalised_divergence(self, problem, pull):
        problem = Problem(problem.magnitudes, problem.hearing, problem.start, pull).scaled()
        start = problem.start
        fit, before = start, objective(problem, start)
        for step in [problem.with_templates, problem.with_strengths] * 10:
            fit = step(fit)
            assert objective(problem, fit) <= before * (1 + 1e-6)
            before = objective(problem, fit)
        assert before < 0.99 * objective(problem, start)

    def test_exact_zeros_stay(self, problem):
        problem.start.templates[0, :, 3] = 0
        problem.start.strengths[1] = 0
        fit = problem.refined(5)
        assert not fit.templates[0, :, 3].any()
        assert fit.strengths[1] == 0
        assert fit.templates[1].all()

    @pytest.mark.parametrize("updates", [8, 20])
    def test_learning_lowers_it_nearly_as_far_as_updates_of_all_bins(self, updates):
        problem = problem_of(2 * STFT.bins).scaled()
        start, refined, learnt = (
            objective(problem, fit)
            for fit in (problem.start, problem.refined(updates), problem.learnt(updates))
        )
        assert learnt < start - 0.9 * (start - refined)

    def test_learning_keeps_exact_zeros(self):
        problem = problem_of(STFT.bins)
        problem.start.templates[0, :, 3] = 0
        problem.start.templates[1, :, 400:] = 0
        fit = problem.learnt(8)
        assert torch.equal(fit.templates == 0, problem.start.templates == 0)
        assert fit.templates.isfinite().all()

    @pytest.mark.parametrize(("factor", "misfit"), [(1, 0), (1.5, 0.5), (0, 1), (99, FARTHEST_OFF)])
    def test_a_misfit_is_how_far_from_the_model_the_recording_is(self, problem, factor, misfit):
        model = model_of(problem.hearing, problem.start)
        found = replace(problem, magnitudes=factor * model).misfits(problem.start)
        torch.testing.assert_close(found, torch.full((3,), float(misfit)), atol=1e-4, rtol=1e-4)

    def test_a_misfit_is_heard_where_the_hit_sounds(self, problem):
        model = model_of(problem.hearing, problem.start)
        model[:15] *= 2  # the second hit begins later
        misfits = replace(problem, magnitudes=model).misfits(problem.start)
        assert misfits[0] > 0.05
        torch.testing.assert_close(misfits[1:], torch.zeros(2), atol=1e-4, rtol=0)

    def test_spectra_share_the_energy_of_what_they_explain(self, problem):
        model = model_of(problem.hearing, problem.start)
        energies = replace(problem, magnitudes=2 * model).energies(problem.start)
        assert energies.shape == (2 * LAYERS * len(LAGS), len(model))
        torch.testing.assert_close(energies.sum(0), (2 * model).square().sum(1))

    def test_a_spectrum_that_is_alone_gets_all_energy(self, problem):
        activations = problem.hearing.activations(problem.start.strengths)
        energies = problem.energies(problem.start)
        alone = (activations > 0).sum(0) == 1
        assert alone.any()
        powers = problem.magnitudes.square().sum(1)
        torch.testing.assert_close(energies.sum(0)[alone], powers[alone])

    def test_what_all_frames_have_is_heard_as_any_values_are(self, problem):
        levels = torch.rand(2 * LAYERS * len(LAGS))
        torch.testing.assert_close(
            problem.hearing.of_levels(levels),
            problem.hearing.of_hits(levels[:, None].expand(-1, 90)),
        )

    def test_the_transpose_is_one(self, problem):
        strengths, values = torch.rand(3), torch.rand(2 * LAYERS * len(LAGS), 90)
        there = (problem.hearing.activations(strengths) * values).sum()
        back = (problem.hearing.of_hits(values) * strengths).sum()
        torch.testing.assert_close(there, back)

    def test_what_hits_hear_of_the_model_is_the_model(self, problem):
        strengths, values = torch.rand(3), torch.rand(90, problem.magnitudes.shape[1])
        spectra = problem.start.templates.flatten(0, 1)
        model = problem.hearing.activations(strengths).T @ spectra
        every, some = torch.ones(3, dtype=torch.bool), torch.tensor([True, False, True])
        of_hits = problem.hearing.spectra_of_hits(spectra, values, every)
        torch.testing.assert_close((model * values).sum(0), strengths @ of_hits)
        of_some = problem.hearing.spectra_of_hits(spectra, values, some)
        torch.testing.assert_close(of_some, of_hits * some[:, None])

    def test_the_scaled_start_is_as_loud_as_the_recording(self, problem):
        start = problem.scaled().start
        model = model_of(problem.hearing, start)
        torch.testing.assert_close(model.sum(), problem.magnitudes.sum())


class TestAdapt:
    def test_templates_hold_the_spectra_of_one_shots_at_the_lags(self):
        one_shots = torch.randn(2, 30000, generator=torch.Generator().manual_seed(2))
        found = first_templates(one_shots)
        assert found.shape == (2, len(LAGS), STFT.bins)
        at_five = one_shots[:, 5 * STFT.hop - STFT.margin :][:, : STFT.n_fft]
        expected = STFT.spectrum(at_five).abs()[..., 0]
        torch.testing.assert_close(found[:, 7], expected)
        assert not found[:, LAGS > 62].any()

    def test_updates_separate_the_loop_better(self, loop):
        hits = loop_hits()
        alone = stems_of(loop, Transcription(hits.of(Drum.KICK), 2.0))
        np.testing.assert_allclose(alone[0].sum(), loop.samples.sum(), rtol=1e-2)
        first, refined = (adapted(loop, hits, adapt=updates)[0].model for updates in (0, 8))
        assert not torch.equal(first.templates, refined.templates)

    def test_stems_add_up_where_drums_sound(self, loop):
        stems = stems_of(loop, loop_hits())
        heard = loop.samples[:, 2048:]
        missing = stems.sum(axis=0)[:, 2048:] - heard
        assert np.square(missing).sum() < 1e-7 * np.square(heard).sum()

    def test_drums_without_hits_are_exactly_silent(self, loop):
        nine = stems_of(loop, loop_hits(), stems=9)
        struck = {Drum.KICK, Drum.SNARE, Drum.HIHAT_CLOSED}
        assert nine.shape == (len(DRUM_NAMES), *loop.samples.shape)
        for drum, stem in zip(DRUMS, nine, strict=True):
            assert stem.any() == (drum in struck)

    def test_nine_stems_are_not_the_five(self, loop):
        five = stems_of(loop, loop_hits())
        assert five.shape == (len(STEMS), *loop.samples.shape)
        assert not five[2].any() and not five[4].any()

    def test_without_hits_all_is_silent(self, loop):
        assert not stems_of(loop, Transcription((), 2.0)).any()

    def test_silence_stays_silent(self):
        silence = Audio(np.zeros((2, RATE), np.float32), RATE)
        stems = stems_of(silence, loop_hits(1.0))
        assert not stems.any() and np.isfinite(stems).all()

    @pytest.mark.parametrize("gain", [1e-3, 30.0])
    def test_louder_recordings_have_louder_stems(self, loop, gain):
        louder = Audio((gain * loop.samples).astype(np.float32), RATE)
        expected = gain * stems_of(loop, loop_hits())
        found = stems_of(louder, loop_hits())
        np.testing.assert_allclose(found, expected, atol=gain * 1e-3)

    @pytest.mark.parametrize("channels", [1, 3])
    def test_any_number_of_channels(self, loop, channels):
        audio = Audio(np.repeat(loop.samples[:1], channels, axis=0), RATE)
        stems = stems_of(audio, loop_hits())
        assert stems.shape == (5, channels, loop.frames)

    def test_blocks_give_what_the_whole_gives(self, loop):
        result, recording = adapted(loop, loop_hits())
        whole = result.filter(Options())
        made = [
            np.concatenate(list(filtered_stems(recording, replace(whole, block=block))), axis=-1)
            for block in (13, 64, 1000)
        ]
        np.testing.assert_allclose(made[0], made[2], atol=1e-5)
        np.testing.assert_allclose(made[1], made[2], atol=1e-5)

    def test_another_rate_is_refused(self, loop):
        recording = survey(Audio(loop.samples, 48000), 48000)
        with pytest.raises(DrumsepError, match="44100 Hz, got 48000"):
            adapt(toy_templates(), loop_hits(), recording, Options(), no_progress)


class TestLongRecordings:
    def test_the_excerpt_is_bounded_and_hears_every_drum(self):
        hits = [Hit(time / 2, Drum.KICK, 1) for time in range(1200)]
        rare = [Hit(431.0, Drum.CRASH, 1), Hit(77.0, Drum.TOM_MID, 1)]
        strokes = Strokes.of(sorted(hits + rare))
        chosen = pieces.excerpt(strokes, STFT.frames(600 * RATE))
        assert len(chosen) == pieces.PIECES == len(set(chosen))
        seconds = pieces.PIECE * FRAME
        assert {int(hit.time // seconds) for hit in rare} <= set(chosen)

    def test_strengths_outside_the_excerpt_are_found(self, monkeypatch):
        for module in (adapting, pieces):
            monkeypatch.setattr(module, "PIECE", 60)
        monkeypatch.setattr(pieces, "PIECES", 2)
        beat = np.zeros((1, 4 * RATE), np.float32)
        noise = np.random.default_rng(0).standard_normal(4000) * np.exp(-np.arange(4000) / 700)
        loudness = [1.0, 0.5, 0.25, 1.0, 0.125, 0.5, 0.25, 1.0]
        for number, level in enumerate(loudness):
            start = number * RATE // 2 + 1000
            beat[0, start : start + 4000] += (0.3 * level * noise).astype(np.float32)
        times = (np.arange(8) * RATE // 2 + 1000) / RATE
        hits = Transcription(tuple(Hit(float(t), Drum.SNARE, 0.5) for t in times), 4.0)
        strengths = adapted(Audio(beat, RATE), hits)[0].model.strengths.numpy()
        assert np.corrcoef(strengths, loudness)[0, 1] > 0.95


class TestBelief:
    def false_hits(self, confidence):
        true = tuple(replace(hit, confidence=0.95) for hit in loop_hits().hits)
        false = tuple(
            Hit(hit.time, Drum.TOM_MID, 0.3, confidence) for hit in loop_hits().of(Drum.KICK)
        )
        return Transcription(true + false, 2.0)

    def test_hits_that_nothing_confirms_leave_their_stem_silent(self, loop):
        result, _ = adapted(loop, self.false_hits(0.4))
        assert result.doubted == ("toms",)
        assert not stems_of(loop, self.false_hits(0.4))[2].any()

    def test_confidence_and_share_have_to_add_up(self, loop):
        likely = Transcription(tuple(replace(h, confidence=0.9) for h in loop_hits().hits), 2.0)
        assert adapted(loop, likely)[0].doubted == ()
        unsure = Transcription(tuple(replace(h, confidence=0.1) for h in loop_hits().hits), 2.0)
        assert adapted(loop, unsure)[0].doubted == ("kick", "snare", "hihat")

    def test_only_stems_with_hits_are_warned_of(self, loop):
        result, _ = adapted(loop, self.false_hits(0.4))
        (warning,) = result.warnings(self.false_hits(0.4))
        assert "toms" in warning
        assert result.warnings(loop_hits()) == ()

    def test_hits_given_with_certainty_are_never_doubted(self, loop):
        result, _ = adapted(loop, self.false_hits(1.0))
        assert result.doubted == ()
        assert stems_of(loop, self.false_hits(1.0))[2].any()


class TestVelocities:
    def test_they_follow_the_strengths_and_keep_the_mean(self, loop):
        given = loop_hits()
        result, _ = adapted(loop, given)
        kicks = np.flatnonzero(result.strokes.drum == 0)
        strengths = torch.ones(len(result.strokes))
        strengths[kicks[1]] = 3
        louder = replace(result, model=replace(result.model, strengths=strengths))
        heard = with_heard_velocities(given, louder)
        assert [hit.time for hit in heard.hits] == [hit.time for hit in given.hits]
        assert all(hit.velocity == pytest.approx(0.8) for hit in heard.of(Drum.SNARE))
        found = np.array([hit.velocity for hit in heard.of(Drum.KICK)])
        assert found[1] > 0.8 > found[0] == pytest.approx(found[2])
        told = strengths[kicks].numpy() ** EXPONENT
        heard_alone = np.minimum(0.8 * told / told.mean(), 1)
        assert found == pytest.approx(0.8 + TRUST * (heard_alone - 0.8))

    def test_silent_drums_keep_what_was_said(self, loop):
        result, _ = adapted(loop, loop_hits())
        still = replace(result.model, strengths=0 * result.model.strengths)
        silent = replace(result, model=still)
        assert with_heard_velocities(loop_hits(), silent) == loop_hits()
