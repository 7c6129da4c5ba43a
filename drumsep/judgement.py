"""What a result says about itself: warnings that a person would want before trusting it. Pure."""

from collections.abc import Mapping
from typing import Any

from drumsep.drums import DRUMS, STEMS
from drumsep.results import Hit, Transcription

UNSURE = 0.6  # mean confidence under which a transcription is called uncertain
SPARSE = 0.1  # hits per second under which a long recording does not look like drums
SILENT_DB = -80.0  # peak under which a stem counts as empty


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


def of_stems(peaks_db: Mapping[str, float], transcription: Transcription) -> tuple[str, ...]:
    """Warn where hits were found that no sound in their stem confirms, and where all is silent.

    Args:
        peaks_db: peak of each written stem in dB relative to full scale; five or nine stems.
        transcription: the hits the stems were made with.
    """
    audible = {name for name, peak in peaks_db.items() if peak > SILENT_DB}
    if not audible & set(peaks_db):
        return ("every stem is silent",)
    struck = {_name_in(peaks_db, hit) for hit in transcription.hits}
    unconfirmed = [name for name in peaks_db if name in struck - audible]
    return tuple(f"hits were found for {name}, but its stem is silent" for name in unconfirmed)


def _name_in(peaks_db: Mapping[str, Any], hit: Hit) -> str:
    """The stem that a hit sounds in: its group of five, or the drum's own of nine."""
    five = set(peaks_db) & set(STEMS) == set(STEMS)
    return hit.drum.stem if five else hit.drum.value
