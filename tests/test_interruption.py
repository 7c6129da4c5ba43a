"""A run that is stopped from outside leaves whole files only, and can be resumed."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import soundfile

from drumsep.cli.app import run
from tests.conftest import drum_loop
from tests.test_cli_separate import write

FILES = 4
HOURS = 2  # of telephone quality, which have to be resampled


def endless(path: Path) -> None:
    """Write a recording that takes minutes."""
    rate = 8000
    minute = drum_loop(seconds=60.0, rate=rate, channels=1).samples.T
    with soundfile.SoundFile(path, "w", rate, 1, "PCM_U8") as file:
        for _ in range(60 * HOURS):
            file.write(minute)


def _hear_signals() -> None:
    """Undo what a shell does to tests in its background, which are started deaf to SIGINT."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.parametrize(("jobs", "stop"), [("1", signal.SIGTERM), ("2", signal.SIGINT)])
def test_stopped_and_resumed(
    tmp_path: Path, toy_installed: str, jobs: str, stop: signal.Signals
) -> None:
    tracks = [tmp_path / f"loops/{number}.wav" for number in range(FILES)]
    write(tracks[0], drum_loop())
    for track in tracks[1:]:  # not done before the signal comes, however late
        endless(track)
    out = tmp_path / "out"
    arguments = ["separate", str(tmp_path / "loops"), "--out", str(out), "--jobs", jobs]
    arguments += ["--model", toy_installed, "--quiet"]
    command = [sys.executable, "-m", "drumsep", *arguments]
    pipe = subprocess.PIPE
    process = subprocess.Popen(
        command, env=os.environ, stdout=pipe, stderr=pipe, text=True, preexec_fn=_hear_signals
    )
    assert process.stdout is not None
    process.stdout.readline()  # the first track is done, the next one is being worked on
    process.send_signal(stop)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "Traceback" not in errors
    assert not list(out.glob(".*"))
    done = [folder for folder in out.iterdir() if (folder / "drumsep.json").is_file()]
    assert done and len(done) == len(list(out.iterdir()))
    for track in tracks[1:]:
        write(track, drum_loop())
    assert run([*arguments, "--resume"]) == 0
    assert len(list(out.glob("*/drumsep.json"))) == FILES
