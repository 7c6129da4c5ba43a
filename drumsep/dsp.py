"""Formulas on tensors: the short-time spectrum, its inverse, and the alpha-Wiener filter. Pure."""

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor


@lru_cache
def _hann(samples: int, device: torch.device) -> Tensor:
    return torch.hann_window(samples, device=device, dtype=torch.float32)


@dataclass(frozen=True)
class Stft:
    """A short-time Fourier transform with a periodic Hann window as long as the transform.

    Centred: frame k sits on sample k * hop. The signal is zero-padded to a multiple of the hop,
    then half a window of reflection is added at both ends, as both published models do.
    """

    n_fft: int  # samples
    hop: int  # samples; divides n_fft, four times for a flat overlap of squared windows

    @property
    def bins(self) -> int:
        """Number of frequencies, DC and Nyquist included."""
        return self.n_fft // 2 + 1

    @property
    def margin(self) -> int:
        """Samples of reflection at each end."""
        return self.n_fft // 2

    def window(self, like: Tensor) -> Tensor:
        """The window, on the device of `like`."""
        return _hann(self.n_fft, like.device)

    def padded_length(self, samples: int) -> int:
        """Length after zero padding: a multiple of the hop, and long enough to be reflected."""
        shortest = self.margin // self.hop + 1
        return self.hop * max(-(-samples // self.hop), shortest)

    def frames(self, samples: int) -> int:
        """Number of frames of a signal of so many samples."""
        return self.padded_length(samples) // self.hop + 1

    def spectrum(self, padded: Tensor) -> Tensor:
        """Transform (..., n_fft + (K - 1) * hop) samples, already padded, into (..., F, K).

        In memory frames lie one after the other, as the inverse wants them: a third of the time of
        masking went into turning them round.
        """
        frames = padded.unfold(-1, self.n_fft, self.hop) * self.window(padded)
        spectrum: Tensor = torch.fft.rfft(frames)
        return spectrum.transpose(-1, -2)

    def overlap_add(self, spectrum: Tensor) -> Tensor:
        """Windowed inverse of (..., F, K), summed: (..., n_fft + (K - 1) * hop), not normalised."""
        pieces = torch.fft.irfft(spectrum.transpose(-1, -2), n=self.n_fft)
        return self._add_shifted(pieces, self.window(pieces))

    def window_energy(self, frames: int, device: torch.device) -> Tensor:
        """Sum of the squared windows of so many frames: what `overlap_add` is divided by."""
        window = _hann(self.n_fft, device)
        return self._add_shifted(window.expand(frames, self.n_fft), window)

    def _add_shifted(self, pieces: Tensor, window: Tensor) -> Tensor:
        """Add pieces (..., K, n_fft) times the window, each one hop later than the one before."""
        *lead, count, _ = pieces.shape
        overlap = self.n_fft // self.hop
        parts = pieces.reshape(*lead, count, overlap, self.hop)
        total = pieces.new_zeros(*lead, count + overlap - 1, self.hop)
        for shift, weight in enumerate(window.view(overlap, self.hop)):
            total[..., shift : shift + count, :].addcmul_(parts[..., shift, :], weight)
        return total.flatten(-2)


def magnitude(spectrum: Tensor) -> Tensor:
    """Magnitudes of a spectrum, of bins from 1e-19 to 1e19; `abs` takes four times as long."""
    return spectrum.real.square().add_(spectrum.imag.square()).sqrt_()


def masked(spectrum: Tensor, masks: Tensor) -> Tensor:
    """Complex spectrum (C, F, T) times real masks (K, C or 1, F, T): complex (K, C, F, T).

    Written over the masks made complex: a plain product would make them complex and then another.
    """
    return masks.expand(-1, *spectrum.shape).to(spectrum.dtype).mul_(spectrum)


def wiener(magnitudes: Tensor, alpha: float, eps: float) -> Tensor:
    """Masks of the alpha-Wiener filter.

    M_k = V_k^alpha / (sum_j V_j^alpha + eps), LarsNet paper eq. 3, after Liutkus and Badeau 2015.

    Args:
        magnitudes: non-negative estimates V of shape (K, C, F, T); K stems compete.
        alpha: exponent, in (0, 2]: 1 shares a bin in proportion, 2 in proportion to power.
        eps: added once to the sum; where every estimate is zero all masks are zero.

    Returns:
        Masks in [0, 1], of the same shape; over K they sum to at most one.
    """
    powers = magnitudes.square() if alpha == 2 else magnitudes.pow(alpha)
    total = torch.full_like(powers[0], eps)  # in the same order in memory, unlike `sum`
    for power in powers:
        total += power
    return powers.mul_(total.reciprocal_())
