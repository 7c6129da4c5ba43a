"""Cutting one-shots: the right hits are chosen, and what is cut is the stroke and nothing else."""

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drumsep import extraction
from drumsep.drums import DRUM_NAMES, DRUMS, STEMS, Drum
from drumsep.extraction import CLEAN_DB, Collector, choose, merge
from drumsep.results import Audio, Hit, Kit, OneShot, Samples, StemStream, Transcription

RATE = 22050

hits = st.lists(
    st.builds(Hit, st.floats(0, 12), st.sampled_from(DRUMS), st.floats(0, 1)), max_size=40
).map(tuple)


def played(found: tuple[Hit, ...], seconds: float, late: float = 0.0) -> Samples:
    """Stems (5, 2, n) in which every hit is a decaying tone, panned by its drum."""
    stems = np.zeros((5, 2, round(seconds * RATE)), np.float32)
    for hit in found:
        tone = np.arange(round(0.3 * RATE)) / RATE
        pitch = 100 * (2 + hit.drum.position)
        wave = hit.velocity * np.exp(-30 * tone) * np.cos(2 * np.pi * pitch * tone)
        first = round((hit.time + late) * RATE)
        place = stems[hit.drum.stem_index, :, first : first + wave.size]
        place += np.array([[0.6], [0.3]]) * wave[: place.shape[1]]
    return stems


def collected(found: tuple[Hit, ...], stems: Samples, size: int = 4096) -> tuple[OneShot, ...]:
    """What is cut from stems that come in blocks of `size`."""
    mixture = stems.sum(axis=0)

    def blocks() -> Iterator[Samples]:
        for start in range(0, stems.shape[-1], size):
            yield stems[..., start : start + size]

    transcription = Transcription(found, stems.shape[-1] / RATE)
    stream = StemStream(STEMS, RATE, 2, stems.shape[-1], transcription, blocks, kit=lambda: Kit(()))
    collector = Collector(choose(transcription), stream)
    position = 0
    for block in stream.blocks():
        collector.write(block, mixture[:, position : position + block.shape[-1]])
        position += block.shape[-1]
    return collector.one_shots()


def shot(drum: Drum, isolation: float | None, velocity: float = 0.5) -> OneShot:
    audio = Audio(np.ones((1, 10), np.float32), RATE)
    kind = "synthesised" if isolation is None else "extracted"
    return OneShot(drum, audio, kind, velocity, isolation=isolation)


@given(hits)
@settings(deadline=None)
def test_a_window_never_reaches_the_next_stroke_of_its_stem(found: tuple[Hit, ...]) -> None:
    transcription = Transcription(found, 12.0)
    for names in (STEMS, DRUM_NAMES):
        for window in choose(transcription, names):
            drum = window.hit.drum
            rivals = [
                hit
                for hit in transcription.hits
                if hit.time > window.hit.time
                and (hit.drum is drum or (names is STEMS and hit.drum.stem == drum.stem))
            ]
            assert all(hit.time > window.stop for hit in rivals)
            assert extraction.SHORTEST <= window.stop - window.hit.time + 1e-9
            assert window.stop - window.hit.time <= extraction.LONGEST[drum] + 1e-9


def test_the_number_of_windows_does_not_grow_with_the_recording() -> None:
    found = tuple(Hit(0.2 * n, DRUMS[n % 9], (n % 7) / 7 + 0.1) for n in range(5000))
    assert len(choose(Transcription(found, 1000.0))) <= 9 * 4 * extraction.CANDIDATES


def test_hits_that_stand_alone_are_preferred_and_every_layer_is_served() -> None:
    alone = [Hit(float(n), Drum.SNARE, 0.9) for n in range(5)]
    crowded = [Hit(10.0 + n, Drum.SNARE, 0.9) for n in range(5)]
    crowd = [Hit(10.02 + n, Drum.KICK, 1.0) for n in range(5)]
    ghost = Hit(20.0, Drum.SNARE, 0.1)
    plan = choose(Transcription((*alone, *crowded, *crowd, ghost), 21.0))
    assert [window.hit for window in plan if window.hit.drum is Drum.SNARE] == [*alone, ghost]


def test_nine_stems_let_a_tom_ring_over_another() -> None:
    found = (Hit(0.0, Drum.TOM_HIGH, 0.5), Hit(0.3, Drum.TOM_FLOOR, 0.5))
    five, *_ = choose(Transcription(found, 3.0), STEMS)
    nine, *_ = choose(Transcription(found, 3.0), DRUM_NAMES)
    assert (five.stop, nine.stop) == (pytest.approx(0.29), pytest.approx(1.0))


def test_a_closed_hat_ends_an_open_one_even_in_nine_stems() -> None:
    found = (Hit(0.0, Drum.HIHAT_OPEN, 0.5), Hit(0.3, Drum.HIHAT_CLOSED, 0.5))
    window, *_ = choose(Transcription(found, 3.0), DRUM_NAMES)
    assert window.stop == pytest.approx(0.29)


@pytest.mark.parametrize("late", [-0.015, 0.0, 0.004, 0.015])
def test_a_stroke_is_cut_from_its_true_onset_in_stereo(late: float) -> None:
    found = (Hit(0.5, Drum.SNARE, 0.8),)
    stems = played(found, 2.0, late)
    (cut,) = collected(found, stems)
    assert cut.time == pytest.approx(0.5 + late, abs=0.0005)
    assert (cut.kind, cut.velocity, cut.audio.channels) == ("extracted", 0.8, 2)
    lead = round(extraction.PRE_ROLL * RATE)
    first = round(cut.time * RATE) - lead
    original = stems[1, :, first : first + cut.audio.frames]
    fade = round(extraction.FADE_OUT * RATE)
    inner = slice(lead, cut.audio.frames - fade)
    np.testing.assert_array_equal(cut.audio.samples[:, inner], original[:, inner])
    assert np.abs(cut.audio.samples[:, -1]).max() < 1e-5
    assert 0.15 < cut.audio.frames / RATE < 0.3, "silence is trimmed"


@given(st.integers(300, 50_000))
@settings(max_examples=8, deadline=None)
def test_the_size_of_the_blocks_does_not_matter(size: int) -> None:
    found = tuple(Hit(0.21 * n, DRUMS[n % 5], 0.5) for n in range(8))
    stems = played(found, 2.0)
    for one, other in zip(collected(found, stems, size), collected(found, stems), strict=True):
        np.testing.assert_array_equal(one.audio.samples, other.audio.samples)
        assert one.isolation == pytest.approx(other.isolation, abs=1e-6)


def test_isolation_is_the_energy_over_that_of_the_rest() -> None:
    found = (Hit(0.5, Drum.SNARE, 1.0), Hit(0.5, Drum.KICK, 0.1))
    by_drum = {cut.drum: cut.isolation for cut in collected(found, played(found, 2.0))}
    assert by_drum[Drum.SNARE] == pytest.approx(20, abs=0.3)
    assert by_drum[Drum.KICK] == pytest.approx(-20, abs=0.3)


def test_what_rings_from_before_counts_as_rest() -> None:
    quiet = (Hit(0.5, Drum.RIDE, 0.5),)
    ringing = (Hit(0.3, Drum.CRASH, 1.0), *quiet)
    stems = played(quiet, 2.0)
    stems += 0.05 * np.sin(np.arange(stems.shape[-1]) / 3).astype(np.float32)[np.newaxis]
    (clean,) = collected(quiet, played(quiet, 2.0))
    rung = [cut for cut in collected(ringing, stems) if cut.drum is Drum.RIDE]
    assert clean.isolation == extraction.EXTREME_DB
    assert rung[0].isolation is not None and rung[0].isolation < 20


@given(hits)
@settings(max_examples=15, deadline=None)
def test_any_hits_on_any_sound_can_be_cut(found: tuple[Hit, ...]) -> None:
    stems = 0.1 * np.random.default_rng(0).standard_normal((5, 2, 8 * RATE)).astype(np.float32)
    for cut in collected(found, stems):
        assert cut.audio.frames > 0 and cut.time is not None
        assert cut.isolation is not None
        assert abs(cut.isolation) <= extraction.EXTREME_DB


def test_silent_stems_and_hits_beyond_the_end_give_nothing() -> None:
    found = (Hit(0.5, Drum.SNARE, 0.5), Hit(7.0, Drum.KICK, 0.5), Hit(1.999, Drum.CRASH, 0.5))
    assert collected(found, np.zeros((5, 2, 2 * RATE), np.float32)) == ()


def test_the_cleanest_of_a_layer_are_kept() -> None:
    found = tuple(Hit(0.5 * n, Drum.SNARE, 0.6) for n in range(5))
    stems = played(found, 3.0)
    stems[0, :, : round(0.9 * RATE)] += 0.05  # a kick that never ends, under the first two
    kept = collected(found, stems)
    assert sorted(round(cut.time or 0, 2) for cut in kept) == [1.0, 1.5, 2.0]


def test_a_merged_kit_takes_clean_cuts_then_synthesis_then_the_best_cut() -> None:
    synthesised = Kit((shot(Drum.KICK, None), shot(Drum.SNARE, None)))
    extracted = (
        shot(Drum.KICK, CLEAN_DB + 1),
        shot(Drum.KICK, CLEAN_DB - 1),
        shot(Drum.SNARE, CLEAN_DB - 1),
        shot(Drum.RIDE, -5.0),
        shot(Drum.RIDE, -3.0),
    )
    merged = merge(extracted, synthesised)
    assert [(s.drum, s.kind, s.isolation) for s in merged.one_shots] == [
        (Drum.KICK, "extracted", CLEAN_DB + 1),
        (Drum.SNARE, "synthesised", None),
        (Drum.RIDE, "extracted", -3.0),
    ]
