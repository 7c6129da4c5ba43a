"""Streamed masking equals masking the whole spectrum at once."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from drumsep.dsp import Stft, magnitude, wiener
from drumsep.masking import masked_stems, spectral_blocks
from drumsep.results import Audio

CPU = torch.device("cpu")


class FrameParity:
    """Two stems: even frames and odd frames; counts its blocks."""

    device = CPU

    def __init__(self, stft: Stft, block: int, lookahead: int = 0):
        self.stft, self.block, self.lookahead = stft, block, lookahead
        self.starts: list[int] = []

    def masks(self, spectrum: torch.Tensor, start: int) -> torch.Tensor:
        self.starts.append(start)
        count = min(spectrum.shape[-1], self.block)
        odd = (torch.arange(start, start + count) % 2).float()
        return torch.stack([1 - odd, odd])[:, None, None, :]


def noise(samples: int, channels: int = 2) -> Audio:
    rng = np.random.default_rng(samples)
    return Audio(rng.standard_normal((channels, samples)).astype(np.float32), 44100)


def stems(audio: Audio, masker: FrameParity) -> np.ndarray:
    return np.concatenate([np.zeros((2, audio.channels, 0)), *masked_stems(audio, masker)], axis=-1)


@settings(max_examples=40, deadline=None)
@given(
    samples=st.integers(0, 9000),
    block=st.integers(1, 50),
    lookahead=st.integers(0, 9),
    stft=st.sampled_from([Stft(256, 64), Stft(1024, 256)]),
)
def test_masks_that_sum_to_one_give_the_recording_back(
    samples: int, block: int, lookahead: int, stft: Stft
) -> None:
    audio = noise(samples)
    both = stems(audio, FrameParity(stft, block, lookahead))
    assert both.shape == (2, 2, samples)
    np.testing.assert_allclose(both.sum(axis=0), audio.samples, atol=2e-5)


@pytest.mark.parametrize("samples", [4095, 4096, 4097, 8192, 20000])
def test_blocks_change_nothing(samples: int) -> None:
    stft = Stft(1024, 256)
    whole = stems(noise(samples), FrameParity(stft, 10_000))
    for block in (1, 7, 16, 17):
        np.testing.assert_allclose(
            stems(noise(samples), FrameParity(stft, block)), whole, atol=1e-6
        )


@pytest.mark.parametrize("samples", [4096, 20000])
def test_a_stem_that_falls_silent_rings_out_and_comes_back(samples: int) -> None:
    class Bursts(FrameParity):
        """The second stem sounds in every third run of ten frames only."""

        def masks(self, spectrum: torch.Tensor, start: int) -> torch.Tensor:
            masks = super().masks(spectrum, start)
            sounds = torch.arange(start, start + masks.shape[-1]) // 10 % 3 == 0
            return masks * torch.stack([torch.ones(len(sounds)), sounds])[:, None, None, :]

    stft = Stft(1024, 256)
    whole = stems(noise(samples), Bursts(stft, 10_000))
    for block in (1, 5, 10):
        np.testing.assert_allclose(stems(noise(samples), Bursts(stft, block)), whole, atol=1e-6)


def test_magnitudes_are_those_of_abs() -> None:
    spectrum = torch.randn(2, 9, 7, dtype=torch.complex64) * torch.logspace(-18, 18, 7)
    torch.testing.assert_close(magnitude(spectrum), spectrum.abs(), rtol=1e-6, atol=0)
    assert not magnitude(torch.zeros(3, dtype=torch.complex64)).any()


@pytest.mark.parametrize("samples", [2049, 44032, 44100, 50001])
def test_spectrum_is_the_centred_reflected_transform(samples: int) -> None:
    stft = Stft(4096, 1024)
    audio = noise(samples)
    padded = torch.nn.functional.pad(
        torch.from_numpy(audio.samples), (0, stft.padded_length(samples) - samples)
    )
    expected = torch.stft(padded, 4096, 1024, window=torch.hann_window(4096), return_complex=True)
    blocks = [part for _, part in spectral_blocks(audio, stft, 8, 0, CPU)]
    torch.testing.assert_close(torch.cat(blocks, dim=-1), expected, atol=1e-3, rtol=1e-5)


def test_the_masker_is_asked_in_order_of_time() -> None:
    masker = FrameParity(Stft(256, 64), 10)
    stems(noise(64 * 35), masker)
    assert masker.starts == [0, 10, 20, 30]


@pytest.mark.parametrize("peak", [0.0, 1e-4, 0.1, 10.0, 1000.0])
@pytest.mark.parametrize("alpha", [0.5, 1.0, 2.0])
def test_wiener_masks_share_every_bin_once_and_leave_their_input_alone(
    peak: float, alpha: float
) -> None:
    estimates = peak * torch.rand(5, 2, 9, 7, generator=torch.Generator().manual_seed(0))
    before = estimates.clone()
    masks = wiener(estimates, alpha, eps=1e-12)
    assert torch.equal(estimates, before)
    total = masks.sum(dim=0)
    assert masks.min() >= 0 and total.max() <= 1 + 1e-6
    if peak == 0:
        assert torch.equal(masks, torch.zeros_like(masks))
    elif peak >= 0.1:
        torch.testing.assert_close(total, torch.ones_like(total), atol=1e-4, rtol=0)


def test_wiener_does_not_depend_on_the_level() -> None:
    estimates = torch.rand(5, 1, 9, 7, generator=torch.Generator().manual_seed(1)) + 0.1
    torch.testing.assert_close(wiener(estimates, 2.0, 1e-12), wiener(8 * estimates, 2.0, 1e-12))


def test_a_larger_exponent_sharpens_the_masks() -> None:
    estimates = torch.tensor([3.0, 1.0]).reshape(2, 1, 1, 1)
    first = [float(wiener(estimates, alpha, 0.0)[0]) for alpha in (0.5, 1.0, 2.0)]
    np.testing.assert_allclose(first, [3**0.5 / (3**0.5 + 1), 0.75, 0.9], rtol=1e-6)
