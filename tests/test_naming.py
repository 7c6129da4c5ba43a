"""Drums named by their sound: laws of the grouping."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform

from drumsep.drums import Drum
from drumsep.naming import COMPARED, TOMS, linked, named_as_most, toms_told_apart

BINS = 28
HIGH, MID, FLOOR = TOMS
CLOSED, OPEN = Drum.HIHAT_CLOSED.position, Drum.HIHAT_OPEN.position


def strokes(drums, seed=0):
    """Powers (H, 2, BINS) of strokes on drums, by number, each a partial, at any level."""
    rng = np.random.default_rng(seed)
    powers = rng.uniform(0, 0.01, (len(drums), 2, BINS)).astype(np.float32)
    for powers_of_hit, drum in zip(powers, drums, strict=True):
        powers_of_hit[:, 3 + 5 * drum] += rng.uniform(0.9, 1.1, 2)
    return powers * rng.uniform(0.1, 10, (len(drums), 1, 1)).astype(np.float32)


def test_a_stroke_of_another_name_gets_that_of_its_drum():
    named = toms_told_apart(strokes([0, 1, 0, 1, 0]), np.array([HIGH, FLOOR, FLOOR, FLOOR, HIGH]))
    assert named.tolist() == [HIGH, FLOOR, HIGH, FLOOR, HIGH]


def test_two_drums_of_one_name_get_two():
    named = toms_told_apart(strokes([0, 1, 0, 1]), np.array([FLOOR, FLOOR, FLOOR, MID]))
    assert named.tolist() == [FLOOR, MID, FLOOR, MID]


def test_what_stands_left_is_not_what_stands_right():
    powers = strokes([0, 0, 0, 0])
    powers[::2, 0] *= 0.1
    powers[1::2, 1] *= 0.1
    named = toms_told_apart(powers, np.array([HIGH, FLOOR, HIGH, HIGH]))
    assert named.tolist() == [HIGH, FLOOR, HIGH, FLOOR]


@given(
    toms=st.lists(st.integers(0, 4), min_size=2, max_size=20),
    seed=st.integers(0, 1000),
)
def test_names_follow_the_sound_whatever_the_order(toms, seed):
    rng = np.random.default_rng(seed)
    powers, drums = strokes(toms, seed), rng.choice(TOMS, len(toms))
    named = toms_told_apart(powers, drums)
    assert set(named) <= set(TOMS)
    for tom in set(toms):
        assert len({name for name, own in zip(named, toms, strict=True) if own == tom}) == 1
    assert len(set(named)) == min(len(set(toms)), len(TOMS))
    assert (toms_told_apart(powers, named) == named).all()
    order = rng.permutation(len(toms))
    again = toms_told_apart(powers[order], named[order])
    assert (again == named[order]).all()


def test_what_sounds_alike_is_what_most_of_it_are_called():
    drums = np.array([CLOSED, CLOSED, OPEN, OPEN, OPEN, CLOSED])
    named = named_as_most(strokes([0, 0, 0, 1, 1, 1]), drums)
    assert named.tolist() == [CLOSED] * 3 + [OPEN] * 3


def test_where_as_many_are_called_either_all_stay():
    drums = np.array([CLOSED, OPEN, OPEN, CLOSED, OPEN])
    assert (named_as_most(strokes([0, 0, 1, 1, 2]), drums) == drums).all()


@given(
    sounds=st.lists(st.integers(0, 4), min_size=2, max_size=20),
    seed=st.integers(0, 1000),
)
def test_the_majority_of_each_sound_decides(sounds, seed):
    rng = np.random.default_rng(seed)
    drums = rng.choice([CLOSED, OPEN], len(sounds))
    named = named_as_most(strokes(sounds, seed), drums)
    for sound in set(sounds):
        own = np.array(sounds) == sound
        opened = np.mean(drums[own] == OPEN)
        expected = drums[own] if opened == 0.5 else [OPEN if opened > 0.5 else CLOSED] * own.sum()
        assert (named[own] == expected).all()


def test_a_sound_like_no_other_that_was_compared_keeps_its_name():
    sounds = np.zeros(3 * COMPARED, int)
    sounds[1] = 2  # not among those compared
    drums = np.full(len(sounds), CLOSED)
    drums[1] = OPEN
    assert (named_as_most(strokes(sounds), drums) == drums).all()


def test_of_many_strokes_some_are_compared():
    toms = np.random.default_rng(1).integers(0, 3, 4 * COMPARED)
    assert (toms_told_apart(strokes(toms), TOMS[toms]) == TOMS[toms]).all()


@pytest.mark.parametrize("silent", [0, slice(None)])
def test_silence_is_grouped_as_well(silent):
    powers = strokes([0, 0, 1])
    powers[silent] = 0
    drums = np.array([HIGH, HIGH, FLOOR])
    assert set(toms_told_apart(powers, drums)) <= set(TOMS)
    assert set(named_as_most(powers, drums)) <= set(drums)


@given(
    count=st.integers(2, 30),
    limit=st.floats(0, 1),
    most=st.integers(1, 30),
    seed=st.integers(0, 1000),
)
def test_groups_are_those_of_scipy(count, limit, most, seed):
    distances = np.random.default_rng(seed).uniform(0, 1, (count, count))
    distances = (distances + distances.T) / 2
    np.fill_diagonal(distances, 0)
    tree = linkage(squareform(distances), "average")
    expected = fcluster(tree, limit, "distance")
    if expected.max() > most:
        expected = fcluster(tree, most, "maxclust")
    groups = linked(distances, limit, most)
    assert len(set(groups)) == len(set(expected)) == len(set(zip(groups, expected, strict=True)))
