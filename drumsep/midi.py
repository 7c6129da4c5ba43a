"""Hits as Standard MIDI files: one drum track on channel 10, General MIDI notes.

With mido, not pretty_midi on top of it: pretty_midi keeps times as seconds and clips notes of one
pitch that meet (its issues 161 and 163), whereas here a hit has a tick, and keeps it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import mido

from drumsep.drums import DRUM_OF_NOTE
from drumsep.errors import DrumsepError
from drumsep.results import Hit, Transcription
from drumsep.tempo import DEFAULT, LARGEST_QUARTER, MINUTE, RESOLUTION, TempoMap

DRUM_CHANNEL = 9  # counted from 0: the tenth
NOTE_SECONDS = 0.1  # s; samplers play drums to their end, so this only has to be seen

# Order of events on one tick: a note ends before the next stroke of the same drum.
TEMPO, NOTE_OFF, NOTE_ON = range(3)


def write(path: Path, transcription: Transcription, tempo: TempoMap) -> None:
    """Write hits at the ticks nearest to their times, with velocities of 1 to 127.

    A MIDI key cannot be struck twice at once: hits of one drum on the same tick (half a
    millisecond) become one, the loudest.

    Raises:
        DrumsepError: the file cannot be written.
    """
    events = sorted(_tempo_events(tempo) + _note_events(transcription, tempo), key=_order)
    track = mido.MidiTrack([mido.MetaMessage("track_name", name="Drums")])
    now = 0
    for tick, _, message in events:
        track.append(message.copy(time=tick - now))
        now = tick
    rest = max(tempo.ticks(transcription.duration) - now, 0)
    track.append(mido.MetaMessage("end_of_track", time=rest))
    file = mido.MidiFile(type=0, ticks_per_beat=tempo.resolution, tracks=[track])
    try:
        file.save(path)
    except OSError as error:
        raise DrumsepError(f"{path}: cannot be written: {error.strerror}") from None


@dataclass(frozen=True)
class Note:
    """One stroke as MIDI has it."""

    time: float  # s
    pitch: int
    velocity: int  # 1 to 127


def read(path: Path) -> Transcription:
    """Read the drum hits of any MIDI file, at exactly the times its tempo map gives them.

    Raises:
        DrumsepError: as `read_notes`, or notes that stand for none of the nine drums, which are
            named.
    """
    notes, duration = read_notes(path)
    unknown = sorted({note.pitch for note in notes} - set(DRUM_OF_NOTE))
    if unknown:
        raise DrumsepError(
            f"{path}: note {', '.join(map(str, unknown))} stands for no drum of the kit; "
            f"known are {', '.join(map(str, sorted(DRUM_OF_NOTE)))}"
        )
    hits = (Hit(note.time, DRUM_OF_NOTE[note.pitch], note.velocity / 127) for note in notes)
    return Transcription(tuple(hits), duration)


def read_notes(path: Path) -> tuple[tuple[Note, ...], float]:
    """The drum notes of any MIDI file and its length in seconds.

    Drums are the notes on channel 10; where there are none, those of the only track with notes, or
    of the only one that is named after drums.

    Raises:
        DrumsepError: not a MIDI file, or no drum track.
    """
    tracks, resolution = _tracks(path)
    tempo = _tempo_map(path, tracks, resolution)
    notes = (
        Note(tempo.seconds(note.tick), note.pitch, note.velocity)
        for note in _drum_notes(path, tracks)
    )
    return tuple(notes), tempo.seconds(max(track.end for track in tracks))


def read_tempo(path: Path) -> TempoMap:
    """The tempo map of a MIDI file, in ticks as drumsep writes them.

    Raises:
        DrumsepError: not a MIDI file.
    """
    tempo = _tempo_map(path, *_tracks(path))
    scale = RESOLUTION / tempo.resolution
    return TempoMap(
        tuple({round(tick * scale): quarter for tick, quarter in tempo.sections}.items())
    )


Event = tuple[int, int, mido.Message]  # tick, TEMPO | NOTE_OFF | NOTE_ON, message


def _order(event: Event) -> tuple[int, int]:
    return event[:2]


def _tempo_events(tempo: TempoMap) -> list[Event]:
    return [
        (tick, TEMPO, mido.MetaMessage("set_tempo", tempo=quarter))
        for tick, quarter in tempo.sections
    ]


def _note_events(transcription: Transcription, tempo: TempoMap) -> list[Event]:
    strokes: dict[int, dict[int, int]] = {}  # by pitch and tick: velocity
    for hit in transcription.hits:
        velocities = strokes.setdefault(hit.drum.note, {})
        tick, velocity = tempo.ticks(hit.time), max(round(hit.velocity * 127), 1)
        velocities[tick] = max(velocity, velocities.get(tick, 0))
    events: list[Event] = []
    for pitch, velocities in strokes.items():
        for tick, end in zip(velocities, _ends(list(velocities), tempo), strict=True):
            key = {"channel": DRUM_CHANNEL, "note": pitch}
            on = mido.Message("note_on", velocity=velocities[tick], **key)
            events += [(tick, NOTE_ON, on), (end, NOTE_OFF, mido.Message("note_off", **key))]
    return events


def _ends(ticks: Sequence[int], tempo: TempoMap) -> list[int]:
    """Where notes end that start at these ticks: at the latest where the next one starts."""
    ends = [max(tempo.ticks(tempo.seconds(tick) + NOTE_SECONDS), tick + 1) for tick in ticks]
    return [
        min(end, following) for end, following in zip(ends, [*ticks[1:], ends[-1]], strict=True)
    ]


@dataclass(frozen=True)
class _Note:
    tick: int
    channel: int
    pitch: int
    velocity: int


@dataclass(frozen=True)
class _Track:
    name: str
    notes: tuple[_Note, ...]
    tempi: tuple[tuple[int, int], ...]  # tick, microseconds per quarter note
    end: int  # tick


def _tracks(path: Path) -> tuple[list[_Track], int]:
    """The tracks of a file and its ticks per quarter note."""
    try:
        file = mido.MidiFile(path)
        tracks = [_track(messages) for messages in file.tracks]
    except FileNotFoundError:
        raise DrumsepError(f"{path}: no such file") from None
    except (EOFError, OSError, ValueError, LookupError, TypeError, mido.KeySignatureError) as error:
        raise DrumsepError(f"{path}: not a MIDI file, or damaged: {error!r}") from None
    if file.type == 2 or file.ticks_per_beat < 1:
        raise DrumsepError(f"{path}: MIDI files of type 2 or with SMPTE time are not supported")
    if not tracks:
        raise DrumsepError(f"{path}: holds no tracks")
    return tracks, file.ticks_per_beat


def _track(messages: Iterable[mido.Message]) -> _Track:
    name = ""
    notes, tempi = [], []
    tick = 0
    for message in messages:
        tick += message.time
        if message.type == "track_name":
            name = name or message.name
        elif message.type == "set_tempo":
            tempi.append((tick, message.tempo))
        elif message.type == "note_on" and message.velocity > 0:
            notes.append(_Note(tick, message.channel, message.note, message.velocity))
    return _Track(name, tuple(notes), tuple(tempi), tick)


def _tempo_map(path: Path, tracks: Sequence[_Track], resolution: int) -> TempoMap:
    """The tempo changes of all tracks; of several on one tick the last counts."""
    found = {0: round(MINUTE / DEFAULT)}
    for track in tracks:
        found.update(track.tempi)
    if not all(0 < quarter <= LARGEST_QUARTER for quarter in found.values()):
        raise DrumsepError(f"{path}: a quarter note of no length in its tempo map")
    return TempoMap(tuple(sorted(found.items())), resolution)


def _drum_notes(path: Path, tracks: Sequence[_Track]) -> tuple[_Note, ...]:
    on_channel = [n for track in tracks for n in track.notes if n.channel == DRUM_CHANNEL]
    if on_channel:
        return tuple(on_channel)
    playing = [track for track in tracks if track.notes]
    named = [t for t in playing if "drum" in t.name.lower() or "perc" in t.name.lower()]
    for candidates in (playing, named):
        if len(candidates) == 1:
            return candidates[0].notes
    if not playing:
        return ()
    names = ", ".join(repr(track.name) for track in playing)
    raise DrumsepError(f"{path}: no notes on channel 10, and no telling which is drums of {names}")
