"""`drumsep train` refuses what is not there, and hands over what it is told."""

import json
from pathlib import Path

import pytest

from drumsep.cli.app import run
from drumsep.train import transcriber
from drumsep.train.loop import TrainOptions
from tests.train_data import write_grooves, write_kit


def test_missing_data_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["train", "transcriber", "--data", str(tmp_path), "--out", str(tmp_path / "run")]
    assert run(command) == 2
    assert f"no folder {tmp_path / 'kits-train'}" in capsys.readouterr().err


@pytest.fixture
def command(tmp_path: Path) -> list[str]:
    """The options that every network needs, with empty folders behind them."""
    for folder in ("kits-train", "gmd/groove", "mine"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "small.safetensors").touch()
    return ["--data", str(tmp_path), "--out", str(tmp_path / "run")]


@pytest.mark.parametrize(
    ("network", "options", "message"),
    [
        ("larsnet", ["--start", "{}/small.safetensors"], "--start is for the transcriber"),
        ("idm", ["--start", "{}/small.safetensors"], "--start is for the transcriber"),
        ("transcriber", ["--start", "{}/none.safetensors"], "no file {}/none.safetensors"),
        ("idm", ["--stems", "{}/mine"], "--stems is not for idm"),
        ("larsnet", ["--stems", "{}/none"], "no folder {}/none"),
        ("larsnet", ["--stems", "{}/mine"], "no clips in {}/mine"),
        ("transcriber", ["--stems", "{}/mine", "--recordings", "{}/mine/"], "not to train on"),
    ],
)
def test_what_a_network_cannot_use_is_refused(
    network: str,
    options: list[str],
    message: str,
    command: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_kit(tmp_path / "kits-train", "one")
    write_grooves(tmp_path / "gmd/groove")
    given = [option.replace("{}", str(tmp_path)) for option in options]
    assert run(["train", network, *command, *given]) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert message.replace("{}", str(tmp_path)) in said


def test_options_reach_the_loop_and_scores_reach_stdout(
    command: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    given: list[TrainOptions] = []

    def train(options: TrainOptions, report: object) -> None:
        given.append(options)
        assert callable(report)
        report({"minutes": 1.5, "step": 10, "score": 0.75})

    monkeypatch.setattr(transcriber, "train", train)
    start, stems = tmp_path / "small.safetensors", tmp_path / "mine"
    sources = ["--start", str(start), "--stems", str(stems), "--stems", str(tmp_path)]
    plain = ["--minutes", "3", "--batch", "4", "--learning-rate", "0.01", "--resume"]
    assert run(["train", "transcriber", *command, *plain, *sources]) == 0
    (options,) = given
    assert (options.minutes, options.batch, options.resume) == (3.0, 4, True)
    assert options.learning_rate == 0.01
    assert (options.start, options.stems) == (start, (stems, tmp_path))
    assert options.kits == tmp_path / "kits-train" and options.validation_kits is None
    captured = capsys.readouterr()
    assert json.loads(captured.out) == {"minutes": 1.5, "step": 10, "score": 0.75}
    assert "score 0.7500" in captured.err
