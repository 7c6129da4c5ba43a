"""Values check themselves."""

import numpy as np
import pytest

import drumsep
from drumsep.drums import DRUM_OF_NOTE, DRUMS, STEMS, Drum
from drumsep.errors import DrumsepError
from drumsep.results import Audio, Hit, Options, Transcription


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (np.zeros(5, np.float32), "shape"),
        (np.zeros((1, 2, 3), np.float32), "shape"),
        (np.zeros((0, 5), np.float32), "shape"),
        (np.zeros((2, 5)), "float32"),
        (np.zeros((2, 5), np.int16), "float32"),
    ],
)
def test_audio_takes_one_shape_and_one_type(samples: np.ndarray, message: str) -> None:
    with pytest.raises(DrumsepError, match=message):
        Audio(samples, 44100)


@pytest.mark.parametrize("time", [-0.1, float("nan"), float("inf")])
def test_a_hit_has_a_time(time: float) -> None:
    with pytest.raises(DrumsepError, match="time"):
        Hit(time, Drum.KICK, 0.5)


@pytest.mark.parametrize("velocity", [-0.1, 1.1, float("nan")])
def test_a_hit_has_a_velocity(velocity: float) -> None:
    with pytest.raises(DrumsepError, match="velocity"):
        Hit(0.0, Drum.KICK, velocity)


def test_hits_are_in_order_of_time() -> None:
    hits = (Hit(1.0, Drum.KICK, 0.5), Hit(0.5, Drum.RIDE, 0.5), Hit(0.7, Drum.KICK, 0.1))
    found = Transcription(hits, 2.0)
    assert [hit.time for hit in found.hits] == [0.5, 0.7, 1.0]
    assert [hit.time for hit in found.of(Drum.KICK)] == [0.7, 1.0]


@pytest.mark.parametrize(
    "wrong", [{"alpha": 0.0}, {"alpha": 2.1}, {"stems": 7}, {"adapt": -1}, {"overlap": 0.6}]
)
def test_options_are_checked(wrong: dict[str, float]) -> None:
    with pytest.raises(DrumsepError, match=next(iter(wrong))):
        Options(**wrong)  # type: ignore[arg-type]


def test_the_vocabulary_is_general_midi_and_complete() -> None:
    assert [drum.note for drum in DRUMS] == [36, 38, 50, 47, 43, 42, 46, 49, 51]
    assert all(DRUM_OF_NOTE[drum.note] is drum for drum in DRUMS)
    assert [drum.position for drum in DRUMS] == list(range(9))
    assert {drum.stem for drum in DRUMS} == set(STEMS)
    assert all(STEMS[drum.stem_index] == drum.stem for drum in DRUMS)


def test_the_front_door_has_what_it_lists() -> None:
    assert all(getattr(drumsep, name) is not None for name in drumsep.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = drumsep.nonsense
