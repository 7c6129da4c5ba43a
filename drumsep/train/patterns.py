"""Other ways to play a groove: notes in, notes out, every choice drawn from the given generator.

They are there so that a pattern does not betray the sound: a network that has only seen eighths on
the hi-hat hears every row of eighths as hi-hat. Times are seconds, velocities 1 to 127.
"""

from bisect import bisect_left
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from drumsep.drums import DRUMS, Drum
from drumsep.train.grooves import Groove, Note

LEAD_IN = 2.5  # s before an excerpt whose notes may still ring in it

HATS = (Drum.HIHAT_CLOSED, Drum.HIHAT_OPEN)
CYMBALS = (Drum.CRASH, Drum.RIDE)
TOMS = (Drum.TOM_HIGH, Drum.TOM_MID, Drum.TOM_FLOOR)


def excerpt(groove: Groove, start: float, seconds: float, stretch: float) -> Groove:
    """`seconds` of a groove from `start`, in time stretched by `stretch`, and its lead-in.

    Times count from the start of the excerpt; those of the lead-in are negative.
    """
    first = bisect_left(groove, (start - LEAD_IN) / stretch, key=lambda note: note.time)
    last = bisect_left(groove, (start + seconds) / stretch, key=lambda note: note.time)
    return tuple(replace(note, time=note.time * stretch - start) for note in groove[first:last])


def _ordered(notes: list[Note]) -> Groove:
    return tuple(sorted(notes, key=lambda note: (note.time, note.drum.position)))


def _play(note: Note, drum: Drum) -> Note:
    """The same stroke on another drum."""
    return note if drum is note.drum else replace(note, drum=drum, articulation=drum.value)


def move_drums(notes: Groove, rng: np.random.Generator) -> Groove:
    """Hats play the ride, rides the hat, open hats the crash: one or more such moves."""
    moves: dict[Drum, Drum] = {}
    if rng.random() < 0.5:
        moves[Drum.HIHAT_CLOSED] = Drum.RIDE if rng.random() < 0.7 else Drum.CRASH
    if rng.random() < 0.5:
        moves[Drum.RIDE] = HATS[rng.integers(2)] if rng.random() < 0.6 else Drum.CRASH
    if rng.random() < 0.5:
        moves[Drum.HIHAT_OPEN] = Drum.CRASH if rng.random() < 0.5 else Drum.HIHAT_CLOSED
    if rng.random() < 0.3:
        moves[Drum.CRASH] = Drum.HIHAT_OPEN if rng.random() < 0.5 else Drum.RIDE
    if rng.random() < 0.15:
        moves[Drum.SNARE] = TOMS[rng.integers(3)]
    if rng.random() < 0.1:
        moves[Drum.KICK] = Drum.TOM_FLOOR
    return tuple(_play(note, moves.get(note.drum, note.drum)) for note in notes)


def add_fills(notes: Groove, rng: np.random.Generator) -> Groove:
    """In some spans of a groove, snare and hats move over the toms; crashes fall on some kicks."""
    starts = rng.uniform(-1.0, 6.0, rng.integers(1, 4))
    ends = starts + rng.uniform(0.3, 1.6, len(starts))
    share = rng.uniform(0.4, 1.0)
    order = rng.permutation(len(TOMS))
    played: list[Note] = []
    for note in notes:
        spans = np.flatnonzero((starts <= note.time) & (note.time < ends))
        if len(spans) and note.drum in (Drum.SNARE, *HATS) and rng.random() < share:
            through = (note.time - starts[spans[0]]) / (ends[spans[0]] - starts[spans[0]])
            played.append(_play(note, TOMS[order[min(int(3 * through), 2)]]))
            continue
        played.append(note)
        if note.drum is Drum.KICK and rng.random() < 0.08:
            velocity = int(rng.integers(50, 128))
            played.append(Note(note.time, Drum.CRASH, velocity, Drum.CRASH.value))
    return _ordered(played)


def add_strokes(notes: Groove, rng: np.random.Generator) -> Groove:
    """Flams and rolls: soft strokes 25 to 80 ms before some notes of snare, toms, kick and hat."""
    rate = rng.uniform(0.02, 0.15)
    played: list[Note] = []
    for note in notes:
        played.append(note)
        if note.drum in CYMBALS or rng.random() > rate:
            continue
        gap = rng.uniform(0.025, 0.08)
        strokes = 1 if rng.random() < 0.6 else int(rng.integers(2, 7))
        for stroke in range(1, strokes + 1):
            loudness = rng.uniform(0.3, 0.95)
            played.append(
                replace(
                    note,
                    time=note.time - stroke * gap * rng.uniform(0.9, 1.1),
                    velocity=max(1, int(note.velocity * loudness)),
                )
            )
    return _ordered(played)


def drop_drums(notes: Groove, rng: np.random.Generator) -> Groove:
    """One to four drums fall silent."""
    silent = rng.choice(len(DRUMS), rng.integers(1, 5), replace=False)
    return tuple(note for note in notes if note.drum.position not in silent)


def solo(notes: Groove, rng: np.random.Generator) -> Groove:
    """Only one of the drums that play is left, or, rarely, its strokes go to any other drum."""
    if not notes:
        return notes
    kept = notes[rng.integers(len(notes))].drum
    played = DRUMS[rng.integers(len(DRUMS))] if rng.random() < 0.5 else kept
    return tuple(_play(note, played) for note in notes if note.drum is kept)


def few_drums(notes: Groove, rng: np.random.Generator) -> Groove:
    """One to three of the drums that play in the excerpt are left, those in its lead-in aside."""
    heard = sorted({note.drum.position for note in notes if note.time >= 0})
    if not heard:
        return notes
    kept = rng.choice(heard, min(int(rng.integers(1, 4)), len(heard)), replace=False)
    return tuple(note for note in notes if note.drum.position in kept)


def thin(notes: Groove, rng: np.random.Generator) -> Groove:
    """A random half to nine tenths of the strokes are left out."""
    share = rng.uniform(0.1, 0.5)
    return tuple(note for note in notes if rng.random() < share)


def play_sloppily(notes: Groove, rng: np.random.Generator) -> Groove:
    """Every stroke up to tens of milliseconds early or late, and a little softer or louder."""
    spread = rng.uniform(0.002, 0.02)
    return _ordered(
        [
            replace(
                note,
                time=note.time + rng.normal(0, spread),
                velocity=int(np.clip(note.velocity * np.exp(rng.normal(0, 0.15)), 1, 127)),
            )
            for note in notes
        ]
    )


def bend_velocities(notes: Groove, rng: np.random.Generator) -> Groove:
    """Another response to the stick: a power law, sometimes nearly flat, and a common level."""
    power = rng.uniform(0.15, 1.6)
    top = rng.uniform(80, 127)
    return tuple(
        replace(note, velocity=int(np.clip(top * (note.velocity / 127) ** power, 1, 127)))
        for note in notes
    )


# What may happen to an excerpt and how often, in this order.
PLAYING: tuple[tuple[float, Callable[[Groove, np.random.Generator], Groove]], ...] = (
    (0.30, move_drums),
    (0.30, add_fills),
    (0.15, add_strokes),
    (0.20, drop_drums),
    (0.07, solo),
    (0.08, thin),
    (0.20, play_sloppily),
    (0.35, bend_velocities),
)


def play_differently(notes: Groove, rng: np.random.Generator) -> Groove:
    """Each of `PLAYING`, or not, by its probability."""
    for probability, change in PLAYING:
        if rng.random() < probability:
            notes = change(notes, rng)
    return notes
