"""Transcribers that hear the same drums and are believed on average.

What one network mistakes on a kit it has never heard, another that listens differently often does
not: on most of our validation sets their mean errs less than either.
"""

import json
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from drumsep import stored_networks
from drumsep.drums import DRUMS
from drumsep.errors import DrumsepError
from drumsep.stored_networks import check_state, read_dimensions
from drumsep.transcriber.network import Dimensions, Transcriber, fused

KIND = "transcriber"
UNFITTED = 0.4  # threshold of a drum before thresholds are fitted


class Ensemble(nn.Module):
    """One or more transcribers of the same rate and hop, and what they are measured by.

    `thresholds` (9,) are the onset probabilities from which a peak counts as a hit, in the order
    of `DRUMS`.
    """

    thresholds: Tensor

    def __init__(self, networks: Sequence[Transcriber]) -> None:
        super().__init__()
        if len({(one.dimensions.rate, one.dimensions.hop) for one in networks}) != 1:
            raise DrumsepError("transcribers that work together need the same rate and hop")
        self.networks = nn.ModuleList(networks)
        unfitted = torch.full((len(DRUMS),), UNFITTED)
        self.register_buffer("thresholds", unfitted, persistent=False)

    @property
    def members(self) -> tuple[Transcriber, ...]:
        """The networks."""
        return tuple(self.networks)  # type: ignore[arg-type]

    @property
    def dimensions(self) -> Dimensions:
        """Of the first network; rate and hop are those of all."""
        return self.members[0].dimensions

    @property
    def context(self) -> int:
        """Frames on either side that an output frame depends on."""
        return max(one.context for one in self.members)

    def forward(self, samples: Tensor) -> tuple[Tensor, Tensor]:
        """Samples (B, N) with a peak of 1 -> onset probabilities and velocities (B, 9, T)."""
        heard = [one(one.log_mel(samples)) for one in self.members]
        probabilities = torch.stack([logits.sigmoid() for logits, _ in heard]).mean(dim=0)
        return probabilities, torch.stack([velocities for _, velocities in heard]).mean(dim=0)

    def fused(self) -> "Ensemble":
        """A copy for running: normalisations folded into the convolutions before them."""
        fast = Ensemble([fused(one) for one in self.members])
        fast.thresholds.copy_(self.thresholds)
        return fast


def to_metadata(ensemble: Ensemble, licence: str, created_with: str) -> dict[str, str]:
    """The strings stored beside the weights in their safetensors file."""
    thresholds = {
        drum.value: round(value, 4)
        for drum, value in zip(DRUMS, ensemble.thresholds.tolist(), strict=True)
    }
    dimensions = [one.dimensions.to_dict() for one in ensemble.members]
    return {
        **stored_networks.to_metadata(KIND, dimensions),
        "thresholds": json.dumps(thresholds),
        "licence": licence,
        "created_with": created_with,
    }


def from_state(state: Mapping[str, Tensor], metadata: Mapping[str, str]) -> Ensemble:
    """The networks that `state` and `metadata` of a safetensors file describe, ready to run.

    Weights may be stored in half precision and become float32. The thresholds are those of the
    metadata.

    Raises:
        DrumsepError: of another kind, or the weights do not fit the dimensions.
    """
    dimensions = read_dimensions(metadata, KIND)
    if not isinstance(dimensions, list):
        raise DrumsepError("transcriber weights state one network's dimensions, not a list of them")
    ensemble = Ensemble([Transcriber(Dimensions.from_dict(values)) for values in dimensions])
    expected = {name: value.shape for name, value in ensemble.state_dict().items()}
    check_state(state, expected, "transcriber weights")
    ensemble.load_state_dict(state)
    ensemble.thresholds.copy_(_thresholds(metadata))
    return ensemble.eval()


def _thresholds(metadata: Mapping[str, str]) -> Tensor:
    try:
        values = json.loads(metadata["thresholds"])
        return torch.tensor([float(values[drum.value]) for drum in DRUMS])
    except (KeyError, ValueError, TypeError):
        raise DrumsepError("transcriber weights do not state their thresholds") from None
