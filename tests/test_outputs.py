"""Results are whole or absent."""

from pathlib import Path

import pytest

from drumsep.errors import DrumsepError, UsageError
from drumsep.outputs import (
    MANIFEST,
    hidden_beside,
    is_complete,
    read_manifest,
    require_writable,
    staged,
    write_manifest,
)


def contents(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): path.read_text()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_a_new_folder_appears_whole(tmp_path: Path) -> None:
    folder = tmp_path / "sub/track"
    with staged(folder, hidden_beside(folder)) as staging:
        (staging / "deep").mkdir()
        (staging / "deep/kick.wav").write_text("new")
        assert not folder.exists()
    assert contents(tmp_path) == {"sub/track/deep/kick.wav": "new"}


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_interrupted_folder_does_not_appear(tmp_path: Path, error: type[BaseException]) -> None:
    folder = tmp_path / "track"
    with pytest.raises(error), staged(folder, hidden_beside(folder)) as staging:
        (staging / "kick.wav").write_text("half")
        raise error
    assert list(tmp_path.iterdir()) == []


def test_files_of_others_survive_an_overwrite(tmp_path: Path) -> None:
    folder = tmp_path / "track"
    folder.mkdir()
    (folder / "my notes.txt").write_text("mine")
    (folder / "kick.wav").write_text("old")
    (folder / MANIFEST).write_text("{}")
    with staged(folder, hidden_beside(folder)) as staging:
        (staging / "kick.wav").write_text("new")
    assert contents(tmp_path) == {"track/my notes.txt": "mine", "track/kick.wav": "new"}


def test_what_was_left_by_a_killed_run_is_cleared(tmp_path: Path) -> None:
    folder = tmp_path / "track"
    hidden_beside(folder).mkdir()
    (hidden_beside(folder) / "half.wav").write_text("half")
    with staged(folder, hidden_beside(folder)) as staging:
        (staging / "kick.wav").write_text("whole")
    assert contents(tmp_path) == {"track/kick.wav": "whole"}


def test_a_full_disk_is_one_line_that_names_the_folder(tmp_path: Path) -> None:
    folder = tmp_path / "track"
    with (
        pytest.raises(DrumsepError, match=r"track: No space left on device"),
        staged(folder, hidden_beside(folder)),
    ):
        raise OSError(28, "No space left on device")
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_found_before_work(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(UsageError, match="cannot write to .*file"):
        require_writable(tmp_path / "file" / "out")
    require_writable(tmp_path / "new" / "out")
    assert list((tmp_path / "new/out").iterdir()) == []


def test_a_manifest_stands_for_the_files_it_lists(tmp_path: Path) -> None:
    write_manifest(tmp_path, {"files": ["kick.wav", MANIFEST], "name": "Ünï"})
    manifest = read_manifest(tmp_path)
    assert manifest is not None and manifest["name"] == "Ünï"
    assert not is_complete(tmp_path, manifest)
    (tmp_path / "kick.wav").touch()
    assert is_complete(tmp_path, manifest)


@pytest.mark.parametrize("text", ["", "{", "[1]", "\x00"])
def test_a_broken_manifest_stands_for_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / MANIFEST).write_text(text)
    assert read_manifest(tmp_path) is None
