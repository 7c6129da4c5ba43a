"""Non-negative factor deconvolution with known hits: magnitudes = strengths x templates.

Smaragdis 2004, score-informed as in Dittmar and Mueller 2016, with three departures: a hit has one
strength instead of free activations, lags are interpolated (`strokes`), and templates and
strengths are pulled towards where they start: the mode under Gamma priors instead of the maximum
likelihood. Without the pull rare drums take over what rings with them.

Letters: K templates (`strokes.LAYERS` of each drum), L lags, N hits, T frames; the last axis, X, is
every bin or every band.
"""

import math
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from drumsep.adaptation.bands import pooled, spread
from drumsep.adaptation.strokes import LAYERS, Placement, Strokes

# The power of an update's factors: below 2, what attracts plain updates attracts these as well
# (Badeau, Bertin and Vincent 2010).
RELAXATION = 1.8
FLOOR = 1e-8  # of the loudest bin; added to the model, for where it is silent
FARTHEST_OFF = 5.0  # of the model: what is farther is not in it at all
TINY = torch.finfo(torch.float32).tiny


@dataclass(frozen=True)
class Pull:
    """How much the start counts beside the recording; zero: the maximum of the likelihood."""

    templates: float | Tensor = 0.8  # in hits of strength one; (K, 1, 1), or the same for all
    strengths: float = 0.5  # in hits like the one in question


@dataclass(frozen=True, eq=False)
class Fit:
    """What explains a recording: the drums' templates, and how strong each hit is."""

    templates: Tensor  # (K, L, X), magnitudes of a hit of strength one, at the first L of LAGS
    strengths: Tensor  # (N,)

    @property
    def device(self) -> torch.device:
        """Where it lies."""
        return self.templates.device

    def in_bands(self) -> "Fit":
        """The same with bands in the place of bins."""
        return replace(self, templates=pooled(self.templates))


class Hearing:
    """What a stretch of frames hears of N hits: a sparse tensor (N, K * L, T)."""

    def __init__(self, placement: Placement, strokes: Strokes, device: torch.device):
        self._shape = (len(strokes.drums) * LAYERS * placement.lags, placement.frames)
        self._hits = len(strokes)
        self._row = torch.from_numpy(placement.row).to(device)
        self._frame = torch.from_numpy(placement.frame).to(device)
        self._cell = self._row * placement.frames + self._frame
        self._hit = torch.from_numpy(placement.hit).to(device)
        self._coefficient = torch.from_numpy(placement.coefficient).to(device)

    def activations(self, strengths: Tensor) -> Tensor:
        """Strengths (N,) -> activations (K * L, T) of the templates' spectra."""
        flat = strengths.new_zeros(self._shape[0] * self._shape[1])
        flat.index_add_(0, self._cell, self._coefficient * strengths[self._hit])
        return flat.view(self._shape)

    def of_hits(self, values: Tensor) -> Tensor:
        """What each hit hears of values (K * L, T), summed: (N,); transpose of `activations`."""
        return self._per_hit(values.reshape(-1)[self._cell])

    def of_levels(self, levels: Tensor) -> Tensor:
        """The same of levels (K * L,) that every frame has."""
        return self._per_hit(levels[self._row])

    def spectra_of_hits(self, spectra: Tensor, values: Tensor, hits: Tensor) -> Tensor:
        """Spectra (K * L, X) where hits hear them, times values (T, X), summed: (N, X).

        Hits that are false in `hits` (N,) hear nothing.
        """
        heard = torch.nonzero(hits[self._hit] & spectra.any(dim=1)[self._row]).squeeze(1)
        entries = spectra[self._row[heard]].mul_(values[self._frame[heard]])
        entries *= self._coefficient[heard, None]
        sums = entries.new_zeros(self._hits, entries.shape[1])
        return sums.index_add_(0, self._hit[heard], entries)

    def _per_hit(self, entries: Tensor) -> Tensor:
        """Entries (E,) by their coefficients, summed over those of each hit: (N,)."""
        return entries.new_zeros(self._hits).index_add_(0, self._hit, entries * self._coefficient)


@dataclass(frozen=True, eq=False)
class Problem:
    """Magnitudes to explain, what hears which hit, and the start that solutions are pulled to."""

    magnitudes: Tensor  # (T, X)
    hearing: Hearing
    start: Fit
    pull: Pull

    def scaled(self) -> "Problem":
        """The same with a start that is as loud, all in all, as the magnitudes."""
        activity = self.hearing.activations(self.start.strengths).sum(1)
        loudness = activity @ self.start.templates.sum(2).flatten()
        scale = self.magnitudes.sum() / loudness.clamp_min(TINY)
        return replace(self, start=replace(self.start, templates=self.start.templates * scale))

    def in_bands(self) -> "Problem":
        """The same with bands in the place of bins, of which there are a tenth as many."""
        return replace(self, magnitudes=pooled(self.magnitudes), start=self.start.in_bands())

    def learnt(self, updates: int) -> Fit:
        """Templates and strengths that explain the magnitudes, near those of `refined`.

        The first half of the updates is made in bands alone, and so are those of strengths; then
        few, but over-relaxed updates find the bins of the templates. On eval-dev this costs
        0.02 dB, and takes a fifth of the time.
        """
        coarse = self.in_bands()
        heard = coarse.refined(updates // 2)
        grown = heard.templates / coarse.start.templates.clamp_min(TINY)
        fit = Fit(self.start.templates * spread(grown), heard.strengths)
        for _ in range(math.ceil((updates - updates // 2) / RELAXATION)):
            templates = self.with_templates(fit, RELAXATION).templates
            fit = replace(fit, templates=templates)
            strengths = coarse.with_strengths(fit.in_bands()).strengths
            fit = replace(fit, strengths=strengths)
        return fit

    def refined(self, updates: int) -> Fit:
        """Templates and strengths after so many multiplicative updates of each, in turn.

        No update increases the Kullback-Leibler divergence of the model from the magnitudes plus
        those of the fit from its start, weighted by the pull; what is exactly zero stays zero.
        """
        fit = self.start
        for _ in range(updates):
            fit = self.with_templates(fit)
            fit = self.with_strengths(fit)
        return fit

    def with_templates(self, fit: Fit, relaxation: float = 1.0) -> Fit:
        """Update the templates once, or by a power of that update's factors."""
        activations = self.hearing.activations(fit.strengths)
        raised = (activations @ self._ratio(fit, activations)).view_as(fit.templates)
        told = activations.sum(1).view(*fit.templates.shape[:2], 1)
        pull = self.pull.templates
        templates = fit.templates * raised + pull * self.start.templates
        updated = _where_heard(told + pull, templates, fit.templates)
        if relaxation != 1:
            factors = updated / fit.templates.clamp_min(TINY)
            updated = fit.templates * factors.pow_(relaxation)
        return replace(fit, templates=updated)

    def with_strengths(self, fit: Fit, updates: int = 1) -> Fit:
        """Update the strengths, once or more, with templates held."""
        spectra = fit.templates.flatten(0, 1)
        pull = self.pull.strengths * self._first_told
        told = self.hearing.of_levels(spectra.sum(1)) + pull
        for _ in range(updates):
            ratio = self._ratio(fit, self.hearing.activations(fit.strengths))
            raised = self.hearing.of_hits(spectra @ ratio.T)
            strengths = fit.strengths * raised + pull * self.start.strengths
            fit = replace(fit, strengths=_where_heard(told, strengths, fit.strengths))
        return fit

    def misfits(self, fit: Fit) -> Tensor:
        """How far magnitudes are from a model, in its units, where each hit sounds: means (N,).

        Weighted by the hit's own sound; hits that no frame hears have none.
        """
        spectra = fit.templates.flatten(0, 1)
        off = self._ratio(fit, self.hearing.activations(fit.strengths)).sub_(1).abs_()
        heard = self.hearing.of_hits(spectra @ off.clamp_max_(FARTHEST_OFF).T)
        return heard / self.hearing.of_levels(spectra.sum(1)).clamp_min(TINY)

    def energies(self, fit: Fit) -> Tensor:
        """What of the powers falls to each spectrum of a model by its share in it: (K * L, T)."""
        activations = self.hearing.activations(fit.strengths)
        told = self._ratio(fit, activations).mul_(self.magnitudes)
        return (fit.templates.flatten(0, 1) @ told.T).mul_(activations)

    def _ratio(self, fit: Fit, activations: Tensor) -> Tensor:
        """Magnitudes over model, (T, X)."""
        model = activations.T @ fit.templates.flatten(0, 1)
        return torch.div(self.magnitudes, model.add_(self._floor), out=model)

    @cached_property
    def _floor(self) -> Tensor:
        return (FLOOR * self.magnitudes.max()).clamp_min(TINY)

    @cached_property
    def _first_told(self) -> Tensor:
        """What each hit sounds like at strength one with the first templates, summed: (N,)."""
        return self.hearing.of_levels(self.start.templates.sum(2).flatten())


def _where_heard(told: Tensor, updated: Tensor, before: Tensor) -> Tensor:
    """The update over its weight; what the frames tell nothing about stays as it was."""
    return torch.where(told > 0, updated / told.clamp_min(TINY), before)
