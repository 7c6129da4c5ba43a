"""One second of a drum out of white noise: a temporal convolutional network and an envelope.

Section II-C of the paper. The network holds 85 % of IDM's parameters and took 80 % of the published
code's time on a ten-second loop. Sound is laid out as (batch, time, channels), drums are made one
after another: a drum's tensors then fit the cache, and the convolutions run at 85 % of the peak
of a core, whatever their dilation (twice the speed of (batch of nine, channels, time)).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from drumsep.drums import DRUMS, Drum

HEADROOM = 0.95  # peak of the loudest one-shot, before its envelope
MAX_DECAY = 20.0  # 1/s; the envelope falls at most twice as fast
NORM_EPS = 1e-5

# From this dilation on, samples are laid out as rows of one dilation each, which turns far jumps
# into neighbouring rows; below, the jumps are short enough for the cache.
WIDE = 128  # samples


def exp_sigmoid(x: Tensor) -> Tensor:
    """2 sigmoid(x)^ln(10) + 1e-7: a range of (1e-7, 2] with an exponential foot (DDSP, eq. 5)."""
    return 2 * torch.sigmoid(x) ** 2.302585 + 1e-7


@dataclass(frozen=True)
class SynthesisSize:
    """The sizes of a `Synthesis`."""

    rate: int  # Hz
    kits: int
    channels: int
    blocks: int  # dilation doubles from block to block, from 1
    kernel: int  # taps

    @property
    def conditions(self) -> int:
        """Length of the condition: which drum, and how much of each kit."""
        return len(DRUMS) + self.kits


class Synthesis(nn.Module):
    """White noise to the one-shots of a kit."""

    max_decay: Tensor

    def __init__(self, size: SynthesisSize) -> None:
        super().__init__()
        self.rate = size.rate
        self.enter = nn.Linear(1, size.channels)
        self.blocks = nn.ModuleList(Block(size, 2**depth) for depth in range(size.blocks))
        self.leave = nn.Linear(size.channels, 1)
        self.envelope = nn.Sequential(
            nn.Linear(size.conditions, size.conditions), nn.ReLU(), nn.Linear(size.conditions, 1)
        )
        self.register_buffer("max_decay", torch.tensor(MAX_DECAY))

    def forward(self, kit: Tensor, noise: Tensor, drums: Sequence[Drum]) -> Tensor:
        """One-shots of some drums; the loudest of each item peaks at 0.95 before its envelope.

        Differs from the published code, which takes the peak over the whole batch: there, what an
        item sounds like depends on its neighbours. Among the nine drums it is shared as published.

        Args:
            kit: mixture of kits (B, kits), summing to one.
            noise: standard normal (B, 9, T), one row for every drum, asked for or not.
            drums: at least one; only theirs are made.

        Returns:
            One-shots (B, len(drums), T).
        """
        waves = torch.stack([self.wave(kit, noise, drum) for drum in drums], dim=1)
        peaks = waves.abs().amax(dim=(1, 2), keepdim=True)
        envelopes = torch.stack([self.decay(kit, drum, waves) for drum in drums], dim=1)
        return waves / (peaks + 1e-6) * HEADROOM * envelopes

    def wave(self, kit: Tensor, noise: Tensor, drum: Drum) -> Tensor:
        """What the network makes of one drum's noise, (B, T), before level and envelope."""
        condition = self.condition(kit, drum)
        sound = self.enter(noise[:, drum.position, :, None])
        for block in self.blocks:
            sound = block(sound, condition)
        return self.leave(sound)[..., 0]

    def decay(self, kit: Tensor, drum: Drum, like: Tensor) -> Tensor:
        """Exponential envelope exp(-a t) of one drum, (B, T), as long as `like`."""
        seconds = torch.arange(like.shape[-1], device=like.device) / self.rate
        return torch.exp(-self.decay_rate(kit, drum) * seconds)

    def decay_rate(self, kit: Tensor, drum: Drum) -> Tensor:
        """How fast a drum dies away, (B, 1) in 1/s."""
        return self.max_decay * exp_sigmoid(self.envelope(self.condition(kit, drum)))

    def condition(self, kit: Tensor, drum: Drum) -> Tensor:
        """Which drum (one-hot, 9) and which kit, (B, conditions)."""
        which = torch.zeros(len(kit), len(DRUMS), device=kit.device)
        which[:, drum.position] = 1
        return torch.cat([which, kit], dim=1)


class Block(nn.Module):
    """A causal dilated convolution of normalised sound, modulated by the condition, and a bypass.

    Only the statistics of the normalisation look ahead.
    """

    def __init__(self, size: SynthesisSize, dilation: int) -> None:
        super().__init__()
        self.dilation = dilation
        self.dilated = nn.Conv1d(size.channels, size.channels, size.kernel)
        self.modulation = nn.Linear(size.conditions, 2 * size.channels)
        self.bypass = nn.Linear(size.channels, size.channels)

    def forward(self, sound: Tensor, condition: Tensor) -> Tensor:
        """Sound (B, T, channels) and condition (B, conditions) -> sound (B, T, channels)."""
        scale, shift = self.modulation(condition).unsqueeze(1).chunk(2, dim=-1)
        filtered = self._filtered(_normalised(sound))
        return F.gelu(torch.addcmul(shift, scale, filtered)) + self.bypass(sound)

    def _filtered(self, sound: Tensor) -> Tensor:
        """Causal dilated convolution of (B, T, C), written as one of rows and columns."""
        length = sound.shape[1]
        columns = self.dilation if self.dilation >= WIDE else 1
        past = (self.dilated.kernel_size[0] - 1) * self.dilation
        padded = F.pad(sound, (0, 0, past, -length % columns))
        grid = padded.unflatten(1, (-1, columns)).permute(0, 3, 1, 2)  # (B, C, rows, columns)
        filtered = F.conv2d(
            grid,
            self.dilated.weight.unsqueeze(-1),
            self.dilated.bias,
            dilation=(self.dilation // columns, 1),
        )
        return filtered.permute(0, 2, 3, 1).flatten(1, 2)[:, :length]


def _normalised(sound: Tensor) -> Tensor:
    """(B, T, C) with mean zero and variance one over time, for each item and channel.

    In two passes: sounds reach 1e5, and PyTorch's own batch and instance normalisations are 30 dB
    less exact or slower on this layout.
    """
    centred = sound - sound.mean(dim=1, keepdim=True)
    variance = centred.square().mean(dim=1, keepdim=True)
    return centred * (variance + NORM_EPS).rsqrt()
