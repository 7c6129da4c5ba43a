"""Rendering: onsets on their samples, stems that are their notes, hats that choke."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from drumsep.drums import DRUMS, Drum
from drumsep.errors import DrumsepError
from drumsep.sampled_kits import RATE, SampledKit, read_kit, read_kits
from drumsep.train.grooves import Note, read_grooves
from drumsep.train.render import CHOKE, Timbre, Voice, bend, render
from tests.train_data import BEFORE, one_shot, write_grooves, write_kit


@pytest.fixture(scope="module")
def kit(tmp_path_factory: pytest.TempPathFactory) -> SampledKit:
    return read_kit(write_kit(tmp_path_factory.mktemp("kits"), "one"))


PLAIN = Timbre()


def voices(kit: SampledKit, timbre: Timbre = PLAIN) -> dict[Drum, Voice]:
    return {drum: Voice((kit,), (timbre,)) for drum in DRUMS}


def stroke(time: float, drum: Drum, velocity: int = 100) -> Note:
    return Note(time, drum, velocity, drum.value)


def played(kit: SampledKit, *notes: Note, seconds: float = 1.0):
    return render(notes, voices(kit), seconds, np.random.default_rng(0))


@pytest.mark.parametrize("timbre", [Timbre(), Timbre(semitones=3.0), Timbre(semitones=-2.5)])
def test_a_hit_starts_on_its_sample(kit: SampledKit, timbre: Timbre) -> None:
    note = stroke(0.25, Drum.KICK)
    stems = render((note,), voices(kit, timbre), 1.0, np.random.default_rng(0)).stems
    first = np.flatnonzero(np.abs(stems[0, 0]) > 1e-3)[0]
    assert abs(first - round(0.25 * RATE)) <= 1


def test_only_the_drum_that_plays_sounds_and_stems_sum_to_the_mixture(kit: SampledKit) -> None:
    rendering = played(kit, stroke(0.1, Drum.SNARE), stroke(0.1, Drum.RIDE))
    sounding = rendering.stems.any(axis=(1, 2))
    assert [drum for drum in DRUMS if sounding[drum.position]] == [Drum.SNARE, Drum.RIDE]
    np.testing.assert_allclose(rendering.mixture, rendering.stems.sum(axis=0))
    assert rendering.onsets.tolist() == [4410, 4410]
    assert rendering.drums.tolist() == [Drum.SNARE.position, Drum.RIDE.position]


@pytest.mark.parametrize(("drum", "exponent"), [(Drum.KICK, 1.0), (Drum.SNARE, 1.5)])
def test_loudness_follows_the_law_of_the_kit(kit: SampledKit, drum: Drum, exponent: float) -> None:
    soft, loud = (np.abs(played(kit, stroke(0.1, drum, v)).mixture).max() for v in (70, 127))
    assert soft / loud == pytest.approx((70 / 127) ** exponent, rel=1e-4)


def test_notes_before_the_clip_ring_but_are_no_hits(kit: SampledKit) -> None:
    rendering = played(kit, stroke(-0.05, Drum.CRASH))
    assert rendering.onsets.size == 0
    assert rendering.stems[Drum.CRASH.position, 0, 0] != 0


def test_a_closed_hat_ends_the_open_one(kit: SampledKit) -> None:
    alone = played(kit, stroke(0.1, Drum.HIHAT_OPEN)).stems[Drum.HIHAT_OPEN.position]
    choked = played(kit, stroke(0.1, Drum.HIHAT_OPEN), stroke(0.15, Drum.HIHAT_CLOSED))
    opened = choked.stems[Drum.HIHAT_OPEN.position]
    cut = round(0.15 * RATE)
    end = cut + round(CHOKE * RATE) + 1
    np.testing.assert_array_equal(opened[:, :cut], alone[:, :cut])
    assert not opened[:, end:].any()
    assert alone[:, end:].any()


def test_a_doubled_voice_is_the_mean_of_two(kit: SampledKit, tmp_path: Path) -> None:
    other = read_kit(write_kit(tmp_path, "other", seed=5))
    note = (stroke(0.1, Drum.SNARE),)
    rng = np.random.default_rng
    both = render(note, {Drum.SNARE: Voice((kit, other), (Timbre(), Timbre()))}, 1.0, rng(0))
    single = [render(note, voices(one), 1.0, rng(0)).mixture for one in (kit, other)]
    np.testing.assert_allclose(both.mixture, (single[0] + single[1]) / 2, atol=1e-7)


def test_bending_changes_what_it_says(kit: SampledKit) -> None:
    audio = one_shot(100, 12, 0.0, 0).T
    octave = bend(audio, Timbre(semitones=12.0), BEFORE)
    assert octave.shape[1] - BEFORE == pytest.approx((audio.shape[1] - BEFORE) / 2, abs=2)
    damped = bend(audio, Timbre(damping=20.0), BEFORE)
    later = BEFORE + RATE // 10
    assert damped[0, later] == pytest.approx(audio[0, later] * np.exp(-2), rel=1e-3)
    struck = bend(audio, Timbre(attack=2.0), BEFORE)
    assert struck[0, BEFORE] == pytest.approx(2 * audio[0, BEFORE])


def test_kits_fall_back_within_a_stem_and_say_what_is_missing(
    kit: SampledKit, tmp_path: Path
) -> None:
    no_mid = replace(kit, classes={k: v for k, v in kit.classes.items() if k != "tom-mid"})
    assert no_mid.resolve("tom-mid") == "tom-high"
    assert kit.resolve("ride-bell") == "ride"
    with pytest.raises(DrumsepError, match="nothing for"):
        read_kits(tmp_path)


def test_grooves_are_read_and_ordered(tmp_path: Path) -> None:
    first, second = read_grooves(write_grooves(tmp_path))
    assert len(first) == len(second) == 32
    assert [note.time for note in first] == sorted(note.time for note in first)
    with pytest.raises(DrumsepError, match="no MIDI"):
        read_grooves(tmp_path / "nothing")
