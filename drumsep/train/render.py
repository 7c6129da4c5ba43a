"""Notes and kits in, nine stereo stems out, with every onset on its sample."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from drumsep.drums import DRUMS, Drum
from drumsep.sampled_kits import RATE, Sample, SampledKit
from drumsep.train import augment
from drumsep.train.grooves import Groove, Note

CHOKE = 0.030  # s in which a closed or pedal hi-hat ends a ringing open one
RESTRIKE = 0.150  # s in which an open hi-hat damps the one before
ATTACK = 0.010  # s, time constant of the part of a hit that `Timbre.attack` scales
LOUDNESS_SPAN = 0.030  # s from an onset over which its level is taken

HATS = (Drum.HIHAT_CLOSED, Drum.HIHAT_OPEN)

Audio = NDArray[np.float32]


@dataclass(frozen=True)
class Timbre:
    """How a recorded hit is bent: all neutral by default."""

    semitones: float = 0.0  # pitch and, with it, duration
    damping: float = 0.0  # 1/s, of an exponential decay laid over the hit
    attack: float = 1.0  # amplitude of the first ten milliseconds against the rest
    tone: tuple[float, ...] = ()  # dB, points of an `augment.equaliser`


@dataclass(frozen=True, eq=False)
class Voice:
    """What plays one drum: a kit, or several whose sounds are averaged (doubling)."""

    kits: tuple[SampledKit, ...]
    timbres: tuple[Timbre, ...]  # one for each kit
    curve: float = 1.0  # multiplies the kits' exponent of loudness over velocity


@dataclass(frozen=True, eq=False)
class Rendering:
    """Stems and the hits in them, one entry of each array a hit, ordered by time."""

    stems: Audio  # (9, C, N), in the order of DRUMS
    onsets: NDArray[np.int64]  # sample
    drums: NDArray[np.int64]  # position in DRUMS
    rows: NDArray[np.int64]  # of the stems it sounds in: its drum's, where each drum has a stem
    velocities: Audio  # 0..1; 0 where not known
    levels: Audio  # root mean square of the hit alone over its first LOUDNESS_SPAN

    @property
    def mixture(self) -> Audio:
        """The sum of the stems (C, N)."""
        mixture: Audio = self.stems.sum(axis=0)
        return mixture


def bend(audio: Audio, timbre: Timbre, before: int) -> Audio:
    """A sample (C, N) in another timbre, its onset still at `before`."""
    if abs(timbre.semitones) > 0.01:
        audio = _resampled(audio, 2 ** (timbre.semitones / 12), before)
    if timbre.tone:
        size = 1 << audio.shape[1].bit_length()  # few sizes, whose equalisers share tables
        response = augment.equaliser(size, np.array(timbre.tone))
        spectrum = augment.spectrum(audio, size) * response
        audio = augment.inverse(spectrum, audio.shape[1], size)
    if timbre.damping > 0 or timbre.attack != 1:
        after = np.maximum(np.arange(audio.shape[1], dtype=np.float32) - before, 0) / RATE
        shape = np.exp(-timbre.damping * after)
        shape += (timbre.attack - 1) * np.exp(-after / ATTACK)
        audio = audio * shape
    return audio


def _resampled(audio: Audio, ratio: float, fixed: int) -> Audio:
    """Audio (C, N) played `ratio` times as fast, linearly interpolated; sample `fixed` stays."""
    first = -min(fixed, int(fixed / ratio))
    last = int((audio.shape[1] - 1 - fixed) / ratio)
    places = fixed + np.arange(first, last, dtype=np.float64) * ratio
    whole = places.astype(np.int64)
    part = (places - whole).astype(np.float32)
    silence = np.zeros((audio.shape[0], fixed + first), np.float32)
    bent = audio[:, whole] * (1 - part) + audio[:, whole + 1] * part
    return np.concatenate([silence, bent], axis=1)


class Player:
    """Plays notes with voices; remembers the sounds it has bent."""

    def __init__(self, voices: Mapping[Drum, Voice], rng: np.random.Generator) -> None:
        self._voices = voices
        self._rng = rng
        self._bent: dict[tuple[Sample, Timbre], Audio] = {}

    def hit(self, note: Note) -> tuple[Audio, int] | None:
        """The sound (C, N) of a note and the sample its onset is at; None where nothing plays it.

        Of several recordings of one loudness, any is taken.
        """
        voice = self._voices.get(note.drum)
        sounds = []
        for kit, timbre in zip(voice.kits, voice.timbres, strict=True) if voice else ():
            name = kit.resolve(note.articulation) or kit.resolve(note.drum.value)
            if name is None:
                continue
            choices = kit.layer(name, note.velocity).samples
            sample = choices[self._rng.integers(len(choices))]
            exponent = kit.exponent(name) * (voice.curve if voice else 1)
            gain = sample.gain * (note.velocity / 127) ** exponent
            sounds.append((self._sound(sample, timbre) * np.float32(gain), sample.before))
        return _average(sounds)

    def _sound(self, sample: Sample, timbre: Timbre) -> Audio:
        key = (sample, timbre)
        if key not in self._bent:
            self._bent[key] = bend(sample.audio, timbre, sample.before)
        return self._bent[key]


def _average(sounds: list[tuple[Audio, int]]) -> tuple[Audio, int] | None:
    """Sounds laid on each other by their onsets, and averaged."""
    if len(sounds) < 2:
        return sounds[0] if sounds else None
    before = max(onset for _, onset in sounds)
    length = max(before - onset + audio.shape[1] for audio, onset in sounds)
    total = np.zeros((sounds[0][0].shape[0], length), np.float32)
    for audio, onset in sounds:
        total[:, before - onset : before - onset + audio.shape[1]] += audio / len(sounds)
    return total, before


def _choked(audio: Audio, at: int, fade: float) -> Audio:
    """A sound that ends within `fade` seconds from sample `at`."""
    if at >= audio.shape[1]:
        return audio
    length = round(fade * RATE)
    kept = audio[:, : at + length].copy()
    ramp = 0.5 + 0.5 * np.cos(np.pi * np.arange(length, dtype=np.float32) / length)
    kept[:, at:] *= ramp[: kept.shape[1] - at]
    return kept


def render(
    notes: Groove,
    voices: Mapping[Drum, Voice],
    seconds: float,
    rng: np.random.Generator,
    *,
    channels: int = 2,
) -> Rendering:
    """Play notes: times from 0 to `seconds` are hits, earlier ones only ring into the clip."""
    length = round(seconds * RATE)
    stems = np.zeros((len(DRUMS), channels, length), np.float32)
    hits: list[tuple[int, int, float, float]] = []
    player = Player(voices, rng)
    next_hats = _next_hats(notes)
    for index, note in enumerate(notes):
        played = player.hit(note)
        onset = round(note.time * RATE)
        if played is None or onset >= length:
            continue
        audio, before = played
        if note.drum is Drum.HIHAT_OPEN and index in next_hats:
            following = notes[next_hats[index]]
            fade = RESTRIKE if following.drum is Drum.HIHAT_OPEN else CHOKE
            audio = _choked(audio, before + round(following.time * RATE) - onset, fade)
        _add(stems[note.drum.position], audio, onset - before)
        if onset >= 0:
            start = audio[:, before : before + round(LOUDNESS_SPAN * RATE)]
            level = float(np.sqrt(np.mean(np.square(start)))) if start.size else 0.0
            hits.append((onset, note.drum.position, note.velocity / 127, level))
    onsets, drums, velocities, levels = np.array(hits, np.float64).reshape(-1, 4).T
    return Rendering(
        stems=stems,
        onsets=onsets.astype(np.int64),
        drums=drums.astype(np.int64),
        rows=drums.astype(np.int64),
        velocities=velocities.astype(np.float32),
        levels=levels.astype(np.float32),
    )


def _next_hats(notes: Groove) -> dict[int, int]:
    """For the index of every hi-hat note, that of the next."""
    hats = [index for index, note in enumerate(notes) if note.drum in HATS]
    return dict(zip(hats, hats[1:], strict=False))


def _add(stem: Audio, audio: Audio, start: int) -> None:
    """Add `audio` (C, M) into `stem` (C, N) from sample `start`, which may be negative."""
    first = max(0, -start)
    last = min(audio.shape[1], stem.shape[1] - start)
    if last > first:
        stem[:, start + first : start + last] += audio[:, first:last]
