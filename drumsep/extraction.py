"""Real one-shots: choosing the hits that stand most alone, and cutting them out of the stems.

choose(hits) -> plan -> Collector, fed with stems block by block -> one-shots -> merge -> Kit

What is kept in memory is the planned windows, whose number does not grow with the recording.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from drumsep.drums import DRUMS, STEMS, Drum
from drumsep.kit import layer_of
from drumsep.results import Audio, Hit, Kit, OneShot, Samples, StemStream, Transcription

# Longest one-shots, in seconds: when a drum of that kind has rung out, or no longer matters.
LONGEST = {
    Drum.KICK: 0.6,
    Drum.SNARE: 0.8,
    Drum.TOM_HIGH: 1.0,
    Drum.TOM_MID: 1.2,
    Drum.TOM_FLOOR: 1.5,
    Drum.HIHAT_CLOSED: 0.4,
    Drum.HIHAT_OPEN: 1.5,
    Drum.CRASH: 3.0,
    Drum.RIDE: 2.0,
}
SHORTEST = 0.08  # s; a stroke cut off earlier is no sample of a drum
ROBINS = 3  # one-shots per drum and velocity layer
CANDIDATES = 5  # windows that are cut for them; the cleanest are kept

BLEED = 0.1  # s, decay of what a hit on a drum of another stem leaves behind in this one
GUARD = 0.01  # s, left out before the next stroke, which may come early

LEAD = 0.04  # s, cut before a hit: what rang before it, then where its onset is searched
SEARCH = 0.02  # s, how far from its true onset a hit may be
SIDE = 0.006  # s, compared before and after a supposed onset
FLOOR = 0.01  # of the stroke's energy; what is fainter is no onset
JUDGED = 0.15  # s after the onset over which a stroke is compared with the rest

PRE_ROLL = 0.001  # s before the onset, faded in
FADE_OUT = 0.03  # s
SILENCE = 1e-3  # of the peak, -60 dB: what follows is trimmed
EXTREME_DB = 60.0  # isolations beyond are not told apart

# A one-shot counts as clean when it has this much more energy than all else around it.
CLEAN_DB = 6.0


@dataclass(frozen=True)
class Window:
    """A stretch of the recording to cut: one stroke until it has ended."""

    hit: Hit
    stop: float  # s

    @property
    def start(self) -> float:
        """Where to begin, in seconds; may lie before the recording."""
        return self.hit.time - LEAD


def choose(transcription: Transcription, names: Sequence[str] = STEMS) -> tuple[Window, ...]:
    """Plan what to cut: for every drum and velocity layer the hits that stand most alone.

    A window ends at the next stroke that sounds in the same stem, or that chokes it.

    Args:
        transcription: hits of the whole recording.
        names: of the stems to cut from, five or nine.

    Returns:
        Windows in order of time, at most `CANDIDATES` per drum and layer.
    """
    hits = transcription.hits
    times = np.array([hit.time for hit in hits])
    chosen: list[Window] = []
    for drum in DRUMS:
        free = _free_windows(hits, drum, names)
        ranked = sorted(free, key=lambda w: (layer_of(w.hit.velocity), _cost(w, hits, times)))
        for _, layer in groupby(ranked, key=lambda window: layer_of(window.hit.velocity)):
            chosen += list(layer)[:CANDIDATES]
    return tuple(sorted(chosen, key=lambda window: window.start))


def _stem(drum: Drum, names: Sequence[str]) -> str:
    """The stem that a drum is cut from."""
    return drum.value if drum.value in names else drum.stem


def _free_windows(hits: Sequence[Hit], drum: Drum, names: Sequence[str]) -> list[Window]:
    """The windows of one drum's hits that are long enough."""
    together = [hit for hit in hits if _ends(hit.drum, drum, names)]
    windows = []
    for at, hit in enumerate(together):
        if hit.drum is not drum:
            continue
        following = together[at + 1].time - GUARD if at + 1 < len(together) else np.inf
        stop = min(following, hit.time + LONGEST[drum])
        if stop - hit.time >= SHORTEST:
            windows.append(Window(hit, stop))
    return windows


def _ends(other: Drum, drum: Drum, names: Sequence[str]) -> bool:
    """Whether a stroke on `other` ends the sound of `drum`: both in one stem, or both hi-hats."""
    hats = drum.stem == other.stem == "hihat"
    return hats or _stem(other, names) == _stem(drum, names)


def _cost(window: Window, hits: Sequence[Hit], times: NDArray[np.float64]) -> float:
    """How much a stroke is crowded: by the energy of others around it, and by its early end."""
    hit = window.hit
    first, last = np.searchsorted(times, [hit.time - max(LONGEST.values()), window.stop])
    crowd = 0.0
    for other in hits[first:last]:
        if other is not hit:
            same = other.drum.stem == hit.drum.stem
            decay = LONGEST[other.drum] / 3 if same else BLEED
            crowd += other.velocity**2 * np.exp(-abs(other.time - hit.time) / decay)
    loudness = max(hit.velocity, 1 / 127) ** 2
    cut_short = LONGEST[hit.drum] / (window.stop - hit.time)
    return float(np.log1p(crowd / loudness) + np.log(cut_short))


@dataclass(eq=False)
class _Take:
    """A window that is being filled."""

    window: Window
    stem: int
    start: int  # sample of the recording; negative where the window begins before it
    onset: int  # sample of the recording
    sound: Samples  # (channels, time)
    rest: float = 0.0  # energy of all other stems while the stroke is judged


class Collector:
    """Keeps the planned windows of stems that pass by."""

    def __init__(self, plan: Sequence[Window], stream: StemStream):
        self._rate = stream.rate
        self._channels = stream.channels
        self._frames = stream.frames
        self._names = stream.names
        self._waiting = list(plan)[::-1]
        self._open: list[_Take] = []
        self._finished: list[OneShot] = []
        self._position = 0

    def write(self, block: Samples, mixture: Samples) -> None:
        """Take what is planned from the next block: stems (K, C, n) and their mixture (C, n)."""
        end = self._position + block.shape[-1]
        while self._waiting and self._waiting[-1].start * self._rate < end:
            self._open.append(self._take(self._waiting.pop()))
        still_open = []
        for take in self._open:
            self._fill(take, block[take.stem])
            self._judge(take, block[take.stem], mixture)
            if take.start + take.sound.shape[1] > end:
                still_open.append(take)
            else:
                self._finish(take)
        self._open = still_open
        self._position = end

    def one_shots(self) -> tuple[OneShot, ...]:
        """The cleanest of each drum and velocity layer, with their isolation."""
        layers: dict[tuple[int, int], list[OneShot]] = defaultdict(list)
        # Isolations that agree to 0.1 dB are equally good: then the earlier comes first.
        for shot in sorted(
            self._finished, key=lambda shot: (-round(_isolation(shot), 1), shot.time)
        ):
            layers[shot.drum.position, layer_of(shot.velocity)].append(shot)
        return tuple(shot for layer in sorted(layers) for shot in layers[layer][:ROBINS])

    def _take(self, window: Window) -> _Take:
        start, stop = round(window.start * self._rate), round(window.stop * self._rate)
        length = max(min(stop, self._frames) - start, 0)
        return _Take(
            window,
            self._names.index(_stem(window.hit.drum, self._names)),
            start,
            round(window.hit.time * self._rate),
            np.zeros((self._channels, length), np.float32),
        )

    def _fill(self, take: _Take, stem: Samples) -> None:
        """Copy what of a stem's block (C, n) lies in the window."""
        first = max(take.start, self._position)
        last = min(take.start + take.sound.shape[1], self._position + stem.shape[1])
        if first < last:
            piece = stem[:, first - self._position : last - self._position]
            take.sound[:, first - take.start : last - take.start] = piece

    def _judge(self, take: _Take, stem: Samples, mixture: Samples) -> None:
        """Add the energy of everything else in a block while the stroke is judged."""
        first = max(take.onset - self._position, 0)
        last = max(take.onset + round(JUDGED * self._rate) - self._position, first)
        take.rest += _energy(mixture[:, first:last] - stem[:, first:last])

    def _finish(self, take: _Take) -> None:
        shot = _one_shot(take, self._rate)
        if shot is not None:
            self._finished.append(shot)


def _one_shot(take: _Take, rate: int) -> OneShot | None:
    """Align, measure, trim and fade a filled window; None where nothing sounds in it."""
    loudness = np.abs(take.sound).max(axis=0, initial=0)
    onset = _onset(loudness, take.onset - take.start, rate)
    first = max(onset - round(PRE_ROLL * rate), 0)
    audible = np.flatnonzero(loudness > SILENCE * loudness[onset:].max(initial=0))
    if not audible.size or audible[-1] - first < SHORTEST * rate / 2:
        return None
    cut = take.sound[:, first : audible[-1] + 1]
    samples = np.ascontiguousarray(cut * _fades(cut.shape[1], onset - first, rate))
    hit, time = take.window.hit, (take.start + onset) / rate
    isolation = _isolation_db(take, onset, rate)
    return OneShot(hit.drum, Audio(samples, rate), "extracted", hit.velocity, time, isolation)


def _onset(loudness: NDArray[np.float32], nominal: int, rate: int) -> int:
    """The sample at which a stroke begins: where energy rises most, near its nominal place."""
    reach, side = round(SEARCH * rate), round(SIDE * rate)
    first = max(nominal - reach, side)
    total = np.cumsum(np.square(loudness[: nominal + reach + side], dtype=np.float64))
    if total.size < first + side:
        return min(nominal, loudness.size - 1)
    total = np.concatenate([[0.0], total])
    after = total[first + side :] - total[first:-side]
    before = (total[side:-side] - total[: -2 * side])[first - side :]
    floor = FLOOR * after.max()
    return first + int(((after + floor) / (before + floor)).argmax()) if floor else first


def _isolation_db(take: _Take, onset: int, rate: int) -> float:
    """A stroke's energy over that of the other stems and of what still rang in its own."""
    stroke = take.sound[:, onset : onset + round(JUDGED * rate)]
    before = take.sound[:, : max(take.onset - take.start - round(SEARCH * rate), 0)]
    own = _energy(stroke)
    ringing = _energy(before) * stroke.size / max(before.size, 1)
    smallest = max(own * 10 ** (-EXTREME_DB / 10), np.finfo(np.float64).tiny)
    ratio = max(own - ringing, smallest) / max(take.rest + ringing, smallest)
    return max(10 * float(np.log10(ratio)), -EXTREME_DB)


def _energy(samples: Samples) -> float:
    return float(np.square(samples, dtype=np.float64).sum())


def _fades(length: int, attack: int, rate: int) -> NDArray[np.float32]:
    """Gains that rise over `attack` samples and fall, as half a cosine, at the end."""
    gains = np.ones(length)
    gains[:attack] = 0.5 - 0.5 * np.cos(np.pi * (np.arange(attack) + 0.5) / max(attack, 1))
    fall = min(round(FADE_OUT * rate), length - attack)
    gains[length - fall :] *= 0.5 + 0.5 * np.cos(np.pi * (np.arange(fall) + 0.5) / max(fall, 1))
    return gains.astype(np.float32)


def _isolation(shot: OneShot) -> float:
    return -np.inf if shot.isolation is None else shot.isolation


def merge(extracted: Sequence[OneShot], synthesised: Kit) -> Kit:
    """A kit of clean extracted one-shots, and where a drum has none, of its synthesised ones.

    Where a drum has no synthesised one either, the best that was extracted stands for it.
    """
    shots: list[OneShot] = []
    for drum in DRUMS:
        cut = [shot for shot in extracted if shot.drum is drum]
        clean = [shot for shot in cut if _isolation(shot) >= CLEAN_DB]
        best = sorted(cut, key=_isolation)[-1:]
        shots += clean or list(synthesised.of(drum)) or best
    return Kit(tuple(shots))
