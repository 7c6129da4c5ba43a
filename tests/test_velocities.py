"""Velocities told by levels: what stays, what follows, and what is not known."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from drumsep.adaptation.velocities import EXPONENT, told_by_levels

HITS = st.lists(
    st.tuples(st.floats(0.1, 0.6), st.floats(0.5, 1.0), st.integers(0, 2)), min_size=1, max_size=12
).map(lambda rows: tuple(np.array(column) for column in zip(*rows, strict=True)))


@given(HITS, st.floats(0.01, 100))
def test_a_group_keeps_its_mean_however_loud_it_is(hits, level):
    said, levels, groups = hits
    velocities = told_by_levels(said, levels, groups)
    assume(velocities.max() < 1)  # nothing was cut
    for group in np.unique(groups):
        own = groups == group
        assert velocities[own].mean() == pytest.approx(said[own].mean())
    np.testing.assert_allclose(told_by_levels(said, level * levels, groups), velocities)


@given(HITS)
def test_groups_tell_nothing_of_each_other(hits):
    said, levels, groups = hits
    own = groups == groups[0]
    alone = told_by_levels(said[own], levels[own], groups[own])
    np.testing.assert_array_equal(told_by_levels(said, levels, groups)[own], alone)


def test_what_is_told_grows_as_samples_do():
    said, levels = np.full(3, 0.4), np.array([1.0, 2.0, 0.5])
    velocities = told_by_levels(said, levels, np.zeros(3, int))
    assert velocities[1] / velocities[0] == pytest.approx(2**EXPONENT)
    assert velocities[0] / velocities[2] == pytest.approx(2**EXPONENT)


def test_hits_without_a_level_keep_what_was_said_and_tell_nothing():
    said = np.array([0.2, 0.6, 0.7, 0.5])
    levels, groups = np.array([1.0, 1.0, 0.0, 0.0]), np.array([0, 0, 0, 1])
    np.testing.assert_allclose(told_by_levels(said, levels, groups), [0.4, 0.4, 0.7, 0.5])


def test_velocities_stay_in_range():
    said, levels = np.array([0.9, 0.9, 0.9]), np.array([0.1, 0.1, 9.0])
    velocities = told_by_levels(said, levels, np.zeros(3, int))
    assert velocities.max() == 1 and velocities.min() > 0
