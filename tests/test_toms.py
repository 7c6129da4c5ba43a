"""Toms told apart by their sound: laws of the grouping."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drumsep.drums import DRUMS
from drumsep.toms import COMPARED, TOMS, one_drum_each

BINS = 28
HIGH, MID, FLOOR = TOMS


def strokes(toms, seed=0):
    """Powers (H, 2, BINS) of strokes on toms, by number, each a partial, at any level."""
    rng = np.random.default_rng(seed)
    powers = rng.uniform(0, 0.01, (len(toms), 2, BINS)).astype(np.float32)
    for powers_of_hit, tom in zip(powers, toms, strict=True):
        powers_of_hit[:, 3 + 5 * tom] += rng.uniform(0.9, 1.1, 2)
    return powers * rng.uniform(0.1, 10, (len(toms), 1, 1)).astype(np.float32)


def test_a_stroke_of_another_name_gets_that_of_its_drum():
    named = one_drum_each(strokes([0, 1, 0, 1, 0]), np.array([HIGH, FLOOR, FLOOR, FLOOR, HIGH]))
    assert named.tolist() == [HIGH, FLOOR, HIGH, FLOOR, HIGH]


def test_two_drums_of_one_name_get_two():
    named = one_drum_each(strokes([0, 1, 0, 1]), np.array([FLOOR, FLOOR, FLOOR, MID]))
    assert named.tolist() == [FLOOR, MID, FLOOR, MID]


def test_what_stands_left_is_not_what_stands_right():
    powers = strokes([0, 0, 0, 0])
    powers[::2, 0] *= 0.1
    powers[1::2, 1] *= 0.1
    named = one_drum_each(powers, np.array([HIGH, FLOOR, HIGH, HIGH]))
    assert named.tolist() == [HIGH, FLOOR, HIGH, FLOOR]


@given(
    toms=st.lists(st.integers(0, 4), min_size=2, max_size=20),
    seed=st.integers(0, 1000),
)
def test_names_follow_the_sound_whatever_the_order(toms, seed):
    rng = np.random.default_rng(seed)
    powers, drums = strokes(toms, seed), rng.choice(TOMS, len(toms))
    named = one_drum_each(powers, drums)
    assert set(named) <= set(TOMS)
    for tom in set(toms):
        assert len({name for name, own in zip(named, toms, strict=True) if own == tom}) == 1
    assert len(set(named)) == min(len(set(toms)), len(TOMS))
    assert (one_drum_each(powers, named) == named).all()
    order = rng.permutation(len(toms))
    again = one_drum_each(powers[order], named[order])
    assert (again == named[order]).all()


def test_of_many_strokes_some_are_compared():
    toms = np.random.default_rng(1).integers(0, 3, 4 * COMPARED)
    assert (one_drum_each(strokes(toms), TOMS[toms]) == TOMS[toms]).all()


@pytest.mark.parametrize("silent", [0, slice(None)])
def test_silence_is_grouped_as_well(silent):
    powers = strokes([0, 0, 1])
    powers[silent] = 0
    named = one_drum_each(powers, np.array([HIGH, HIGH, FLOOR]))
    assert set(named) <= {drum.position for drum in DRUMS if drum.stem == "toms"}
