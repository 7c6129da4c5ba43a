"""Where drums stand: the algebra of covariances against matrices, and laws of the Wiener filter."""

import pytest
import torch
from torch import Tensor

from drumsep.adaptation import spatial
from drumsep.dsp import wiener

DRUMS, FRAMES, BINS = 3, 40, 7


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, dtype=torch.complex64, generator=torch.Generator().manual_seed(seed))


def powers(seed: int = 1) -> Tensor:
    values = torch.rand(DRUMS, FRAMES, BINS, generator=torch.Generator().manual_seed(seed))
    return values.pow(4) + 1e-4


def covariances(channels: int) -> spatial.Covariances:
    """Of drums that each reach the channels with gains and phases of their own."""
    start = spatial.of_masks(DRUMS, channels, BINS, torch.device("cpu"))
    learnt = []
    for seed, group in enumerate(start):
        gains = noise(DRUMS, 2, BINS, seed=seed)
        if group.shape[1] == spatial.ALONE:
            learnt.append(gains[:, :1].abs().square())
            continue
        left, right = gains.unbind(1)
        between = 0.9 * left * right.conj()
        planes = [left.abs().square(), right.abs().square(), between.real, between.imag]
        learnt.append(torch.stack(planes, dim=1))
    return tuple(learnt)


def filtered(spectrum: Tensor, values: Tensor, groups: spatial.Covariances) -> Tensor:
    """Every drum's own, (D, C, F, T)."""
    found = []
    for heard, group in zip(spatial.in_groups(spectrum), groups, strict=True):
        inverse = spatial.inverse(spatial.summed(values, group, heard[0, 0]))
        white = spatial.whitened(inverse, heard)
        turned = spatial.turned(white)
        drums = (spatial.summed([v], g[None], v) for v, g in zip(values, group, strict=True))
        planes = (spatial.times(own, white, turned) for own in drums)
        found.append(torch.stack([torch.complex(own[:, 0], own[:, 1]) for own in planes]))
    return torch.cat(found, dim=1).transpose(-1, -2)


def matrices(planes: Tensor) -> Tensor:
    """Planes (planes, ...) of a pair of channels as complex matrices (..., 2, 2)."""
    left, right, real, imaginary = planes.to(torch.complex128)
    between = real + 1j * imaginary
    rows = [left, between, real - 1j * imaginary, right]
    return torch.stack(rows, dim=-1).unflatten(-1, (2, 2))


@pytest.mark.parametrize("channels", [1, 2, 3, 5])
def test_what_drums_take_adds_up_to_the_recording(channels: int) -> None:
    spectrum = noise(channels, BINS, FRAMES)
    taken = filtered(spectrum, powers(), covariances(channels))
    assert taken.shape == (DRUMS, channels, BINS, FRAMES)
    torch.testing.assert_close(taken.sum(dim=0), spectrum, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_it_starts_as_masks(channels: int) -> None:
    spectrum = noise(channels, BINS, FRAMES)
    start = spatial.of_masks(DRUMS, channels, BINS, torch.device("cpu"))
    masks = wiener(powers().transpose(1, 2)[:, None], 1.0, spatial.EPS)
    torch.testing.assert_close(filtered(spectrum, powers(), start), masks * spectrum)


def test_it_is_the_formula() -> None:
    """y_d = v_d R_d (sum_k v_k R_k)^-1 x, by matrices."""
    spectrum, values, (group,) = noise(2, BINS, FRAMES), powers(), covariances(2)
    own = values[..., None, None] * matrices(group.transpose(0, 1))[:, None]
    heard = spectrum.permute(2, 1, 0)[..., None].to(own.dtype)
    expected = own @ torch.linalg.inv(own.sum(dim=0)) @ heard
    found = filtered(spectrum, values, (group,)).permute(0, 3, 2, 1)
    torch.testing.assert_close(found, expected.squeeze(-1).to(found.dtype), atol=1e-4, rtol=1e-3)


def test_planes_are_matrices() -> None:
    """z z^H, R M R and tr(R M)."""
    (heard,) = spatial.in_groups(noise(2, BINS, FRAMES))
    (group,) = covariances(2)
    vector = (
        torch.complex(heard[:, 0], heard[:, 1]).permute(1, 2, 0)[..., None].to(torch.complex128)
    )
    outer = vector @ vector.mH
    torch.testing.assert_close(matrices(spatial.outer(heard)), outer, atol=1e-5, rtol=1e-5)
    first = matrices(group[0])
    trace = (first @ outer).diagonal(dim1=-2, dim2=-1).sum(dim=-1).real
    found = spatial.trace(group[0], spatial.outer(heard)).double()
    torch.testing.assert_close(found, trace, atol=1e-4, rtol=1e-5)
    between = spatial.sandwiched(group, group.roll(1, dims=0))
    expected = first @ matrices(group[-1]) @ first
    torch.testing.assert_close(matrices(between[0]), expected, atol=1e-4, rtol=1e-5)


def test_a_channel_alone_has_numbers_for_matrices() -> None:
    (heard,) = spatial.in_groups(noise(1, BINS, FRAMES))
    (group,) = covariances(1)
    powers_heard = spatial.outer(heard)
    torch.testing.assert_close(powers_heard, heard.square().sum(dim=1))
    torch.testing.assert_close(spatial.trace(group[0], powers_heard), group[0] * powers_heard[0])
    torch.testing.assert_close(spatial.sandwiched(group, group), group**3)
    torch.testing.assert_close(spatial.power(group), group)


def test_no_covariance_is_singular() -> None:
    panned = torch.tensor([1.0, 0.25, 0.5, 0.0])[None, :, None].expand(DRUMS, -1, BINS)
    found = matrices(spatial.less_coherent(panned).transpose(0, 1))
    assert (torch.linalg.cond(found) < 1e5).all()
    torch.testing.assert_close(spatial.power(panned), torch.full((DRUMS, 1, BINS), 1.25))
