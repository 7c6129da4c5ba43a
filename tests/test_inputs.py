"""From paths to tracks: recursive, collision-free, whatever the names."""

from pathlib import Path, PurePath

import pytest

from drumsep.errors import UsageError
from drumsep.inputs import find_tracks


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def names(*given: Path, out: Path) -> list[str]:
    return [track.name.as_posix() for track in find_tracks(given, out)]


def test_folders_are_searched_and_keep_their_shape(tmp_path: Path) -> None:
    touch(
        tmp_path / "loops/b.flac",
        tmp_path / "loops/deep/er/A.WAV",
        tmp_path / "loops/notes.txt",
        tmp_path / "loops/.hidden.wav",
        tmp_path / "loops/.cache/x.wav",
    )
    assert names(tmp_path / "loops", out=tmp_path / "out") == ["b", "deep/er/A"]


def test_results_inside_the_input_folder_are_not_separated_again(tmp_path: Path) -> None:
    touch(tmp_path / "loops/a.wav", tmp_path / "loops/stems/a/kick.wav")
    assert names(tmp_path / "loops", out=tmp_path / "loops/stems") == ["a"]


def test_a_file_that_is_named_is_taken_even_if_missing_or_oddly_called(tmp_path: Path) -> None:
    assert names(tmp_path / "gone.wav", tmp_path / "odd.xyz", out=tmp_path) == ["gone", "odd"]


@pytest.mark.parametrize("other", ["a.flac", "A.aiff"])
def test_equal_names_keep_their_suffix(tmp_path: Path, other: str) -> None:
    touch(tmp_path / "in/a.wav", tmp_path / "in" / other)
    found = names(tmp_path / "in", out=tmp_path / "out")
    assert sorted(found) == sorted(["a_wav", other.replace(".", "_")])


def test_unicode_that_looks_equal_is_told_apart(tmp_path: Path) -> None:
    composed, decomposed = tmp_path / "in/\u00fc.wav", tmp_path / "in/u\u0308.flac"
    touch(composed, decomposed)
    found = names(tmp_path / "in", out=tmp_path / "out")
    assert {PurePath(name).name[-4:] for name in found} == {"_wav", "flac"}


def test_the_same_name_from_two_folders_is_refused_before_any_work(tmp_path: Path) -> None:
    touch(tmp_path / "x/a.wav", tmp_path / "y/a.wav")
    with pytest.raises(UsageError, match=r"x/a\.wav and .*y/a\.wav would both write a"):
        find_tracks([tmp_path / "x/a.wav", tmp_path / "y/a.wav"], tmp_path)


def test_the_same_file_twice_is_one_track(tmp_path: Path) -> None:
    touch(tmp_path / "a.wav")
    assert names(tmp_path / "a.wav", tmp_path / "a.wav", out=tmp_path / "o") == ["a"]


def test_an_empty_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no audio files in folder"):
        find_tracks([tmp_path], tmp_path / "out")


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("two words", "two words"),
        ("-rf", "-rf"),
        ("ends. ", "ends"),
        ("a|b?c", "a_b_c"),
        ("line\nbreak", "line_break"),
        ("Ünï ☃ 太鼓", "Ünï ☃ 太鼓"),
        ("...", "_"),
    ],
)
def test_names_become_folders_that_every_system_takes(tmp_path: Path, name: str, safe: str) -> None:
    assert names(tmp_path / f"{name}.wav", out=tmp_path) == [safe]
