"""Velocities told by strengths: what stays, what follows, and what is not known."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from drumsep.adaptation.velocities import EXPONENT, told_by_strengths

HITS = st.lists(
    st.tuples(st.floats(0.1, 0.6), st.floats(0.5, 1.0), st.integers(0, 2)), min_size=1, max_size=12
).map(lambda rows: tuple(np.array(column) for column in zip(*rows, strict=True)))


@given(HITS, st.floats(0, 1), st.floats(0.01, 100))
def test_a_drum_keeps_its_mean_however_loud_its_template_is(hits, trust, level):
    said, strengths, drums = hits
    velocities = told_by_strengths(said, strengths, drums, trust)
    assume(velocities.max() < 1)  # nothing was clipped
    for drum in np.unique(drums):
        own = drums == drum
        assert velocities[own].mean() == pytest.approx(said[own].mean())
    np.testing.assert_allclose(told_by_strengths(said, level * strengths, drums, trust), velocities)


@given(HITS, st.floats(0, 1))
def test_a_share_is_heard_and_the_rest_as_it_was_said(hits, trust):
    said, strengths, drums = hits
    heard = told_by_strengths(said, strengths, drums, 1)
    assume(heard.max() < 1)
    expected = (1 - trust) * said + trust * heard
    np.testing.assert_allclose(told_by_strengths(said, strengths, drums, trust), expected)


def test_what_is_heard_grows_as_samples_do():
    said, strengths = np.full(3, 0.4), np.array([1.0, 2.0, 0.5])
    heard = told_by_strengths(said, strengths, np.zeros(3, int), 1)
    assert heard[1] / heard[0] == pytest.approx(2**EXPONENT)
    assert heard[0] / heard[2] == pytest.approx(2**EXPONENT)


def test_hits_without_strength_keep_what_was_said_and_tell_nothing():
    said = np.array([0.2, 0.6, 0.7, 0.5])
    strengths, drums = np.array([1.0, 1.0, 0.0, 0.0]), np.array([0, 0, 0, 1])
    np.testing.assert_allclose(told_by_strengths(said, strengths, drums, 1), [0.4, 0.4, 0.7, 0.5])


def test_trust_may_differ_from_hit_to_hit():
    said, strengths, drums = np.full(3, 0.5), np.array([1.0, 0.4, 0.1]), np.zeros(3, int)
    trust = np.array([0.0, 0.5, 1.0])
    each = [
        told_by_strengths(said, strengths, drums, one)[n] for n, one in enumerate(trust.tolist())
    ]
    np.testing.assert_allclose(told_by_strengths(said, strengths, drums, trust), each)


def test_velocities_stay_in_range():
    said, strengths = np.array([0.9, 0.9, 0.9]), np.array([0.1, 0.1, 9.0])
    heard = told_by_strengths(said, strengths, np.zeros(3, int), 1)
    assert heard.max() == 1 and heard.min() > 0
