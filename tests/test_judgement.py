"""Warnings come when they should, and only then."""

import json
from pathlib import Path

import numpy as np
import pytest

from drumsep import judgement
from drumsep.cli.app import run
from drumsep.drums import DRUM_NAMES, STEMS, Drum
from drumsep.judgement import HitPeaks
from drumsep.results import Audio, Hit, Transcription
from tests.conftest import drum_loop
from tests.test_cli_separate import write

RATE = 8000


def transcription(*hits: Hit, duration: float = 4.0, origin: str = "transcriber") -> Transcription:
    return Transcription(hits, duration, origin)


def test_a_sure_transcription_gives_no_warning() -> None:
    hits = [Hit(0.5 * n, Drum.KICK, 0.8, 0.9) for n in range(8)]
    assert judgement.of_transcription(transcription(*hits)) == ()


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


def heard(
    stems: dict[str, np.ndarray], *hits: Hit, block: int = RATE * 60
) -> tuple[dict[str, float], HitPeaks]:
    """Peaks in dB, and what was heard of mono stems (N,) that come in blocks."""
    peaks = HitPeaks(tuple(stems), transcription(*hits), RATE)
    sound = np.stack([stem[None] for stem in stems.values()]).astype(np.float32)
    for start in range(0, sound.shape[-1], block):
        peaks.hear(sound[..., start : start + block])
    levels = {name: 20 * np.log10(max(np.abs(s).max(), 1e-10)) for name, s in stems.items()}
    return levels, peaks


def clicks(*times: float, level: float = 0.5) -> np.ndarray:
    """Four seconds of silence with a click 10 ms after each time."""
    sound = np.zeros(4 * RATE)
    sound[[round((time + 0.01) * RATE) for time in times]] = level
    return sound


@pytest.mark.parametrize("block", [7, 1000, 4 * RATE])
@pytest.mark.parametrize(
    ("names", "drum", "stem"), [(STEMS, Drum.CRASH, "cymbals"), (DRUM_NAMES, Drum.CRASH, "crash")]
)
def test_hits_without_sound_are_counted_and_the_first_is_named(
    names: tuple[str, ...], drum: Drum, stem: str, block: int
) -> None:
    stems = {name: clicks() for name in names} | {stem: clicks(0.5, 1.5), "kick": clicks(1.0)}
    hits = [Hit(time, drum, 0.5) for time in (0.5, 1.0, 1.5, 1.96, 3.99)]
    kick = Hit(1.0, Drum.KICK, 0.5)
    said = judgement.of_stems(*heard(stems, *hits, kick, block=block))
    assert said == (f"{stem}: 3 of 5 hits have no sound in their stem (first at 0:01.0)",)
    assert judgement.of_stems(*heard(stems, hits[0], hits[2], kick, block=block)) == ()


def test_the_peaks_are_those_after_each_hit_however_blocks_fall() -> None:
    sound = np.random.default_rng(0).standard_normal(4 * RATE)
    stems = dict.fromkeys(STEMS, sound)
    hits = [Hit(time, Drum.SNARE, 0.5) for time in (0.0, 0.01, 1.234, 3.98)]
    length = round(judgement.SOUNDS_WITHIN * RATE)
    starts = [round(hit.time * RATE) for hit in hits]
    expected = [np.abs(sound[start : start + length]).max() for start in starts]
    for block in (64, 997, 4 * RATE):
        _, peaks = heard(stems, *hits, block=block)
        np.testing.assert_allclose(peaks.peaks["snare"], expected, rtol=1e-6)


@pytest.mark.parametrize(("level", "flagged"), [(-30.0, 0), (-39.0, 0), (-41.0, 1), (-120.0, 1)])
def test_a_ghost_note_is_a_hit_and_a_leak_is_not(level: float, flagged: int) -> None:
    loud, soft = clicks(0.5, 1.0, 1.5), clicks(2.5, level=0.5 * 10 ** (level / 20))
    stems = {name: clicks() for name in STEMS} | {"snare": loud + soft}
    hits = [Hit(time, Drum.SNARE, 0.5) for time in (0.5, 1.0, 1.5, 2.5)]
    assert len(heard(stems, *hits)[1].unconfirmed("snare")) == flagged


def test_a_soft_recording_is_no_silent_one() -> None:
    stems = {name: clicks() for name in STEMS} | {"kick": clicks(0.5, 1.5, level=1e-3)}
    assert judgement.of_stems(*heard(stems, Hit(0.5, Drum.KICK, 1), Hit(1.5, Drum.KICK, 1))) == ()


def test_silence_is_said_once() -> None:
    levels, peaks = heard({name: clicks() for name in STEMS}, Hit(1.0, Drum.KICK, 0.5))
    assert judgement.of_stems(levels | {"residual": -6.0}, peaks) == ("every stem is silent",)


def test_hits_are_counted_by_drum() -> None:
    hits = [Hit(0.1, Drum.SNARE, 1.0), Hit(0.2, Drum.KICK, 1.0), Hit(0.3, Drum.SNARE, 1.0)]
    assert judgement.count(transcription(*hits)) == {"kick": 1, "snare": 2}


def test_separating_tells_of_hits_in_silence(
    toy_installed: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    loop = drum_loop(seconds=1.0)
    quiet = np.zeros((2, loop.rate), np.float32)
    write(tmp_path / "song.wav", Audio(np.concatenate([loop.samples, quiet], axis=1), loop.rate))
    (tmp_path / "hits.csv").write_text("time,drum\n0.05,kick\n0.3,snare\n0.55,kick\n1.7,kick\n")
    paths = [str(tmp_path / name) for name in ("song.wav", "hits.csv", "out")]
    command = ["separate", paths[0], "--onsets", paths[1], "--out", paths[2], "--json"]
    assert run([*command, "--model", toy_installed]) == 0
    (warning,) = json.loads(capsys.readouterr().out)["warnings"]
    assert warning == "kick: 1 of 3 hits have no sound in their stem (first at 0:01.7)"
