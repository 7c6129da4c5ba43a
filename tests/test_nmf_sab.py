"""Semi-adaptive bases: the laws of the updates, and the schedule between given and free."""

import pytest
import torch

from drumsep.nmf.sab import FrameFactors, factorise, update_bases, update_gains


def divergence(magnitudes, model):
    model = model.clamp_min(1e-30)
    return float((torch.xlogy(magnitudes, magnitudes / model) - magnitudes + model).double().sum())


@pytest.fixture
def random():
    return torch.Generator().manual_seed(0)


def test_no_update_increases_the_divergence(random):
    magnitudes = torch.rand(9, 20, generator=random).square()
    bases = torch.rand(3, 9, 20, generator=random)
    factors = FrameFactors(bases, torch.rand(3, 9, generator=random))
    before = divergence(magnitudes, factors.parts().sum(0))
    for update in [update_gains] * 10 + [update_bases, update_gains]:
        factors = update(factors, magnitudes)
        after = divergence(magnitudes, factors.parts().sum(0))
        assert after <= before * (1 + 1e-6) + 1e-6
        before = after


def test_free_bases_explain_a_frame_wholly(random):
    magnitudes = torch.rand(9, 20, generator=random)
    factors = factorise(torch.rand(3, 20, generator=random), magnitudes, 20)
    torch.testing.assert_close(factors.parts().sum(0), magnitudes, rtol=1e-3, atol=1e-3)


def test_frames_do_not_hear_each_other(random):
    given, magnitudes = torch.rand(3, 20, generator=random), torch.rand(9, 20, generator=random)
    whole = factorise(given, magnitudes, 10).parts()
    alone = factorise(given, magnitudes[4:5], 10).parts()
    torch.testing.assert_close(whole[:, 4:5], alone)


def test_a_frame_that_is_a_basis_goes_to_its_drum():
    given = torch.eye(3).repeat_interleave(4, dim=1)
    parts = factorise(given, 2 * given, 25).parts()
    for drum, basis in enumerate(given):
        torch.testing.assert_close(parts[drum, drum], 2 * basis)
        assert not parts[drum, [other for other in range(3) if other != drum]].any()


def test_silence_is_explained_by_silence(random):
    parts = factorise(torch.rand(3, 20, generator=random), torch.zeros(5, 20), 5).parts()
    assert parts.isfinite().all() and not parts.any()


def test_bases_of_zero_take_nothing(random):
    given = torch.rand(3, 20, generator=random)
    given[1] = 0
    parts = factorise(given, torch.rand(5, 20, generator=random), 5).parts()
    assert parts.isfinite().all() and not parts[1].any()
