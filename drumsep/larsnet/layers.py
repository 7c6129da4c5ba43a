"""Layers of LarsNet's U-Nets, on images (B, C, T, F): frames lie one after another in memory.

The arithmetic is the published one; where a layer is slow on a CPU, an equal and faster form of it
is computed.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

CHANNELS = 2  # of the mixture and of each mask: left and right
KERNEL = 5  # bins and frames
AHEAD = 3  # frames that the mask layer looks ahead, and bins
SLOPE = 0.2  # of the leaky rectifier in the encoders


class Halving(nn.Conv2d):
    """A convolution of images (B, C, T, F) by kernels of (F, T) that halves frames and bins."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__(before, after, KERNEL, stride=2, padding=KERNEL // 2)

    def forward(self, image: Tensor) -> Tensor:
        """(B, before, T, F) -> (B, after, T / 2, F / 2)."""
        kernel = self.weight.transpose(2, 3)
        return F.conv2d(image, kernel, self.bias, self.stride, self.padding)


class Doubling(nn.ConvTranspose2d):
    """A transposed convolution of images (B, C, T, F) by kernels of (F, T)."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__(before, after, KERNEL, stride=2, padding=KERNEL // 2, output_padding=1)

    def forward(self, image: Tensor) -> Tensor:  # type: ignore[override]
        """(B, before, T, F) -> (B, after, 2 T, 2 F)."""
        kernel = self.weight.transpose(2, 3)
        return F.conv_transpose2d(image, kernel, self.bias, 2, KERNEL // 2, 1)


class MaskLayer(nn.Conv2d):
    """The last convolution of images (B, C, T, F), with kernels of (F, T), every stem's own."""

    def __init__(self, stems: int) -> None:
        super().__init__(
            CHANNELS * stems, CHANNELS * stems, 4, padding=AHEAD, dilation=2, groups=stems
        )

    def forward(self, image: Tensor) -> Tensor:
        """(B, 2 * stems, T, F) -> the same shape."""
        kernel = self.weight.transpose(2, 3)
        return F.conv2d(image, kernel, self.bias, 1, self.padding, self.dilation, self.groups)


class Norm(nn.BatchNorm2d):
    """Batch normalisation that overwrites its input where it may: no page of memory is new.

    The channels of all bins of a frame, which lie side by side in memory, are one row: the few of
    a single bin would not fill a vector.
    """

    def forward(self, image: Tensor) -> Tensor:
        """(B, C, T, F) -> the same shape."""
        if self.training or torch.is_grad_enabled():
            return super().forward(image)
        assert self.running_mean is not None and self.running_var is not None
        scale = self.weight * (self.running_var + self.eps).rsqrt()
        shift = self.bias - self.running_mean * scale
        channels, bins = image.shape[1], image.shape[3]
        rows = image.permute(0, 2, 3, 1).flatten(2)
        torch.addcmul(shift.repeat(bins), rows, scale.repeat(bins), out=rows)
        return rows.view(*rows.shape[:2], bins, channels).permute(0, 3, 1, 2)


class Encoder(nn.Module):
    """Halve frames and bins; the published skip is taken before the norm and the rectifier."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.conv = Halving(before, after)
        self.norm = nn.BatchNorm2d(after)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """(B, before, T, F) -> skip and features, each (B, after, T / 2, F / 2)."""
        skip = self.conv(features)
        return skip, F.leaky_relu(self.norm(skip), SLOPE, inplace=True)


class Decoder(nn.Module):
    """Double frames and bins, rectify, then normalise: the order of the published code."""

    def __init__(self, before: int, after: int, dropout: float) -> None:
        super().__init__()
        self.conv = Doubling(before, after)
        self.norm = Norm(after)
        self.dropout = nn.Dropout(dropout)

    def forward(self, features: Tensor) -> Tensor:
        """(B, before, T, F) -> (B, after, 2 T, 2 F)."""
        rectified = F.relu(self.conv(features), inplace=True)
        normed: Tensor = self.dropout(self.norm(rectified))
        return normed


class LastDecoder(nn.Module):
    """A `Decoder` to full resolution and few channels, where the plain form is three times slower.

    Along either axis, output 2 m + p with p in (0, 1) takes tap 4 - 2 t + p of the kernel from
    input m - 1 + t with t in (0, 1, 2); tap 5, which does not exist, is zero. So the four phases p
    of the output are channels of a 3x3 convolution, interleaved afterwards. Two neighbouring bins
    at a time, by a kernel four bins wide, they are 16 channels, which fill a vector. It is the sum
    of the convolutions of its two inputs: to join them first would take as long as to convolve.
    """

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.conv = Doubling(before, after)
        self.norm = Norm(after)

    def forward(self, skip: Tensor, features: Tensor) -> Tensor:
        """Two of (B, before / 2, T, F) -> (B, after, 2 T, 2 F); F is even."""
        of_skip, of_features = (
            half.contiguous(memory_format=torch.channels_last)
            for half in self._kernel().chunk(2, dim=1)
        )
        assert self.conv.bias is not None
        bias = self.conv.bias.repeat(8)
        phases = F.conv2d(skip, of_skip, bias, stride=(1, 2), padding=1)
        phases += F.conv2d(features, of_features, stride=(1, 2), padding=1)
        batch, _, frames, pairs = phases.shape
        phases = F.relu(phases, inplace=True).permute(0, 2, 3, 1)
        by_frame = phases.reshape(batch, frames, pairs, 2, -1).transpose(2, 3)
        image = by_frame.reshape(batch, 2 * frames, 4 * pairs, -1)
        normed: Tensor = self.norm(image.permute(0, 3, 1, 2))
        return normed

    def _kernel(self) -> Tensor:
        """(8 * after, before, 3, 4); its outputs are (phase of T, neighbour, phase of F, after)."""
        taps = F.pad(self.conv.weight.transpose(2, 3), (0, 1, 0, 1))
        taps = taps.reshape(*taps.shape[:2], 3, 2, 3, 2)
        # (before, after, t, p, t, p) -> (p, p, after, before, t, t)
        phases = taps.flip(2, 4).permute(3, 5, 1, 0, 2, 4)
        return torch.stack([F.pad(phases, (0, 1)), F.pad(phases, (1, 0))], dim=1).flatten(0, 3)
