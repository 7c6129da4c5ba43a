"""The U-Nets: what they see, how far they reach, and that the fast forms equal the plain ones."""

import json

import pytest
import torch
from torch.nn import functional as F

from drumsep.drums import STEMS
from drumsep.errors import DrumsepError
from drumsep.larsnet.layers import LastDecoder
from drumsep.larsnet.network import (
    STEP,
    Dimensions,
    LarsNet,
    frames_heard,
    from_state,
    shapes,
    to_metadata,
)
from tests.goldens.make_larsnet import COMPACT, SMALL, toy, toy_state

REACH = 255  # frames before and after it that a frame of a mask depends on


def magnitudes(size: Dimensions, frames: int | None = None, batch: int = 1) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return 3 * torch.rand(batch, 2, size.bins, frames or size.frames, generator=generator)


@pytest.mark.parametrize("size", [SMALL, COMPACT])
@torch.inference_mode()
def test_every_stem_has_a_mask_of_its_own(size: Dimensions) -> None:
    mixture = magnitudes(size, batch=2)
    masks = toy(size)(mixture)
    assert masks.shape == (2, len(STEMS), 2, size.bins, size.frames)
    assert 0 <= masks.min() and masks.max() <= 1
    assert masks.std(dim=(0, 2, 3, 4)).min() > 0.02
    flat = masks.flatten(3).flatten(0, 2)
    assert torch.corrcoef(flat).fill_diagonal_(0).abs().max() < 0.9


@torch.inference_mode()
def test_a_batch_is_separated_item_by_item() -> None:
    network = toy(SMALL)
    mixtures = magnitudes(SMALL, batch=3)
    together = network(mixtures)
    for mixture, masks in zip(mixtures, together, strict=True):
        torch.testing.assert_close(network(mixture[None])[0], masks, atol=1e-5, rtol=0)


def test_the_published_network_has_the_published_size() -> None:
    unused = 2 * Dimensions().widths[-1]  # the norm of the sixth encoder
    sizes = {name: shape.numel() for name, shape in shapes(Dimensions()).items()}
    learned = sum(size for name, size in sizes.items() if name.endswith((".weight", ".bias")))
    assert learned == 5 * (9_828_680 - unused)


@pytest.mark.parametrize(("base", "millions"), [(16, 9.835), (8, 2.466), (4, 0.621), (2, 0.160)])
def test_the_compact_network_has_the_size_of_the_specification(base: int, millions: float) -> None:
    sizes = shapes(Dimensions(base=base, nets=1))
    learned = sum(s.numel() for name, s in sizes.items() if name.endswith((".weight", ".bias")))
    assert learned + 2 * 32 * base == pytest.approx(1e6 * millions, abs=501)


@torch.inference_mode()
def test_a_frame_depends_on_the_frames_in_reach_and_no_others() -> None:
    size = Dimensions(n_fft=128, hop=32, frames=1024, base=1)
    network = toy(size)
    mixture = magnitudes(size)
    touched = mixture.clone()
    touched[..., 512:] += 1  # seen from the left: the first changed frame is 512
    changed = (network(touched) - network(mixture)).abs().amax(dim=(0, 1, 2, 3)) > 1e-5
    first = int(changed.nonzero()[0])
    assert 512 - REACH <= first <= 512 - REACH + STEP
    touched = mixture.clone()
    touched[..., :512] += 1
    changed = (network(touched) - network(mixture)).abs().amax(dim=(0, 1, 2, 3)) > 1e-5
    last = int(changed.nonzero()[-1])
    assert 511 + REACH - STEP <= last <= 511 + REACH


@pytest.mark.parametrize("frames", [1, 2, 28, 29, 60, 61, 173, 300, 512])
@torch.inference_mode()
def test_the_first_frames_are_those_of_the_whole(frames: int) -> None:
    """Neither what the decoders leave out nor what follows the frames heard is missed."""
    size = Dimensions(n_fft=128, hop=32, frames=1024, base=1)
    network = toy(size)["kick"]
    mixture = magnitudes(size)
    whole = network(mixture)[..., :frames]
    torch.testing.assert_close(network(mixture, frames), whole, atol=1e-5, rtol=0)
    heard = frames_heard(frames)
    assert frames < heard <= frames + REACH + STEP
    part = network(mixture[..., :heard], frames)
    torch.testing.assert_close(part, whole, atol=1e-5, rtol=0)


@torch.inference_mode()
def test_one_frame_less_than_heard_is_too_few() -> None:
    size = Dimensions(n_fft=128, hop=32, frames=1024, base=1)
    network = toy(size)["kick"]
    mixture = magnitudes(size)
    frames = 28  # the last ones of their bottleneck frame
    touched = mixture.clone()
    touched[..., frames_heard(frames) - 2] += 100
    changed = (network(touched) - network(mixture))[..., :frames].abs().max()
    assert changed > 1e-5


def test_the_last_decoder_is_a_transposed_convolution() -> None:
    torch.manual_seed(0)
    decoder = LastDecoder(before=6, after=4).eval()
    skip, features = torch.randn(2, 2, 3, 5, 8)
    plain = decoder.norm(F.relu(decoder.conv(torch.cat([skip, features], dim=1))))
    torch.testing.assert_close(decoder(skip, features), plain, atol=1e-6, rtol=0)


def test_a_new_network_can_be_trained() -> None:
    torch.manual_seed(0)
    network = LarsNet(COMPACT)
    masks = network(magnitudes(COMPACT, batch=2))
    masks.square().mean().backward()
    missing = [name for name, value in network.named_parameters() if value.grad is None]
    assert not missing


def test_half_precision_weights_become_single_precision() -> None:
    state = {
        name: value.half() if value.is_floating_point() else value
        for name, value in toy_state(SMALL).items()
    }
    network = from_state(state, to_metadata(SMALL))
    assert not network.training
    assert {value.dtype for value in network.parameters()} == {torch.float32}
    assert network.dimensions == SMALL


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({"kind": "idm"}, "kind larsnet, got drumsep-1 and idm"),
        ({"format": "other"}, "got other and larsnet"),
        ({"dimensions": json.dumps({"depth": 3})}, "not dimensions of this network.*depth"),
        ({"dimensions": "{"}, "do not state their dimensions"),
        ({"dimensions": json.dumps({"n_fft": 100})}, "multiples of 64 bins and frames, got 50"),
        ({"dimensions": json.dumps({"nets": 2})}, "1 or 5 U-Nets, got 2"),
        ({"dimensions": json.dumps({"base": 0})}, "at least 1 channel, got 0"),
        ({"dimensions": json.dumps(SMALL.to_dict() | {"base": 3})}, r"must have shape .* got"),
    ],
)
def test_weights_of_another_kind_are_refused(metadata: dict[str, str], message: str) -> None:
    with pytest.raises(DrumsepError, match=message):
        from_state(toy_state(SMALL), to_metadata(SMALL) | metadata)
