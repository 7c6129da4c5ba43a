"""One-shots as shaped noise and a low waveform: a synthesis that trains on a CPU.

Harmonics-plus-noise synthesis (Serra and Smith 1990; with learned controls, Engel et al. 2020), cut
down to drums. What a drum rings at is low and the same at every stroke: a waveform of a few
thousand samples holds it. All else is noise whose spectrum changes from the stroke on; its level is
given at a few bands and a few times, and interpolated between them.

It takes the place of the published temporal convolutional network (`synthesis`), whose 400,000
training steps are out of reach of a CPU.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from drumsep.drums import DRUMS, Drum
from drumsep.idm.synthesis import conditions

NOISE_FFT, NOISE_HOP = 512, 128  # samples, of the transform in which noise is shaped
BANDS = 48  # at which its level is given, evenly spread over mel
POINTS = 24  # of time at which it is given, denser near the stroke
FIRST_LEVEL, FIRST_DECAY = -4.0, -5.0  # log amplitude before training, and its slope per second
COARSENESS = 20  # samples per sample of the waveform, which thus ends at 1.1 kHz
RINGING = 0.8  # s, that the waveform lasts
MARGIN = 1.1  # length of the waveform with zeros after it: its interpolation is circular
FIRST_RINGING = 0.01  # of the waveform's weights before training


@dataclass(frozen=True)
class ShapingSize:
    """The sizes of a `Shaping`."""

    rate: int  # Hz
    kits: int
    width: int  # hidden features of what a drum of a kit sounds like
    one_shot: int  # samples

    @property
    def frames(self) -> int:
        """Of the transform in which noise is shaped."""
        return self.one_shot // NOISE_HOP + 1

    @property
    def ringing(self) -> int:
        """Samples of the waveform, at its own rate."""
        return min(round(RINGING * self.rate), self.one_shot) // COARSENESS


class Shaping(nn.Module):
    """Kits and noise to one-shots; a substitute for `synthesis.Synthesis`."""

    def __init__(self, size: ShapingSize) -> None:
        super().__init__()
        self.size = size
        self.sound = nn.Sequential(
            nn.Linear(len(DRUMS) + size.kits, size.width),
            nn.GELU(),
            nn.Linear(size.width, size.width),
            nn.GELU(),
        )
        self.levels = nn.Linear(size.width, POINTS * BANDS)
        self.ringing = nn.Linear(size.width, size.ringing)
        self._begin(lag_points(size.frames) * (NOISE_HOP / size.rate))

    def _begin(self, seconds: Tensor) -> None:
        """Start from noise that dies away, and from next to no waveform."""
        with torch.no_grad():
            fading = FIRST_LEVEL + FIRST_DECAY * seconds
            self.levels.bias.copy_(fading.repeat_interleave(BANDS))
            self.ringing.weight.mul_(FIRST_RINGING)
            self.ringing.bias.mul_(FIRST_RINGING)

    def forward(self, kits: Tensor, noise: Tensor, drums: Sequence[Drum]) -> Tensor:
        """Kits (B, kits) and noise (B, 9, T) to one-shots (B, D, T), as `Synthesis.forward`."""
        sound = self.sound(conditions(kits, drums))
        own_noise = noise[:, [drum.position for drum in drums]]
        return self._noise(sound, own_noise) + self._waveform(sound)

    def _noise(self, sound: Tensor, noise: Tensor) -> Tensor:
        """What the drum sounds like (B, D, width) and noise (B, D, T) -> shaped noise (B, D, T)."""
        levels = self.levels(sound).unflatten(-1, (POINTS, BANDS))
        frames, bins = self.size.frames, NOISE_FFT // 2 + 1
        over_time = interpolation(lag_points(frames), frames).to(levels)
        over_frequency = interpolation(band_centres(self.size.rate), bins).to(levels)
        gains = (over_time @ levels @ over_frequency.T).exp().mT.flatten(0, 1)
        window = torch.hann_window(NOISE_FFT, device=noise.device)
        spectrum = torch.stft(
            noise.flatten(0, 1), NOISE_FFT, NOISE_HOP, window=window, return_complex=True
        )
        shaped = torch.istft(
            spectrum * gains, NOISE_FFT, NOISE_HOP, window=window, length=noise.shape[-1]
        )
        return shaped.view_as(noise)

    def _waveform(self, sound: Tensor) -> Tensor:
        """What the drum sounds like (B, D, width) -> what it rings with (B, D, T)."""
        coarse = self.ringing(sound)
        padded = F.pad(coarse, (0, round(MARGIN * self.size.ringing) - self.size.ringing))
        length = padded.shape[-1] * COARSENESS
        fine = torch.fft.irfft(torch.fft.rfft(padded), n=length) * COARSENESS
        return F.pad(fine, (0, self.size.one_shot - length))


def lag_points(frames: int) -> Tensor:
    """Positions (POINTS,) from frame 0 to the last, each gap a factor wider than the one before."""
    even = torch.linspace(0, 1, POINTS, device="cpu")  # see `network.mel_filters`
    return frames**even - 1


def band_centres(rate: int) -> Tensor:
    """Positions (BANDS,) among the bins of the noise's transform, from 0 Hz to half the rate."""
    highest = torch.log1p(torch.tensor(rate / 2 / 700))
    frequencies = 700 * torch.expm1(torch.linspace(0, 1, BANDS) * highest)
    return frequencies * (NOISE_FFT / rate)


def interpolation(positions: Tensor, count: int) -> Tensor:
    """Weights (count, len(positions)) that interpolate linearly from positions to 0 .. count - 1.

    Positions ascend from 0 to count - 1.
    """
    whole = torch.arange(count, dtype=torch.float32)
    after = torch.searchsorted(positions, whole).clamp(1, len(positions) - 1)
    start, stop = positions[after - 1], positions[after]
    share = ((whole - start) / (stop - start)).clamp(0, 1)
    weights = torch.zeros(count, len(positions))
    rows = torch.arange(count)
    weights[rows, after - 1] = 1 - share
    weights[rows, after] = share
    return weights
