"""Factor deconvolution: the laws of its updates, and a spectrogram it must take apart."""

import pytest
import torch

from drumsep.nmf.nmfd import Factors, delayed, factorise, update_activations, update_templates


def divergence(magnitudes, model):
    model = model.clamp_min(1e-30)
    return float((torch.xlogy(magnitudes, magnitudes / model) - magnitudes + model).double().sum())


@pytest.fixture
def random():
    return torch.Generator().manual_seed(0)


@pytest.fixture
def start(random):
    return Factors(torch.rand(3, 4, 15, generator=random), torch.rand(3, 40, generator=random))


@pytest.mark.parametrize("update", [update_templates, update_activations])
def test_no_update_increases_the_divergence(update, start, random):
    magnitudes = torch.rand(40, 15, generator=random).square()
    factors, before = start, divergence(magnitudes, start.parts().sum(0))
    for _ in range(20):
        factors = update(factors, magnitudes)
        after = divergence(magnitudes, factors.parts().sum(0))
        assert after <= before * (1 + 1e-6)
        before = after


def test_the_model_is_a_sum_of_delayed_templates(start):
    expected = torch.zeros(3, 40, 15)
    for lag in range(4):
        for frame in range(lag, 40):
            hit = start.activations[:, frame - lag, None]
            expected[:, frame] += hit * start.templates[:, lag]
    torch.testing.assert_close(start.parts(), expected)


def test_delays_shift_and_start_with_zeros():
    shifted = delayed(torch.tensor([[1.0, 2.0, 3.0]]), 2)
    assert shifted.tolist() == [[[1, 2, 3], [0, 1, 2]]]


def test_zeros_stay(start, random):
    start.activations[1, 5:] = 0
    start.templates[2, :, 3] = 0
    factors = factorise(start, torch.rand(40, 15, generator=random), 10)
    assert not factors.activations[1, 5:].any()
    assert not factors.templates[2, :, 3].any()


def test_silence_is_explained_by_silence(start):
    parts = factorise(start, torch.zeros(40, 15), 5).parts()
    assert parts.isfinite().all() and not parts.any()


def test_known_templates_and_onsets_are_taken_apart(random):
    templates = (
        torch.rand(2, 4, 15, generator=random) * torch.eye(2)[:, None].repeat(1, 1, 8)[..., :15]
    )
    activations = torch.zeros(2, 40)
    activations[0, 3::10], activations[1, 7::9] = 1.0, 0.5
    true = Factors(templates, activations)
    magnitudes = true.parts().sum(0)
    start = Factors(templates + 0.05, (activations > 0).float())
    parts = factorise(start, magnitudes, 100).parts()
    torch.testing.assert_close(parts, true.parts(), atol=0.05, rtol=0)


def test_scale_equivariance(start, random):
    magnitudes = torch.rand(40, 15, generator=random)
    once, louder = (factorise(start, gain * magnitudes, 10).parts() for gain in (1, 100))
    torch.testing.assert_close(louder, 100 * once, rtol=1e-4, atol=1e-4)
