"""What is learnt of a recording's drums from the hits that nothing speaks against."""

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from drumsep.adaptation.fitting import TINY, Fit, Problem, Pull
from drumsep.adaptation.starting import first_fit, first_strengths, pull
from drumsep.adaptation.strokes import LAGS
from drumsep.adaptation.velocities import told_by_levels
from drumsep.drums import STEMS
from drumsep.second_look.case import Case, Mask
from drumsep.second_look.scene import Scene

UPDATES = 4  # of templates and strengths, from the hits that are not doubtful
STRENGTH_UPDATES = 6  # with templates held, of all
SETTLED_UPDATES = 2  # the same, of hits that are about as strong as thought
FREE = Pull(strengths=0.02)
COMPARED = 3  # hits that tell what is usual, at least
COMPARED_CYMBALS = 2  # of which many recordings have hardly any
ATTACK = 3  # frames, 35 ms: what is listened to of how loud a hit is
STRENGTHS = 0.3  # share of them in what is heard of velocities; loudness tells the rest
MISFIT = 0.6  # at which 1/e of a velocity is what is heard, and what the networks said the rest
BODY = 18  # frames, 0.21 s: what drums are told apart by


class Look:
    """What the hits that are not doubtful tell of a recording's drums, and how strong all are."""

    def __init__(self, fit: Fit, usual: NDArray[np.float64]) -> None:
        self._fit = fit
        self._usual = usual  # (H,), strength of the hits of the same drum; NaN: nobody knows
        # Of hits (H,) that have been listened to, once it was settled which are believed:
        self._misfits = np.full(len(usual), np.inf)  # `Problem.misfits`
        self._loudness = np.zeros(len(usual))  # amplitudes

    @classmethod
    def of(cls, case: Case, doubtful: Mask, scene: Scene, templates: Tensor) -> "Look":
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

    def strengths(self, case: Case, doubtful: Mask, scene: Scene) -> NDArray[np.float64]:
        """How strong the doubtful hits (H,) of a scene are, relative to what is usual."""
        self._listen(case, doubtful, scene, STRENGTH_UPDATES)
        relative: NDArray[np.float64] = self._fit.strengths.cpu().numpy() / self._usual
        return relative

    def listen(self, case: Case, scene: Scene) -> None:
        """Hear how hard the hits of a scene were played, once it is settled which are believed."""
        problem = self._listen(case, np.zeros(len(case.times), bool), scene, SETTLED_UPDATES)
        misfits = problem.misfits(self._fit).cpu().numpy()
        self._misfits = np.where(scene.inside, misfits, self._misfits)
        loudness = self._attacks(problem, case).cpu().numpy()
        self._loudness = np.where(scene.inside, loudness, self._loudness)

    def _listen(self, case: Case, doubtful: Mask, scene: Scene, updates: int) -> Problem:
        """Find the strengths of a scene's hits, and keep them for the next, which may hear them.

        Doubtful hits begin as usual, and so do those that were not believed yet when this was
        learnt.
        """
        before = self._fit.strengths.cpu().numpy()
        new = doubtful | (case.believed & (before == 0))
        begun = np.where(new & np.isfinite(self._usual), self._usual, before)
        begun = np.where(case.believed | doubtful, begun, 0)
        start = replace(self._fit, strengths=torch.from_numpy(begun).to(self._fit.strengths))
        problem = Problem(scene.magnitudes, scene.hearing, start, FREE)
        found = problem.with_strengths(start, updates).strengths
        inside = torch.from_numpy(scene.inside).to(found.device)
        self._fit = replace(self._fit, strengths=found.where(inside, self._fit.strengths))
        return problem

    def _attacks(self, problem: Problem, case: Case) -> Tensor:
        """How loud its stem is at each hit (N,): amplitudes, through masks of the model."""
        energies = problem.energies(self._fit)
        drums = torch.tensor([drum.stem_index for drum in case.strokes.drums])
        stems = drums.to(energies.device).repeat_interleave(len(energies) // len(drums))
        of_stems = energies.new_zeros(len(STEMS), energies.shape[1])
        of_stems.index_add_(0, stems, energies)
        early = self._early(ATTACK).repeat(len(self._fit.templates))
        return problem.hearing.of_hits(of_stems[stems] * early[:, None]).sqrt_()

    def _early(self, last: float) -> Tensor:
        """1 for lags of a template (L,) from a hit to so many frames after it, 0 for others."""
        lags = LAGS[: self._fit.templates.shape[1]]
        return torch.from_numpy((lags >= 0) & (lags <= last)).to(self._fit.templates)

    def velocities(self, case: Case) -> NDArray[np.float64]:
        """Of the candidates (H,), between what was said and what is heard in their scenes.

        Heard are how strong a hit is beside those of its drum, and how loud its stem is beside the
        other hits of the stem: so a tom is compared with the other toms. The better the model fits
        where a hit sounds, the more this is trusted.
        """
        strengths = np.where(case.believed, self._fit.strengths.cpu().numpy(), 0)
        loudness = np.where(strengths > 0, self._loudness, 0)
        by_strengths = told_by_levels(case.velocities, strengths, case.strokes.drum)
        by_loudness = told_by_levels(case.velocities, loudness, case.stems)
        heard = STRENGTHS * by_strengths + (1 - STRENGTHS) * by_loudness
        trust = np.exp(-self._misfits / MISFIT)
        velocities: NDArray[np.float64] = case.velocities + trust * (heard - case.velocities)
        return velocities

    def sounds(self, scene: Scene, hits: Mask, bands: slice, sides: bool) -> NDArray[np.float32]:
        """What some of the hits (H,) of a scene sound like at first: powers (h, C, B')."""
        templates = self._fit.templates[..., bands]
        model = scene.hearing.activations(self._fit.strengths).T @ templates.flatten(0, 1)
        shares = scene.powers(bands, sides) / model.clamp_min(TINY)
        sound = (templates * self._early(BODY)[:, None]).flatten(0, 1)
        chosen = torch.from_numpy(hits).to(templates.device)
        heard = [scene.hearing.spectra_of_hits(sound, each, chosen)[chosen] for each in shares]
        powers = torch.stack(heard, dim=1) * self._fit.strengths[chosen, None, None]
        sounds: NDArray[np.float32] = powers.cpu().numpy()
        return sounds


def _usual(strengths: NDArray[np.float32], firm: Mask, case: Case) -> NDArray[np.float64]:
    """The median strength of each candidate's drum (H,); of its stem where its drum has too few."""
    usual = np.full(len(firm), np.nan)
    least = np.where(case.on("cymbals"), COMPARED_CYMBALS, COMPARED)
    for groups in (case.stems, case.strokes.drum):
        for group in np.unique(groups):
            own = groups == group
            if (own & firm).sum() >= least[own].min():
                usual[own] = np.median(strengths[own & firm])
    return usual
