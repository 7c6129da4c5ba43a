"""Every example runs as it stands."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"


def execute(*command: str | Path, cwd: Path) -> str:
    scripts = str(Path(sys.executable).parent)
    environment = os.environ | {"PATH": scripts + os.pathsep + os.environ["PATH"]}
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def song(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("examples")
    execute(sys.executable, EXAMPLES / "make_a_loop.py", "song.wav", "4", cwd=folder)
    return folder / "song.wav"


def test_separate_in_python(song: Path) -> None:
    printed = execute(sys.executable, EXAMPLES / "separate_in_python.py", song, cwd=song.parent)
    assert printed.startswith("kick") and "velocity" in printed


def test_edit_the_hits(song: Path) -> None:
    printed = execute(sys.executable, EXAMPLES / "edit_the_hits.py", song, cwd=song.parent)
    assert "176400 samples" in printed


def test_batch(song: Path, tmp_path: Path) -> None:
    loops = tmp_path / "loops"
    loops.mkdir()
    for name in ("a", "b"):
        (loops / f"{name}.wav").write_bytes(song.read_bytes())
    assert execute(EXAMPLES / "batch.sh", "loops", "stems", cwd=tmp_path).strip() == "2"
    assert (tmp_path / "stems/b/kick.wav").is_file()


def test_every_example_has_a_test() -> None:
    here = Path(__file__).read_text(encoding="utf-8")
    assert all(path.name in here for path in EXAMPLES.iterdir())
