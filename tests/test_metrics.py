"""Scores: values worked out by hand, and the laws of each formula."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drumsep.errors import DrumsepError
from drumsep.evaluate import metrics

RATE = 44100


def noise(seconds: float, channels: int = 2, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return 0.1 * rng.standard_normal((channels, round(seconds * RATE))).astype(np.float32)


def row(*samples: float) -> np.ndarray:
    return np.array([samples], np.float32)


def decay(pitch: float, seconds: float = 0.6, start: float = 0.0) -> np.ndarray:
    time = np.arange(round(seconds * RATE)) / RATE - start
    return np.where(time < 0, 0, np.exp(-12 * time) * np.sin(2 * np.pi * pitch * time))[None]


class TestNsdr:
    def test_a_perfect_stem_is_limited_by_eps_alone(self) -> None:
        stem = row(3, 4)
        assert metrics.nsdr(stem, stem) == pytest.approx(10 * np.log10(25 / 1e-7 + 1))

    def test_silence_for_a_sounding_stem_scores_nothing(self) -> None:
        assert metrics.nsdr(row(3, 4), row(0, 0)) == pytest.approx(0)

    def test_the_mixture_scores_the_ratio_of_stem_to_the_rest(self) -> None:
        stem, rest = row(1, 0, 1, 0), row(0, 0.5, 0, 0.5)
        assert metrics.nsdr(stem, stem + rest) == pytest.approx(10 * np.log10(2 / 0.5), abs=1e-5)

    def test_channels_are_summed_before_the_ratio(self) -> None:
        stem, answer = np.array([[2.0, 0], [0, 0]]), np.array([[1.0, 0], [0, 1]])
        assert metrics.nsdr(stem, answer) == pytest.approx(10 * np.log10(4 / 2), abs=1e-5)

    def test_a_silent_stem_scores_at_most_nothing(self) -> None:
        assert metrics.nsdr(row(0, 0), row(0, 0)) == 0
        assert metrics.nsdr(row(0, 0), row(0.1, 0)) == pytest.approx(-50, abs=1e-4)

    @given(st.floats(0.01, 0.5), st.floats(1.1, 4))
    def test_more_error_is_worse(self, error: float, factor: float) -> None:
        stem = row(1, -1, 0.5)
        little, much = stem + error, stem + error * factor
        assert metrics.nsdr(stem, much) < metrics.nsdr(stem, little)

    def test_sounds_of_different_shapes_are_refused(self) -> None:
        with pytest.raises(DrumsepError, match=r"one shape .*\(1, 2\) and \(1, 3\)"):
            metrics.nsdr(row(1, 2), row(1, 2, 3))


class TestSiSdr:
    def test_the_level_does_not_matter(self) -> None:
        stem, answer = noise(0.1), noise(0.1) + 0.3 * noise(0.1, seed=1)
        expected = metrics.si_sdr(stem, answer)
        assert metrics.si_sdr(stem, np.float32(0.25) * answer) == pytest.approx(expected, abs=0.01)

    def test_an_orthogonal_error_by_hand(self) -> None:
        assert metrics.si_sdr(row(2, 0), row(2, 1)) == pytest.approx(10 * np.log10(4), abs=1e-5)

    def test_one_factor_for_all_channels(self) -> None:
        stem = np.ones((2, 4))
        assert metrics.si_sdr(stem, stem * [[1.0], [0.0]]) == pytest.approx(0, abs=1e-5)

    def test_undefined_for_silence(self) -> None:
        assert np.isnan(metrics.si_sdr(row(0, 0), row(1, 0)))


class TestBssSdr:
    def test_a_short_filter_is_forgiven(self) -> None:
        pytest.importorskip("fast_bss_eval")
        stem = noise(0.5)
        stem[:, -20:] = 0
        late = np.roll(stem, 20, axis=1)
        assert metrics.nsdr(stem, late) < 0 < 50 < metrics.bss_sdr(stem, late)

    def test_unrelated_noise_counts_in_full(self) -> None:
        pytest.importorskip("fast_bss_eval")
        stem, other = noise(1.0), noise(1.0, seed=1)
        assert metrics.bss_sdr(stem, stem + 0.1 * other) == pytest.approx(20, abs=0.3)

    def test_silent_channels_are_left_out(self) -> None:
        pytest.importorskip("fast_bss_eval")
        stem = noise(0.2) * np.array([[1], [0]], np.float32)
        answer = stem + 0.1 * noise(0.2, seed=1)
        both, left = metrics.bss_sdr(stem, answer), metrics.bss_sdr(stem[:1], answer[:1])
        assert both == pytest.approx(left)
        assert np.isnan(metrics.bss_sdr(0 * stem, answer))


class TestLogSpectralDistance:
    def test_nothing_between_equals(self) -> None:
        assert metrics.log_spectral_distance(noise(0.2), noise(0.2)) == 0

    def test_a_gain_is_its_own_distance(self) -> None:
        found = metrics.log_spectral_distance(noise(0.5), 0.5 * noise(0.5))
        assert found == pytest.approx(20 * np.log10(2), rel=0.02)  # the last frames are silent

    def test_both_silent(self) -> None:
        assert metrics.log_spectral_distance(np.zeros((2, 100)), np.zeros((2, 100))) == 0


class TestSilence:
    def test_energy_where_the_reference_is_silent(self) -> None:
        stem, answer = np.zeros((2, 1024)), np.zeros((2, 1024))
        stem[:, :512] = 1
        answer[:, 512] = 0.1
        found = metrics.predicted_energy_at_silence(stem, answer)
        assert found == pytest.approx(10 * np.log10(2 * 0.01))
        assert metrics.energy_at_predicted_silence(stem, answer) == pytest.approx(
            10 * np.log10(2 * 512)
        )

    def test_minus_sixty_is_perfect(self) -> None:
        stem = np.zeros((1, 2000))
        stem[:, :512] = 1
        assert metrics.predicted_energy_at_silence(stem, stem) == pytest.approx(-60)
        assert metrics.energy_at_predicted_silence(stem, stem) == pytest.approx(-60)

    def test_undefined_without_silence(self) -> None:
        assert np.isnan(metrics.predicted_energy_at_silence(np.ones((1, 600)), np.ones((1, 600))))


class TestOneShotDistance:
    def test_neither_level_nor_a_small_shift_matters(self) -> None:
        shifted = 0.2 * decay(200, start=0.012)
        assert metrics.one_shot_distance(decay(200), shifted, RATE) < 1
        assert metrics.one_shot_distance(decay(200), decay(200), RATE) == pytest.approx(0, abs=0.01)

    def test_another_sound_is_far(self) -> None:
        near = metrics.one_shot_distance(decay(200), decay(203), RATE)
        far = metrics.one_shot_distance(decay(200), decay(900), RATE)
        assert 0.1 < near < far / 10

    def test_lengths_and_channels_may_differ_and_silence_has_no_distance(self) -> None:
        stereo = np.repeat(decay(200, seconds=0.9), 2, axis=0)
        assert metrics.one_shot_distance(decay(200), stereo, RATE) < 1
        assert np.isnan(metrics.one_shot_distance(decay(200), 0 * stereo, RATE))


class TestMatching:
    @pytest.fixture(autouse=True)
    def _needs_mir_eval(self) -> None:
        pytest.importorskip("mir_eval")

    def test_a_shift_of_thirty_milliseconds(self) -> None:
        times = np.array([0.1, 0.5, 0.9])
        assert len(metrics.matched(times, times, 0.02)) == 3
        assert len(metrics.matched(times, times + 0.03, 0.05)) == 3
        assert len(metrics.matched(times, times + 0.03, 0.02)) == 0

    def test_the_border_belongs_to_the_window(self) -> None:
        assert len(metrics.matched(np.array([0.3]), np.array([0.35]), 0.05)) == 1

    def test_as_many_pairs_as_possible_and_each_onset_once(self) -> None:
        expected, found = np.array([0.0, 0.06]), np.array([0.045, 0.1])
        assert metrics.matched(expected, found, 0.05) == [(0, 0), (1, 1)]
        assert len(metrics.matched(expected, np.array([0.05]), 0.06)) == 1

    def test_nothing_to_match(self) -> None:
        assert metrics.matched(np.zeros(0), np.array([1.0]), 0.05) == []


def test_correlation_needs_three_pairs_that_vary() -> None:
    x = np.array([0.1, 0.5, 0.9])
    assert metrics.correlation(x, 1 - x) == pytest.approx(-1)
    assert np.isnan(metrics.correlation(x, np.ones(3)))
    assert np.isnan(metrics.correlation(x[:2], x[:2]))


def test_scores_leave_their_arguments_alone() -> None:
    stem, answer = noise(0.1), noise(0.1, seed=1)
    before = stem.copy(), answer.copy()
    for score in (metrics.nsdr, metrics.si_sdr, metrics.log_spectral_distance):
        score(stem, answer)
    metrics.one_shot_distance(stem, answer, RATE)
    assert np.array_equal(stem, before[0]) and np.array_equal(answer, before[1])
