"""The walk of the second look: an excerpt, then the other pieces, then what only all hits tell."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from drumsep.adaptation.pieces import excerpt
from drumsep.adaptation.strokes import RATE, STFT, Strokes, lags_until
from drumsep.errors import DrumsepError
from drumsep.recording import Recording
from drumsep.results import Options, Progress, Transcription
from drumsep.second_look import repetition
from drumsep.second_look.case import Case
from drumsep.second_look.look import Look
from drumsep.second_look.names import Names
from drumsep.second_look.questions import QUESTIONS, Question, washes
from drumsep.second_look.scene import TAIL, Scene, apart, joined
from drumsep.transcriber.model import NetworkTranscriber

OFFERED = 0.4  # of what a hit needs: from there on it is looked at


class SecondLook:
    """A `separator.Transcriber`: what a listener offers, judged by the recording itself."""

    def __init__(self, listener: NetworkTranscriber, templates: Tensor) -> None:
        """`templates` (9, L, F) are the first, as for `adaptation.adapt`.

        Raises:
            DrumsepError: the listener works at another rate than the fit.
        """
        if listener.rate != RATE:
            raise DrumsepError(f"hits are looked at again at {RATE} Hz, got {listener.rate} Hz")
        self._listener = listener
        self._templates = templates[:, : lags_until(TAIL)]

    @property
    def rate(self) -> int:
        """Sample rate it listens at, in Hz."""
        return self._listener.rate

    @torch.inference_mode()
    def transcribe(
        self, recording: Recording, options: Options, progress: Progress
    ) -> Transcription:
        """Find the hits of a recording at `rate`, as they are thought of after the second look.

        Drums in `options.thresholds` keep their hits and names.
        """
        found = self._listener.candidates(recording, options, progress, OFFERED)
        at_first = found.transcription()
        if not at_first.hits:
            return at_first
        frames = STFT.frames(recording.frames)
        case = Case.of(found, options, frames)
        repetition.weigh(case)
        chosen = excerpt(Strokes.of(at_first.hits), frames)
        device = self._templates.device
        scene = joined(recording, chosen, case, device)
        looks = self._learnt(case, scene)
        latest = self._latest(looks, case, scene)
        names = Names(latest)
        latest.listen(case, scene)
        names.listen(case, scene)
        rest = np.setdiff1d(case.pieces, chosen).tolist()
        for done, scene in enumerate(apart(recording, rest, case, device)):
            progress("looking again", done / len(rest))
            _settle_all(looks, case, scene)
            latest.listen(case, scene)
            names.listen(case, scene)
        case.refused |= washes(case)
        case.velocities = latest.velocities(case)
        names.settle(case)
        progress("looking again", 1.0)
        return case.transcription()

    def _learnt(self, case: Case, scene: Scene) -> list[Look | None]:
        """What each question has learnt from the excerpt, whose hits are settled on the way."""
        looks: list[Look | None] = []
        for question in QUESTIONS:
            doubtful = question.doubtful(case)
            look = Look.of(case, doubtful, scene, self._templates) if doubtful.any() else None
            if look is not None:
                _settle(question, look, case, scene)
            looks.append(look)
        return looks

    def _latest(self, looks: Sequence[Look | None], case: Case, scene: Scene) -> Look:
        """The last look that was taken, or one of all hits where nothing was doubtful."""
        taken = [look for look in looks if look is not None]
        if taken:
            return taken[-1]
        return Look.of(case, np.zeros(len(case.times), bool), scene, self._templates)


def _settle_all(looks: Sequence[Look | None], case: Case, scene: Scene) -> None:
    """Ask every question that has learnt something of the hits that lie in the scene."""
    for question, look in zip(QUESTIONS, looks, strict=True):
        if look is not None:
            _settle(question, look, case, scene)


def _settle(question: Question, look: Look, case: Case, scene: Scene) -> None:
    """Ask the question of the hits that lie in the scene."""
    doubtful = question.doubtful(case) & scene.inside
    if doubtful.any():
        question.settle(case, doubtful, look.strengths(case, doubtful, scene))
