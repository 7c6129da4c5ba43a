"""Which stems a recording confirms: one false hit must not put sound into a stem that is silent.

A hit is confirmed by the share that its stem has in the bins where it sounds: near one for a drum
that is heard alone, near zero for one that others explain as well. A stem is believed when some hit
of it is certain, as those given by the user are, or has a confidence and a share that add up to
`ENOUGH`. On eval-dev and 70 other renders this silences three stems: two hold false hits only, one
a lone tom.
"""

import torch
from torch import Tensor

from drumsep.adaptation.fitting import Fit, Problem
from drumsep.adaptation.strokes import LAGS, LAYERS, ROWS, Strokes
from drumsep.drums import STEMS

ENOUGH = 1.0
ATTACK = 9.0  # frames, 0.1 s: the part of a hit that is looked at


def doubted_stems(
    fit: Fit, problem: Problem, strokes: Strokes, confidences: Tensor
) -> tuple[str, ...]:
    """Names of the stems that have hits, none of which is believed.

    Args:
        fit: a solution of the problem.
        problem: stretches of the recording in which every stem is heard.
        strokes: the hits.
        confidences: those of the hits, (N,).
    """
    shares = _shares(fit, problem, strokes)
    belief = torch.where(confidences < 1, confidences + shares, torch.inf)
    stems = torch.tensor([drum.stem_index for drum in strokes.drums])[strokes.drum]
    best = torch.zeros(len(STEMS)).scatter_reduce_(0, stems, belief.cpu(), "amax")
    present = torch.unique(stems).tolist()
    return tuple(STEMS[stem] for stem in present if best[stem] < ENOUGH)


def _shares(fit: Fit, problem: Problem, strokes: Strokes) -> Tensor:
    """The share of its stem around each hit's attack, (N,); zero where no frame hears the hit."""
    drums = len(strokes.drums)
    activations = problem.hearing.activations(fit.strengths)
    spectra = fit.templates.flatten(0, 1)
    model = (activations.T @ spectra).clamp_min(torch.finfo(torch.float32).tiny)
    shares = torch.zeros(drums, ROWS, len(model), device=model.device)
    stems = torch.tensor([drum.stem_index for drum in strokes.drums])
    for stem in torch.unique(stems):
        own = (stems == stem).repeat_interleave(ROWS)
        part = activations[own].T @ spectra[own]
        explained = part.sum(1).clamp_min(1e-20)
        shares[stems == stem] = (part.square() / model).sum(1) / explained
    early = torch.from_numpy(LAGS < ATTACK).repeat(drums * LAYERS).to(model)
    weight = problem.hearing.of_levels(early)
    heard = problem.hearing.of_hits(shares.flatten(0, 1) * early[:, None])
    return heard / weight.clamp_min(1e-6)
