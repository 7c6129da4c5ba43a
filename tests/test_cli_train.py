"""`drumsep train` refuses what is not there, and hands over what it is told."""

import json
from pathlib import Path

import pytest

from drumsep.cli.app import run
from drumsep.train import transcriber
from drumsep.train.loop import TrainOptions


def test_missing_data_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["train", "transcriber", "--data", str(tmp_path), "--out", str(tmp_path / "run")]
    assert run(command) == 2
    assert f"no folder {tmp_path / 'kits-train'}" in capsys.readouterr().err


def test_options_reach_the_loop_and_scores_reach_stdout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    given: list[TrainOptions] = []

    def train(options: TrainOptions, report: object) -> None:
        given.append(options)
        assert callable(report)
        report({"minutes": 1.5, "step": 10, "score": 0.75})

    monkeypatch.setattr(transcriber, "train", train)
    for folder in ("kits-train", "gmd/groove"):
        (tmp_path / folder).mkdir(parents=True)
    out = tmp_path / "run"
    command = ["train", "transcriber", "--data", str(tmp_path), "--out", str(out)]
    assert run([*command, "--minutes", "3", "--batch", "4", "--resume"]) == 0
    (options,) = given
    assert (options.minutes, options.batch, options.resume) == (3.0, 4, True)
    assert options.kits == tmp_path / "kits-train" and options.validation_kits is None
    captured = capsys.readouterr()
    assert json.loads(captured.out) == {"minutes": 1.5, "step": 10, "score": 0.75}
    assert "score 0.7500" in captured.err
