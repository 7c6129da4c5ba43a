"""Onsets in stems: found where they are, with their velocity, bleed or not, block by block."""

import numpy as np
import pytest

from drumsep import onsets
from drumsep.drums import STEMS, Drum
from drumsep.results import Transcription

RATE = 44100
PATTERN = {  # s and amplitude of the hits of each stem
    "kick": [(0.10, 1.0), (0.62, 0.5), (1.10, 0.8)],
    "snare": [(0.35, 0.8), (0.85, 0.4), (1.35, 0.8)],
    "toms": [(1.60, 0.7), (1.72, 0.5), (1.84, 0.7)],
    "hihat": [(0.10 + 0.125 * step, 0.2) for step in range(12)],
    "cymbals": [(1.95, 0.6)],
}
DECAY = {"kick": 12, "snare": 25, "toms": 8, "hihat": 70, "cymbals": 3}  # 1 / s
SECONDS = 2.2


def hit(stem: str) -> np.ndarray:
    """A decaying tone for the skins, dull noise for the snare, bright noise for the metals."""
    time = np.arange(round(SECONDS * RATE)) / RATE
    noise = np.random.default_rng(len(stem)).uniform(-1, 1, time.size)
    waves = {
        "kick": np.sin(2 * np.pi * 55 * time),
        "snare": np.convolve(noise, np.ones(8) / 3, mode="same"),
        "toms": np.sin(2 * np.pi * 120 * time),
        "hihat": np.diff(noise, n=2, prepend=[0, 0]) / 2,
        "cymbals": np.diff(noise, n=2, prepend=[0, 0]) / 2,
    }
    return np.exp(-DECAY[stem] * time) * waves[stem]


@pytest.fixture(scope="module")
def stems() -> np.ndarray:
    """Five mono stems (5, n), each with hits of its own."""
    sound = np.zeros((len(STEMS), round(SECONDS * RATE)), np.float32)
    for row, stem in zip(sound, STEMS, strict=True):
        for time, amplitude in PATTERN[stem]:
            start = round(time * RATE)
            row[start:] += amplitude * hit(stem)[: row.size - start]
    return sound


def blocks(stems: np.ndarray, size: int) -> list[np.ndarray]:
    return [stems[:, start : start + size] for start in range(0, stems.shape[1], size)]


def found(transcription: Transcription, stem: str) -> list[float]:
    return [hit.time for hit in transcription.of(onsets.HEARD_AS[stem])]


@pytest.mark.parametrize("bleed", [0.0, 0.1, 0.2])
def test_hits_are_found_where_they_are_and_in_no_other_stem(
    stems: np.ndarray, bleed: float
) -> None:
    others = stems.sum(axis=0) - stems
    heard = onsets.transcribe([stems + np.float32(bleed) * others], RATE, {})
    assert heard.origin == "onset detection in the stems"
    assert heard.duration == pytest.approx(SECONDS)
    for stem, hits in PATTERN.items():
        assert found(heard, stem) == pytest.approx([time for time, _ in hits], abs=0.015), stem


@pytest.mark.parametrize("size", [1, 440, 1024, 30011])
def test_blocks_change_nothing(stems: np.ndarray, size: int) -> None:
    short = stems[:, :4000] if size == 1 else stems
    whole, parts = (onsets.transcribe(b, RATE, {}) for b in ([short], blocks(short, size)))
    assert parts.duration == whole.duration
    assert [(hit.time, hit.drum) for hit in parts.hits] == [(h.time, h.drum) for h in whole.hits]
    np.testing.assert_allclose(
        [hit.velocity for hit in parts.hits], [hit.velocity for hit in whole.hits], rtol=1e-4
    )


def test_a_velocity_is_the_level_against_the_loudest_hit_of_the_stem(stems: np.ndarray) -> None:
    heard = onsets.transcribe([stems], RATE, {})
    for stem in ("kick", "snare"):
        amplitudes = np.array([amplitude for _, amplitude in PATTERN[stem]])
        velocities = [hit.velocity for hit in heard.of(onsets.HEARD_AS[stem])]
        np.testing.assert_allclose(velocities, amplitudes / amplitudes.max(), atol=0.15)


def test_a_threshold_belongs_to_one_drum(stems: np.ndarray) -> None:
    normal = onsets.transcribe([stems], RATE, {})
    strict = onsets.transcribe([stems], RATE, {Drum.HIHAT_CLOSED: 1.0})
    assert not strict.of(Drum.HIHAT_CLOSED)
    assert strict.of(Drum.KICK) == normal.of(Drum.KICK)


def test_frames_are_timed_by_samples_at_any_rate() -> None:
    rate = 11025  # a hop of 110 samples is not quite 10 ms
    stems = np.zeros((5, 60 * rate), np.float32)
    late = round(58.5 * rate)
    stems[0, late : late + 400] = np.sin(np.arange(400) * 0.3)
    (only,) = onsets.transcribe([stems], rate, {}).hits
    assert only.time == pytest.approx(58.5, abs=0.06)  # half a window is 46 ms here


@pytest.mark.parametrize("length", [0, 1, 100, 44100])
def test_silence_has_no_hits(length: int) -> None:
    heard = onsets.transcribe([np.zeros((5, length), np.float32)], RATE, {})
    assert heard == Transcription((), length / RATE, onsets.ORIGIN)
    assert onsets.transcribe([], RATE, {}).hits == ()
