"""Kits on disk: read back as they sounded, and an SFZ that any player understands."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from drumsep import kit, sfz
from drumsep.drums import DRUMS, Drum
from drumsep.errors import DrumsepError
from drumsep.hashing import file_sha256
from drumsep.results import Audio, Kit, OneShot


def one_shot(drum: Drum, velocity: float, peak: float = 0.25, **more: Any) -> OneShot:
    wave = peak * np.exp(-np.arange(400) / 80) * np.cos(np.arange(400) / 5)
    audio = Audio(np.stack([wave, 0.5 * wave]).astype(np.float32), 48000)
    return OneShot(drum, audio, **({"kind": "extracted", "velocity": velocity} | more))


SMALL = Kit(
    (
        one_shot(Drum.KICK, 0.9, time=1.5, isolation=21.5),
        one_shot(Drum.KICK, 0.8, time=2.5, isolation=19.0),
        one_shot(Drum.KICK, 0.3, peak=0.05, time=3.5, isolation=12.0),
        one_shot(Drum.HIHAT_CLOSED, 0.5, kind="synthesised"),
        one_shot(Drum.HIHAT_OPEN, 0.5, peak=1.8),
    )
)

kits = st.lists(
    st.builds(
        one_shot, st.sampled_from(DRUMS), st.floats(0, 1), st.sampled_from([0.0, 1e-4, 0.5, 3.0])
    ),
    max_size=12,
).map(lambda shots: Kit(tuple(shots)))


def regions(text: str) -> list[dict[str, str]]:
    """Every region of an SFZ file with what it inherits, as a player sees it."""
    found, group = [], {}
    for line in text.splitlines():
        opcodes = dict(re.findall(r"(\w+)=(\S+)", line.split("//")[0]))
        if line.startswith("<group>"):
            group = opcodes
        elif line.startswith("<region>"):
            found.append(group | opcodes)
    return found


def described(folder: Path, *samples: dict[str, Any]) -> Path:
    soundfile.write(folder / "a.wav", np.full((10, 1), 0.5), 44100, subtype="FLOAT")
    content = {"format": "drumsep-kit-1", "samples": samples}
    (folder / "kit.json").write_text(json.dumps(content))
    return folder


def test_files_are_named_by_note_drum_layer_and_turn(tmp_path: Path) -> None:
    kit.write(tmp_path, SMALL, "song")
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.*")) == [
        "kit.json",
        "samples/36_kick_v1_rr1.wav",
        "samples/36_kick_v2_rr1.wav",
        "samples/36_kick_v2_rr2.wav",
        "samples/42_hihat-closed_v1_rr1.wav",
        "samples/46_hihat-open_v1_rr1.wav",
        "song.sfz",
    ]
    for path in tmp_path.rglob("*.wav"):
        samples, _ = soundfile.read(path)
        assert np.abs(samples).max() == pytest.approx(10 ** (-1 / 20), abs=1e-6)


@given(kits)
@settings(max_examples=15, deadline=None)
def test_a_kit_is_read_back_as_it_sounded(
    tmp_path_factory: pytest.TempPathFactory, written: Kit
) -> None:
    folder = tmp_path_factory.getbasetemp()
    kit.write(folder, written, "song")
    back = kit.read(folder)
    assert len(back.one_shots) == len(written.one_shots)
    for drum in DRUMS:
        for old, new in zip(written.of(drum), back.of(drum), strict=True):
            assert (new.kind, new.velocity, new.audio.rate) == (old.kind, old.velocity, 48000)
            peak = np.abs(old.audio.samples).max()
            np.testing.assert_allclose(
                new.audio.samples, old.audio.samples, atol=2.0**-22 * max(peak, 1e-9)
            )


def test_where_samples_come_from_is_kept(tmp_path: Path) -> None:
    kit.write(tmp_path, SMALL, "song")
    soft, *_ = kit.read(tmp_path).of(Drum.KICK)
    assert (soft.kind, soft.time, soft.isolation) == ("extracted", 3.5, 12.0)
    (hat,) = kit.read(tmp_path).of(Drum.HIHAT_CLOSED)
    assert (hat.kind, hat.time, hat.isolation) == ("synthesised", None, None)
    first = json.loads((tmp_path / "kit.json").read_text())["samples"][0]
    assert first["note"] == 36
    assert first["sha256"] == file_sha256(tmp_path / first["file"])


def test_the_same_kit_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        kit.write(tmp_path / name, SMALL, "song")
    for path in (tmp_path / "a").rglob("*.*"):
        assert path.read_bytes() == (tmp_path / "b" / path.relative_to(tmp_path / "a")).read_bytes()


@given(kits)
@settings(max_examples=15, deadline=None)
def test_every_velocity_of_a_key_plays_each_of_its_turns_once(
    tmp_path_factory: pytest.TempPathFactory, written: Kit
) -> None:
    folder = tmp_path_factory.getbasetemp()
    kit.write(folder, written, "song")
    found = regions((folder / "song.sfz").read_text())
    for drum in {shot.drum for shot in written.one_shots}:
        of_key = [region for region in found if region["key"] == str(drum.note)]
        for velocity in range(1, 128):
            playing = [
                region
                for region in of_key
                if int(region["lovel"]) <= velocity <= int(region["hivel"])
            ]
            turns = sorted(int(region["seq_position"]) for region in playing)
            assert turns == list(range(1, len(playing) + 1))
            assert {region["seq_length"] for region in playing} == {str(len(playing))}
    assert len(found) == len(written.one_shots)
    assert all(float(region["volume"]) <= 6 for region in found)


def test_a_sample_sounds_as_recorded_at_its_own_velocity() -> None:
    zone = sfz.Zone("a.wav", Drum.SNARE, 64 / 127, -18.0, 1, 1)
    (region,) = regions(sfz.text([zone], "song", "samples"))
    player = 40 * np.log10(64 / 127)  # dB, what SFZ does to velocity 64
    assert float(region["volume"]) + player == pytest.approx(-18.0, abs=0.01)


def test_a_closed_hat_chokes_an_open_one(tmp_path: Path) -> None:
    kit.write(tmp_path, SMALL, "song")
    text = (tmp_path / "song.sfz").read_text()
    by_key = {region["key"]: region for region in regions(text)}
    assert by_key["46"]["off_by"] == by_key["42"]["group"] != by_key["46"]["group"]
    assert by_key["46"]["off_mode"] == "fast"
    assert "off_by" not in by_key["42"] and "group" not in by_key["36"]
    assert "loop_mode=one_shot" in text


def test_titles_cannot_break_out_of_their_comment() -> None:
    text = sfz.text([], "two\nlines", "samples")
    assert text.startswith("// two lines\n")


def test_a_kit_made_by_hand_needs_files_and_drums(tmp_path: Path) -> None:
    folder = described(tmp_path, {"file": "a.wav", "drum": "snare"})
    (shot,) = kit.read(folder).one_shots
    assert (shot.drum, shot.velocity, shot.kind) == (Drum.SNARE, 1.0, "extracted")
    assert shot.audio.samples.max() == 0.5


@pytest.mark.parametrize(
    ("sample", "problem"),
    [
        ({"file": "a.wav"}, "drum must be one of kick, snare"),
        ({"file": "a.wav", "drum": "gong"}, "drum must be one of kick, snare"),
        ({"drum": "kick"}, "file must be a path inside the kit, got None"),
        ({"drum": "kick", "file": "../a.wav"}, "file must be a path inside the kit"),
        ({"drum": "kick", "file": "/etc/passwd"}, "file must be a path inside the kit"),
        ({"drum": "kick", "file": "b.wav"}, "b.wav: no such file"),
        ({"drum": "kick", "file": "a.wav", "velocity": 100}, r"velocity must be in \[0, 1\]"),
        ({"drum": "kick", "file": "a.wav", "gain_db": "x"}, "gain_db must be a finite number"),
        ({"drum": "kick", "file": "a.wav", "kind": "found"}, "kind must be one of synthesised"),
    ],
)
def test_a_wrong_sample_is_named(tmp_path: Path, sample: dict[str, Any], problem: str) -> None:
    with pytest.raises(DrumsepError, match=problem) as refusal:
        kit.read(described(tmp_path, sample))
    assert str(tmp_path) in str(refusal.value)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("{", "not JSON"),
        ("[]", 'needs "format": "drumsep-kit-1"'),
        ('{"samples": []}', 'needs "format": "drumsep-kit-1"'),
        ('{"format": "drumsep-kit-1", "samples": [1]}', "sample 1: must be an object"),
    ],
)
def test_a_wrong_description_is_named(tmp_path: Path, content: str, problem: str) -> None:
    (tmp_path / "kit.json").write_text(content)
    with pytest.raises(DrumsepError, match=problem):
        kit.read(tmp_path)


def test_a_folder_that_is_no_kit_is_named(tmp_path: Path) -> None:
    with pytest.raises(DrumsepError, match=r"kit.json: cannot be read: No such file"):
        kit.read(tmp_path)
    with pytest.raises(DrumsepError, match=r"none: cannot be written: No such file"):
        kit.write(tmp_path / "none", SMALL, "song")
