"""MIDI files: valid for any reader, exact to the tick, and read back as they were written."""

from collections import defaultdict
from pathlib import Path

import mido
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drumsep import midi
from drumsep.drums import DRUMS, Drum
from drumsep.errors import DrumsepError
from drumsep.results import Hit, Transcription
from drumsep.tempo import TempoMap

tempi = st.one_of(
    st.floats(4, 1000).map(TempoMap.constant),
    st.lists(st.tuples(st.floats(0.1, 4000), st.floats(30, 300)), max_size=4).map(
        lambda changes: TempoMap.from_changes([(0.0, 100.0), *sorted(changes)])
    ),
)
# Flams closer than a tick, equal times on several drums, the very start, and an hour later.
times = st.one_of(st.sampled_from([0.0, 0.0001, 1.0, 1.0003, 3600.0]), st.floats(0, 4000))
hits = st.lists(st.builds(Hit, times, st.sampled_from(DRUMS), st.floats(0, 1)), max_size=30)


def written(folder: Path, *found: Hit, tempo: TempoMap | None = None) -> Path:
    path = folder / "a.mid"
    midi.write(path, Transcription(found, 10.0), tempo or TempoMap.constant(120))
    return path


def saved(folder: Path, *tracks: mido.MidiTrack, **how: int) -> Path:
    mido.MidiFile(tracks=list(tracks), **how).save(folder / "a.mid")
    return folder / "a.mid"


def note(pitch: int, time: int = 0, channel: int = 9, velocity: int = 100) -> mido.Message:
    return mido.Message("note_on", note=pitch, velocity=velocity, channel=channel, time=time)


@given(hits, tempi, st.floats(0, 5000))
@settings(max_examples=60, deadline=None)
def test_what_is_written_is_read_to_the_tick(
    tmp_path_factory: pytest.TempPathFactory, found: list[Hit], tempo: TempoMap, duration: float
) -> None:
    path = tmp_path_factory.getbasetemp() / "a.mid"
    midi.write(path, Transcription(tuple(found), duration), tempo)
    expected: dict[tuple[int, Drum], int] = defaultdict(int)
    for hit in found:
        key = tempo.ticks(hit.time), hit.drum
        expected[key] = max(expected[key], round(127 * hit.velocity), 1)
    back = midi.read(path)
    assert {(tempo.ticks(h.time), h.drum): round(127 * h.velocity) for h in back.hits} == expected
    assert len(back.hits) == len(expected)
    assert back.duration >= tempo.seconds(tempo.ticks(duration))

    again = path.with_name("again.mid")
    midi.write(again, back, tempo)
    assert midi.read(again).hits == back.hits, "the second time nothing is rounded"


@given(hits, tempi)
@settings(max_examples=40, deadline=None)
def test_notes_end_after_they_start_and_before_the_next_of_their_key(
    tmp_path_factory: pytest.TempPathFactory, found: list[Hit], tempo: TempoMap
) -> None:
    path = tmp_path_factory.getbasetemp() / "a.mid"
    midi.write(path, Transcription(tuple(found), 0.0), tempo)
    (track,) = mido.MidiFile(path).tracks
    sounding: dict[int, int] = {}
    tick = 0
    for message in track:
        tick += message.time
        if message.type == "note_on":
            assert message.note not in sounding
            assert message.channel == 9 and 1 <= message.velocity <= 127
            sounding[message.note] = tick
        elif message.type == "note_off":
            assert tick > sounding.pop(message.note)
    assert not sounding


def test_the_file_is_one_drum_track_of_960_ticks_with_its_tempo(tmp_path: Path) -> None:
    path = written(tmp_path, Hit(1.0, Drum.SNARE, 0.5), tempo=TempoMap.constant(90))
    file = mido.MidiFile(path)
    assert (file.type, file.ticks_per_beat, len(file.tracks)) == (0, 960, 1)
    messages = {message.type: message for message in file.tracks[0]}
    assert messages["set_tempo"].tempo == 666_667
    assert messages["note_on"].note == 38
    assert file.length == pytest.approx(10.0, abs=1e-3), "as long as the recording"


def test_six_hits_50_ms_apart_are_six_hits(tmp_path: Path) -> None:
    roll = [Hit(0.5 + 0.05 * n, Drum.HIHAT_CLOSED, 0.4) for n in range(6)]
    assert len(midi.read(written(tmp_path, *roll)).hits) == 6


def test_tempo_changes_of_another_track_and_resolution_are_honoured(tmp_path: Path) -> None:
    tempo = mido.MidiTrack([mido.MetaMessage("set_tempo", tempo=1_000_000, time=96)])
    drums = mido.MidiTrack([note(36), note(36, 96), note(38, 48)])
    path = saved(tmp_path, tempo, drums, type=1, ticks_per_beat=96)
    assert [hit.time for hit in midi.read(path).hits] == [0.0, 0.5, 1.0]


def test_only_channel_10_is_drums_where_there_is_one(tmp_path: Path) -> None:
    piano = mido.MidiTrack([note(60, channel=0), note(36, 10)])
    assert [hit.drum for hit in midi.read(saved(tmp_path, piano)).hits] == [Drum.KICK]


@pytest.mark.parametrize("names", [("Gesang", "Kit"), ("bass", "Drums"), ("", "PERC")])
def test_without_channel_10_the_drums_are_the_only_or_the_named_track(
    tmp_path: Path, names: tuple[str, str]
) -> None:
    other, drums = (mido.MidiTrack([mido.MetaMessage("track_name", name=n)]) for n in names)
    drums.append(note(38, channel=0))
    if names[1] != "Kit":
        other.append(note(36, channel=1))
    assert [hit.drum for hit in midi.read(saved(tmp_path, other, drums)).hits] == [Drum.SNARE]


def test_tracks_that_cannot_be_told_apart_are_named(tmp_path: Path) -> None:
    tracks = [mido.MidiTrack([note(36, channel=channel)]) for channel in (0, 1)]
    with pytest.raises(DrumsepError, match=r"no notes on channel 10.*'', ''"):
        midi.read(saved(tmp_path, *tracks))


def test_notes_of_no_drum_are_named(tmp_path: Path) -> None:
    path = saved(tmp_path, mido.MidiTrack([note(56), note(36), note(54), note(56)]))
    with pytest.raises(DrumsepError, match=r"a.mid: note 54, 56 stands for no drum.*known are 22"):
        midi.read(path)


def test_notes_of_no_velocity_are_ends(tmp_path: Path) -> None:
    path = saved(tmp_path, mido.MidiTrack([note(36), note(36, 9, velocity=0)]))
    assert len(midi.read(path).hits) == 1


@pytest.mark.parametrize("content", [b"", b"no MIDI", b"MThd\0\0\0\6\0\1\0\1\3\xc0"])
def test_damaged_files_are_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.mid").write_bytes(content)
    with pytest.raises(DrumsepError, match="a.mid: not a MIDI file, or damaged"):
        midi.read(tmp_path / "a.mid")


@pytest.mark.parametrize("how", [{"type": 2}, {"ticks_per_beat": -6104}])
def test_what_is_not_supported_is_said(tmp_path: Path, how: dict[str, int]) -> None:
    with pytest.raises(DrumsepError, match="not supported"):
        midi.read(saved(tmp_path, mido.MidiTrack([note(36)]), **how))


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_damage_anywhere_raises_nothing_but_our_error(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.getbasetemp()
    key = mido.MetaMessage("key_signature", key="D")
    content = bytearray(saved(folder, mido.MidiTrack([key, note(36), note(38, 9)])).read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    (folder / "a.mid").write_bytes(content)
    try:
        found = midi.read(folder / "a.mid")
    except DrumsepError as error:
        assert str(error).startswith(str(folder)) and "\n" not in str(error)
    else:
        assert all(hit.time <= found.duration for hit in found.hits)


@pytest.mark.reference
def test_every_groove_of_a_drummer_is_understood(shared: Path) -> None:
    files = sorted((shared / "data" / "gmd" / "groove" / "drummer3").rglob("*.mid"))[:10]
    assert files
    assert all(midi.read(path).hits for path in files)
