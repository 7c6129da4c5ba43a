"""Bleed: every leak is late, soft and dull, and belongs to the drum that makes it."""

import numpy as np
import pytest

from drumsep.drums import DRUMS, Drum
from drumsep.sampled_kits import RATE
from drumsep.train.microphones import FARTHEST, LOUDEST, NEAREST, SOFTEST, close_miked

N = RATE // 2
AT = 1000  # sample of a click


def clicks(*drums: Drum) -> np.ndarray:
    stems = np.zeros((len(DRUMS), 1, N), np.float32)
    for drum in drums:
        stems[drum.position, 0, AT] = 1
    return stems


def noise(seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    decay = np.exp(-np.arange(N) / 3000)
    return (rng.standard_normal((len(DRUMS), 2, N)) * decay).astype(np.float32)


@pytest.mark.parametrize("seed", range(6))
def test_a_leak_belongs_to_its_drum_and_comes_late(seed: int) -> None:
    heard = close_miked(clicks(Drum.SNARE), np.random.default_rng(seed))
    assert [drum for drum in DRUMS if heard[drum.position].any()] == [Drum.SNARE]
    snare = heard[Drum.SNARE.position, 0]
    leaks = np.flatnonzero(snare)[np.flatnonzero(snare) != AT]
    assert leaks.min() >= AT + np.floor(NEAREST * RATE)
    assert leaks.min() <= AT + np.ceil(FARTHEST * RATE)
    assert 0.2 < snare[AT] <= 1


@pytest.mark.parametrize("seed", range(6))
def test_leaks_are_as_soft_as_they_should_be(seed: int) -> None:
    time = np.arange(N) / RATE
    tone = np.sin(2 * np.pi * 700 * time).astype(np.float32)  # within the band of every channel
    stems = np.zeros((len(DRUMS), 1, N), np.float32)
    stems[Drum.KICK.position, 0, : N // 2] = tone[: N // 2]
    heard = close_miked(stems, np.random.default_rng(seed))[Drum.KICK.position, 0]
    after = slice(N // 2, N // 2 + int(NEAREST * RATE))  # the tone has ended, its leaks have not
    assert 0 < np.abs(heard[after]).max() <= 4 * 10 ** (LOUDEST / 20)
    assert np.abs(heard[after]).max() >= 10 ** ((SOFTEST - 6) / 20)


def test_stems_together_are_the_sum_of_stems_apart() -> None:
    for seed in range(3):
        apart, together = (
            close_miked(noise(), np.random.default_rng(seed), together=one) for one in (False, True)
        )
        assert together.shape == (1, 2, N)
        np.testing.assert_allclose(apart.sum(axis=0), together[0], atol=1e-4)
        assert not np.allclose(together[0], noise().sum(axis=0), atol=0.05)


def test_a_drum_does_not_leak_into_its_own_microphone_nor_within_its_stem() -> None:
    first = close_miked(clicks(Drum.TOM_HIGH), np.random.default_rng(0))
    both = close_miked(clicks(Drum.TOM_HIGH, Drum.TOM_FLOOR), np.random.default_rng(0))
    high, floor = both[Drum.TOM_HIGH.position, 0], both[Drum.TOM_FLOOR.position, 0]
    np.testing.assert_allclose(high, floor)
    np.testing.assert_array_equal(np.flatnonzero(first.sum(axis=(0, 1))), np.flatnonzero(high))
    late = np.flatnonzero(np.abs(high) > 1e-6)
    assert len(late[(late > AT) & (late < AT + 20)]) == 0


def test_silence_stays_silent_and_the_argument_as_it_was() -> None:
    assert not close_miked(clicks(), np.random.default_rng(0)).any()
    stems = noise()
    close_miked(stems, np.random.default_rng(0))
    np.testing.assert_array_equal(stems, noise())
