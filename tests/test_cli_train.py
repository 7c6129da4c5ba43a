"""`drumsep train` refuses what is not there, hands over what it is told, and shows what it does."""

import io
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest

from drumsep.cli.app import run
from drumsep.train import idm, larsnet, transcriber
from drumsep.train.loop import Report, TrainOptions
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
        ("idm", ["--beside", "{}/small.safetensors"], "--beside is for the transcriber"),
        ("transcriber", ["--start", "{}/none.safetensors"], "no file {}/none.safetensors"),
        ("transcriber", ["--beside", "{}/none.safetensors"], "no file {}/none.safetensors"),
        (
            "transcriber",
            ["--start", "{}/small.safetensors", "--beside", "{}/small.safetensors"],
            "give one of them",
        ),
        ("transcriber", ["--published-size"], "--published-size is for idm and larsnet"),
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


class Trained:
    """Stands for a network's `train`: keeps what it is given, and reports two steps."""

    def __init__(self) -> None:
        self.options: TrainOptions | None = None
        self.dimensions: object = None

    def __call__(self, options: TrainOptions, report: Report, dimensions: object = None) -> None:
        self.options, self.dimensions = options, dimensions
        report({"step": 9, "minutes": 1.25, "loss": 0.5})
        report({"step": 10, "minutes": 1.5, "loss": 0.25, "score": 0.75, "plain all": 0.75})


LAST = {"step": 10, "minutes": 1.5, "loss": 0.25, "score": 0.75, "plain all": 0.75}


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> Trained:
    """What every `train` is replaced with."""
    stand_in = Trained()
    for network in (transcriber, idm, larsnet):
        monkeypatch.setattr(network, "train", stand_in)
    return stand_in


def test_options_reach_the_loop_and_scores_reach_stdout(
    command: list[str], tmp_path: Path, trained: Trained, capsys: pytest.CaptureFixture[str]
) -> None:
    start, stems = tmp_path / "small.safetensors", tmp_path / "mine"
    sources = ["--start", str(start), "--stems", str(stems), "--stems", str(tmp_path)]
    plain = ["--minutes", "3", "--batch", "4", "--learning-rate", "0.01", "--resume"]
    assert run(["train", "transcriber", *command, *plain, *sources]) == 0
    options = trained.options
    assert options is not None
    assert (options.minutes, options.batch, options.resume) == (3.0, 4, True)
    assert options.learning_rate == 0.01
    assert (options.start, options.stems) == (start, (stems, tmp_path))
    assert options.kits == tmp_path / "kits-train" and options.validation_kits is None
    captured = capsys.readouterr()
    assert json.loads(captured.out) == LAST
    assert captured.err.split() == ["1.5", "min", "step", "10", "score", "0.7500"]


@pytest.mark.parametrize("network", [transcriber, idm, larsnet])
def test_a_network_has_its_own_batch_and_rate(
    network: ModuleType, command: list[str], trained: Trained
) -> None:
    name = network.__name__.rsplit(".", 1)[1]
    assert run(["train", name, *command]) == 0
    assert trained.options is not None
    assert trained.options.batch == network.BATCH
    assert trained.options.learning_rate == network.LEARNING_RATE
    assert trained.dimensions is None


@pytest.mark.parametrize("network", [idm, larsnet])
def test_the_published_size_may_be_asked_for(
    network: ModuleType, command: list[str], trained: Trained
) -> None:
    name = network.__name__.rsplit(".", 1)[1]
    assert run(["train", name, *command, "--published-size"]) == 0
    assert trained.dimensions == network.Dimensions()


class Terminal(io.StringIO):
    """What is written to a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("piped", [True, False])
def test_a_terminal_shows_a_table_at_work(
    piped: bool,
    command: list[str],
    trained: Trained,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out, err = io.StringIO() if piped else Terminal(), Terminal()
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)
    monkeypatch.setenv("TERM", "xterm")
    assert run(["train", "idm", *command]) == 0
    assert bool(out.getvalue()) is piped
    if piped:
        assert json.loads(out.getvalue()) == LAST
    for shown in ("step", "minutes", "loss", "score", " 10 ", " 0.25 ", " 0.75 "):
        assert shown in err.getvalue()
    assert "plain" not in err.getvalue()
