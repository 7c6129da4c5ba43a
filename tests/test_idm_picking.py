"""Peaks, velocities and placing: what a curve becomes, and what hits become."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drumsep.drums import DRUMS, Drum
from drumsep.idm.picking import amplitude_of, find_hits, pick_peaks, velocity_of
from drumsep.idm.sequencing import Sequenced, onset_sample
from drumsep.results import Hit

RATE, HOP = 44100, 256
FRAME_RATE = RATE / HOP


def peaks_one_by_one(curve: np.ndarray, margin: float) -> list[int]:
    """The definition in the specification of the published IDM, word for word."""
    found: list[int] = []
    for n in range(len(curve)):
        highest = curve[max(n - 8, 0) : n + 8].max()
        mean = curve[max(n - 17, 0) : n + 17].astype(np.float64).mean()
        free = not found or n >= found[-1] + 11
        if curve[n] == highest and curve[n] >= mean + margin and free:
            found.append(n)
    return found


# Steps of 1/8 make plateaus and ties common.
curves = st.lists(st.integers(0, 8), min_size=1, max_size=120).map(
    lambda values: np.array(values, np.float32) / 8
)


@settings(max_examples=150, deadline=None)
@given(curve=curves, margin=st.sampled_from([0.0, 0.1, 0.21, 0.5]))
def test_peaks_are_those_of_the_definition(curve: np.ndarray, margin: float) -> None:
    assert pick_peaks(curve, FRAME_RATE, margin).tolist() == peaks_one_by_one(curve, margin)


def test_pulses_far_apart_all_return() -> None:
    curve = np.zeros(2000, np.float32)
    curve[7::11] = 1  # 64 ms, the least that the widths allow
    assert pick_peaks(curve, FRAME_RATE, 0.2).tolist() == list(range(7, 2000, 11))


def test_a_hit_keeps_its_frame_and_reads_its_own_velocity() -> None:
    """Frames 15, 23, 30, ... came back one lower in the published code, with 15's neighbour's."""
    frames = [15, 30, 46, 60, 92]
    onsets = np.zeros((9, 120), np.float32)
    onsets[Drum.SNARE.position, frames] = 1
    amplitudes = np.tile(np.arange(120, dtype=np.float32) / 100, (9, 1))
    hits = find_hits(onsets, amplitudes, (RATE, HOP), {})
    assert [onset_sample(hit, RATE) for hit in hits] == [HOP * frame for frame in frames]
    assert [amplitude_of(hit.velocity) for hit in hits] == pytest.approx(
        [frame / 100 for frame in frames]
    )
    assert {hit.drum for hit in hits} == {Drum.SNARE}


def test_every_frame_survives_the_way_through_seconds() -> None:
    frames = range(0, 200_000, 7)
    samples = [onset_sample(Hit(frame * HOP / RATE, Drum.KICK, 1), RATE) for frame in frames]
    assert samples == [HOP * frame for frame in frames]


def test_margins_hold_for_their_drum_only() -> None:
    onsets = np.zeros((9, 40), np.float32)
    onsets[:, 20] = 0.5
    hits = find_hits(onsets, onsets, (RATE, HOP), {Drum.RIDE: 0.6})
    assert {hit.drum for hit in hits} == set(DRUMS) - {Drum.RIDE}


@given(velocity=st.floats(0, 1))
def test_velocity_is_the_inverse_of_amplitude(velocity: float) -> None:
    assert velocity_of(amplitude_of(velocity)) == pytest.approx(velocity, abs=1e-12)


def test_an_amplitude_beyond_the_range_is_full_velocity() -> None:
    assert velocity_of(2 + 1e-6) == 1


@given(
    starts=st.lists(st.integers(0, 120), max_size=8),
    size=st.integers(1, 130),
    length=st.integers(1, 60),
)
@settings(deadline=None)
def test_placing_is_convolution_with_the_onsets(starts: list[int], size: int, length: int) -> None:
    rng = np.random.default_rng(0)
    shots = {drum: rng.standard_normal(length).astype(np.float32) for drum in DRUMS[:3]}
    onsets = [(start, 0.1 + start, DRUMS[start % 3]) for start in sorted(starts)]
    rows = {DRUMS[0]: 1, DRUMS[1]: 0, DRUMS[2]: 1}
    sequenced = Sequenced(onsets, shots, rows, 100, RATE)
    blocks = list(sequenced.blocks(size))
    expected = np.zeros((2, 300))
    for start, amplitude, drum in onsets:
        expected[rows[drum], start : start + length] += amplitude * shots[drum]
    assert all(block.shape[1] <= size for block in blocks)
    np.testing.assert_allclose(np.concatenate(blocks, axis=1), expected[:, :100], atol=1e-4)


def test_nothing_is_exactly_nothing() -> None:
    shots = {Drum.KICK: np.ones(10, np.float32)}
    sequenced = Sequenced([(50, 1.0, Drum.KICK)], shots, {Drum.KICK: 0}, 100, RATE)
    block = next(sequenced.blocks(100))
    assert np.flatnonzero(block[0]).tolist() == list(range(50, 60))
