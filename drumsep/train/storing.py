"""Trained weights to files that drumsep loads."""

from collections.abc import Mapping

from torch import nn

from drumsep.train.loop import TrainOptions
from drumsep.weights import Kind, ModelCard, Origin, store


def save(
    network: nn.Module,
    options: TrainOptions,
    kind: Kind,
    metadata: Mapping[str, str],
    source: str,
) -> ModelCard:
    """Store a network under the name of its kind, with its card, in `options.out`."""
    origin = Origin(kind=kind, licence=options.licence, source=source)
    state = {name: value.cpu().contiguous() for name, value in network.state_dict().items()}
    return store(options.out, kind, state, metadata, origin)
