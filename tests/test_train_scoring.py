"""Counting hits agrees with mir_eval; thresholds are fitted to what scores."""

import numpy as np
import pytest

from drumsep.drums import STEMS, Drum
from drumsep.train import scoring, thresholds
from drumsep.train.validation import Annotated
from drumsep.transcriber.ensemble import Ensemble
from drumsep.transcriber.network import Dimensions, Transcriber
from drumsep.transcriber.peaks import Peaks


@pytest.mark.parametrize("seed", range(10))
def test_matching_is_as_large_as_mir_evals(seed: int) -> None:
    util = pytest.importorskip("mir_eval.util")
    rng = np.random.default_rng(seed)
    truth, found = (np.sort(rng.uniform(0, 4, size)) for size in (50, 60))
    pairs = scoring.matched(truth, found, 0.05)
    assert len(pairs) == len(util.match_events(truth, found, 0.05))
    assert all(abs(truth[i] - found[j]) <= 0.05 for i, j in pairs)


def test_f_measures_pool_over_recordings() -> None:
    one = [scoring.Counts(1, 2, 1)] * len(STEMS)
    other = [scoring.Counts(0, 0, 1)] * len(STEMS)
    scores = scoring.f_measures([one, other])
    assert scores["kick"] == scores["all"] == pytest.approx(2 * 1 / (2 + 2))
    assert scoring.Counts().f_measure == 1.0


def recording() -> Annotated:
    times = (np.array([0.1, 0.5]), *[np.zeros(0)] * 4)
    velocities = (np.array([0.2, 0.8]), *[np.zeros(0)] * 4)
    return Annotated("one", np.zeros(100, np.float32), times, velocities)


def test_thresholds_rise_over_false_peaks(monkeypatch: pytest.MonkeyPatch) -> None:
    onsets, velocities = np.zeros((2, 9, 100), np.float32)
    onsets[Drum.KICK.position, [10, 50]] = 0.7
    onsets[Drum.KICK.position, [30, 70, 90]] = 0.45
    monkeypatch.setattr(thresholds, "transcribed", lambda *_: (onsets, velocities))
    ensemble = Ensemble([Transcriber(Dimensions(bands=16, channels=1, features=2, blocks=1))])
    fitted = thresholds.fit_thresholds(ensemble, {"set": [recording()]})
    assert 0.45 < fitted[Drum.KICK.position] <= 0.7


def test_velocities_of_matched_hits_correlate() -> None:
    peaks = Peaks(
        frames=np.array([10.0, 30.0, 50.0]),
        drums=np.full(3, Drum.KICK.position),
        velocities=np.array([0.3, 0.9, 0.7], np.float32),
        confidences=np.ones(3, np.float32),
    )
    assert thresholds.velocity_correlations([peaks], [recording()], 100.0) == {}
    third = Annotated(
        "three",
        np.zeros(100, np.float32),
        (np.array([0.1, 0.3, 0.5]), *[np.zeros(0)] * 4),
        (np.array([0.1, 0.5, 0.4]), *[np.zeros(0)] * 4),
    )
    assert thresholds.velocity_correlations([peaks], [third], 100.0)["kick"] > 0.95
