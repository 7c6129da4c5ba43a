"""What training minimises."""

import torch
from torch import Tensor
from torch.nn import functional

ONSET_EMPHASIS = 2.0  # how much more a marked frame counts than an empty one, less one
RESOLUTIONS = (2048, 1024, 512, 256)  # samples, of the spectral loss
FLATNESS_FFT = 512  # samples
FLATNESS_RANGE = 1e-4  # of the quadratic mean of the magnitudes
ONSET_SCALE = 20.0  # brings the mean over mostly empty frames near 1


def onset_loss(logits: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
    """Binary cross-entropy of onset logits (B, 9, T) with targets 0..1, marked frames emphasised.

    `weights` (B, 9, T) are 0 where nobody could tell.
    """
    loss = functional.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    return ONSET_SCALE * (loss * weights * (1 + ONSET_EMPHASIS * targets)).mean()


def velocity_loss(velocities: Tensor, truth: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
    """Mean square error of velocities (B, 9, T) 0..1 at the frames of hits (target 1).

    Hits whose true velocity is 0, not known, count neither way.
    """
    hits = (targets == 1) & (weights > 0) & (truth > 0)
    error = torch.where(hits, (velocities - truth).square(), 0)
    return error.sum() / hits.sum().clamp(min=1)


def masked_l1(masks: Tensor, mixture: Tensor, stems: Tensor) -> Tensor:
    """Mean |mask * mixture - stem| over magnitudes (Mezza et al. 2024, eq. 1).

    Masks and stems are (B, 5, C, F, T), the mixture (B, C, F, T).
    """
    return functional.l1_loss(masks * mixture.unsqueeze(1), stems)


def spectral_loss(made: Tensor, truth: Tensor) -> Tensor:
    """Multi-resolution spectral loss of sounds (B, N) (Yamamoto et al. 2020; weights as in IDM).

    Per resolution, with magnitudes floored at 1e-4: spectral convergence, plus the mean distances
    of log magnitudes and of magnitudes; averaged over RESOLUTIONS.
    """
    total = made.new_zeros(())
    for size in RESOLUTIONS:
        guess, target = (_magnitudes(sound, size) for sound in (made, truth))
        convergence = (target - guess).norm() / target.norm()
        log_distance = functional.l1_loss(guess.log(), target.log())
        total = total + convergence + log_distance + functional.l1_loss(guess, target)
    return total / len(RESOLUTIONS)


def log_flatness(sounds: Tensor) -> Tensor:
    """Logarithm of the spectral flatness of sounds (B, N) over time and frequency, (B,), at most 0.

    Geometric over quadratic mean of the magnitudes: 0 if all are alike, whatever their level. What
    is FLATNESS_RANGE below the quadratic mean cannot be heard, and is raised to there.
    """
    magnitudes = _magnitudes(sounds, FLATNESS_FFT)
    root = magnitudes.square().mean(dim=(1, 2), keepdim=True).sqrt()
    return torch.log((magnitudes / root).clamp(min=FLATNESS_RANGE)).mean(dim=(1, 2))


def _magnitudes(sound: Tensor, size: int) -> Tensor:
    """Sound (B, N) -> magnitudes (B, F, T), Hann window of `size`, hop a quarter of it."""
    window = torch.hann_window(size, device=sound.device)
    spectrum = torch.stft(sound, size, size // 4, window=window, return_complex=True)
    return (spectrum.real.square() + spectrum.imag.square()).clamp(min=1e-8).sqrt()
