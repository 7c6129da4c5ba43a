"""A second look at doubtful hits: does the recording still ask for them once its kit is known?

A network hears a few seconds of drums that it has never heard before. So it takes the attack of a
floor tom for a kick, or a washy hi-hat for a ride, although the kicks and rides of this very
recording sound different. The hits that nothing speaks against tell what its drums sound like:
templates are fitted to them alone, as in `adaptation`, in bands and in mono. Then doubtful hits are
offered to the fit. One whose sound is explained by the hits around it is given little strength,
beside what is usual for its drum; one that is needed is given as much.

Two kinds of hits are doubtful. Those that the networks are not sure of (`SURE`), whether they count
or not: the fit makes them likelier or less likely. And those that fall together with one of another
stem that they are mistaken for (`BESIDE`): the networks are as sure of them as of others, so only
the fit decides. In 68 renders of the validation kits 32 of 100 kicks beside a tom were none, and 2
of 1004 others.

Open hi-hats that are never heard without a cymbal are the wash of the cymbal, and refused: in 114
renders and recordings there were ten of them, in three, and none was a hi-hat. Last, toms and
hi-hats are named by what sounds like them (`naming`).

On eval-dev the onset F rises from 0.958 to 0.966, on real-dev from 0.942 to 0.951.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from drumsep.adaptation.bands import pooled
from drumsep.adaptation.fitting import TINY, Fit, Hearing, Problem, Pull
from drumsep.adaptation.pieces import PIECE, excerpt, heard, pieces_of
from drumsep.adaptation.starting import first_fit, first_strengths, pull
from drumsep.adaptation.strokes import LAGS, RATE, STFT, Placement, Strokes, place
from drumsep.drums import DRUMS, STEMS, Drum
from drumsep.dsp import magnitude
from drumsep.errors import DrumsepError
from drumsep.naming import named_as_most, toms_told_apart
from drumsep.recording import Recording
from drumsep.results import Options, Progress, Transcription
from drumsep.transcriber.model import ORIGIN, Candidates, NetworkTranscriber

OFFERED = 0.4  # of what a hit needs: from there on it is looked at
NEAR = 0.03  # s within which two hits fall together
SURE = 0.7  # confidence from which a hit by itself is not doubtful

# The log-odds of an unsure hit rise by SLOPE * log(strength / EVEN); strengths are of the usual.
SLOPE, EVEN = 0.35, 0.2
WEAKEST, STRONGEST = 0.02, 2.0  # strengths that are told apart

# What each stem is mistaken for where both are hit, in the order of asking.
BESIDE: tuple[dict[str, tuple[str, ...]], ...] = (
    {"kick": ("toms",), "cymbals": ("hihat",)},
    {"toms": ("kick", "snare")},
    {"snare": ("toms",)},
)
LEAST = 1 / 3  # of the usual strength, under which a hit beside another is none

UPDATES = 6  # of templates and strengths, from the hits that are not doubtful
STRENGTH_UPDATES = 6  # with templates held, of all
FREE = Pull(strengths=0.02)
COMPARED = 2  # hits that tell what is usual, at least
BODY = 18  # frames, 0.21 s: what drums are told apart by
TAIL = 40  # frames, 0.5 s: what is listened to of a hit, and beyond a piece

Mask = NDArray[np.bool_]


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
        self._templates = templates

    @property
    def rate(self) -> int:
        """Sample rate it listens at, in Hz."""
        return self._listener.rate

    @torch.inference_mode()
    def transcribe(
        self, recording: Recording, options: Options, progress: Progress
    ) -> Transcription:
        """Find the hits of a recording at `rate`; confidences are those after the second look.

        Drums in `options.thresholds` are not looked at again.
        """
        found = self._listener.candidates(recording, options, progress, OFFERED)
        at_first = found.transcription()
        if not at_first.hits:
            return at_first
        frames = STFT.frames(recording.frames)
        case = _Case.of(found, options, frames)
        chosen = excerpt(Strokes.of(at_first.hits), frames)
        device = self._templates.device
        scene = _joined(recording, chosen, case, device)
        looks = self._learnt(case, scene)
        latest = self._latest(looks, case, scene)
        names = _Names(latest)
        names.listen(case, scene)
        rest = np.setdiff1d(case.pieces, chosen).tolist()
        if rest and latest is not None:
            for done, scene in enumerate(_apart(recording, rest, case, device)):
                progress("looking again", done / len(rest))
                _settle_all(looks, case, scene)
                names.listen(case, scene)
        case.refused |= _washes(case)
        names.settle(case)
        progress("looking again", 1.0)
        return case.transcription()

    def _learnt(self, case: "_Case", scene: "_Scene") -> list["_Look | None"]:
        """What each question has learnt from the excerpt, whose hits are settled on the way."""
        looks: list[_Look | None] = []
        for question in QUESTIONS:
            doubtful = question.doubtful(case)
            look = _Look.of(case, doubtful, scene, self._templates) if doubtful.any() else None
            if look is not None:
                _settle(question, look, case, scene)
            looks.append(look)
        return looks

    def _latest(
        self, looks: Sequence["_Look | None"], case: "_Case", scene: "_Scene"
    ) -> "_Look | None":
        """The last look that was taken; where nothing was doubtful, one for the drums to name."""
        taken = [look for look in looks if look is not None]
        if taken:
            return taken[-1]
        if any(family.doubtful(case).any() for family in FAMILIES):
            return _Look.of(case, np.zeros(len(case.times), bool), scene, self._templates)
        return None


def _settle_all(looks: Sequence["_Look | None"], case: "_Case", scene: "_Scene") -> None:
    """Ask every question that has learnt something of the hits that lie in the scene."""
    for question, look in zip(QUESTIONS, looks, strict=True):
        if look is not None:
            _settle(question, look, case, scene)


def _settle(question: "Question", look: "_Look", case: "_Case", scene: "_Scene") -> None:
    """Ask the question of the hits that lie in the scene."""
    doubtful = question.doubtful(case) & scene.inside
    if doubtful.any():
        question.settle(case, doubtful, look.strengths(case, doubtful, scene))


@dataclass(eq=False)
class _Case:
    """The candidates of one recording, and what is thought of them so far; arrays are (H,)."""

    found: Candidates
    strokes: Strokes
    times: NDArray[np.float64]  # s
    stems: NDArray[np.int64]
    drums: NDArray[np.int64]  # positions in DRUMS
    pieces: NDArray[np.int64]
    open: Mask  # whether they may be judged
    confidences: NDArray[np.float64]
    refused: Mask

    @classmethod
    def of(cls, found: Candidates, options: Options, frames: int) -> "_Case":
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
            refused=np.zeros(len(hits), bool),
        )

    @property
    def believed(self) -> Mask:
        """Which candidates count as hits."""
        kept: Mask = (self.confidences >= self.found.needed) & ~self.refused
        return kept

    def transcription(self) -> Transcription:
        """The candidates that are believed, with the drum and the confidence that they have now."""
        hits = [
            replace(hit, drum=DRUMS[drum], confidence=float(confidence))
            for hit, drum, confidence, believed in zip(
                self.found.hits, self.drums, self.confidences, self.believed, strict=True
            )
            if believed
        ]
        return Transcription(tuple(sorted(hits)), self.found.duration, ORIGIN)


class _Beside:
    """Is a hit needed that falls together with one it is often mistaken for?"""

    def __init__(self, mistaken: dict[str, tuple[str, ...]]) -> None:
        self._mistaken = {
            STEMS.index(stem): [STEMS.index(other) for other in others]
            for stem, others in mistaken.items()
        }

    def doubtful(self, case: _Case) -> Mask:
        """Believed hits beside others that are believed."""
        believed = case.believed
        together = np.zeros(len(believed), bool)
        for stem, others in self._mistaken.items():
            beside = case.times[believed & np.isin(case.stems, others)]
            together |= (case.stems == stem) & _near(case.times, beside)
        return together & believed & case.open

    def settle(self, case: _Case, doubtful: Mask, strengths: NDArray[np.float64]) -> None:
        """Refuse those that are much weaker than usual."""
        case.refused |= doubtful & (strengths < LEAST)


class _Unsure:
    """Is a hit needed that the networks are not sure of?"""

    def doubtful(self, case: _Case) -> Mask:
        """Candidates of low confidence."""
        unsure: Mask = (case.confidences < SURE) & ~case.refused & case.open
        return unsure

    def settle(self, case: _Case, doubtful: Mask, strengths: NDArray[np.float64]) -> None:
        """Make those likelier that are as strong as usual, and others less likely."""
        told = doubtful & np.isfinite(strengths)
        before = case.confidences[told]
        weight = SLOPE * np.log(np.clip(strengths[told], WEAKEST, STRONGEST) / EVEN)
        case.confidences[told] = before / (before + (1 - before) * np.exp(-weight))


Question = _Beside | _Unsure
QUESTIONS: tuple[Question, ...] = (_Unsure(), *(_Beside(mistaken) for mistaken in BESIDE))


def _washes(case: _Case) -> Mask:
    """Believed open hi-hats of a recording that has none but together with cymbals."""
    hats = case.believed & (case.drums == Drum.HIHAT_OPEN.position)
    cymbals = case.times[case.believed & (case.stems == STEMS.index("cymbals"))]
    washes: Mask = hats & case.open & _near(case.times[hats], cymbals).all()
    return washes


@dataclass(frozen=True)
class _Family:
    """Drums of one stem that are mistaken for each other, and what tells them apart."""

    stem: str
    bands: slice
    sides: bool  # whether they stand in different places; then bands are single bins
    named: Callable[[NDArray[np.float32], NDArray[np.int64]], NDArray[np.int64]]

    def doubtful(self, case: _Case) -> Mask:
        """Believed hits on these drums."""
        own: Mask = case.believed & (case.stems == STEMS.index(self.stem)) & case.open
        return own


FAMILIES = (
    _Family("toms", slice(2, 30), sides=True, named=toms_told_apart),  # 43 to 625 Hz
    _Family("hihat", slice(12, None), sides=False, named=named_as_most),  # from 258 Hz on
)


class _Names:
    """Which drum of its family was hit? Asked once all hits of a recording have been heard."""

    def __init__(self, look: "_Look | None") -> None:
        """`look` is what has been learnt of the recording's drums; None: there are none to name."""
        self._look = look
        self._sounds: dict[int, NDArray[np.float32]] = {}  # by the number of the candidate

    def listen(self, case: _Case, scene: "_Scene") -> None:
        """Hear the hits that lie in a scene, once it is settled which are believed."""
        for family in FAMILIES:
            own = np.flatnonzero(family.doubtful(case) & scene.inside)
            if self._look is not None and len(own):
                sounds = self._look.sounds(scene, family)[own]
                self._sounds |= dict(zip(own.tolist(), sounds, strict=True))

    def settle(self, case: _Case) -> None:
        """Name hits by what sounds like them, but for those on two drums of a family at once."""
        heard = np.array(sorted(self._sounds), np.int64)
        for family in FAMILIES:
            own = heard[family.doubtful(case)[heard]]
            times, counts = np.unique(case.times[own], return_counts=True)
            own = own[~np.isin(case.times[own], times[counts > 1])]
            if len(own) > 1:
                sounds = np.stack([self._sounds[number] for number in own])
                case.drums[own] = family.named(sounds, case.drums[own])


@dataclass(frozen=True, eq=False)
class _Scene:
    """A stretch of a recording, in mono and in bands, and the hits that lie in it."""

    magnitudes: Tensor  # (T, B)
    samples: tuple[Tensor, ...]  # (C, n) each, of the pieces
    hearing: Hearing
    inside: Mask  # (H,)

    def powers(self, family: _Family) -> Tensor:
        """In the bands of a family (C, T, B'): of all channels, or in mono (C = 1)."""
        if not family.sides:
            return self.magnitudes[None, :, family.bands].square()
        spectra = [STFT.spectrum(piece)[:, family.bands] for piece in self.samples]
        channels = torch.cat(spectra, dim=2).transpose(1, 2)
        return channels.real.square() + channels.imag.square()


class _Look:
    """What the hits that are not doubtful tell of a recording's drums, and how strong all are."""

    def __init__(self, fit: Fit, usual: NDArray[np.float64]) -> None:
        self._fit = fit
        self._usual = usual  # (H,), strength of the hits of the same drum; NaN: nobody knows

    @classmethod
    def of(cls, case: _Case, doubtful: Mask, scene: _Scene, templates: Tensor) -> "_Look":
        """Learn from a scene."""
        strokes, offered = case.strokes, case.believed | doubtful
        firm = offered & ~doubtful
        strengths = first_strengths(case.found.hits) * torch.from_numpy(firm)
        start = first_fit(templates, strokes, strengths).in_bands()
        drums = len(strokes.drums)
        certain = np.bincount(strokes.drum, case.confidences * firm, drums)
        mean = certain / np.maximum(np.bincount(strokes.drum, offered, drums), 1)
        problem = Problem(scene.magnitudes, scene.hearing, start, pull(mean, templates.device))
        fit = problem.scaled().refined(UPDATES)
        return cls(fit, _usual(fit.strengths.cpu().numpy(), firm & scene.inside, case))

    def strengths(self, case: _Case, doubtful: Mask, scene: _Scene) -> NDArray[np.float64]:
        """How strong the doubtful hits (H,) of a scene are, relative to what is usual.

        They begin as usual, and so do hits that were not believed yet when this was learnt. What is
        found of the scene's hits is kept for the next scene, which may still hear them.
        """
        before = self._fit.strengths.cpu().numpy()
        new = doubtful | (case.believed & (before == 0))
        begun = np.where(new & np.isfinite(self._usual), self._usual, before)
        begun = np.where(case.believed | doubtful, begun, 0)
        start = replace(self._fit, strengths=torch.from_numpy(begun).to(self._fit.strengths))
        problem = Problem(scene.magnitudes, scene.hearing, start, FREE)
        fit = problem.with_strengths(start, STRENGTH_UPDATES)
        found = fit.strengths.cpu().numpy()
        kept = torch.from_numpy(np.where(scene.inside, found, before)).to(fit.strengths)
        self._fit = replace(fit, strengths=kept)
        relative: NDArray[np.float64] = found / self._usual
        return relative

    def sounds(self, scene: _Scene, family: _Family) -> NDArray[np.float32]:
        """What the hits (H,) of a scene sound like at first: their powers (H, C, B')."""
        templates = self._fit.templates[..., family.bands]
        model = scene.hearing.activations(self._fit.strengths).T @ templates.flatten(0, 1)
        shares = scene.powers(family) / model.clamp_min(TINY)
        body = torch.from_numpy((LAGS >= 0) & (LAGS <= BODY)).to(templates)
        sound = (templates * body[:, None]).flatten(0, 1)
        heard = [scene.hearing.spectra_of_hits(sound, of_channel) for of_channel in shares]
        powers = torch.stack(heard, dim=1) * self._fit.strengths[:, None, None]
        sounds: NDArray[np.float32] = powers.cpu().numpy()
        return sounds


def _usual(strengths: NDArray[np.float32], firm: Mask, case: _Case) -> NDArray[np.float64]:
    """The median strength of each candidate's drum (H,); of its stem where its drum has too few."""
    usual = np.full(len(firm), np.nan)
    for groups in (case.stems, case.strokes.drum):
        for group in np.unique(groups):
            own = groups == group
            if (own & firm).sum() >= COMPARED:
                usual[own] = np.median(strengths[own & firm])
    return usual


def _near(times: NDArray[np.float64], others: NDArray[np.float64]) -> Mask:
    """Which times (H,) are less than NEAR from one of the others, both ascending."""
    after = np.searchsorted(others, times - NEAR, side="right")
    found: Mask = after < np.searchsorted(others, times + NEAR, side="left")
    return found


def _joined(
    recording: Recording, chosen: Sequence[int], case: _Case, device: torch.device
) -> _Scene:
    """Some pieces of a recording, end to end."""
    pieces = list(_in_bands(recording, chosen, 0, device))
    placed = [
        place(case.strokes, first, first + len(magnitudes), TAIL) for first, magnitudes, _ in pieces
    ]
    hearing = Hearing(Placement.joined(placed), case.strokes, device)
    magnitudes = torch.cat([magnitudes for _, magnitudes, _ in pieces])
    samples = tuple(samples for _, _, samples in pieces)
    return _Scene(magnitudes, samples, hearing, np.isin(case.pieces, chosen))


def _apart(
    recording: Recording, numbers: Sequence[int], case: _Case, device: torch.device
) -> Iterator[_Scene]:
    """Yield pieces of a recording one by one, with what follows them."""
    for first, magnitudes, samples in _in_bands(recording, numbers, TAIL, device):
        placed = place(case.strokes, first, first + len(magnitudes), TAIL)
        hearing = Hearing(placed, case.strokes, device)
        yield _Scene(magnitudes, (samples,), hearing, case.pieces == first // PIECE)


def _in_bands(
    recording: Recording, numbers: Sequence[int], lookahead: int, device: torch.device
) -> Iterator[tuple[int, Tensor, Tensor]]:
    """Yield (first frame, magnitudes in mono and in bands (T, B), samples (C, n)) of pieces."""
    weights = torch.from_numpy(recording.weights).float().to(device)
    for first, samples in heard(recording, numbers, lookahead, device):
        yield first, pooled(magnitude(STFT.spectrum(weights @ samples)).T), samples
