"""IDM's stages: laws of the layers, the context that stretches need, and the file format."""

import json
import math
from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from drumsep.drums import DRUMS, Drum
from drumsep.errors import DrumsepError
from drumsep.idm.network import Dimensions, Idm, from_state, to_metadata
from drumsep.idm.synthesis import WIDE, causal_convolution, exp_sigmoid
from tests.goldens.make_idm import TOY, toy, toy_state


@pytest.fixture(scope="module")
def network() -> Idm:
    return toy()


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_published_context_and_growth() -> None:
    size = Dimensions()
    assert (size.past, size.future, size.growth, size.rows) == (69, 57, 12, 3)
    assert size.frame_rate == 172.265625


def test_dimensions_survive_json() -> None:
    for size in (Dimensions(), TOY):
        assert Dimensions.from_dict(json.loads(json.dumps(size.to_dict()))) == size


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"widths": (4, 8)}, "do not match"),
        ({"bands": 32}, "too few for 4 levels"),
        ({"colour": 3}, "not dimensions of this network"),
    ],
)
def test_impossible_dimensions_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(DrumsepError, match=message):
        Dimensions.from_dict({**Dimensions().to_dict(), **changes})


def test_exp_sigmoid_runs_from_a_floor_to_two() -> None:
    ends = exp_sigmoid(torch.tensor([-1e3, 0.0, 1e3]))
    torch.testing.assert_close(ends, torch.tensor([1e-7, 2 * 0.5 ** math.log(10), 2.0]))


@pytest.mark.parametrize("frames", [4, 40])
def test_every_stage_has_the_shape_it_promises(network: Idm, frames: int) -> None:
    spectrum = torch.complex(noise(2, TOY.stft.bins, frames), noise(2, TOY.stft.bins, frames))
    log_mel = network.log_mel(spectrum)
    assert log_mel.shape == (2, TOY.bands, frames)
    features = network.features(log_mel)
    assert features.shape == (2, frames + TOY.growth, TOY.widths[-1])
    logits, amplitudes = network.hit_curves(features)
    assert logits.shape == amplitudes.shape == (2, len(DRUMS), frames + TOY.growth)
    kit = network.kit(network.kit_features(features).mean(dim=1))
    torch.testing.assert_close(kit.sum(dim=1), torch.ones(2))
    assert network.gains(features.mean(dim=1)).shape == (2, len(DRUMS))


@pytest.mark.parametrize("shift", [-1, 1])
def test_context_is_exactly_what_outputs_depend_on(network: Idm, shift: int) -> None:
    """A change `future` frames later is heard, one more is not; likewise in the past."""
    log_mel = noise(1, TOY.bands, 80).requires_grad_()
    middle = 40
    curve = network.hit_curves(network.features(log_mel)).onset_logits[0, :, middle].sum()
    heard = torch.autograd.grad(curve, log_mel)[0].abs().sum(dim=(0, 1)).nonzero()[:, 0]
    assert heard.min() == middle - TOY.past
    assert heard.max() == middle + TOY.future


@torch.inference_mode()
def test_channel_norm_is_layer_norm_over_channels(network: Idm) -> None:
    norm = network.encoder.halvings[0][0]
    image = noise(2, 2, 3, 5)
    ours = norm(image)
    theirs = F.layer_norm(
        image.permute(0, 2, 3, 1), (2,), norm.weight.flatten(), norm.bias.flatten(), 1e-6
    )
    torch.testing.assert_close(ours, theirs.permute(0, 3, 1, 2))


@pytest.mark.parametrize("dilation", [1, 2, WIDE - 1, WIDE, WIDE + 3, 400])
@pytest.mark.parametrize("length", [1, 50, 1000])
def test_rows_and_columns_convolve_like_one_dimension(dilation: int, length: int) -> None:
    sound, weight, bias = noise(length, 2), noise(3, 2, 4, seed=1), noise(3, seed=2)
    padded = F.pad(sound.T, (3 * dilation, 0))
    expected = F.conv1d(padded[None], weight, bias, dilation=dilation)[0].T
    torch.testing.assert_close(causal_convolution(sound, weight, bias, dilation), expected)


@torch.inference_mode()
def test_a_block_is_norm_filter_modulation_and_bypass(network: Idm) -> None:
    block, sound, condition = network.synthesis.blocks[2], noise(300, 3), noise(11)
    normalised = F.instance_norm(sound.T[None])
    padded = F.pad(normalised, (2 * block.dilation, 0))
    filtered = F.conv1d(padded, block.dilated.weight, block.dilated.bias, dilation=4)[0].T
    scale, shift = block.modulation(condition).chunk(2)
    expected = F.gelu(scale * filtered + shift) + block.bypass(sound)
    torch.testing.assert_close(block(sound, condition), expected, rtol=1e-4, atol=1e-5)


def test_one_shots_are_the_same_with_and_without_gradients(network: Idm) -> None:
    kit, sound = torch.tensor([0.5, 0.5]), noise(TOY.one_shot)
    for drum in (Drum.KICK, Drum.CRASH):
        by_definition = network.synthesis.wave(kit, sound, drum)
        with torch.no_grad():
            fast = network.synthesis.wave(kit, sound, drum)
        torch.testing.assert_close(fast, by_definition.detach(), rtol=1e-4, atol=1e-5)


@torch.inference_mode()
def test_items_of_a_batch_do_not_hear_each_other(network: Idm) -> None:
    kits = torch.tensor([[0.9, 0.1], [0.2, 0.8]])
    noises = noise(2, 9, TOY.one_shot) * torch.tensor([1.0, 50.0]).view(2, 1, 1)
    both = network.synthesis(kits, noises, DRUMS)
    for item in range(2):
        alone = network.synthesis(kits[item : item + 1], noises[item : item + 1], DRUMS)
        assert torch.equal(both[item], alone[0])


@torch.inference_mode()
def test_a_drum_sounds_the_same_whoever_else_is_made(network: Idm) -> None:
    """Up to the level, which the drums share: it cancels in masks."""
    kit, sounds = torch.tensor([[0.5, 0.5]]), noise(1, 9, TOY.one_shot)
    every = network.synthesis(kit, sounds, DRUMS)[0]
    two = network.synthesis(kit, sounds, (Drum.SNARE, Drum.RIDE))[0]
    ratio = every[[Drum.SNARE.position, Drum.RIDE.position], :50] / two[:, :50]
    torch.testing.assert_close(ratio, ratio[:1, :1].expand_as(ratio), rtol=1e-4, atol=0)


def test_the_stages_can_be_trained(network: Idm) -> None:
    one_shots = network.synthesis(torch.tensor([[0.5, 0.5]]), noise(1, 9, 600), DRUMS[:2])
    features = network.features(noise(1, TOY.bands, 20))
    loss = one_shots.square().mean() + sum(c.mean() for c in network.hit_curves(features))
    gradients = torch.autograd.grad(loss, [network.encoder.enter.weight, network.hits.onset.weight])
    assert all(gradient.isfinite().all() and gradient.any() for gradient in gradients)


def test_a_state_comes_back_as_the_network_it_was() -> None:
    state = toy_state(seed=3)
    again = from_state(
        {name: value.half().float() for name, value in state.items()}, to_metadata(TOY)
    )
    assert again.dimensions == TOY
    assert not again.training
    assert set(again.state_dict()) == set(state)


def test_damaged_weights_are_refused_by_name() -> None:
    state, metadata = toy_state(), to_metadata(TOY)
    without = {name: value for name, value in state.items() if name != "hits.onset.bias"}
    with pytest.raises(DrumsepError, match=r"tensor hits\.onset\.bias is missing"):
        from_state(without, metadata)
    with pytest.raises(DrumsepError, match="unexpected tensor extra"):
        from_state({**state, "extra": torch.zeros(1)}, metadata)
    with pytest.raises(DrumsepError, match=r"max_decay must have shape \(\), got \(2,\)"):
        from_state({**state, "synthesis.max_decay": torch.zeros(2)}, metadata)
    with pytest.raises(DrumsepError, match="expected weights of format drumsep-1 and kind idm"):
        from_state(state, {**metadata, "kind": "larsnet"})


def test_mel_triangles_touch_their_neighbours() -> None:
    size = replace(Dimensions(), n_fft=8192)
    filters = Idm(replace(TOY, n_fft=8192)).mel_filters
    assert filters.shape == (TOY.bands, size.stft.bins)
    assert 0.9 < filters.max() <= 1
    first, last = (int(row.argmax()) for row in (filters[0], filters[-1]))
    torch.testing.assert_close(filters.sum(0)[first:last], torch.ones(last - first))
