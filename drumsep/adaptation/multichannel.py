"""Multichannel NMF: what drums sound like, how hard they are hit and where they stand, together.

Ozerov and Fevotte 2010; Sawada et al. 2013. A drum has the power v_d of its magnitudes m_d, which
are strengths x templates (`fitting`), to the exponent alpha, and the covariance R_d of channels
(`spatial`). With z as there, two kinds of updates take turns. Where drums stand (Nugraha, Liutkus
and Vincent 2016):

    R_d <- R_d (sum_t v_d^2 z z^H) R_d / sum_t v_d

And how loud they are: whatever is multiplied into m_d, a strength or a bin of a template, is raised
where the recording asks for more of the drum than the model gives,

    asked = sum g tr(R_d z z^H),   given = sum g tr(R_d S^-1),   g = w v_d / m_d,

by a power of asked / given. With w = 1 that is the gradient of the likelihood (Itakura-Saito), to
which every bin counts the same, however soft; w = tr(S)^LOUDNESS lets what is loud count more.
Both at once overshoot, as both take up what is missing.

Letters: D drums, R rows of a drum's templates (`strokes.ROWS`), N hits, T frames, F bins.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from drumsep.adaptation import spatial
from drumsep.adaptation.fitting import TINY, Fit, Hearing
from drumsep.adaptation.spatial import Covariances
from drumsep.adaptation.strokes import LAYERS, ROWS, Strokes

ROUNDS = 3  # of learning where drums stand and how loud they are
PLACINGS = 2  # updates of covariances in a round
LOUDNESS = 0.5
STRENGTHS, TEMPLATES = 0.5, 0.25  # powers of asked / given
TRUSTED = 1.0  # strengths that add up to it tell half of what they ask of a template
LEAST, MOST = 0.01, 100.0  # asked / given
KEPT = 0.1  # of a covariance, at least: one whose drum never sounds alone goes to zero otherwise


@dataclass(frozen=True, eq=False)
class Stretch:
    """Some frames of a recording: what is heard in each group of channels, and which hits."""

    heard: tuple[Tensor, ...]  # (channels, 2, T, F), real and imaginary, in units of the level
    hearing: Hearing


@dataclass(frozen=True, eq=False)
class Sounding:
    """The drums that sound in a stretch."""

    drums: Tensor  # their numbers (D',)
    activations: Tensor  # (D', R, T), of the rows of their templates
    magnitudes: Tensor  # (D', T, F)
    alpha: float  # exponent of magnitudes

    @cached_property
    def powers(self) -> Tensor:
        """Magnitudes to the exponent, (D', T, F)."""
        return self.magnitudes.pow(self.alpha)


@dataclass(frozen=True, eq=False)
class MultichannelModel:
    """The drums of a recording; the loudest rows of all their templates add up to one."""

    templates: Tensor  # (D, R, F), magnitudes of a hit of strength one
    strengths: Tensor  # (N,)
    drum: Tensor  # (N,), which one each hit strikes
    covariances: Covariances
    alpha: float  # exponent of magnitudes
    level: Tensor  # (), the magnitude in the recording that is one here

    @classmethod
    def of(
        cls, fit: Fit, strokes: Strokes, covariances: Covariances, alpha: float
    ) -> "MultichannelModel":
        """Begin with a fit of the energy of all channels to these hits."""
        level = fit.templates.amax((1, 2)).sum().clamp_min(TINY)
        drums, bins = len(fit.templates) // LAYERS, fit.templates.shape[-1]
        templates = (fit.templates / level).view(drums, ROWS, bins)
        drum = torch.from_numpy(strokes.drum).to(fit.device)
        return cls(templates, fit.strengths, drum, covariances, alpha, level)

    @property
    def device(self) -> torch.device:
        """Where it lies."""
        return self.templates.device

    def sounding(self, hearing: Hearing) -> Sounding:
        """The drums that a stretch hears."""
        activations = hearing.activations(self.strengths)
        activations = activations.view(-1, ROWS, activations.shape[-1])
        drums = activations.flatten(1).any(dim=1).nonzero().flatten()
        frames, bins = activations.shape[-1], self.templates.shape[-1]
        magnitudes = activations.new_empty(len(drums), frames, bins)
        for own, drum in zip(magnitudes, drums.tolist(), strict=True):
            torch.matmul(activations[drum].T, self.templates[drum], out=own)
        return Sounding(drums, activations[drums], magnitudes, self.alpha)

    def learnt(self, stretches: Sequence[Stretch]) -> "MultichannelModel":
        """Learn all from some stretches of the recording."""
        model = self
        for _ in range(ROUNDS):
            soundings = model._soundings(stretches)
            model = model._placed(stretches, soundings, PLACINGS)._louder(stretches, soundings)
        return model._placed(stretches, model._soundings(stretches))

    def _soundings(self, stretches: Sequence[Stretch]) -> list[Sounding]:
        """The drums of each stretch; they stay the same when covariances change."""
        return [self.sounding(stretch.hearing) for stretch in stretches]

    def _placed(
        self, stretches: Sequence[Stretch], soundings: Sequence[Sounding], updates: int = 1
    ) -> "MultichannelModel":
        """Update the covariances; drums that are not heard keep theirs."""
        total = torch.zeros_like(self.covariances[0][:, :1])  # sum_t v_d
        for sounding in soundings:
            total[sounding.drums, 0] += sounding.powers.sum(dim=1)
        groups = []
        for group, start in enumerate(self.covariances):
            covariances = start
            for _ in range(updates):
                told = torch.zeros_like(start)
                for stretch, sounding in zip(stretches, soundings, strict=True):
                    _tell(told, stretch.heard[group], sounding, covariances)
                covariances = _fitted(covariances, told, total)
            groups.append(covariances)
        return replace(self, covariances=tuple(groups))

    def _louder(
        self, stretches: Sequence[Stretch], soundings: Sequence[Sounding]
    ) -> "MultichannelModel":
        """Update templates and strengths once; what is not heard stays.

        The mean strength of the hits of a drum that are heard stays as well, and its templates take
        the change: so they fit those that are not.
        """
        asked, given = (_Loudness.nothing(self) for _ in range(2))
        hits = torch.zeros_like(self.templates[..., :1])
        for stretch, sounding in zip(stretches, soundings, strict=True):
            hits[sounding.drums] += sounding.activations.sum(dim=-1, keepdim=True)
            for loudness, gradients in zip(
                (asked, given), self._gradients(stretch, sounding), strict=True
            ):
                loudness.add(self, stretch.hearing, sounding, gradients)
        trust = hits / (hits + TRUSTED)
        templates = (1 + trust * (_ratio(asked.templates, given.templates) - 1)).pow_(TEMPLATES)
        strengths = _ratio(asked.strengths, given.strengths).pow_(STRENGTHS)
        heard = self.strengths * (given.strengths > 0)
        mean = self._per_drum(heard * strengths) / self._per_drum(heard).clamp_min(TINY)
        mean = torch.where(mean > 0, mean, 1.0)
        strengths = torch.where(heard > 0, strengths / mean[self.drum], 1.0)
        return replace(
            self,
            templates=self.templates * templates.mul_(mean[:, None, None]),
            strengths=self.strengths * strengths,
        )

    def _per_drum(self, values: Tensor) -> Tensor:
        """Sums of values of hits (N,), (D,)."""
        return values.new_zeros(len(self.templates)).index_add_(0, self.drum, values)

    def _gradients(self, stretch: Stretch, sounding: Sounding) -> tuple[Tensor, Tensor]:
        """What is asked and what is given of each drum that sounds: g tr(...), (D', T, F)."""
        powers = sounding.powers
        asked, given = torch.zeros_like(powers), torch.zeros_like(powers)
        for covariances, heard in zip(self.covariances, stretch.heard, strict=True):
            own = covariances[sounding.drums]
            total = spatial.summed(powers, own, heard[0, 0])
            inverse = spatial.inverse(total)
            outer = spatial.outer(spatial.whitened(inverse, heard))
            loud = total[: len(heard)].sum(dim=0).pow_(LOUDNESS)
            outer.mul_(loud)
            inverse.mul_(loud)
            for number, covariance in enumerate(own):
                asked[number] += spatial.trace(covariance, outer)
                given[number] += spatial.trace(covariance, inverse)
        steepness = powers / sounding.magnitudes.clamp_min(TINY)
        return asked.mul_(steepness), given.mul_(steepness)


@dataclass(frozen=True, eq=False)
class _Loudness:
    """Sums of gradients: what is asked or given of every bin of the templates, and every hit."""

    templates: Tensor  # (D, R, F)
    strengths: Tensor  # (N,)

    @classmethod
    def nothing(cls, model: MultichannelModel) -> "_Loudness":
        return cls(torch.zeros_like(model.templates), torch.zeros_like(model.strengths))

    def add(
        self, model: MultichannelModel, hearing: Hearing, sounding: Sounding, gradients: Tensor
    ) -> None:
        """Add those of a stretch, by the chain rule."""
        of_rows = torch.zeros(
            len(model.templates), ROWS, gradients.shape[1], device=gradients.device
        )
        drums = sounding.drums.tolist()
        for drum, own, gradient in zip(drums, sounding.activations, gradients, strict=True):
            self.templates[drum].addmm_(own, gradient)
            torch.matmul(model.templates[drum], gradient.T, out=of_rows[drum])
        self.strengths.add_(hearing.of_hits(of_rows))


def _tell(told: Tensor, heard: Tensor, sounding: Sounding, covariances: Tensor) -> None:
    """Add sum_t v_d^2 z z^H of a stretch to `told` (D, planes, F), of one group of channels."""
    total = spatial.summed(sounding.powers, covariances[sounding.drums], heard[0, 0])
    outer = spatial.outer(spatial.whitened(spatial.inverse(total), heard))
    for drum, own in zip(sounding.drums.tolist(), sounding.powers, strict=True):
        told[drum] += (own.square() * outer).sum(dim=1)


def _fitted(covariances: Tensor, told: Tensor, total: Tensor) -> Tensor:
    """R_d (sum_t v_d^2 z z^H) R_d / sum_t v_d of one group; `total` (D, 1, F) is sum_t v_d."""
    asked = spatial.smoothed(spatial.sandwiched(covariances, told))
    fitted = asked / spatial.smoothed(total).clamp_min(spatial.EPS)
    least = KEPT * spatial.power(covariances) / spatial.power(fitted).clamp_min(TINY)
    fitted *= least.clamp_min(1)
    return spatial.less_coherent(torch.where(total > spatial.EPS, fitted, covariances))


def _ratio(asked: Tensor, given: Tensor) -> Tensor:
    """asked / given within bounds; one where nothing is heard."""
    ratio = (asked / given.clamp_min(TINY)).clamp_(LEAST, MOST)
    return torch.where(given > 0, ratio, torch.ones_like(ratio))
