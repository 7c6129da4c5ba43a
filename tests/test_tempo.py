"""Tempo maps: exact in both directions; tempi found from hits that stray, drift and jump."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drumsep import tempo
from drumsep.drums import Drum
from drumsep.errors import DrumsepError
from drumsep.results import Hit
from drumsep.tempo import TempoMap

sections = st.lists(
    st.tuples(st.integers(1, 10_000_000), st.integers(1, 0xFFFFFF)), max_size=5
).map(lambda found: ((0, 500_000), *sorted(dict(found).items())))
maps = st.builds(TempoMap, sections, st.sampled_from([24, 96, 480, 960]))

BAR = (Drum.KICK, Drum.HIHAT_CLOSED, Drum.SNARE, Drum.HIHAT_CLOSED)


def play(bpm: Callable[[float], float], eighths: int, first: float = 0.3) -> list[Hit]:
    """A plain rock beat whose strokes stray by 6 ms."""
    rng = np.random.default_rng(0)
    hits, now = [], first
    for at in range(eighths):
        hits.append(Hit(now + abs(rng.normal(0, 0.006)), BAR[at % 4], 0.8))
        now += 30 / bpm(now)
    return hits


@given(maps, st.integers(0, 20_000_000))
def test_a_tick_has_a_time_and_the_time_has_that_tick(found: TempoMap, tick: int) -> None:
    assert found.ticks(found.seconds(tick)) == tick


@given(maps, st.lists(st.floats(0, 36_000), min_size=2, max_size=9).map(sorted))
def test_later_is_never_an_earlier_tick(found: TempoMap, times: list[float]) -> None:
    ticks = [found.ticks(time) for time in times]
    assert ticks == sorted(ticks)


@given(st.floats(4, 1000), st.floats(0, 7200))
def test_a_tick_is_at_most_half_a_tick_off(bpm: float, time: float) -> None:
    found = TempoMap.constant(bpm)
    _, quarter = found.sections[0]
    assert abs(found.seconds(found.ticks(time)) - time) <= 0.5001 * quarter / 960e6


def test_at_120_a_second_has_1920_ticks() -> None:
    assert TempoMap.constant(120).ticks(1.0) == 1920
    assert TempoMap.constant(120).seconds(960) == 0.5


def test_changes_happen_when_they_were_given() -> None:
    given_changes = ((0.0, 120.0), (10.0, 60.0), (20.0, 240.0))
    found = TempoMap.from_changes(given_changes)
    assert found.changes == given_changes
    assert found.ticks(10.0) == 20 * 960
    assert found.ticks(21.0) == (20 + 10 + 4) * 960


def test_of_two_changes_on_one_tick_the_last_counts() -> None:
    found = TempoMap.from_changes([(0.0, 120.0), (0.0001, 90.0)])
    assert found.changes == ((0.0, pytest.approx(90, abs=1e-3)),)


@pytest.mark.parametrize("bpm", [0.0, -1.0, 3.9, 1001.0, float("nan")])
def test_a_tempo_out_of_range_is_refused(bpm: float) -> None:
    with pytest.raises(DrumsepError, match="4 to 1000 quarter notes per minute"):
        tempo.for_hits((), bpm)


@pytest.mark.parametrize("wrong", [(), ((5, 500_000),), ((0, 0),), ((0, 1), (0, 2))])
def test_sections_that_no_midi_file_could_hold_are_refused(wrong: tuple) -> None:
    with pytest.raises(DrumsepError):
        TempoMap(wrong)


@pytest.mark.parametrize("bpm", [68.2, 93.0, 120.37, 139.1])
def test_a_steady_tempo_is_found_so_well_that_it_does_not_drift(bpm: float) -> None:
    found = tempo.estimate(play(lambda _: bpm, 1000))
    assert found is not None
    ((_, heard),) = found.changes
    assert heard == pytest.approx(bpm, rel=1e-4)


def test_a_drifting_tempo_is_followed() -> None:
    found = tempo.estimate(play(lambda time: 110 + time / 4, 400))
    assert found is not None and len(found.sections) >= 4
    for time, bpm in found.changes:
        assert bpm == pytest.approx(110 + (time + 10) / 4, rel=0.02)


def test_a_jump_of_tempo_is_told_within_a_section() -> None:
    found = tempo.estimate(play(lambda time: 100.0 if time < 40 else 125.0, 500))
    assert found is not None
    (_, before), (change, after) = found.changes
    assert (before, after) == (pytest.approx(100, rel=0.005), pytest.approx(125, rel=0.005))
    assert 40 - 20 <= change <= 40 + 20


def test_hits_in_any_order_give_the_same_tempo() -> None:
    hits = play(lambda _: 97, 100)
    assert tempo.estimate(hits[::-1]) == tempo.estimate(hits)


@pytest.mark.parametrize("hits", [[], play(lambda _: 120, 7), play(lambda _: 120, 20)[:12]])
def test_too_little_to_tell_gives_120(hits: list[Hit]) -> None:
    assert tempo.estimate(hits) is None
    assert tempo.for_hits(hits) == TempoMap.constant(120)


@given(st.lists(st.builds(Hit, st.floats(0, 60), st.sampled_from(Drum), st.floats(0, 1))))
def test_any_hits_give_a_map_that_can_be_written(hits: list[Hit]) -> None:
    assert isinstance(tempo.for_hits(hits), TempoMap)


def test_a_given_tempo_is_taken_as_it_is() -> None:
    assert tempo.for_hits(play(lambda _: 97, 100), 140) == TempoMap.constant(140)
