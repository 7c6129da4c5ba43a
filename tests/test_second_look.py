"""The second look: what it believes of hits that a listener offers, on drums made by formula."""

from dataclasses import dataclass, replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from drumsep.adaptation import pieces
from drumsep.adaptation.starting import first_templates
from drumsep.adaptation.strokes import RATE
from drumsep.drums import DRUMS, Drum
from drumsep.errors import DrumsepError
from drumsep.recording import survey
from drumsep.results import Audio, Hit, Options, no_progress
from drumsep.second_look import look, scene
from drumsep.second_look.case import NEAR, Case, near
from drumsep.second_look.judge import SecondLook
from drumsep.second_look.names import Names
from drumsep.second_look.questions import STRONGEST, WASHES, WEAKEST, Beside, Evidence, washes
from drumsep.transcriber.model import Candidates

NEEDED = 0.5
PITCHES = {  # Hz
    Drum.KICK: 60.0,
    Drum.TOM_FLOOR: 95.0,
    Drum.TOM_HIGH: 150.0,
    Drum.SNARE: 220.0,
    Drum.HIHAT_CLOSED: 4000.0,
    Drum.HIHAT_OPEN: 5500.0,
}


def stroke(drum, seconds=0.4):
    """A decaying sine with a click; kick and tom have the same click."""
    time = np.arange(round(seconds * RATE)) / RATE
    click = np.sin(2 * np.pi * 3000 * time) * np.exp(-300 * time)
    return np.sin(2 * np.pi * PITCHES[drum] * time) * np.exp(-12 * time) + 0.3 * click


def played(hits, seconds):
    samples = np.zeros((2, round(seconds * RATE)), np.float32)
    for hit in hits:
        first = round(hit.time * RATE)
        sound = hit.velocity * stroke(hit.drum)[: samples.shape[1] - first]
        samples[:, first : first + len(sound)] += sound.astype(np.float32)
    return Audio(samples, RATE)


def toy_templates():
    sounds = [stroke(drum if drum in PITCHES else Drum.SNARE) for drum in DRUMS]
    return first_templates(torch.from_numpy(np.stack(sounds).astype(np.float32)))


@dataclass
class Listener:
    """Offers what it is told, and says how often it was asked."""

    hits: tuple[Hit, ...]
    rate: int = RATE
    asked: int = 0

    def candidates(self, recording, options, progress, share=1.0):
        self.asked += 1
        needed = np.full(len(self.hits), NEEDED, np.float32)
        return Candidates(tuple(sorted(self.hits)), needed, recording.duration)


def heard(audio, hits, **options):
    listener = Listener(tuple(hits))
    second_look = SecondLook(listener, toy_templates())
    found = second_look.transcribe(survey(audio, RATE), Options(**options), no_progress)
    assert listener.asked == 1
    assert found.origin == "transcriber"
    return found


def told(hits):
    """All of hits but their velocities, which a look hears anew."""
    return tuple((hit.time, hit.drum, hit.confidence) for hit in hits)


def bars(count=6):
    """Kicks and toms in turn, none together."""
    kicks = [Hit(0.2 + bar, Drum.KICK, 0.8, 0.95) for bar in range(count)]
    toms = [Hit(0.7 + bar, Drum.TOM_FLOOR, 0.8, 0.95) for bar in range(count)]
    return kicks, toms


def beside(hit, drum, confidence=0.95):
    return replace(hit, drum=drum, time=hit.time + 0.005, confidence=confidence)


def test_a_kick_that_is_only_the_attack_of_a_tom_is_none():
    kicks, toms = bars()
    audio = played([*kicks, *toms], seconds=6.5)
    false = [beside(toms[1], Drum.KICK), beside(toms[4], Drum.KICK)]
    found = heard(audio, [*kicks, *toms, *false])
    assert told(found.of(Drum.KICK)) == told(kicks)
    assert told(found.of(Drum.TOM_FLOOR)) == told(toms)


def test_a_kick_that_sounds_with_a_tom_stays():
    kicks, toms = bars()
    together = beside(toms[2], Drum.KICK)
    audio = played([*kicks, *toms, together], seconds=6.5)
    found = heard(audio, [*kicks, *toms, together])
    assert told([together])[0] in told(found.hits)


def test_unsure_hits_are_judged_by_their_sound():
    kicks, toms = bars()
    missed = Hit(3.45, Drum.KICK, 0.8, 0.4)  # sounds, and is just not believed
    imagined = Hit(4.45, Drum.KICK, 0.8, 0.55)  # is just believed, and silent
    audio = played([*kicks, *toms, missed], seconds=6.5)
    found = heard(audio, [*kicks, *toms, missed, imagined])
    times = [hit.time for hit in found.of(Drum.KICK)]
    assert missed.time in times
    assert imagined.time not in times
    now = next(hit for hit in found.hits if hit.time == missed.time)
    assert NEEDED <= now.confidence < 0.95
    assert len(found.hits) == len(kicks) + len(toms) + 1


def test_drums_with_a_threshold_of_the_user_keep_their_hits():
    kicks, toms = bars()
    audio = played([*kicks, *toms], seconds=6.5)
    false = beside(toms[1], Drum.KICK)
    imagined = Hit(4.45, Drum.KICK, 0.8, 0.55)
    found = heard(audio, [*kicks, *toms, false, imagined], thresholds={Drum.KICK: NEEDED})
    assert told(found.of(Drum.KICK)) == told(sorted([*kicks, false, imagined]))


def test_an_open_hat_that_is_only_heard_with_cymbals_is_their_wash():
    kicks, toms = bars()
    crashes = [Hit(kick.time, Drum.CRASH, 0.8, 0.95) for kick in kicks[::2]]
    washes = [beside(crash, Drum.HIHAT_OPEN) for crash in crashes]
    closed = [
        beside(crashes[0], Drum.HIHAT_CLOSED),
        *(beside(tom, Drum.HIHAT_CLOSED) for tom in toms),
    ]
    audio, others = played([*kicks, *toms], seconds=6.5), [*kicks, *toms, *crashes, *closed]
    found = heard(audio, [*others, *washes])
    assert found.of(Drum.HIHAT_OPEN) == ()
    assert told(found.of(Drum.HIHAT_CLOSED)) == told(sorted(closed))
    alone = beside(toms[3], Drum.HIHAT_OPEN)
    kept = heard(audio, [*others, *washes, alone]).hits
    hats = sorted(hit.time for hit in [*closed, *washes, alone])
    assert [hit.time for hit in kept if hit.drum.stem == "hihat"] == hats
    given = heard(audio, [*others, *washes], thresholds={Drum.HIHAT_OPEN: NEEDED})
    assert told(given.of(Drum.HIHAT_OPEN)) == told(washes)


@pytest.mark.parametrize(("more", "refused"), [(0, True), (1, False)])
def test_open_hats_with_few_of_many_cymbals_are_no_wash(more, refused):
    rides = [Hit(0.25 * n, Drum.RIDE, 0.8, 0.95) for n in range(round(1 / WASHES) + more)]
    hits = tuple(sorted([*rides, beside(rides[2], Drum.HIHAT_OPEN)]))
    found = Candidates(hits, np.full(len(hits), NEEDED, np.float32), 9.0)
    assert washes(Case.of(found, Options(), frames=780)).any() == refused


@pytest.mark.parametrize(("others", "kept"), [(0, True), (2, True), (3, False)])
def test_a_drum_that_too_little_else_tells_of_is_left_alone(others, kept):
    kicks, toms = bars()
    sounding = [*kicks[:others], *toms]
    false = beside(toms[1], Drum.KICK)
    found = heard(played(sounding, seconds=6.5), [*sounding, false])
    assert (told([false])[0] in told(found.hits)) == kept


def cut(monkeypatch, length, learnt_from):
    """Cut recordings into pieces of so many frames, and learn from so many of them."""
    monkeypatch.setattr(scene, "PIECE", length)
    monkeypatch.setattr(pieces, "PIECE", length)
    monkeypatch.setattr(pieces, "PIECES", learnt_from)


def test_long_recordings_are_judged_by_an_excerpt(monkeypatch):
    cut(monkeypatch, 172, learnt_from=3)  # pieces of 2 s
    kicks, toms = bars(16)
    audio = played([*kicks, *toms], seconds=16.5)
    false = [beside(tom, Drum.KICK) for tom in toms[1::5]]
    imagined = [Hit(3.45 + bar, Drum.KICK, 0.8, 0.55) for bar in (0, 6, 11)]
    found = heard(audio, [*kicks, *toms, *false, *imagined])
    assert told(found.of(Drum.KICK)) == told(kicks)
    assert told(found.of(Drum.TOM_FLOOR)) == told(toms)


def by_turns(drums, count):
    """Two drums struck by turns, twice a second."""
    return [Hit(0.2 + 0.5 * turn, drums[turn % 2], 0.8, 0.95) for turn in range(count)]


def called(hits, drum, numbers):
    """The same hits, some of them called another drum."""
    return [
        replace(hit, drum=drum) if number in numbers else hit for number, hit in enumerate(hits)
    ]


TOMS, HATS = (Drum.TOM_FLOOR, Drum.TOM_HIGH), (Drum.HIHAT_CLOSED, Drum.HIHAT_OPEN)


at_once_and_in_pieces = pytest.mark.parametrize("length", [430, 86], ids=["at once", "in pieces"])


@at_once_and_in_pieces
def test_toms_that_sound_alike_get_one_name(length, monkeypatch):
    cut(monkeypatch, length, learnt_from=2)
    hits = by_turns(TOMS, 8)
    audio = played(hits, seconds=4.5)
    assert told(heard(audio, called(hits, Drum.TOM_MID, (2, 5))).hits) == told(hits)
    all_mid = called(hits, Drum.TOM_MID, (0, 2, 4, 6))
    assert told(heard(audio, all_mid).hits) == told(all_mid)


@at_once_and_in_pieces
def test_hats_that_sound_alike_are_all_open_or_all_closed(length, monkeypatch):
    cut(monkeypatch, length, learnt_from=2)
    hits = by_turns(HATS, 8)
    audio = played(hits, seconds=4.5)
    offered = called(called(hits, Drum.HIHAT_OPEN, (2,)), Drum.HIHAT_CLOSED, (5,))
    assert told(heard(audio, offered).hits) == told(hits)


@pytest.mark.parametrize("drums", [TOMS, HATS], ids=["toms", "hats"])
def test_drums_with_a_threshold_of_the_user_keep_their_names(drums):
    hits = by_turns(drums, 8)
    audio, offered = played(hits, seconds=4.5), called(hits, drums[1], (2,))
    assert told(heard(audio, offered).hits) == told(hits)
    kept = heard(audio, offered, thresholds=dict.fromkeys(drums, NEEDED))
    assert told(kept.hits) == told(offered)


def test_hits_on_two_toms_at_once_keep_their_names():
    hits = by_turns(TOMS, 8)
    audio = played(hits, seconds=4.5)
    both = [replace(hits[2], drum=Drum.TOM_MID), replace(hits[2], drum=Drum.TOM_HIGH)]
    others = hits[:2] + hits[3:]
    assert told(heard(audio, [*others, *both]).hits) == told(sorted([*others, *both]))


def test_a_hit_whose_sound_is_not_known_keeps_its_name():
    hits = tuple(called(by_turns(TOMS, 8), Drum.TOM_MID, (2, 5)))
    found = Candidates(hits, np.full(len(hits), NEEDED, np.float32), 4.5)
    case = Case.of(found, Options(), frames=390)
    sounds = np.eye(2, 28, dtype=np.float32)[np.arange(len(hits)) % 2][:, None]
    sounds[2] = 0
    all_of_it = SimpleNamespace(inside=np.ones(len(hits), bool))
    names = Names(SimpleNamespace(sounds=lambda scene, hits, bands, sides: sounds))
    names.listen(case, all_of_it)
    names.settle(case)
    assert case.transcription().hits == tuple(called(by_turns(TOMS, 8), Drum.TOM_MID, (2,)))


@pytest.mark.parametrize("hits", [(), (Hit(0.3, Drum.KICK, 0.8, 0.2),)])
def test_where_nothing_is_believed_nothing_is_looked_at(hits, monkeypatch):
    monkeypatch.setattr(look, "first_fit", None)  # would fail
    assert heard(Audio(np.zeros((1, RATE), np.float32), RATE), hits).hits == ()


def loud_and_soft(noise):
    """Velocities of six kicks, loud and soft by turns, that were said to be alike, in noise."""
    kicks, toms = bars()
    struck = [replace(kick, velocity=(0.8, 0.3)[turn % 2]) for turn, kick in enumerate(kicks)]
    audio = played([*struck, *toms], seconds=6.5)
    hiss = np.random.default_rng(0).standard_normal(audio.samples.shape).astype(np.float32)
    found = heard(Audio(audio.samples + noise * hiss, RATE), [*kicks, *toms])
    return np.array([hit.velocity for hit in found.of(Drum.KICK)])


@at_once_and_in_pieces
def test_what_is_said_to_be_alike_is_told_apart_by_how_loud_it_is(length, monkeypatch):
    cut(monkeypatch, length, learnt_from=2)
    loudness = np.array([0.8, 0.3] * 3) ** (2 / 3)
    expected = np.minimum(0.8 * loudness / loudness.mean(), 1)
    assert loud_and_soft(noise=0) == pytest.approx(expected, abs=0.1)


@at_once_and_in_pieces
def test_toms_are_compared_with_each_other(length, monkeypatch):
    cut(monkeypatch, length, learnt_from=2)
    alike = by_turns(TOMS, 8)
    struck = [replace(hit, velocity=(0.8, 0.3)[turn % 2]) for turn, hit in enumerate(alike)]
    found = heard(played(struck, seconds=4.5), alike)
    loud, soft = ([hit.velocity for hit in found.of(tom)] for tom in TOMS)
    assert min(loud) - max(soft) > 0.2


def test_what_is_badly_explained_keeps_more_of_what_was_said():
    clean, noisy = (loud_and_soft(noise) for noise in (0, 0.1))
    assert clean[0::2].mean() - clean[1::2].mean() > 0.3
    assert 0 < noisy[0::2].mean() - noisy[1::2].mean() < 0.2


def test_velocities_are_heard_where_nothing_is_doubtful_nor_to_be_named():
    kicks, _ = bars()
    struck = [replace(kicks[0], velocity=0.3), *kicks[1:]]
    found = heard(played(struck, seconds=6.5), kicks)
    assert told(found.hits) == told(kicks)
    assert found.hits[0].velocity < 0.7 < min(hit.velocity for hit in found.hits[1:])


@pytest.mark.parametrize("frames", [1, 600, 3000])
def test_very_short_recordings_are_looked_at(frames):
    noise = np.random.default_rng(0).standard_normal((1, frames)).astype(np.float32)
    hits = [Hit(0.0, Drum.KICK, 0.8, 0.6), Hit(0.0, Drum.TOM_MID, 0.8, 0.9)]
    offered = {(hit.time, hit.drum) for hit in hits}
    assert {(hit.time, hit.drum) for hit in heard(Audio(noise, RATE), hits).hits} <= offered


def test_a_listener_of_another_rate_is_refused():
    with pytest.raises(DrumsepError, match="44100 Hz"):
        SecondLook(Listener((), rate=22050), toy_templates())


def log_odds(confidence: np.ndarray) -> np.ndarray:
    return np.log(confidence / (1 - confidence))


@given(
    confidence=st.floats(0.01, 0.99),
    strength=st.floats(0, 3),
    evidence=st.builds(Evidence, slope=st.floats(0, 3), even=st.floats(0.1, 1)),
)
def test_the_odds_rise_with_the_strength(confidence, strength, evidence):
    before = np.array([confidence, confidence])
    after = evidence.weighed(before, np.array([strength, np.nan]))
    told = np.clip(strength, WEAKEST, STRONGEST)
    risen = log_odds(after) - log_odds(before)
    assert risen[0] == pytest.approx(evidence.slope * np.log(told / evidence.even), abs=1e-6)
    assert after[1] == confidence  # nobody knows what is usual


def test_what_the_networks_are_sure_of_may_be_weaker_beside_another():
    confidences = (0.7, 0.98, 1.0, 0.7, 0.4)
    strengths = np.array([0.3, 0.3, 0.0, 0.6, np.nan])
    hits = tuple(Hit(0.1 * n, Drum.SNARE, 0.8, one) for n, one in enumerate(confidences))
    found = Candidates(hits, np.full(len(hits), NEEDED, np.float32), 1.0)
    case = Case.of(found, Options(), frames=87)
    Beside({"snare": ("toms",)}).settle(case, np.ones(len(hits), bool), strengths)
    assert case.refused.tolist() == [True, False, False, False, False]


@given(
    st.lists(st.integers(0, 60), max_size=12),
    st.lists(st.integers(0, 60), max_size=12),
)
def test_near_is_less_than_its_distance(times, others):
    step = NEAR / 4.5  # so that no distance is NEAR itself
    mine, theirs = (np.sort(np.array(values, float)) * step for values in (times, others))
    expected = [any(abs(a - b) < NEAR for b in theirs) for a in mine]
    assert near(mine, theirs).tolist() == expected
