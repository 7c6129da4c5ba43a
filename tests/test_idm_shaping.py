"""One-shots of shaped noise: laws of the interpolation, of the noise and of the waveform."""

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from drumsep.drums import DRUMS
from drumsep.idm import shaping
from drumsep.idm.network import Idm, from_state, to_metadata
from drumsep.idm.shaping import COARSENESS, Shaping, ShapingSize, interpolation
from tests.goldens.make_idm import TOY

SIZE = ShapingSize(rate=44100, kits=2, width=6, one_shot=9000)


@pytest.fixture
def made() -> Shaping:
    torch.manual_seed(0)
    return Shaping(SIZE).eval()


def noise(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(1))


def silenced(made: Shaping, levels: float, ringing: float) -> Shaping:
    """The same level at all times and bands, the same value of all samples of the waveform."""
    for layer, value in ((made.levels, levels), (made.ringing, ringing)):
        torch.nn.init.zeros_(layer.weight)
        torch.nn.init.constant_(layer.bias, value)
    return made


@settings(deadline=None)
@given(
    steps=st.lists(st.floats(0.1, 9), min_size=1, max_size=8),
    slope=st.floats(-3, 3),
    offset=st.floats(-3, 3),
)
def test_what_is_linear_is_interpolated_exactly(
    steps: list[float], slope: float, offset: float
) -> None:
    last = math.ceil(sum(steps))
    positions = torch.tensor([0.0, *steps]).cumsum(0) * (last / sum(steps))
    whole = torch.arange(last + 1.0)
    found = interpolation(positions, last + 1) @ (slope * positions + offset)
    torch.testing.assert_close(found, slope * whole + offset, atol=1e-3, rtol=0)


def test_levels_are_given_more_often_near_the_stroke() -> None:
    points = shaping.lag_points(SIZE.frames)
    gaps = points.diff()
    assert points[0] == 0
    assert points[-1].item() == pytest.approx(SIZE.frames - 1, abs=1e-3)
    assert (gaps.diff() > 0).all()
    assert gaps[0] < 1


def test_an_even_level_scales_the_noise(made: Shaping) -> None:
    given_noise = noise(1, 9, SIZE.one_shot)
    shots = silenced(made, math.log(0.25), 0.0)(torch.full((1, 2), 0.5), given_noise, DRUMS)
    torch.testing.assert_close(shots, 0.25 * given_noise, atol=1e-5, rtol=0)


def test_the_waveform_starts_with_the_stroke_and_ends() -> None:
    made = silenced(Shaping(replace(SIZE, one_shot=44100)), -50.0, 0.0)
    coarse = torch.hann_window(made.size.ringing, periodic=False)
    made.ringing.bias.data = coarse
    shot = made(torch.full((1, 2), 0.5), noise(1, 9, 44100), DRUMS)[0, 0].detach()
    sounding = made.size.ringing * COARSENESS
    torch.testing.assert_close(shot[:sounding:COARSENESS], coarse, atol=1e-4, rtol=0)
    assert shot.argmax().item() == pytest.approx(sounding / 2, abs=2 * COARSENESS)
    assert shot[sounding:].abs().max() < 1e-3


def test_drums_and_recordings_do_not_change_each_other(made: Shaping) -> None:
    kits, given_noise = torch.tensor([[0.9, 0.1], [0.2, 0.8]]), noise(2, 9, SIZE.one_shot)
    everything = made(kits, given_noise, DRUMS)
    some = made(kits[1:], given_noise[1:], DRUMS[3:5])
    assert everything.shape == (2, 9, SIZE.one_shot)
    torch.testing.assert_close(some[0], everything[1, 3:5])
    assert (everything[0, 3] - everything[1, 3]).abs().max() > 1e-4  # another kit, other sounds


def test_training_goes_on_after_use(made: Shaping) -> None:
    kits, given_noise = torch.full((1, 2), 0.5), noise(1, 9, SIZE.one_shot)
    with torch.inference_mode():
        made(kits, given_noise, DRUMS)
    made(kits, given_noise, DRUMS).square().mean().backward()
    assert made.levels.weight.grad is not None and made.levels.weight.grad.any()


def test_a_stored_network_makes_the_same_one_shots() -> None:
    torch.manual_seed(0)
    network = Idm(replace(TOY, shaped=True, one_shot=9000)).eval()
    again = from_state(network.state_dict(), to_metadata(network.dimensions))
    kit, given_noise = torch.full((1, TOY.kits), 1 / TOY.kits), noise(1, 9, 9000)
    torch.testing.assert_close(
        again.synthesis(kit, given_noise, DRUMS), network.synthesis(kit, given_noise, DRUMS)
    )
