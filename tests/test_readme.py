"""Every command in the README runs: here, or in `.ci/run` where it needs an environment."""

import re
import shlex
from pathlib import Path

import pytest

from drumsep.cli.app import run
from tests.conftest import drum_loop
from tests.test_cli_separate import write

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")

# Indented blocks hold shell commands; these are for `.ci/run`, which reads them from the README.
INSTALLS = ("pip install",)
# These need files that are not ours to ship, the network, or hours; each names the test that runs
# the same command on something small.
ELSEWHERE = {
    "drumsep models fetch": "tests/test_fetching.py",
    "drumsep models import": "tests/test_cli_models.py",
    "drumsep models info": "tests/test_cli_models.py",
    "drumsep evaluate": "tests/test_evaluate.py",
    "drumsep train": "tests/test_cli_train.py",
    "drumsep benchmark": "tests/test_benchmark.py",
}


def commands() -> list[str]:
    lines = re.findall(r"^    (\S.*)$", README, flags=re.MULTILINE)
    return [line.partition("  #")[0].strip() for line in lines]


def test_every_indented_line_is_a_command_that_something_runs() -> None:
    for command in commands():
        known = command.startswith(("drumsep ", *INSTALLS))
        assert known, f"not run by anything: {command}"
    for file in ELSEWHERE.values():
        assert (ROOT / file).is_file()
    ci = (ROOT / ".ci/run").read_text(encoding="utf-8")
    assert all(prefix in ci for prefix in INSTALLS)


def test_the_commands_run_in_the_order_of_the_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "song.wav", drum_loop(seconds=4.0))
    for name in ("a.wav", "deep/b.wav"):
        write(tmp_path / "loops" / name, drum_loop(seconds=1.0))
    monkeypatch.chdir(tmp_path)
    here = [
        c for c in commands() if c.startswith("drumsep ") and not c.startswith(tuple(ELSEWHERE))
    ]
    assert len(here) >= 6
    for command in here:
        assert run([*shlex.split(command)[1:]]) == 0, command


@pytest.mark.parametrize("block", re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL))
def test_the_python_in_the_readme_runs(
    block: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "song.wav", drum_loop())
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    exec(compile(block, "README.md", "exec"), names)
    assert "separation" in names
