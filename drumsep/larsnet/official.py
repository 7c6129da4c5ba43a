"""The five published LarsNet checkpoints (polimi-ispl/larsnet) as weights of a `LarsNet`."""

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from drumsep.drums import STEMS
from drumsep.errors import DrumsepError
from drumsep.larsnet.network import DEPTH, Dimensions, shapes, to_metadata
from drumsep.stored_networks import check_state

_CONV = ("weight", "bias")
_NORM = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")


def _modules() -> Iterator[tuple[str, str | None, tuple[str, ...]]]:
    """Published name, our name and tensors of each layer, in the order of the files."""
    yield "input_norm", "input_norm", _NORM
    for level in range(1, DEPTH):
        yield f"enc{level}.conv", f"encoders.{level - 1}.conv", _CONV
        yield f"enc{level}.bn", f"encoders.{level - 1}.norm", _NORM
    yield f"enc{DEPTH}.conv", "bottleneck", _CONV
    yield f"enc{DEPTH}.bn", None, _NORM  # the published decoders do not listen to it
    for level in range(1, DEPTH):
        yield f"dec{level}.conv_trans", f"decoders.{level - 1}.conv", _CONV
        yield f"dec{level}.bn", f"decoders.{level - 1}.norm", _NORM
    yield f"dec{DEPTH}.conv_trans", "last_decoder.conv", _CONV
    yield f"dec{DEPTH}.bn", "last_decoder.norm", _NORM
    yield "mask_layer.0", "mask", _CONV


NAMES: dict[str, str | None] = {
    f"{theirs}.{tensor}": f"{ours}.{tensor}" if ours else None
    for theirs, ours, tensors in _modules()
    for tensor in tensors
}
"""Name of each of the 91 tensors of a published file -> its name in a `UNet`, None: not used."""


def convert(
    states: Mapping[str, Mapping[str, Tensor]],
) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Translate the `model_state_dict` of each stem's file.

    Args:
        states: stem name -> published state.

    Returns:
        State of a `LarsNet` with five U-Nets, and the metadata to store beside it; the number of
        channels is read off the shapes.

    Raises:
        DrumsepError: names the stem and the first tensor that is missing, unexpected, misshaped,
            not finite, or a negative variance.
    """
    if sorted(states) != sorted(STEMS):
        raise DrumsepError(
            f"LarsNet needs one checkpoint for each of {', '.join(STEMS)}; "
            f"got {', '.join(sorted(states)) or 'none'}"
        )
    dimensions = Dimensions(base=_base(states[STEMS[0]]))
    expected = _published_shapes(dimensions)
    state = {}
    for stem in STEMS:
        check_state(states[stem], expected, f"LarsNet checkpoint of {stem}")
        for theirs, ours in NAMES.items():
            if ours is not None:
                state[f"{stem}.{ours}"] = states[stem][theirs]
    return state, to_metadata(dimensions)


def _base(state: Mapping[str, Tensor]) -> int:
    """Channels of the first encoder; the published number where the tensor is absent."""
    first = state.get("enc1.conv.bias")
    return Dimensions.base if first is None or first.ndim != 1 else len(first)


def _published_shapes(dimensions: Dimensions) -> dict[str, torch.Size]:
    ours = shapes(dimensions)
    expected = {}
    for theirs, name in NAMES.items():
        if name is not None:
            expected[theirs] = ours[f"{STEMS[0]}.{name}"]
        elif theirs.endswith("num_batches_tracked"):
            expected[theirs] = torch.Size()
        else:
            expected[theirs] = torch.Size(dimensions.widths[-1:])
    return expected
