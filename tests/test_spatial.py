"""Where drums stand: laws of the multichannel Wiener filter and of how covariances are learnt."""

import pytest
import torch
from torch import Tensor

from drumsep.adaptation import spatial
from drumsep.adaptation.spatial import Stretch
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
        white = spatial.whitened(spatial.summed(values, group, heard[0, 0]), heard)
        turned = spatial.turned(white)
        own = (spatial.summed([v], g[None], v) for v, g in zip(values, group, strict=True))
        found.append(torch.stack([spatial.taken(one, white, turned) for one in own]))
    return torch.cat(found, dim=1).transpose(-1, -2)


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
    left, right, real, imaginary = group.to(torch.complex128).unbind(1)
    between = real + 1j * imaginary
    rows = torch.stack([left, between, between.conj(), right], dim=-1)
    own = values[..., None, None] * rows.view(DRUMS, 1, BINS, 2, 2)
    heard = spectrum.permute(2, 1, 0)[..., None].to(own.dtype)
    expected = own @ torch.linalg.inv(own.sum(dim=0)) @ heard
    found = filtered(spectrum, values, (group,)).permute(0, 3, 2, 1)
    torch.testing.assert_close(found, expected.squeeze(-1).to(found.dtype), atol=1e-4, rtol=1e-3)


def panned() -> tuple[Tensor, Tensor]:
    """Two sounds in the same bins, one to the left, one to the right: (2, C, F, T), powers."""
    sounds = noise(2, BINS, 400)
    gains = torch.tensor([[1.0, 0.3], [0.2, 0.9j]])
    # Either is the louder one in some frames, which tells where it stands.
    loud = (1 + 3 * (torch.arange(400) // 20 % 2)).float()
    levels = torch.stack([loud, 5 - loud])
    sources = gains[:, :, None, None] * (levels[:, None] * sounds)[:, None]
    return sources, levels.square()[:, :, None].expand(2, 400, BINS)


def test_places_are_learnt_and_tell_apart_what_sounds_at_once() -> None:
    sources, values = panned()
    mixture = sources.sum(dim=0)
    start = spatial.of_masks(2, 2, BINS, torch.device("cpu"))
    stretch = Stretch(spatial.in_groups(mixture), values, torch.arange(2))
    learnt = spatial.learnt([stretch], start)

    def distortion(groups: spatial.Covariances) -> float:
        difference = filtered(mixture, values, groups) - sources
        return float(
            10 * torch.log10(difference.abs().square().sum() / sources.abs().square().sum())
        )

    assert distortion(start) > -10
    assert distortion(learnt) < distortion(start) - 8
    left, right, real, imaginary = learnt[0].mean(dim=-1)[1]
    assert right / left == pytest.approx((0.9 / 0.2) ** 2, rel=0.25)
    assert imaginary < 0 and imaginary.abs() > 4 * real.abs()  # conj(0.9j) is -0.9j


def test_a_drum_that_is_not_heard_keeps_its_start() -> None:
    sources, values = panned()
    start = spatial.of_masks(3, 2, BINS, torch.device("cpu"))
    stretch = Stretch(spatial.in_groups(sources.sum(dim=0)), values, torch.tensor([0, 2]))
    (learnt,) = spatial.learnt([stretch], start)
    torch.testing.assert_close(learnt[1], start[0][1])
    assert not torch.allclose(learnt[0], start[0][0])


def test_twice_the_same_channel_is_shared_as_in_mono() -> None:
    mono = noise(1, BINS, FRAMES)
    values = powers()
    taken = []
    for spectrum in (mono, mono.expand(2, -1, -1)):
        start = spatial.of_masks(DRUMS, len(spectrum), BINS, torch.device("cpu"))
        stretch = Stretch(spatial.in_groups(spectrum), values, torch.arange(DRUMS))
        taken.append(filtered(spectrum, values, spatial.learnt([stretch], start)))
    torch.testing.assert_close(taken[1], taken[0].expand(-1, 2, -1, -1), atol=2e-2, rtol=0)


def test_silence_is_finite() -> None:
    start = spatial.of_masks(DRUMS, 2, BINS, torch.device("cpu"))
    silence = torch.zeros(2, BINS, FRAMES, dtype=torch.complex64)
    stretch = Stretch(spatial.in_groups(silence), 0 * powers(), torch.arange(DRUMS))
    learnt = spatial.learnt([stretch], start)
    assert not filtered(silence, 0 * powers(), learnt).any()
