"""Published checkpoints become ours: every tensor named, none lost, damaged ones refused."""

import json
from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from drumsep.drums import STEMS
from drumsep.errors import DrumsepError
from drumsep.larsnet.network import Dimensions, from_state, shapes
from drumsep.larsnet.official import NAMES, convert
from tests.goldens.make_larsnet import toy_state

SIZE = Dimensions(base=2)
States = dict[str, dict[str, Tensor]]


@pytest.fixture
def published() -> States:
    """Five states in the published layout, with two channels where the published ones have 16."""
    ours = toy_state(SIZE)
    unused = torch.rand(SIZE.widths[-1])
    return {
        stem: {
            theirs: ours[f"{stem}.{name}"] if name else unused.clone()
            for theirs, name in NAMES.items()
        }
        | {"enc6.bn.num_batches_tracked": torch.tensor(7)}
        for stem in STEMS
    }


def test_every_name_is_translated_and_none_is_left() -> None:
    assert len(NAMES) == 91
    ours = [name for name in NAMES.values() if name is not None]
    assert len(ours) == len(set(ours)) == 91 - 5
    assert {f"{stem}.{name}" for stem in STEMS for name in ours} == set(shapes(Dimensions()))


def test_conversion_infers_the_dimensions_and_keeps_the_values(published: States) -> None:
    state, metadata = convert(published)
    assert (metadata["format"], metadata["kind"]) == ("drumsep-1", "larsnet")
    assert Dimensions.from_dict(json.loads(metadata["dimensions"])) == SIZE
    expected = toy_state(SIZE)
    assert set(state) == set(expected)
    assert all(torch.equal(state[name], expected[name]) for name in expected)


@torch.inference_mode()
def test_the_network_computes_what_the_published_one_does(published: States) -> None:
    generator = torch.Generator().manual_seed(2)
    mixture = 3 * torch.rand(1, 2, SIZE.bins, 64, generator=generator)
    masks = from_state(*convert(published))(mixture)
    for index, stem in enumerate(STEMS):
        expected = published_mask(published[stem], mixture)
        torch.testing.assert_close(masks[:, index], expected, atol=1e-5, rtol=0)


def published_mask(state: dict[str, Tensor], mixture: Tensor) -> Tensor:
    """The published U-Net layer by layer, in its own names (specification, section 2)."""

    def norm(name: str, h: Tensor) -> Tensor:
        mean, var, weight, bias = (
            state[f"{name}.{leaf}"] for leaf in ("running_mean", "running_var", "weight", "bias")
        )
        return F.batch_norm(h, mean, var, weight, bias, eps=1e-5)

    def layer(name: str) -> tuple[Tensor, Tensor]:
        return state[f"{name}.weight"], state[f"{name}.bias"]

    h = norm("input_norm", mixture.transpose(1, 2)).transpose(1, 2)
    skips = []
    for i in range(1, 7):
        skips.append(F.conv2d(h, *layer(f"enc{i}.conv"), stride=2, padding=2))
        h = F.leaky_relu(norm(f"enc{i}.bn", skips[-1]), 0.2)
    h = skips.pop()
    for i in range(1, 7):
        h = h if i == 1 else torch.cat([skips.pop(), h], dim=1)
        up = layer(f"dec{i}.conv_trans")
        h = F.conv_transpose2d(h, *up, stride=2, padding=2, output_padding=1)
        h = norm(f"dec{i}.bn", F.relu(h))
    return F.conv2d(h, *layer("mask_layer.0"), padding=3, dilation=2).sigmoid()


def lose(states: States) -> None:
    del states["snare"]["dec3.bn.running_mean"]


def add(states: States) -> None:
    states["toms"]["dec7.bn.weight"] = torch.zeros(1)


def misshape(states: States) -> None:
    states["hihat"]["enc2.conv.weight"] = torch.zeros(4, 2, 3, 3)


def spoil(states: States) -> None:
    states["cymbals"]["mask_layer.0.bias"][1] = float("nan")


def overflow(states: States) -> None:
    states["kick"]["enc6.bn.bias"][0] = float("inf")  # although nothing listens to it


def invert(states: States) -> None:
    states["kick"]["input_norm.running_var"][5] = -0.1


def scalar(states: States) -> None:
    states["kick"]["enc1.conv.bias"] = torch.tensor(1.0)


def forget(states: States) -> None:
    del states["toms"]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lose, "snare: tensor dec3.bn.running_mean is missing"),
        (add, "toms: unexpected tensor dec7.bn.weight"),
        (misshape, r"hihat: tensor enc2.conv.weight must have shape \(4, 2, 5, 5\), got"),
        (spoil, "cymbals: tensor mask_layer.0.bias holds values that are not finite"),
        (overflow, "kick: tensor enc6.bn.bias holds values that are not finite"),
        (invert, "kick: tensor input_norm.running_var holds negative variances"),
        (scalar, "kick: tensor enc1.conv.* must have shape"),
        (forget, "one checkpoint for each of kick, .*; got cymbals, hihat, kick, snare"),
    ],
)
def test_damaged_checkpoints_are_refused(
    published: States, damage: Callable[[States], None], message: str
) -> None:
    damage(published)
    with pytest.raises(DrumsepError, match=message):
        convert(published)
