"""What a result says about itself: warnings that a person would want before trusting it."""

from collections.abc import Mapping, Sequence

import numpy as np

from drumsep.drums import DRUMS, STEMS
from drumsep.results import Hit, Samples, Transcription

UNSURE = 0.6  # mean confidence under which a transcription is called uncertain
SPARSE = 0.1  # hits per second under which a long recording does not look like drums
SOUNDS_WITHIN = 0.06  # s after a hit in which its stem must sound
SILENT_DB = -80.0  # peak up to which nothing sounds
FAINT_DB = -40.0  # the same, against the median hit of the stem; ghost notes are 30 dB softer


def count(transcription: Transcription) -> dict[str, int]:
    """Number of hits of each drum that was found, in the order of the vocabulary."""
    found = {drum.value: len(transcription.of(drum)) for drum in DRUMS}
    return {name: number for name, number in found.items() if number}


def of_transcription(transcription: Transcription) -> tuple[str, ...]:
    """Warn where what was transcribed does not look like drums."""
    if transcription.origin == "given":
        return ()
    hits = transcription.hits
    if not hits:
        return ("no drum hits found: is this a drum recording?",)
    warnings = []
    sure = sum(hit.confidence for hit in hits) / len(hits)
    if sure < UNSURE:
        warnings.append(f"uncertain transcription: mean confidence {sure:.2f} of 1")
    seconds = transcription.duration
    if seconds > 10 and len(hits) / seconds < SPARSE:
        warnings.append(f"only {len(hits)} hits in {seconds:.0f} s: is this a drum recording?")
    return tuple(warnings)


class HitPeaks:
    """How loud its stem is at every hit, learned while the stems go by in blocks.

    Args:
        names: of the stems, in the order of the first axis; five or nine.
        transcription: the hits the stems were made with.
        rate: of the stems, in Hz.
    """

    def __init__(self, names: Sequence[str], transcription: Transcription, rate: int):
        five = set(STEMS) <= set(names)
        self.hits: dict[str, list[Hit]] = {name: [] for name in names}
        for hit in transcription.hits:
            self.hits[hit.drum.stem if five else hit.drum.value].append(hit)
        self.peaks = {name: np.zeros(len(hits)) for name, hits in self.hits.items()}
        self._starts = {
            name: np.array([round(hit.time * rate) for hit in hits], np.int64)
            for name, hits in self.hits.items()
        }
        self._length = round(SOUNDS_WITHIN * rate)
        self._done = 0  # samples that went by

    def hear(self, stems: Samples) -> None:
        """Take in the next block, (stem, channel, n)."""
        for name, stem in zip(self.hits, stems, strict=True):
            starts, peaks = self._starts[name] - self._done, self.peaks[name]
            first = np.searchsorted(starts, -self._length, side="right")
            for at in range(first, np.searchsorted(starts, stem.shape[-1])):
                window = stem[:, max(starts[at], 0) : starts[at] + self._length]
                peaks[at] = max(peaks[at], window.max(initial=0), -window.min(initial=0))
        self._done += stems.shape[-1]

    def unconfirmed(self, name: str) -> list[Hit]:
        """The hits of a stem at which it is silent, or far softer than at its usual hit."""
        peaks = self.peaks[name]
        usual = np.median(peaks) if len(peaks) else 0.0
        faintest = max(_amplitude(SILENT_DB), usual * _amplitude(FAINT_DB))
        pairs = zip(self.hits[name], peaks, strict=True)
        return [hit for hit, peak in pairs if peak <= faintest]


def of_stems(peaks_db: Mapping[str, float], heard: HitPeaks) -> tuple[str, ...]:
    """Warn where hits were found that no sound in their stem confirms, and where all is silent.

    `peaks_db` are the peaks of the written files in dB relative to full scale.
    """
    if all(peaks_db[name] <= SILENT_DB for name in heard.hits):
        return ("every stem is silent",)
    return tuple(
        f"{name}: {len(silent)} of {len(hits)} hits have no sound in their stem "
        f"(first at {_minutes(silent[0].time)})"
        for name, hits in heard.hits.items()
        if (silent := heard.unconfirmed(name))
    )


def _amplitude(level: float) -> float:
    return float(10 ** (level / 20))


def _minutes(seconds: float) -> str:
    """Minutes, seconds and tenths, such as 0:12.3."""
    tenths = int(10 * seconds)
    return f"{tenths // 600}:{tenths // 10 % 60:02d}.{tenths % 10}"
