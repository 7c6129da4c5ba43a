"""Networks as they are stored: weights and, as strings beside them, sizes; both are checked."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

import torch
from torch import Tensor

from drumsep.errors import DrumsepError

FORMAT = "drumsep-1"


@dataclass(frozen=True)
class Sizes:
    """Base of what says how large a network is: numbers, and tuples of numbers."""

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Sizes from a plain dictionary, as `to_dict` made it; anything else is an error."""
        try:
            plain = dict(values)
            tuples = {name: tuple(own) for name, own in plain.items() if isinstance(own, list)}
            return cls(**plain | tuples)
        except (TypeError, ValueError) as error:
            raise DrumsepError(f"these are not dimensions of this network: {error}") from None

    def to_dict(self) -> dict[str, Any]:
        """A plain dictionary of numbers and lists of numbers, for JSON."""
        return asdict(self)


def to_metadata(kind: str, dimensions: Any) -> dict[str, str]:
    """The strings that every network needs beside its weights; `dimensions` are fit for JSON."""
    return {"format": FORMAT, "kind": kind, "dimensions": json.dumps(dimensions)}


def read_dimensions(metadata: Mapping[str, str], kind: str) -> Any:
    """What `to_metadata` was given.

    Raises:
        DrumsepError: of another format or kind, or no dimensions are stated.
    """
    if metadata.get("format") != FORMAT or metadata.get("kind") != kind:
        raise DrumsepError(
            f"expected weights of format {FORMAT} and kind {kind}, "
            f"got {metadata.get('format')} and {metadata.get('kind')}"
        )
    try:
        return json.loads(metadata["dimensions"])
    except (KeyError, ValueError):
        raise DrumsepError(f"{kind} weights do not state their dimensions") from None


def check_state(
    state: Mapping[str, Tensor], expected: Mapping[str, torch.Size], origin: str
) -> None:
    """Refuse weights that are not exactly as expected, or that no training can have made.

    Raises:
        DrumsepError: names `origin` and the first tensor that is missing, unexpected, of another
            shape, not finite, or a negative variance.
    """
    for name in state:
        if name not in expected:
            raise DrumsepError(f"{origin}: unexpected tensor {name}")
    for name, shape in expected.items():
        if name not in state:
            raise DrumsepError(f"{origin}: tensor {name} is missing")
        value = state[name]
        if value.shape != shape:
            raise DrumsepError(
                f"{origin}: tensor {name} must have shape {tuple(shape)}, got {tuple(value.shape)}"
            )
        lowest, highest = value.aminmax()
        if not (lowest.isfinite() and highest.isfinite()):
            raise DrumsepError(f"{origin}: tensor {name} holds values that are not finite")
        if name.endswith("running_var") and lowest < 0:
            raise DrumsepError(f"{origin}: tensor {name} holds negative variances")
