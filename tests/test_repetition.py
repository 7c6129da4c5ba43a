"""What a recording plays again makes doubtful hits likelier, and the rest less likely."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drumsep.drums import Drum
from drumsep.results import Hit, Options
from drumsep.second_look import repetition
from drumsep.second_look.case import Case
from drumsep.transcriber.model import Candidates

NEEDED = 0.5
BAR = 2.0  # s
BARS = 6


def case_of(hits, options=None):
    found = Candidates(tuple(sorted(hits)), np.full(len(hits), NEEDED, np.float32), 30.0)
    return Case.of(found, options or Options(), 1000)


def weighed(hits, options=None):
    """The confidence of every candidate by its time and drum, before and after."""
    case = case_of(hits, options)
    keys = [(round(hit.time, 3), hit.drum) for hit in case.found.hits]
    before = dict(zip(keys, case.confidences.tolist(), strict=True))
    repetition.weigh(case)
    return before, dict(zip(keys, case.confidences.tolist(), strict=True))


def beat(start=0.5):
    """Kick, snare and kick again in every bar, all certain, and a snare at 1.6 s in all but one."""
    hits = []
    for bar in range(BARS):
        at = start + bar * BAR
        hits += [Hit(at, Drum.KICK, 0.8, 1.0), Hit(at + 0.5, Drum.SNARE, 0.8, 1.0)]
        hits += [Hit(at + 1.25, Drum.KICK, 0.8, 1.0)]
        if bar != 3:
            hits.append(Hit(at + 1.6, Drum.SNARE, 0.4, 1.0))
    return hits


MISSING = 0.5 + 3 * BAR + 1.6  # s, of the snare
NEVER = 0.5 + 3 * BAR + 0.9  # s, where no bar has a snare


def test_what_every_other_bar_has_becomes_likelier():
    before, after = weighed([*beat(), Hit(MISSING, Drum.SNARE, 0.3, 0.45)])
    assert before[MISSING, Drum.SNARE] < NEEDED < after[MISSING, Drum.SNARE]


def test_what_no_other_bar_has_becomes_less_likely():
    before, after = weighed([*beat(), Hit(NEVER, Drum.SNARE, 0.3, 0.52)])
    assert before[NEVER, Drum.SNARE] > NEEDED > after[NEVER, Drum.SNARE]


def test_certain_hits_stay_and_so_do_those_of_a_stem_without_others():
    alone = Hit(MISSING, Drum.TOM_FLOOR, 0.5, 0.6)
    before, after = weighed([*beat(), alone])
    assert before == after


def test_a_hat_where_a_cymbal_is_hit_stays_as_it_is():
    hats = [Hit(0.5 + 0.25 * n, Drum.HIHAT_CLOSED, 0.5, 1.0) for n in range(8 * BARS) if n != 24]
    doubtful = Hit(0.5 + 0.25 * 24, Drum.HIHAT_CLOSED, 0.5, 0.4)
    _, after = weighed([*beat(), *hats, doubtful])
    assert after[doubtful.time, doubtful.drum] > NEEDED
    crash = Hit(doubtful.time + 0.005, Drum.CRASH, 0.8, 1.0)
    _, after = weighed([*beat(), *hats, doubtful, crash])
    assert after[doubtful.time, doubtful.drum] == doubtful.confidence


def test_drums_with_a_threshold_of_the_user_are_not_weighed():
    hits = [*beat(), Hit(MISSING, Drum.SNARE, 0.3, 0.45)]
    before, after = weighed(hits, Options(thresholds={Drum.SNARE: 0.4}))
    assert before == after


def test_where_nothing_is_believed_nothing_changes():
    before, after = weighed([Hit(1.0, Drum.KICK, 0.5, 0.3)])
    assert before == after


DOUBTFUL = st.builds(
    Hit,
    st.integers(0, 1200).map(lambda frame: frame / 100),
    st.sampled_from(Drum),
    st.just(0.5),
    st.floats(0.2, 1.0),
)


@given(st.lists(DOUBTFUL, min_size=1, max_size=30), st.integers(1, 500))
def test_it_does_not_matter_when_the_recording_begins(hits, frames):
    later = [Hit(hit.time + frames / 100, hit.drum, hit.velocity, hit.confidence) for hit in hits]
    now, then = case_of(hits), case_of(later)
    repetition.weigh(now)
    repetition.weigh(then)
    assert np.all((now.confidences >= 0) & (now.confidences <= 1))
    np.testing.assert_allclose(then.confidences, now.confidences, atol=1e-6)


def likeness_by_definition(case, frame, stem, place):
    """Sums over pairs of strokes, as the formula of tapered and smoothed windows says."""
    strokes = [
        (round(time * 100), own, confidence)
        for time, own, confidence in zip(case.times, case.stems, case.confidences, strict=True)
    ]

    def product(one, other):
        total = 0.0
        for first, own, weight in strokes:
            shift = first - one
            if abs(shift) > repetition.AROUND or (own == stem and abs(shift) <= repetition.OWN):
                continue
            for second, its, level in strokes:
                apart = (second - other) - shift
                if its == own and abs(apart) <= 8:
                    bump = np.exp(-0.5 * (apart / repetition.SPREAD) ** 2)
                    total += weight * repetition.TAPER[shift + repetition.AROUND] * level * bump
        return total

    return product(frame, place) / np.sqrt(product(place, place) * product(frame, frame))


def test_places_are_compared_as_the_formula_says():
    case = case_of(beat(start=0.0))
    frame, stem, places = 810, 1, (160, 205, 360, 605, 1010)
    likeness = repetition.Pattern(case)._likeness(frame, stem)
    for place in places:
        expected = likeness_by_definition(case, frame, stem, place)
        assert likeness[place - frame + repetition.FARTHEST] == pytest.approx(expected, abs=1e-6)


def test_a_bar_is_like_the_bar_before():
    likeness = repetition.Pattern(case_of(beat(start=0.0)))._likeness(450, 1)
    assert likeness[repetition.FARTHEST - 200] == pytest.approx(1, abs=1e-3)
    assert likeness[repetition.FARTHEST - 150] < 0.5
