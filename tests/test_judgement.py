"""Warnings come when they should, and only then."""

import pytest

from drumsep import judgement
from drumsep.drums import STEMS, Drum
from drumsep.results import Hit, Transcription

LOUD = dict.fromkeys(STEMS, -6.0)


def transcription(*hits: Hit, duration: float = 4.0, origin: str = "transcriber") -> Transcription:
    return Transcription(hits, duration, origin)


def test_a_sure_transcription_gives_no_warning() -> None:
    hits = [Hit(0.5 * n, Drum.KICK, 0.8, 0.9) for n in range(8)]
    assert judgement.of_transcription(transcription(*hits)) == ()
    assert judgement.of_stems(LOUD, transcription(*hits)) == ()


def test_nothing_found_is_said() -> None:
    assert "no drum hits" in judgement.of_transcription(transcription())[0]


def test_uncertainty_is_said() -> None:
    unsure = transcription(*[Hit(0.5 * n, Drum.RIDE, 0.5, 0.4) for n in range(8)])
    assert judgement.of_transcription(unsure) == (
        "uncertain transcription: mean confidence 0.40 of 1",
    )


def test_three_hits_in_a_minute_do_not_look_like_drums() -> None:
    hits = [Hit(10.0 * n, Drum.KICK, 0.8, 0.9) for n in range(3)]
    assert "only 3 hits in 60 s" in judgement.of_transcription(transcription(*hits, duration=60))[0]


def test_a_users_own_hits_are_not_judged() -> None:
    assert judgement.of_transcription(transcription(origin="given")) == ()


@pytest.mark.parametrize(
    ("names", "drum", "stem"), [(STEMS, Drum.CRASH, "cymbals"), (tuple(Drum), Drum.CRASH, "crash")]
)
def test_hits_without_sound_are_said(names: tuple[str, ...], drum: Drum, stem: str) -> None:
    peaks = dict.fromkeys(map(str, names), -6.0) | {stem: -120.0}
    said = judgement.of_stems(peaks, transcription(Hit(1.0, drum, 0.5)))
    assert said == (f"hits were found for {stem}, but its stem is silent",)
    assert judgement.of_stems(peaks, transcription(Hit(1.0, Drum.KICK, 0.5))) == ()


def test_silence_is_said_once() -> None:
    quiet = dict.fromkeys(STEMS, -200.0)
    assert judgement.of_stems(quiet, transcription(Hit(1.0, Drum.KICK, 0.5))) == (
        "every stem is silent",
    )


def test_hits_are_counted_by_drum() -> None:
    hits = [Hit(0.1, Drum.SNARE, 1.0), Hit(0.2, Drum.KICK, 1.0), Hit(0.3, Drum.SNARE, 1.0)]
    assert judgement.count(transcription(*hits)) == {"kick": 1, "snare": 2}
