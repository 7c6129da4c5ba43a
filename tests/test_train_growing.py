"""A grown transcriber computes what the small one did, and every one of its weights can learn."""

from dataclasses import replace

import pytest
import torch

from drumsep.errors import DrumsepError
from drumsep.train.growing import grown, halfway
from drumsep.transcriber.network import Dimensions, Transcriber

SMALL = Dimensions(bands=32, channels=2, features=6, blocks=2)
LARGE = replace(SMALL, channels=3, features=10, blocks=4)


def small_network() -> Transcriber:
    torch.manual_seed(1)
    network = Transcriber(SMALL)
    with torch.no_grad():
        for _ in range(3):  # so that the statistics of normalisation are not the initial ones
            network(torch.rand(2, 2, 32, 40))
    return network.eval()


@pytest.mark.parametrize("dimensions", [LARGE, SMALL, replace(SMALL, blocks=3)])
def test_a_grown_network_gives_the_output_of_the_small_one(dimensions: Dimensions) -> None:
    small = small_network()
    large = grown(small, dimensions).eval()
    log_mel = 3 * torch.rand(2, 2, 32, 60)
    with torch.no_grad():
        for ours, theirs in zip(large(log_mel), small(log_mel), strict=True):
            torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=0)
    assert large.dimensions == dimensions


def test_what_is_new_learns() -> None:
    large = grown(small_network(), LARGE)
    optimiser = torch.optim.SGD(large.parameters(), 0.1)
    before = {name: value.clone() for name, value in large.named_parameters()}
    for _ in range(2):  # in the first step, nothing listens yet to what is new
        optimiser.zero_grad()
        onsets, velocities = large(torch.rand(2, 2, 32, 60))
        (onsets.square().mean() + velocities.square().mean()).backward()
        optimiser.step()
    for name, value in large.named_parameters():
        assert not torch.equal(value, before[name]), name


@pytest.mark.parametrize(
    "dimensions", [replace(SMALL, features=5), replace(LARGE, blocks=1), replace(LARGE, hop=220)]
)
def test_a_network_neither_shrinks_nor_listens_differently(dimensions: Dimensions) -> None:
    with pytest.raises(DrumsepError, match="features|blocks|hop"):
        grown(small_network(), dimensions)


def test_halfway_is_the_mean_of_weights_and_statistics() -> None:
    one = small_network()
    other = Transcriber(SMALL)
    mean = halfway(one, other).state_dict()
    for name, value in one.state_dict().items():
        if value.is_floating_point():
            torch.testing.assert_close(mean[name], (value + other.state_dict()[name]) / 2)
