"""Clips: the same from the same seed, stems that add up after every mix, other ways to play."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from drumsep.drums import DRUMS, STEMS, Drum
from drumsep.sampled_kits import RATE, read_kits
from drumsep.train import patterns
from drumsep.train.data import PAPER_RECIPE, Clips, Recipe
from drumsep.train.grooves import Groove, Note, read_grooves
from drumsep.train.mixing import CLOSEST, HEAVY, LONGEST_FADE, NONE, PAPER, TOLD, Strength, _left
from drumsep.train.validation import read_recordings, rendered
from tests.train_data import write_grooves, write_kit

EVERYTHING = Strength(
    any=1, saturation=1, extreme=1, bleed=1, room=1, crushed_room=1, compressor=1, bus_saturation=1,
    medium=1, residue=1, faded=1, cut=1,
)  # fmt: skip


@pytest.fixture(scope="module")
def make(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Clips]:
    folder = tmp_path_factory.mktemp("data")
    write_kit(folder / "kits", "one")
    write_kit(folder / "kits", "two", seed=9)
    write_kit(folder / "kits", "machine", electronic=True, seed=20)
    kits = read_kits(folder / "kits")
    grooves = read_grooves(write_grooves(folder / "grooves"))

    def clips(recipe: Recipe, seed: int = 0) -> Clips:
        return Clips(kits, grooves, replace(recipe, seconds=1.0, channels=2), seed)

    return clips


def groove() -> Groove:
    drums = [DRUMS[place % len(DRUMS)] for place in range(60)]
    return tuple(Note(0.1 * i, drum, 90, drum.value) for i, drum in enumerate(drums))


def test_a_clip_is_its_number_and_seed(make: Callable[..., Clips]) -> None:
    first, again, other = (make(Recipe(), seed) for seed in (3, 3, 4))
    assert not np.array_equal(first[1].mixture, first[0].mixture)
    np.testing.assert_array_equal(first[1].mixture, again[1].mixture)
    np.testing.assert_array_equal(first[1].rendering.onsets, again[1].rendering.onsets)
    assert not np.array_equal(first[1].mixture, other[1].mixture)


@pytest.mark.parametrize("strength", [NONE, Strength(), HEAVY, EVERYTHING])
def test_stems_and_residue_add_up_to_a_mixture_with_a_peak_of_one(
    make: Callable[..., Clips], strength: Strength
) -> None:
    clips = make(Recipe(together=False, strength=strength))
    for number in range(4):
        mix = clips[number]
        assert mix.rendering.stems.shape == (len(DRUMS), 2, RATE)
        total = mix.rendering.stems.sum(axis=0) + mix.residue
        np.testing.assert_allclose(mix.mixture, total, atol=1e-6)
        assert np.abs(mix.mixture).max() == pytest.approx(1, abs=1e-4)
        assert len(mix.prominence) == len(mix.rendering.onsets)


def test_faded_ends_are_silent_and_all_between_is_kept(make: Callable[..., Clips]) -> None:
    plain, faded = (
        [make(Recipe(plain=1, strength=replace(NONE, faded=chance)))[n] for n in range(8)]
        for chance in (0, 1)
    )
    longest = round(LONGEST_FADE * RATE)
    for before, after in zip(plain, faded, strict=True):
        ends = np.abs(after.mixture[:, [0, -1]])
        assert ends.max() < 0.01
        middle = np.s_[:, longest:-longest]
        scale = np.abs(before.mixture[middle]).max() / np.abs(after.mixture[middle]).max()
        np.testing.assert_allclose(scale * after.mixture[middle], before.mixture[middle], atol=1e-5)


def test_a_cut_leaves_silence_before_it_and_all_after_it(make: Callable[..., Clips]) -> None:
    plain, cut = (
        [make(Recipe(plain=1, strength=replace(NONE, cut=chance)))[n] for n in range(20)]
        for chance in (0, 1)
    )
    with_a_hit = 0
    for before, after in zip(plain, cut, strict=True):
        heard = np.flatnonzero(after.mixture.any(axis=0))
        begin = heard[0] if len(heard) else RATE
        scale = np.abs(before.mixture[:, begin:]).max(initial=0) or 1
        np.testing.assert_allclose(
            scale * after.mixture[:, begin:], before.mixture[:, begin:], atol=1e-5
        )
        onsets = before.rendering.onsets
        gone = onsets < begin - TOLD * RATE
        assert not after.prominence[gone].any()
        whole = onsets >= begin
        np.testing.assert_array_equal(before.prominence[whole], after.prominence[whole])
        with_a_hit += (np.abs(onsets - begin) <= CLOSEST * RATE).any()
    assert 5 <= with_a_hit < 20


def test_a_hit_in_a_fade_is_as_prominent_as_what_is_left_of_it() -> None:
    ends = np.ones(RATE, np.float32)
    ends[-441:] *= np.linspace(1, 0, 441, dtype=np.float32)
    span = round(TOLD * RATE)
    onsets = np.array([0, RATE // 2, RATE - 441, RATE - span, RATE - span // 2, RATE - 1])
    left = _left(ends, onsets)
    np.testing.assert_allclose(left[:2], 1, atol=1e-6)
    assert (np.diff(left[1:]) < 0).all()
    assert left[2] == pytest.approx(1 - span / 441 / 2, abs=0.01)
    assert left[-1] == 0


def test_bleed_stays_in_the_stem_of_the_drum_that_leaks(make: Callable[..., Clips]) -> None:
    dry = replace(
        NONE, any=1, bleed=0, equaliser=0, saturation=0, room=0, compressor=0, bus_saturation=0,
        medium=0, residue=0,
    )  # fmt: skip
    recipe = Recipe(together=False, plain=0, overlay=0, unrelated=0, playing=0)
    plain, wet = (
        make(replace(recipe, strength=replace(dry, bleed=chance)))[2].rendering.stems
        for chance in (0, 1)
    )
    np.testing.assert_array_equal(plain.any(axis=(1, 2)), wet.any(axis=(1, 2)))
    assert not plain.any(axis=(1, 2)).all()
    for before, after in zip(plain, wet, strict=True):
        if before.any():
            own = np.vdot(before, after) / np.vdot(before, before) * before
            assert np.vdot(after - own, after - own) < 0.3 * np.vdot(after, after)
            assert not np.allclose(after, own, atol=1e-4)


def test_the_papers_clips_do_not_bleed(make: Callable[..., Clips]) -> None:
    recipe = replace(PAPER_RECIPE, plain=0.0)
    never = replace(recipe, strength=replace(PAPER, bleed=0.0))
    np.testing.assert_array_equal(make(recipe)[0].mixture, make(never)[0].mixture)


def test_without_effects_stems_and_their_sum_are_the_same(make: Callable[..., Clips]) -> None:
    apart = make(Recipe(together=False, strength=NONE))[0].mixture
    summed = make(Recipe(together=True, strength=NONE))[0].mixture
    np.testing.assert_allclose(apart, summed, atol=1e-6)


def test_silent_drums_stay_silent_in_every_mix(make: Callable[..., Clips]) -> None:
    clips = make(Recipe(together=False, overlay=0, playing=0, strength=EVERYTHING))
    for number in range(4):
        mix = clips[number]
        sounding = mix.rendering.stems.any(axis=(1, 2))
        assert sounding[np.unique(mix.rendering.drums)].all()


@pytest.mark.parametrize(("_", "change"), patterns.PLAYING)
def test_other_ways_to_play_stay_grooves(
    _: float, change: Callable[[Groove, np.random.Generator], Groove]
) -> None:
    for seed in range(5):
        played = change(groove(), np.random.default_rng(seed))
        times = [note.time for note in played]
        assert times == sorted(times)
        assert all(1 <= note.velocity <= 127 for note in played)
    assert played == change(groove(), np.random.default_rng(seed))


def test_excerpts_count_from_their_start_and_keep_a_lead_in() -> None:
    cut = patterns.excerpt(groove(), start=3.0, seconds=1.0, stretch=1.0)
    assert min(note.time for note in cut) >= -patterns.LEAD_IN
    inside = [note for note in cut if note.time >= 0]
    assert [note.drum for note in inside] == [note.drum for note in groove()[30:40]]
    twice = patterns.excerpt(groove(), start=0.0, seconds=12.0, stretch=2.0)
    assert twice[5].time == pytest.approx(1.0)


def test_a_solo_leaves_one_drum() -> None:
    for seed in range(8):
        played = patterns.solo(groove(), np.random.default_rng(seed))
        assert len({note.drum for note in played}) == 1


def test_a_few_drums_are_left_of_those_that_play() -> None:
    lead_in = Note(-0.2, Drum.CRASH, 90, "crash")
    playing = (Drum.KICK, Drum.SNARE, Drum.HIHAT_CLOSED, Drum.RIDE)
    notes = (lead_in, *(note for note in groove() if note.drum in playing))
    counts = set()
    for seed in range(20):
        left = patterns.few_drums(notes, np.random.default_rng(seed))
        drums = {note.drum for note in left}
        assert left == tuple(note for note in notes if note.drum in drums)
        assert drums <= set(playing)
        counts.add(len(drums))
    assert counts == {1, 2, 3}
    assert patterns.few_drums((lead_in,), np.random.default_rng(0)) == (lead_in,)


def test_a_recipe_may_leave_few_drums_to_every_clip(make: Callable[..., Clips]) -> None:
    clips = make(replace(Recipe(), plain=1.0, few_drums=1.0))
    for number in range(6):
        assert len(set(clips[number].rendering.drums.tolist())) <= 3


def test_rolls_stay_on_their_drum_and_before_their_stroke() -> None:
    note = (Note(1.0, Drum.SNARE, 100, "snare"),) * 40
    played = patterns.add_strokes(note, np.random.default_rng(0))
    assert len(played) > len(note)
    assert {one.drum for one in played} == {Drum.SNARE}
    assert max(one.time for one in played) == 1.0


def test_renderings_are_annotated_by_stem(make: Callable[..., Clips]) -> None:
    clips = make(Recipe())
    (recording,) = rendered(clips, 1)
    hits = clips[0].rendering
    assert sum(len(times) for times in recording.times) == len(hits.onsets)
    kicks = hits.onsets[hits.drums == Drum.KICK.position] / RATE
    np.testing.assert_allclose(recording.times[0], np.sort(kicks))
    assert recording.samples.ndim == 1


def test_annotated_recordings_are_read_in_both_layouts(tmp_path: Path) -> None:
    import soundfile

    sound = np.zeros((RATE, 2))
    sound[100] = 0.5
    (tmp_path / "a").mkdir()
    soundfile.write(tmp_path / "a" / "mixture.wav", sound, RATE)
    (tmp_path / "a" / "onsets.csv").write_text("time,stem,velocity\n0.2,kick,127\n0.1,kick,64\n")
    soundfile.write(tmp_path / "b.wav", sound, RATE)
    (tmp_path / "b.csv").write_text("time,stem\n0.3,toms\n")
    first, second = read_recordings(tmp_path)
    assert first.times[0].tolist() == [0.1, 0.2]
    assert first.velocities[0].tolist() == [64 / 127, 1.0]
    assert second.times[STEMS.index("toms")].tolist() == [0.3]
    assert np.abs(second.samples).max() == 1


def test_the_papers_clips_are_plain_half_of_the_time(make: Callable[..., Clips]) -> None:
    clips = make(replace(PAPER_RECIPE, kit_swap=0, doubling=0, pitch=0))
    plain = make(replace(PAPER_RECIPE, plain=1.0))
    same = [np.array_equal(clips[i].mixture, plain[i].mixture) for i in range(20)]
    assert 4 <= sum(same) <= 16


def test_remixing_lowers_stems_by_up_to_twenty_decibels(make: Callable[..., Clips]) -> None:
    remixed = replace(PAPER, remix=1, channel_swap=0, saturation=0)
    plain = replace(remixed, remix=0)
    recipe = replace(PAPER_RECIPE, plain=0.0, kit_swap=0, doubling=0, pitch=0)
    mixes = [make(replace(recipe, strength=one))[0].rendering.stems for one in (remixed, plain)]
    levels = np.abs(np.stack(mixes)).max(axis=(2, 3))
    ratios = levels[0, levels[1] > 0] / levels[1, levels[1] > 0]
    assert ratios.max() / ratios.min() <= 10 * 1.01
    assert ratios.max() / ratios.min() > 1.5
