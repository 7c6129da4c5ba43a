"""Hits as text: nothing lost on the way, hand-made files taken, wrong ones explained."""

import json
from pathlib import Path, PurePath

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drumsep import notes
from drumsep.drums import DRUM_NAMES, DRUMS, Drum
from drumsep.errors import DrumsepError
from drumsep.results import Hit, Transcription
from drumsep.tempo import TempoMap

TEMPO = TempoMap.constant(97)
units = st.floats(0, 1)
hits = st.lists(
    st.builds(Hit, st.floats(0, 1e5), st.sampled_from(DRUMS), units, units), max_size=20
)


def text_file(folder: Path, name: str, content: str) -> Path:
    path = folder / name
    path.write_bytes(content.encode())
    return path


@pytest.mark.parametrize("suffix", [".csv", ".json", ".CSV"])
@given(hits)
@settings(max_examples=30, deadline=None)
def test_text_keeps_every_digit(
    tmp_path_factory: pytest.TempPathFactory, suffix: str, found: list[Hit]
) -> None:
    path = tmp_path_factory.getbasetemp() / f"a{suffix}"
    given_hits = Transcription(tuple(found), 2e5, "drumsep")
    notes.write(path, given_hits, TEMPO)
    back = notes.read_hits(path)
    assert back.hits == given_hits.hits
    assert back.origin == "given"
    if suffix == ".json":
        assert back.duration == 2e5


@pytest.mark.parametrize("suffix", [".mid", ".midi"])
def test_midi_is_told_by_its_suffix(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    notes.write(path, Transcription((Hit(0.0, Drum.RIDE, 1.0),), 1.0), TEMPO)
    assert path.read_bytes().startswith(b"MThd")
    assert notes.read_hits(path).hits == (Hit(0.0, Drum.RIDE, 1.0),)


def test_json_says_what_it_is(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    notes.write(path, Transcription((Hit(0.5, Drum.KICK, 0.75, 0.5),), 2.0, "drumsep"), TEMPO)
    assert json.loads(path.read_text()) == {
        "format": "drumsep-hits-1",
        "duration": 2.0,
        "origin": "drumsep",
        "tempo": [{"time": 0.0, "bpm": pytest.approx(97, abs=1e-4)}],
        "hits": [{"time": 0.5, "drum": "kick", "note": 36, "velocity": 0.75, "confidence": 0.5}],
    }


@pytest.mark.parametrize(
    "content",
    [
        "time,drum\n1.5,snare\n0.5,kick\n",
        "\ufeffTime,Drum\r\n0.5,kick\r\n1.5, Snare \r\n",
        'drum,comment,TIME\nkick,first,0.5\n\n,,\nsnare,"a, b",1.5\n',
        "time,note\n0.5,35\n1.5,40\n",
        "time,drum,note\n0.5,kick,38\n1.5,,38\n",
        "time,drum,velocity\n0.5,kick,\n1.5,snare\n",
    ],
)
def test_csv_made_by_hand_is_taken(tmp_path: Path, content: str) -> None:
    found = notes.read_hits(text_file(tmp_path, "a.csv", content))
    assert found.hits == (Hit(0.5, Drum.KICK, 0.8), Hit(1.5, Drum.SNARE, 0.8))
    assert found.duration == 1.5


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("", "line 1: needs the columns time and drum"),
        ("0.5,kick\n", "line 1: needs the columns time and drum"),
        ("time,drum\n0.5,kick\nsoon,snare\n", "line 3: time must be a number, got 'soon'"),
        ("time,drum\nnan,kick\n", "line 2: time must be finite"),
        ("time,drum\n-1,kick\n", "line 2: a hit needs a time of at least 0 s"),
        ("time,drum\n,kick\n", "line 2: time must be a number, got None"),
        ("time,drum\n1,cowbell\n", "line 2: unknown drum 'cowbell'; drums are kick, snare"),
        ("time,note\n1,56\n", "line 2: unknown note '56'; drums are"),
        ("time,drum,velocity\n1,kick,100\n", r"line 2: a hit needs a velocity in \[0, 1\]"),
    ],
)
def test_a_wrong_line_is_named_with_what_is_allowed(
    tmp_path: Path, content: str, problem: str
) -> None:
    with pytest.raises(DrumsepError, match=f"a.csv: {problem}"):
        notes.read_hits(text_file(tmp_path, "a.csv", content))


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("{", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[]", '"format" must be "drumsep-hits-1"'),
        ('{"format": "drumsep-hits-1", "hits": [1]}', '"hits" must be a list of objects'),
        ('{"format": "drumsep-hits-1", "hits": [{"drum": "kick"}]}', "hit 1: time must be"),
        ('{"format": "drumsep-hits-1", "hits": [], "duration": "x"}', "duration must be a number"),
        (
            '{"format": "drumsep-hits-1", "hits": [{"time": 0, "drum": ["kick"]}]}',
            "hit 1: unknown drum",
        ),
    ],
)
def test_wrong_json_is_named_with_what_is_allowed(
    tmp_path: Path, content: str, problem: str
) -> None:
    with pytest.raises(DrumsepError, match=problem):
        notes.read_hits(text_file(tmp_path, "a.json", content))


@given(st.text(max_size=80), st.sampled_from(["a.csv", "a.json"]))
@settings(max_examples=50, deadline=None)
def test_any_text_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, content: str, name: str
) -> None:
    folder = tmp_path_factory.getbasetemp()
    for start in ("", "time,drum\n", '{"format": "drumsep-hits-1", "hits": ['):
        (folder / name).write_bytes((start + content).encode("utf-8", "surrogatepass"))
        try:
            assert isinstance(notes.read_hits(folder / name), Transcription)
        except DrumsepError as error:
            assert str(error).startswith(str(folder))


def test_files_that_are_not_notes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DrumsepError, match=r"a.txt: notes files end in .mid, .midi, .csv, .json"):
        notes.read_hits(tmp_path / "a.txt")
    with pytest.raises(DrumsepError, match=r"a.csv: cannot be read: No such file"):
        notes.read_hits(tmp_path / "a.csv")
    with pytest.raises(DrumsepError, match=r"a.mid: no such file"):
        notes.read_hits(tmp_path / "a.mid")
    (tmp_path / "a.csv").write_bytes(b"\xff\xfe")
    with pytest.raises(DrumsepError, match=r"a.csv: not text in UTF-8"):
        notes.read_hits(tmp_path / "a.csv")


def test_a_folder_has_the_notes_of_each_track_by_name(tmp_path: Path) -> None:
    (tmp_path / "live").mkdir()
    wanted = text_file(tmp_path, "live/one.two.csv", "time,drum\n1,kick\n")
    assert notes.file_for(tmp_path, PurePath("live/one.two")) == wanted
    assert notes.hits_for(tmp_path, PurePath("live/one.two")) == notes.read_hits(wanted)
    assert notes.hits_for(wanted, PurePath("whatever")) == notes.read_hits(wanted)
    assert notes.hits_for(None, PurePath("live/one.two")) is None
    with pytest.raises(DrumsepError, match="no notes file for one"):
        notes.file_for(tmp_path, PurePath("one"))
    text_file(tmp_path, "live/one.two.mid", "")
    with pytest.raises(DrumsepError, match="more than one notes file for live"):
        notes.file_for(tmp_path, PurePath("live/one.two"))


def test_every_drum_has_its_name_in_csv(tmp_path: Path) -> None:
    rows = "".join(f"{at},{name}\n" for at, name in enumerate(DRUM_NAMES))
    found = notes.read_hits(text_file(tmp_path, "a.csv", "time,drum\n" + rows))
    assert tuple(hit.drum for hit in found.hits) == DRUMS
