"""A larger network that begins where a smaller one ended, and what keeps it near.

The way of Net2Net (Chen, Goodfellow and Shlens, ICLR 2016), with new channels that nothing old
listens to yet in place of copied ones: what the small network computes, the large one computes
to the last digit, and training goes on from there with more room.
"""

import copy

import torch
from torch import Tensor

from drumsep.errors import DrumsepError
from drumsep.transcriber.network import Dimensions, Transcriber

SHAPE = ("channels", "features", "blocks")  # of `Dimensions`, that may grow


def grown(small: Transcriber, dimensions: Dimensions) -> Transcriber:
    """A transcriber of `dimensions` with the output of `small`, whose other weights are random.

    Raises:
        DrumsepError: `dimensions` are smaller somewhere, or listen differently.
    """
    _check(small.dimensions, dimensions)
    large = Transcriber(dimensions)
    room = large.state_dict()
    for name, value in small.state_dict().items():
        _lay_into(room[name], value)
    with torch.no_grad():
        for block in large.blocks[len(small.blocks) :]:
            for values in block[-1].parameters():  # type: ignore[index]
                values.zero_()
    return large


def halfway(one: Transcriber, other: Transcriber) -> Transcriber:
    """The mean of the weights of two networks, of which one began as the other.

    Going on from `one`, training hears its own sounds better and better; half of the way keeps more
    of what holds for other sounds (Wortsman et al., CVPR 2022: WiSE-FT with alpha 0.5).
    """
    mean = copy.deepcopy(other)
    first = one.state_dict()
    for name, value in mean.state_dict().items():
        if value.is_floating_point():
            value.lerp_(first[name].to(value), 0.5)
    return mean


def _check(small: Dimensions, large: Dimensions) -> None:
    before, after = small.to_dict(), large.to_dict()
    smaller = [name for name in SHAPE if after[name] < before[name]]
    other = [name for name in before if name not in (*SHAPE, "dropout")]
    other = [name for name in other if after[name] != before[name]]
    if smaller or other:
        names = ", ".join((*smaller, *other))
        raise DrumsepError(f"a transcriber cannot grow into these dimensions: {names}")


def _lay_into(large: Tensor, small: Tensor) -> None:
    """Copy `small` into the first places of `large`, in place; its rows hear no other columns."""
    if small.ndim > 1:
        large[: len(small)] = 0
    large[tuple(slice(length) for length in small.shape)] = small
