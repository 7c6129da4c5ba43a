"""The law of every augmentation, on sounds by formula."""

import numpy as np
import pytest

from drumsep.sampled_kits import RATE
from drumsep.train import augment

N = RATE // 2
SIZE = 32768


def tone(hertz: float, amplitude: float = 1.0) -> np.ndarray:
    time = np.arange(N) / RATE
    return (amplitude * np.sin(2 * np.pi * hertz * time)).astype(np.float32)[None]


def noise(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((2, N)).astype(np.float32)


def rms(audio: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(audio))))


def test_saturation_is_the_papers_tanh() -> None:
    np.testing.assert_allclose(augment.saturate(noise(), 3.0), np.tanh(3 * noise()), rtol=1e-5)


def test_channel_swap_exchanges_left_and_right_and_back() -> None:
    swapped = augment.swap_channels(noise())
    np.testing.assert_array_equal(swapped[0], noise()[1])
    np.testing.assert_array_equal(augment.swap_channels(swapped), noise())


@pytest.mark.parametrize("position", [-1.0, -0.3, 0.0, 0.7, 1.0])
def test_panning_keeps_the_power_of_a_central_sound(position: float) -> None:
    centre = np.repeat(tone(300), 2, axis=0)
    panned = augment.pan(centre, position)
    assert rms(panned) == pytest.approx(rms(centre), rel=1e-5)
    assert np.sign(rms(panned[1]) - rms(panned[0])) == pytest.approx(np.sign(position), abs=1e-3)


def test_bus_saturation_is_tanh_of_the_sum_and_stems_still_add_up() -> None:
    stems = np.stack([noise(1), noise(2), noise(3)])
    mixture = stems.sum(axis=0)
    after = stems * augment.saturation_gain(mixture, 2.0)
    np.testing.assert_allclose(after.sum(axis=0), np.tanh(2 * mixture) / 2, atol=1e-5)


def test_a_compressor_turns_decibels_over_the_threshold_by_its_ratio() -> None:
    loud = tone(1000, 0.8)
    gain = augment.compressor_gain(loud, threshold=0.2, ratio=4.0, attack=0.001, release=1.0)
    assert gain.shape == (N,)
    assert gain[-100:].mean() == pytest.approx((0.8 / 0.2) ** (1 / 4 - 1), rel=0.02)
    soft = augment.compressor_gain(tone(1000, 0.1), 0.2, 4.0, 0.001, 1.0)
    np.testing.assert_allclose(soft, 1)


def test_an_equaliser_moves_a_tone_by_its_decibels() -> None:
    response = augment.equaliser(SIZE, np.array([6.0, 6.0, 6.0]))
    after = augment.inverse(augment.spectrum(tone(500), SIZE) * response, N, SIZE)
    middle = slice(N // 4, N // 2)
    assert rms(after[:, middle]) / rms(tone(500)[:, middle]) == pytest.approx(10**0.3, rel=0.01)


def test_a_band_limit_falls_by_its_slope() -> None:
    response = augment.band_limit(SIZE, low=100.0, high=4000.0, slope=24.0)
    hertz = augment.frequencies(SIZE)
    at = {hz: response[np.argmin(np.abs(hertz - hz))] for hz in (50, 1000, 8000)}
    assert at[1000] == 1
    assert 20 * np.log10(at[50]) == pytest.approx(-24, abs=1)
    assert 20 * np.log10(at[8000]) == pytest.approx(-24, abs=1)


def test_an_inverse_returns_what_was_transformed() -> None:
    np.testing.assert_allclose(
        augment.inverse(augment.spectrum(noise(), SIZE), N, SIZE), noise(), atol=1e-5
    )


def test_a_tail_decays_by_sixty_decibels_in_its_time_and_keeps_its_delay() -> None:
    tail = augment.decaying_noise(np.random.default_rng(0), 1.0, 0.5, 0.0, 0.02)
    assert not tail[: int(0.02 * RATE)].any()
    assert np.sum(tail**2) == pytest.approx(1, rel=1e-4)
    early, late = rms(tail[int(0.05 * RATE) :][:2000]), rms(tail[int(0.55 * RATE) :][:2000])
    assert 20 * np.log10(early / late) == pytest.approx(60, abs=2)


def test_early_reflections_have_unit_energy_and_leave_the_direct_sound_alone() -> None:
    echoes = augment.early_reflections(np.random.default_rng(0), 9, 0.03)
    assert np.sum(echoes**2) == pytest.approx(1, rel=1e-5)
    assert not echoes[:30].any()
    assert len(echoes) <= 0.03 * RATE + 1


@pytest.mark.parametrize("slope", [0.0, 6.0])
def test_coloured_noise_has_its_slope(slope: float) -> None:
    sound = augment.coloured_noise(np.random.default_rng(0), 2**17, slope)
    power = np.abs(np.fft.rfft(sound)) ** 2
    hertz = np.fft.rfftfreq(2**17, 1 / RATE)
    bands = [power[(hertz > low) & (hertz < 2 * low)].mean() for low in (500, 4000)]
    assert 10 * np.log10(bands[0] / bands[1]) == pytest.approx(3 * slope, abs=1)
    assert sound.std() == pytest.approx(1, rel=1e-3)


@pytest.mark.parametrize("make", [augment.hum, augment.leaked_tones])
def test_leaks_have_unit_deviation_and_follow_the_generator(make) -> None:
    first, again = (make(np.random.default_rng(4), N) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert first.std() == pytest.approx(1, rel=0.05)


def test_a_smear_has_no_attack() -> None:
    click = np.zeros(N, np.float32)
    click[1000] = 1
    smeared = augment.smear(click, np.random.default_rng(0))
    assert np.abs(smeared).max() < 12 * smeared.std()
    assert not np.abs(smeared[:900]).max() > 1e-3
