"""Thresholds and scores of a transcriber on annotated recordings it was not trained on."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from drumsep.drums import DRUMS, STEMS
from drumsep.train import scoring
from drumsep.train.validation import Annotated
from drumsep.transcriber.beginning import lead
from drumsep.transcriber.ensemble import UNFITTED, Ensemble
from drumsep.transcriber.peaks import STEM_OF_DRUM, Peaks, candidates, pick, reaching

CANDIDATES = np.arange(0.1, 0.91, 0.05)  # of a threshold
WINDOW = 0.05  # s a hit may be off
STRICT_WINDOW = 0.02  # s
STEM_SHARE = 0.5  # of the mean over stems in what thresholds maximise; the rest is over all hits

# Drums that get a threshold together: of each tom the sets have too few hits for one of its own.
TOGETHER = [[drum.position] for drum in DRUMS if drum.stem != "toms"]
TOGETHER += [[drum.position for drum in DRUMS if drum.stem == "toms"]]

Probabilities = tuple[NDArray[np.float32], NDArray[np.float32]]
Sets = Mapping[str, Sequence[Annotated]]


def transcribed(ensemble: Ensemble, samples: NDArray[np.float32]) -> Probabilities:
    """Onset probabilities and velocities (9, T) of mono samples (N,), whole at once."""
    device = next(ensemble.parameters()).device
    size = ensemble.dimensions
    before = lead([samples], size.rate)
    heard = np.pad(samples, (before * size.hop, 0))
    with torch.no_grad():
        curves = ensemble(torch.from_numpy(heard)[None].to(device))
    probabilities, velocities = (curve[0, :, before:].cpu().numpy() for curve in curves)
    return probabilities, velocities


def found_in(ensemble: Ensemble, recordings: Sequence[Annotated]) -> list[Peaks]:
    """The hits of each recording, by the ensemble's own thresholds."""
    thresholds = ensemble.thresholds.cpu().numpy()
    return [pick(*transcribed(ensemble, one.samples), thresholds) for one in recordings]


def f_measures(
    found: Sequence[Peaks], recordings: Sequence[Annotated], frame_rate: float, window: float
) -> Mapping[str, float]:
    """Onset F by stem and over "all", pooled over recordings."""
    counts = [
        scoring.count(recording.times, stem_times(peaks, frame_rate), window)
        for peaks, recording in zip(found, recordings, strict=True)
    ]
    return scoring.f_measures(counts)


def stem_times(peaks: Peaks, frame_rate: float) -> list[scoring.Times]:
    """The times (s) of peaks, ascending, for each stem."""
    stems = STEM_OF_DRUM[peaks.drums]
    return [np.sort(peaks.frames[stems == stem]) / frame_rate for stem in range(len(STEMS))]


def fit_thresholds(ensemble: Ensemble, sets: Sets) -> NDArray[np.float32]:
    """Thresholds (9,) by which it scores best on all sets together, each weighing the same.

    One after the other, twice round, from `UNFITTED`: half of what counts is the F over all hits,
    half the mean F of the stems.
    """
    frame_rate = ensemble.dimensions.frame_rate
    lowest = np.full(len(DRUMS), CANDIDATES[0], np.float32)
    found = {
        name: [candidates(*transcribed(ensemble, one.samples), lowest) for one in recordings]
        for name, recordings in sets.items()
    }

    def score(thresholds: NDArray[np.float32]) -> float:
        total = 0.0
        for name, recordings in sets.items():
            kept = [reaching(peaks, thresholds) for peaks in found[name]]
            scores = f_measures(kept, recordings, frame_rate, WINDOW)
            stems = float(np.mean([scores[stem] for stem in STEMS]))
            total += (1 - STEM_SHARE) * scores["all"] + STEM_SHARE * stems
        return total

    thresholds = np.full(len(DRUMS), UNFITTED, np.float32)
    for drums in (*TOGETHER, *TOGETHER):
        tried = []
        for candidate in CANDIDATES:
            thresholds[drums] = candidate
            tried.append(score(thresholds))
        thresholds[drums] = CANDIDATES[int(np.argmax(tried))]
    return thresholds


def table(ensemble: Ensemble, recordings: Sequence[Annotated]) -> dict[str, dict[str, float]]:
    """Rows "F 50 ms", "F 20 ms" and "velocity" (correlation), a column for each stem and "all"."""
    frame_rate, found = ensemble.dimensions.frame_rate, found_in(ensemble, recordings)
    return {
        "F 50 ms": dict(f_measures(found, recordings, frame_rate, WINDOW)),
        "F 20 ms": dict(f_measures(found, recordings, frame_rate, STRICT_WINDOW)),
        "velocity": velocity_correlations(found, recordings, frame_rate),
    }


def velocity_correlations(
    found: Sequence[Peaks], recordings: Sequence[Annotated], frame_rate: float
) -> dict[str, float]:
    """Pearson's correlation of true and found velocities of matched hits, pooled, by stem.

    Stems with fewer than three matched hits of known velocity, or all alike, are left out.
    """
    correlations = {}
    for position, stem in enumerate(STEMS):
        pairs = [
            pair
            for peaks, recording in zip(found, recordings, strict=True)
            for pair in _velocity_pairs(peaks, recording, position, frame_rate)
        ]
        true, guessed = np.array(pairs).reshape(-1, 2).T
        if len(true) >= 3 and true.std() > 0 and guessed.std() > 0:
            correlations[stem] = float(np.corrcoef(true, guessed)[0, 1])
    return correlations


def _velocity_pairs(
    peaks: Peaks, recording: Annotated, stem: int, frame_rate: float
) -> list[tuple[float, float]]:
    own = np.flatnonzero(STEM_OF_DRUM[peaks.drums] == stem)
    own = own[np.argsort(peaks.frames[own], kind="stable")]
    known = recording.velocities[stem]
    return [
        (float(known[i]), float(peaks.velocities[own[j]]))
        for i, j in scoring.matched(recording.times[stem], peaks.frames[own] / frame_rate, WINDOW)
        if len(known)
    ]
