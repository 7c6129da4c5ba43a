"""`drumsep separate`, `transcribe` and `oneshots` as a script meets them: files, streams, codes."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from drumsep import notes
from drumsep.batch import ON_CPU
from drumsep.cli.app import run
from drumsep.drums import DRUMS, STEMS, Drum
from drumsep.results import Audio, Hit, Source, StemStream, Transcription
from drumsep.separator import Separator
from drumsep.tempo import TempoMap
from tests.conftest import drum_loop

RATE = 44100
HITS = tuple(
    sorted(
        [Hit(0.05 + 0.5 * n, Drum.KICK, 0.8) for n in range(4)]
        + [Hit(0.30 + 0.5 * n, Drum.SNARE, 0.6) for n in range(4)]
        + [Hit(0.05 + 0.25 * n, Drum.HIHAT_CLOSED, 0.4) for n in range(8)]
    )
)


def write(path: Path, audio: Audio, subtype: str = "PCM_16") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, audio.samples.T, audio.rate, subtype=subtype)
    return path


def read(path: Path) -> np.ndarray:
    return soundfile.read(path, dtype="float64", always_2d=True)[0]


def tree(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture
def song(tmp_path: Path) -> Path:
    return write(tmp_path / "song.wav", drum_loop())


@pytest.fixture
def onsets(tmp_path: Path) -> Path:
    path = tmp_path / "hits.csv"
    notes.write(path, Transcription(HITS, 2.0), TempoMap.constant(120))
    return path


@pytest.fixture
def separate(tmp_path: Path, toy_installed: str, onsets: Path) -> list[str]:
    """The command up to its inputs, with hits for the untrained toy to work with."""
    out = str(tmp_path / "out")
    return ["separate", "--model", toy_installed, "--onsets", str(onsets), "--out", out, "-q"]


def test_the_promised_files_and_nothing_else(
    separate: list[str], song: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*separate, str(song), "--residual"]) == 0
    expected = {f"song/{name}.wav" for name in (*STEMS, "residual")}
    assert set(tree(tmp_path / "out")) == expected | {"song/song.mid", "song/drumsep.json"}
    captured = capsys.readouterr()
    assert captured.out == f"{tmp_path / 'out' / 'song'}\n"
    assert captured.err == ""


@pytest.mark.parametrize(
    ("rate", "channels", "subtype"),
    [(44100, 1, "PCM_16"), (48000, 2, "PCM_24"), (22050, 4, "FLOAT"), (96000, 1, "PCM_24")],
)
def test_stems_and_residual_add_up_to_any_input(
    separate: list[str], tmp_path: Path, rate: int, channels: int, subtype: str
) -> None:
    loop = drum_loop(seconds=1.3, rate=rate, channels=channels)
    path = write(tmp_path / "in.wav", loop, subtype)
    assert run([*separate, str(path), "--residual"]) == 0
    parts = [read(part) for part in (tmp_path / "out/in").glob("*.wav")]
    assert {part.shape for part in parts} == {loop.samples.T.shape}
    assert {soundfile.info(part).samplerate for part in (tmp_path / "out/in").glob("*.wav")} == {
        rate
    }
    steps = np.rint(read(path) * 2**23)
    np.testing.assert_array_equal(np.rint(sum(part * 2**23 for part in parts)), steps)


def test_nine_stems(separate: list[str], song: Path, tmp_path: Path) -> None:
    assert run([*separate, str(song), "--stems", "9"]) == 0
    names = {path.stem for path in (tmp_path / "out/song").glob("*.wav")}
    assert names == {drum.value for drum in DRUMS}


def test_the_manifest_says_how_it_was_made(separate: list[str], song: Path, tmp_path: Path) -> None:
    assert run([*separate, str(song), "--seed", "7", "--alpha", "2"]) == 0
    manifest = json.loads((tmp_path / "out/song/drumsep.json").read_text())
    assert manifest["settings"]["model"] == "toy"
    assert len(manifest["settings"]["weights_sha256"]["toy"]) == 64
    assert manifest["settings"]["seed"] == 7 and manifest["settings"]["alpha"] == 2
    assert manifest["transcriber"] == "given"
    assert manifest["hits"] == {"kick": 4, "snare": 4, "hihat-closed": 8}
    assert manifest["reconstruction_error_db"] < 0
    assert set(manifest["files"]) == {path.name for path in (tmp_path / "out/song").iterdir()}


def test_what_was_computed_on_the_cpu_instead_says_so_in_the_manifest(
    separate: list[str], song: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream, calls = Separator.stream, []

    def crowded(self: Separator, source: Source, *others: Any) -> StemStream:
        calls.append(source)
        if len(calls) <= 4:  # with 8, 4, 2 and 1 blocks at once
            raise torch.OutOfMemoryError("CUDA out of memory")
        return stream(self, source, *others)

    monkeypatch.setattr(Separator, "stream", crowded)
    assert run([*separate, str(song)]) == 0
    manifest = json.loads((tmp_path / "out/song/drumsep.json").read_text())
    assert ON_CPU in manifest["warnings"]


def test_the_same_run_gives_the_same_bytes(separate: list[str], song: Path, tmp_path: Path) -> None:
    assert run([*separate, str(song), "--depth", "float"]) == 0
    first = tree(tmp_path / "out")
    assert run([*separate, str(song), "--depth", "float", "--overwrite"]) == 0
    assert tree(tmp_path / "out") == first


def test_json_is_one_object_per_input_whatever_becomes_of_it(
    separate: list[str], song: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = tmp_path / "bad.wav"
    bad.write_text("not audio")
    assert run([*separate, str(bad), str(song), str(tmp_path / "gone.wav"), "--json"]) == 1
    captured = capsys.readouterr()
    lines = [json.loads(line) for line in captured.out.splitlines()]
    assert [line["status"] for line in lines] == ["failed", "done", "failed"]
    assert "bad.wav" in lines[0]["error"] and "gone.wav: no such file" in lines[2]["error"]
    assert "2 of 3 inputs failed" in captured.err
    assert not (tmp_path / "out/bad").exists()


def test_existing_results_are_refused_before_any_work(
    separate: list[str], song: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*separate, str(song)]) == 0
    before = tree(tmp_path / "out")
    other = write(tmp_path / "other.wav", drum_loop(seed=5))
    assert run([*separate, str(other), str(song)]) == 2
    assert "song exists already: --overwrite replaces" in capsys.readouterr().err
    assert tree(tmp_path / "out") == before


def test_resume_does_what_is_missing_or_changed(
    separate: list[str], song: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = write(tmp_path / "other.wav", drum_loop(seed=5))
    command = [*separate, str(song), str(other), "--json", "--resume"]

    def statuses() -> list[str]:
        capsys.readouterr()
        assert run(command) == 0
        return [json.loads(line)["status"] for line in capsys.readouterr().out.splitlines()]

    assert statuses() == ["done", "done"]
    assert statuses() == ["skipped", "skipped"]
    (tmp_path / "out/other/kick.wav").unlink()
    assert statuses() == ["skipped", "done"]
    write(song, drum_loop(seed=9))
    assert sorted(statuses()) == ["done", "skipped"]


def test_folders_in_two_processes(separate: list[str], tmp_path: Path) -> None:
    for name in ("a.wav", "deep/b.wav", "deep/c.flac"):
        write(tmp_path / "loops" / name, drum_loop(seconds=0.6))
    assert run([*separate, str(tmp_path / "loops"), "--jobs", "2"]) == 0
    manifests = sorted((tmp_path / "out").rglob("drumsep.json"))
    assert [path.parent.relative_to(tmp_path / "out").as_posix() for path in manifests] == [
        "a",
        "deep/b",
        "deep/c",
    ]


def test_a_stem_that_would_clip_lowers_all_by_one_gain(
    separate: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    loop = drum_loop()
    hot = write(tmp_path / "hot.wav", Audio(3 * loop.samples, loop.rate), "FLOAT")
    assert run([*separate, str(hot), "--residual", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["gain"] < 1
    assert any("all stems were lowered" in warning for warning in report["warnings"])
    parts = [read(path) for path in (tmp_path / "out/hot").glob("*.wav")]
    np.testing.assert_allclose(sum(parts), report["gain"] * read(hot), atol=2.0**-22)
    assert max(np.abs(part).max() for part in parts) < 1


@pytest.mark.parametrize("frames", [1, 700, 5000])
def test_silence_and_scraps_give_silent_stems_and_a_warning(
    toy_installed: str, tmp_path: Path, frames: int, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path / "quiet.wav", Audio(np.zeros((2, frames), np.float32), RATE))
    out = tmp_path / "out"
    assert run(["separate", str(path), "--model", toy_installed, "--out", str(out), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert "no drum hits found: is this a drum recording?" in report["warnings"]
    for stem in STEMS:
        np.testing.assert_array_equal(read(out / f"quiet/{stem}.wav"), np.zeros((frames, 2)))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--alpha", "3"], "alpha must be in (0, 2]"),
        (["--stems", "6"], "'--stems'"),
        (["--threshold", "cowbell=1"], "--threshold takes DRUM=P"),
        (["--threshold", "kick=2"], "P must be in 0..1"),
        (["--overwrite", "--resume"], "exclude each other"),
        (["--model", "nonsense"], "no model is called 'nonsense'"),
        (["--depth", "8"], "'--depth'"),
        (["--jobs", "0"], "greater than or equal to 1"),
        (["--device", "abacus"], "unknown device 'abacus'"),
    ],
)
def test_a_wrong_request_does_nothing(
    separate: list[str],
    song: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    assert run([*separate, str(song), *arguments]) == 2
    captured = capsys.readouterr()
    assert message in captured.err and captured.out == ""
    assert "Traceback" not in captured.err
    assert not (tmp_path / "out").exists() or not tree(tmp_path / "out")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder_is_refused_at_once(
    separate: list[str], song: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "out").mkdir(mode=0o500)
    assert run([*separate, str(song)]) == 2
    assert "cannot write to" in capsys.readouterr().err


@pytest.mark.parametrize("suffix", [".mid", ".csv", ".json"])
def test_the_edit_loop_keeps_hits_to_the_tick(
    separate: list[str], song: Path, tmp_path: Path, suffix: str
) -> None:
    given = tmp_path / f"given{suffix}"
    notes.write(given, Transcription(HITS, 2.0), TempoMap.constant(97.3))
    command = [*separate, str(song), "--onsets", str(given)]
    assert run(command) == 0
    written = notes.read_hits(tmp_path / "out/song/song.mid").hits
    assert [hit.drum for hit in written] == [hit.drum for hit in notes.read_hits(given).hits]
    np.testing.assert_allclose(
        [hit.time for hit in written],
        [hit.time for hit in notes.read_hits(given).hits],
        atol=1e-9 if suffix == ".mid" else 4e-4,
    )


def test_transcribe_writes_what_is_asked_where_it_is_asked(
    toy_installed: str, song: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    command = ["transcribe", str(song), "--model", toy_installed, "-q"]
    assert run([*command, "--midi"]) == 0
    assert list(tree(here)) == ["song.mid"]
    assert run([*command, "--csv", "--json-notes", "--out", str(tmp_path / "notes")]) == 0
    assert list(tree(tmp_path / "notes")) == ["song.csv", "song.json"]
    assert run([*command, "--midi"]) == 2
    assert run([*command, "--midi", "--resume"]) == 0


def test_oneshots_are_a_kit_that_says_what_is_real(
    toy_installed: str, song: Path, onsets: Path, tmp_path: Path
) -> None:
    kit = tmp_path / "kit"
    command = ["oneshots", str(song), "--model", toy_installed, "--onsets", str(onsets), "-q"]
    assert run([*command, "--export", str(kit)]) == 0
    description = json.loads((kit / "kit.json").read_text())
    assert description and list(kit.glob("*.sfz"))
    synthesised = tmp_path / "synthesised"
    assert run([*command, "--export", str(synthesised), "--kind", "synthesised"]) == 0
    assert "extracted" not in (synthesised / "kit.json").read_text()


def test_a_kit_of_silence_is_refused(
    toy_installed: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path / "quiet.wav", Audio(np.zeros((1, 5000), np.float32), RATE))
    command = ["oneshots", str(path), "--model", toy_installed, "--export", str(tmp_path / "kit")]
    assert run(command) == 1
    assert "no drum hits found, so there is no kit to export" in capsys.readouterr().err
    assert not (tmp_path / "kit/kit.json").exists()


def test_every_command_has_help_that_is_complete(capsys: pytest.CaptureFixture[str]) -> None:
    for command in (
        "separate",
        "transcribe",
        "oneshots",
        "models",
        "evaluate",
        "benchmark",
        "train",
    ):
        assert run([command, "--help"]) == 0
        assert len(capsys.readouterr().out.splitlines()) > 5
    assert run([]) == 2
    assert run(["--version"]) == 0


def test_a_kit_of_ones_own_is_the_start_of_the_separation(
    song: Path, onsets: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kits, common = tmp_path / "kits", ["--onsets", str(onsets), "-q"]
    copy = write(tmp_path / "copy.wav", drum_loop())
    both = [str(song), str(copy)]
    assert run(["oneshots", *both, *common, "--export", str(kits)]) == 0
    for name, kit in (("none", []), ("one", [kits / "song"]), ("each", [kits])):
        option = [part for folder in kit for part in ("--kit", str(folder))]
        command = ["separate", *both, *common, *option, "--out", str(tmp_path / name)]
        assert run(command) == 0
    results = {name: tree(tmp_path / name) for name in ("none", "one", "each")}
    assert results["none"]["song/kick.wav"] != results["one"]["song/kick.wav"]
    assert results["one"]["song/kick.wav"] == results["each"]["song/kick.wav"]
    hashes = [
        json.loads(result["song/drumsep.json"])["settings"]["kit_sha256"]
        for result in results.values()
    ]
    assert hashes[0] is None and hashes[1] is not None and hashes[1] == hashes[2]
    capsys.readouterr()
    nowhere = ["--kit", str(tmp_path / "nowhere"), "--out", str(tmp_path / "fails")]
    assert run(["separate", str(song), *common, *nowhere]) == 1
    assert "kit.json: cannot be read" in capsys.readouterr().err
