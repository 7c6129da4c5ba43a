"""`drumsep models` as a script meets it: results on stdout, words on stderr, exit codes."""

import json
from pathlib import Path

import pytest
import torch

from drumsep import fetching, importing, weights
from drumsep.cli.app import run
from drumsep.errors import DrumsepError
from drumsep.importing import Converted
from drumsep.weights import Origin

NON_COMMERCIAL = Origin(kind="larsnet", licence="CC-BY-NC-4.0", source="a paper", notes="n")
FREE = Origin(kind="idm", licence="CC0-1.0", source="a formula", notes="n")
STATE = {"a": torch.ones(2)}
Printed = pytest.CaptureFixture[str]

pytestmark = pytest.mark.usefixtures("user")


def test_list_prints_a_row_or_an_object_per_model(
    user: Path, tmp_path: Path, capsys: Printed
) -> None:
    assert run(["models", "list"]) == 0
    assert capsys.readouterr().out == ""
    weights.store(user, "bought", STATE, {}, NON_COMMERCIAL)
    weights.store(tmp_path / "bundled", "ours", STATE, {}, FREE)
    assert run(["models", "list"]) == 0
    printed = capsys.readouterr()
    assert "--model takes: drumsep, bought, ours, " in printed.err
    assert printed.out.splitlines() == [
        f"bought  larsnet  CC-BY-NC-4.0  {user}",
        "ours    idm      CC0-1.0       bundled",
    ]
    assert run(["models", "list", "--json"]) == 0
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(card["name"], card["bundled"]) for card in told] == [("bought", False), ("ours", True)]


def test_info_tells_everything_and_that_a_licence_is_non_commercial(
    user: Path, capsys: Printed
) -> None:
    card = weights.store(user, "bought", STATE, {}, NON_COMMERCIAL)
    assert run(["models", "info", "bought"]) == 0
    out = capsys.readouterr().out
    assert "licence:  CC-BY-NC-4.0 (non-commercial use only)\n" in out
    assert card.sha256 in out and str(card.path) in out
    assert run(["models", "info", "bought", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == card.to_dict()


def test_path_prints_a_file_or_the_folder(user: Path, capsys: Printed) -> None:
    card = weights.store(user, "bought", STATE, {}, NON_COMMERCIAL)
    assert run(["models", "path"]) == run(["models", "path", "bought"]) == 0
    assert capsys.readouterr().out.splitlines() == [str(user), str(card.path)]


def test_import_prints_the_name_and_warns_of_the_licence(
    user: Path, tmp_path: Path, capsys: Printed, monkeypatch: pytest.MonkeyPatch
) -> None:
    converted = Converted("published", STATE, {}, NON_COMMERCIAL)
    monkeypatch.setattr(importing, "convert", lambda _: converted)
    assert run(["models", "import", str(tmp_path)]) == 0
    printed = capsys.readouterr()
    assert printed.out == "published\n"
    assert "CC-BY-NC-4.0 (non-commercial use only): a paper" in printed.err
    assert run(["models", "import", str(tmp_path), "--name", "mine", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == weights.find("mine").to_dict()


def test_failures_are_one_line_and_exit_with_one(
    user: Path, tmp_path: Path, capsys: Printed, monkeypatch: pytest.MonkeyPatch
) -> None:
    def offline(name: str) -> None:
        raise DrumsepError(f"{name}: no connection")

    monkeypatch.setattr(fetching, "fetch", offline)
    (tmp_path / "song.wav").write_bytes(b"RIFF")
    for arguments in (
        ["info", "nobody"],
        ["path", "nobody"],
        ["import", str(tmp_path / "song.wav")],
        ["fetch", "idm-official"],
    ):
        assert run(["models", *arguments]) == 1
        printed = capsys.readouterr()
        assert printed.out == ""
        assert printed.err.splitlines()[-1].startswith("drumsep: ")
        assert "Traceback" not in printed.err
    assert not user.exists()
    assert run(["models", "import"]) == 2
    assert run(["models", "import", str(tmp_path / "song.wav"), "--name", "drumsep"]) == 2
    assert run(["models", "delete", "x"]) == 2


@pytest.mark.reference
def test_the_published_idm_is_installed_by_one_command(
    reference: Path, user: Path, capsys: Printed
) -> None:
    assert run(["models", "import", str(reference / "idm")]) == 0
    assert capsys.readouterr().out == "idm-official\n"
    assert run(["models", "info", "idm-official"]) == 0
    assert "licence:  Apache-2.0\n" in capsys.readouterr().out
    assert sorted(path.name for path in user.iterdir()) == [
        "idm-official.json",
        "idm-official.safetensors",
    ]
