"""One second of a drum out of white noise: a temporal convolutional network and an envelope.

Section II-C of the paper. The network holds 85 % of IDM's parameters and took 80 % of the published
code's time on a ten-second loop. Sound is laid out as (T, C), one-shots are made one after another,
and what scales channels is folded into weights. Where no gradients are asked for, convolutions take
a third of the multiplications (`filtering`), a block is one pass through memory, and the first
block is filtered as the single channel it is.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from drumsep.drums import DRUMS, Drum
from drumsep.idm.filtering import Line

HEADROOM = 0.95  # peak of the loudest one-shot, before its envelope
MAX_DECAY = 20.0  # 1/s; the envelope falls at most twice as fast
NORM_EPS = 1e-5
PEAK_EPS = 1e-6
STRETCH = 2048  # samples whose squares are taken at a time

# From this dilation on, sound is laid out as rows of one dilation each, which turns far jumps into
# neighbouring rows; below, the jumps are short enough for the cache.
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
        """Length of a condition (`conditions`)."""
        return len(DRUMS) + self.kits


def conditions(kits: Tensor, drums: Sequence[Drum]) -> Tensor:
    """Which drum, one-hot, and which kit, as one vector: kits (B, kits) -> (B, D, 9 + kits)."""
    rows = [drum.position for drum in drums]
    which = torch.eye(len(DRUMS), device=kits.device)[rows].expand(len(kits), -1, -1)
    return torch.cat([which, kits.unsqueeze(1).expand(-1, len(rows), -1)], dim=-1)


class Synthesis(nn.Module):
    """White noise to the one-shots of a kit."""

    max_decay: Tensor

    def __init__(self, size: SynthesisSize) -> None:
        super().__init__()
        self.rate, self.taps = size.rate, size.kernel
        self.enter = nn.Linear(1, size.channels)
        self.blocks = nn.ModuleList(Block(size, 2**depth) for depth in range(size.blocks))
        self.leave = nn.Linear(size.channels, 1)
        self.envelope = nn.Sequential(
            nn.Linear(size.conditions, size.conditions), nn.ReLU(), nn.Linear(size.conditions, 1)
        )
        self.register_buffer("max_decay", torch.tensor(MAX_DECAY))

    def forward(self, kits: Tensor, noise: Tensor, drums: Sequence[Drum]) -> Tensor:
        """One-shots of some drums for a batch of recordings.

        Args:
            kits: mixtures of the trained kits (B, kits), each summing to one.
            noise: standard normal (B, 9, T), one row for every drum, asked for or not.
            drums: at least one; only theirs are made.

        Returns:
            One-shots (B, len(drums), T), equal to those of each item alone.
        """
        items = zip(kits, noise, strict=True)
        return torch.stack([self.one_shots(kit, own_noise, drums) for kit, own_noise in items])

    def one_shots(self, kit: Tensor, noise: Tensor, drums: Sequence[Drum]) -> Tensor:
        """One-shots (len(drums), T) of one kit (kits,) from noise (9, T).

        The loudest peaks at 0.95 before its envelope. The published code takes that peak over its
        whole batch, so that what an item sounds like depends on its neighbours; among the nine
        drums of an item it is shared as published.
        """
        waves = torch.stack([self.wave(kit, noise[drum.position], drum) for drum in drums])
        envelopes = torch.stack([self.decay(kit, drum, noise.shape[-1]) for drum in drums])
        return waves / (waves.abs().max() + PEAK_EPS) * HEADROOM * envelopes

    def wave(self, kit: Tensor, noise: Tensor, drum: Drum) -> Tensor:
        """What the network makes of noise (T,), as (T,), before level and envelope."""
        condition = self.condition(kit, drum)
        if not torch.is_grad_enabled():
            return self._fast_wave(condition, noise)
        sound: Tensor = self.enter(noise.unsqueeze(1))
        for block in self.blocks:
            sound = block(sound, condition)
        wave: Tensor = self.leave(sound)
        return wave.squeeze(1)

    def _fast_wave(self, condition: Tensor, noise: Tensor) -> Tensor:
        """The same as (T,), without gradients.

        What is constant over time is kept apart, as `level`: every block takes the mean away.
        """
        first, *rest = cast("list[Block]", list(self.blocks))
        sound, level = first.of_one_channel(noise, self.enter, condition)
        dilations = [block.dilation for block in rest]
        line, spare = (Line(sound, self.taps, dilations) for _ in range(2))
        for block in rest:
            level = block.write(line, spare, level, condition)
            line, spare = spare, line
        wave: Tensor = line.sound @ self.leave.weight[0] + self.leave(level)
        return wave

    def decay(self, kit: Tensor, drum: Drum, length: int) -> Tensor:
        """Envelope exp(-a t) of a drum, (length,)."""
        seconds = torch.arange(length, device=kit.device) / self.rate
        return torch.exp(-self.decay_rate(kit, drum) * seconds)

    def decay_rate(self, kit: Tensor, drum: Drum) -> Tensor:
        """How fast a drum dies away, (1,) in 1/s."""
        return self.max_decay * exp_sigmoid(self.envelope(self.condition(kit, drum)))

    def condition(self, kit: Tensor, drum: Drum) -> Tensor:
        """The condition (conditions,) of one drum of one kit (kits,)."""
        return conditions(kit[None], [drum])[0, 0]


class Block(nn.Module):
    """A causal dilated convolution of normalised sound, modulated by the condition, and a bypass.

    norm -> convolution -> scale and shift -> GELU, plus a linear map of the input. Only the
    statistics of the normalisation look ahead.
    """

    def __init__(self, size: SynthesisSize, dilation: int) -> None:
        super().__init__()
        self.dilation = dilation
        self.dilated = nn.Conv1d(size.channels, size.channels, size.kernel)
        self.modulation = nn.Linear(size.conditions, 2 * size.channels)
        self.bypass = nn.Linear(size.channels, size.channels)

    def forward(self, sound: Tensor, condition: Tensor) -> Tensor:
        """Sound (T, C) and condition (conditions,) -> sound (T, C)."""
        # In two passes: sounds reach 1e5, and PyTorch's own normalisations lose 30 dB here.
        centred = sound - sound.mean(dim=0)
        deviation = (centred.square().mean(dim=0) + NORM_EPS).sqrt()
        scale, shift = self.modulation(condition).chunk(2)
        weight = self.dilated.weight * scale[:, None, None] / deviation[:, None]
        bias = self.dilated.bias * scale + shift
        filtered = causal_convolution(centred, weight, bias, self.dilation)
        bypassed: Tensor = self.bypass(sound)
        return bypassed + F.gelu(filtered)

    def of_one_channel(
        self, noise: Tensor, enter: nn.Linear, condition: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The block on `enter(noise)`, noise (T,): sound (T, C) and the level (C,) to add to it.

        All channels are the noise times a factor, so the filters of a channel add up to one.
        """
        factors, mean = enter.weight[:, 0], noise.mean()
        centred = noise - mean
        deviation = (factors.square() * centred.square().mean() + NORM_EPS).sqrt()
        scale, shift = self.modulation(condition).chunk(2)
        taps = (self.dilated.weight * (factors / deviation)[:, None]).sum(dim=1) * scale[:, None]
        heard = F.pad(centred, (taps.shape[1] - 1, 0)).unfold(0, taps.shape[1], 1)
        sound = F.gelu(torch.addmm(self.dilated.bias * scale + shift, heard, taps.T))
        sound.addr_(centred, self.bypass.weight @ factors)
        return sound, self.bypass(enter(mean[None]))

    def write(self, line: Line, into: Line, level: Tensor, condition: Tensor) -> Tensor:
        """The block on the sound of a line plus a level (C,), written into another line.

        Returns:
            The level (C,) to add to what was written.
        """
        mean, deviation = _statistics(line.sound)
        scale, shift = self.modulation(condition).chunk(2)
        weight = self.dilated.weight * scale[:, None, None] / deviation[:, None]
        bias = self.dilated.bias * scale + shift
        for piece in line.pieces(mean, weight, bias, self.dilation):
            sound = F.gelu(piece.filtered).addmm_(piece.heard, self.bypass.weight.T)
            into.put(piece, sound, self.dilation)
        bypassed: Tensor = self.bypass(mean + level)
        return bypassed


def _statistics(sound: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation (C,) of sound (T, C), in two passes that fit the cache."""
    mean = sound.mean(dim=0)
    power = torch.zeros_like(mean)
    for piece in torch.split(sound, STRETCH):
        centred = piece - mean
        power += centred.mul_(centred).sum(dim=0)
    return mean, (power / len(sound) + NORM_EPS).sqrt()


def causal_convolution(sound: Tensor, weight: Tensor, bias: Tensor, dilation: int) -> Tensor:
    """Convolve (T, C) with weight (C', C, taps), looking `dilation` samples back per tap.

    Written as a two-dimensional convolution of (rows, columns), channels last, which is fast.
    """
    length = len(sound)
    columns = dilation if dilation >= WIDE else 1
    past = (weight.shape[-1] - 1) * dilation
    padded = F.pad(sound, (0, 0, past, -length % columns))
    grid = padded.view(1, -1, columns, sound.shape[1]).permute(0, 3, 1, 2)
    step = dilation // columns
    filtered = F.conv2d(grid, weight.unsqueeze(-1), bias, dilation=(step, 1))
    return filtered.permute(0, 2, 3, 1).flatten(0, 2)[:length]
