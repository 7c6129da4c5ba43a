"""The hits that a listener offers for one recording, and what is thought of them so far."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from drumsep.adaptation.pieces import pieces_of
from drumsep.adaptation.strokes import Strokes
from drumsep.drums import DRUMS, STEMS
from drumsep.results import Hit, Options, Transcription
from drumsep.transcriber.model import ORIGIN, Candidates

NEAR = 0.03  # s within which two hits fall together

Mask = NDArray[np.bool_]


@dataclass(eq=False)
class Case:
    """The candidates of one recording, and what is thought of them so far; arrays are (H,)."""

    found: Candidates
    strokes: Strokes
    times: NDArray[np.float64]  # s
    stems: NDArray[np.int64]
    drums: NDArray[np.int64]  # positions in DRUMS
    pieces: NDArray[np.int64]
    open: Mask  # whether they may be judged
    confidences: NDArray[np.float64]
    velocities: NDArray[np.float64]
    refused: Mask

    @classmethod
    def of(cls, found: Candidates, options: Options, frames: int) -> "Case":
        """What is thought at first of the hits in a recording of so many frames."""
        hits = found.hits
        strokes = Strokes.of(hits)
        return cls(
            found=found,
            strokes=strokes,
            times=np.array([hit.time for hit in hits]),
            stems=np.array([hit.drum.stem_index for hit in hits]),
            drums=np.array([hit.drum.position for hit in hits]),
            pieces=pieces_of(strokes, frames),
            open=np.array([hit.drum not in options.thresholds for hit in hits]),
            confidences=np.array([hit.confidence for hit in hits]),
            velocities=np.array([hit.velocity for hit in hits]),
            refused=np.zeros(len(hits), bool),
        )

    @property
    def believed(self) -> Mask:
        """Which candidates count as hits."""
        kept: Mask = (self.confidences >= self.found.needed) & ~self.refused
        return kept

    def on(self, *stems: str) -> Mask:
        """Which candidates are hits on drums of these stems."""
        own: Mask = np.isin(self.stems, [STEMS.index(stem) for stem in stems])
        return own

    def struck(self, *stems: str) -> NDArray[np.float64]:
        """When drums of these stems are hit, as far as is believed: s, ascending."""
        return self.times[self.believed & self.on(*stems)]

    def transcription(self) -> Transcription:
        """The candidates that are believed, as they are thought of now."""
        columns = (self.times, self.drums, self.velocities, self.confidences)
        rows = zip(*(column[self.believed].tolist() for column in columns), strict=True)
        hits = [
            Hit(time, DRUMS[drum], velocity, confidence)
            for time, drum, velocity, confidence in rows
        ]
        return Transcription(tuple(sorted(hits)), self.found.duration, ORIGIN)


def likelier(
    confidences: NDArray[np.float64], log_odds: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Confidences whose log-odds have risen by so much."""
    against = (1 - confidences) * np.exp(-log_odds)
    raised: NDArray[np.float64] = confidences / (confidences + against)
    return raised


def near(times: NDArray[np.float64], others: NDArray[np.float64]) -> Mask:
    """Which times (H,) are less than NEAR from one of the others, both ascending."""
    after = np.searchsorted(others, times - NEAR, side="right")
    found: Mask = after < np.searchsorted(others, times + NEAR, side="left")
    return found
