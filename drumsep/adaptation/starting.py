"""Where a fit begins: first templates, and strengths of the hits."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from drumsep.adaptation.fitting import Fit, Pull
from drumsep.adaptation.strokes import FIRST, LAGS, LAST, LAYERS, STFT, Strokes
from drumsep.results import Hit

PULL, DOUBT = 0.8, 5.0  # of templates to their start, in hits: when certain, and added when not

# Every template starts with a little sound everywhere, dying away, that updates can make grow.
SPREAD = 0.05  # of the mean magnitude during the first half second
DECAY = 50.0  # frames
SOFTEST = 0.02  # strength of a hit of velocity zero


def first_templates(one_shots: Tensor) -> Tensor:
    """Templates of one-shots (K, time), struck at their first sample, at RATE: (K, L, F)."""
    lead = int(-FIRST) * STFT.hop + STFT.margin
    needed = int(LAST - FIRST) * STFT.hop + STFT.n_fft
    length = min(one_shots.shape[1], needed - lead)
    padded = one_shots.new_zeros(len(one_shots), needed)
    padded[:, lead : lead + length] = one_shots[:, :length]
    magnitudes = STFT.spectrum(padded).abs()
    return magnitudes[..., torch.from_numpy(LAGS - FIRST).long()].transpose(1, 2)


def first_strengths(hits: Sequence[Hit]) -> Tensor:
    """How strong hits are before the recording is asked, (N,): what is uncertain, the less."""
    return torch.tensor([(hit.velocity + SOFTEST) * hit.confidence for hit in hits])


def first_fit(templates: Tensor, strokes: Strokes, strengths: Tensor) -> Fit:
    """The drums that are hit, as loud at strength one as their mean hit.

    Args:
        templates: (9, L, F), in the order of DRUMS, at the first L of LAGS.
        strokes: the hits.
        strengths: those of the hits, (N,), for each drum on a scale of its own. Hits of strength
            zero are not heard, and stay so.
    """
    lags = LAGS[: templates.shape[1]]
    spread = torch.from_numpy(np.exp(-np.maximum(lags, 0) / DECAY)).to(templates)
    level = templates[:, lags < DECAY].mean()
    softened = templates + SPREAD * level * spread[:, None]
    struck = torch.tensor([drum.position for drum in strokes.drums], dtype=torch.long)
    drum = torch.from_numpy(strokes.drum)
    count = torch.zeros(len(struck)).index_add_(0, drum, (strengths > 0).float())
    mean = torch.zeros(len(struck)).index_add_(0, drum, strengths) / count
    mean = mean.nan_to_num(1.0)  # of a drum without a hit that is heard
    loud = softened[struck] * mean.to(templates)[:, None, None]
    return Fit(loud.repeat_interleave(LAYERS, dim=0), (strengths / mean[drum]).to(templates))


def pull(confidences: NDArray[np.float64], device: torch.device) -> Pull:
    """Drums whose hits are uncertain learn less: what they hear may be another drum.

    `confidences` (K,) are the means over the hits of each drum.
    """
    values = torch.from_numpy(PULL + DOUBT * (1 - confidences)).float()
    return Pull(templates=values.repeat_interleave(LAYERS)[:, None, None].to(device))
