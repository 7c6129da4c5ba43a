"""Score the answer for one clip: a share in each metric, stem by stem."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drumsep.drums import STEMS
from drumsep.evaluate import metrics
from drumsep.evaluate.dataset import Truth
from drumsep.evaluate.estimates import Estimate
from drumsep.evaluate.kits import strokes
from drumsep.evaluate.statistics import Score
from drumsep.results import Hit, Kit, Transcription
from drumsep.sampled_kits import SampledKit

WINDOWS = {"50": 0.05, "20": 0.02}  # s within which an onset is right
VELOCITY_WINDOW = 0.05  # s

Shares = dict[str, dict[str, Score]]
"""By stem, then by metric."""


@dataclass(frozen=True)
class ClipResult:
    """A clip's share in all scores of a system."""

    system: str
    clip: str
    duration: float  # s
    seconds: float  # s of computing
    sounding: Mapping[str, bool]  # by stem
    shares: Shares


def score(
    truth: Truth, estimate: Estimate, kit: SampledKit | None, groups: Collection[str]
) -> Shares:
    """All that the groups ask for and that truth and estimate allow; the rest is left out."""
    shares: Shares = {stem: {} for stem in STEMS}
    for stem in truth.stems:
        reference, answer = truth.stems[stem].samples, estimate.stems[stem]
        for key, value in _sound_values(reference, answer, truth.sounding[stem], groups):
            _put(shares[stem], key, value)
    if truth.hits and estimate.hits:
        for stem in STEMS:
            expected, found = (_of_stem(hits, stem) for hits in (truth.hits, estimate.hits))
            if "onsets" in groups:
                shares[stem] |= onset_scores(_times(expected), _times(found))
            if "velocity" in groups and truth.velocities:
                _put(shares[stem], "velocity_r", velocity_correlation(expected, found))
    if kit is not None and "one-shots" in groups:
        for stem in (stem for stem in STEMS if truth.sounding.get(stem)):
            _put(shares[stem], "one_shot", kit_distance(kit, estimate.kit, stem))
    return shares


def onset_scores(expected: NDArray[Any], found: NDArray[Any]) -> dict[str, Score]:
    """F-measure, precision and recall of onset times in seconds, for each of `WINDOWS`."""
    shares = {}
    for name, window in WINDOWS.items():
        right = len(metrics.matched(expected, found, window))
        shares[f"f{name}"] = Score(2 * right, len(expected) + len(found))
        shares[f"p{name}"] = Score(right, len(found))
        shares[f"r{name}"] = Score(right, len(expected))
    return shares


def velocity_correlation(expected: Sequence[Hit], found: Sequence[Hit]) -> float:
    """Correlation of the velocities of hits that match within 50 ms, NaN for fewer than three."""
    pairs = metrics.matched(_times(expected), _times(found), VELOCITY_WINDOW)
    true = np.array([expected[i].velocity for i, _ in pairs])
    heard = np.array([found[j].velocity for _, j in pairs])
    return metrics.correlation(true, heard)


def kit_distance(truth: SampledKit, kit: Kit, stem: str) -> float:
    """Mean over a stem's one-shots of the distance to the nearest true sample of that drum, in dB.

    The true kit is read at the rate of the one-shots. NaN where there is nothing to compare.
    """
    distances = []
    for shot in kit.one_shots:
        if shot.drum.stem != stem:
            continue
        values = [
            metrics.one_shot_distance(stroke, shot.audio.samples, shot.audio.rate)
            for stroke in strokes(truth, shot.drum)
        ]
        distances += [min(values)] if values else []
    return float(np.mean(distances)) if distances else float("nan")


def _sound_values(
    reference: metrics.Sound, answer: metrics.Sound, sounding: bool, groups: Collection[str]
) -> Iterator[tuple[str, float]]:
    """Scores of one stem; a silent stem has an nSDR of its own, and none that need a signal."""
    if "nsdr" in groups:
        yield "nsdr" if sounding else "nsdr_silent", metrics.nsdr(reference, answer)
    if "silence" in groups:
        yield "pes", metrics.predicted_energy_at_silence(reference, answer)
        yield "eps", metrics.energy_at_predicted_silence(reference, answer)
    if sounding:
        for group, key, function in _OF_SOUNDING:
            if group in groups:
                yield key, function(reference, answer)


_OF_SOUNDING: tuple[tuple[str, str, Callable[[metrics.Sound, metrics.Sound], float]], ...] = (
    ("si-sdr", "si_sdr", metrics.si_sdr),
    ("osdr", "osdr", metrics.bss_sdr),
    ("lsd", "lsd", metrics.log_spectral_distance),
)


def _put(shares: dict[str, Score], key: str, value: float) -> None:
    if np.isfinite(value):
        shares[key] = Score(value, 1)


def _of_stem(hits: Transcription, stem: str) -> list[Hit]:
    return [hit for hit in hits.hits if hit.drum.stem == stem]


def _times(hits: Sequence[Hit]) -> NDArray[np.float64]:
    return np.array([hit.time for hit in hits])
