"""The encoder of IDM: log-mel spectrograms to frame features, one per hop."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

EPS = 1e-6  # of the normalisations
KERNEL = 7  # frames and bands
REACH = KERNEL // 2
ENTRY_STRIDE = 4  # bands

# The published encoder pads time by three on either side of kernels three wide where bands are
# halved: each of these layers adds four frames and moves the content two frames later.
HALVING, HALVING_PADDING = 3, 3


class Encoder(nn.Module):
    """A two-dimensional ConvNeXt that keeps time and folds the bands (after Liu et al. 2022)."""

    def __init__(self, widths: tuple[int, ...], depths: tuple[int, ...]) -> None:
        super().__init__()
        self.enter = nn.Conv2d(1, widths[0], KERNEL, stride=(ENTRY_STRIDE, 1), padding=(0, REACH))
        self.enter_norm = ChannelNorm(widths[0])
        self.levels = nn.ModuleList(
            nn.Sequential(*(EncoderBlock(width) for _ in range(depth)))
            for width, depth in zip(widths, depths, strict=True)
        )
        self.halvings = nn.ModuleList(
            _halving(before, after) for before, after in zip(widths, widths[1:], strict=False)
        )
        self.norm = nn.LayerNorm(widths[-1], eps=EPS)

    def forward(self, log_mel: Tensor) -> Tensor:
        """Log-mel (B, 1, bands, T) -> features (B, T + growth, C)."""
        image = self.levels[0](self.enter_norm(self.enter(log_mel)))
        for halving, level in zip(self.halvings, self.levels[1:], strict=True):
            image = level(halving(image))
        features: Tensor = self.norm(image.mean(dim=2).transpose(1, 2))
        return features


class EncoderBlock(nn.Module):
    """A residual block on (B, C, bands, T): look around, then mix features."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.around = nn.Conv2d(width, width, KERNEL, padding=REACH, groups=width)
        self.norm = ChannelNorm(width)
        self.widen = nn.Conv2d(width, 4 * width, 1)
        self.narrow = nn.Conv2d(4 * width, width, 1)
        self.scale = nn.Parameter(torch.full((width, 1, 1), 1e-6))

    def forward(self, image: Tensor) -> Tensor:
        """(B, C, bands, T) -> the same shape."""
        mixed = self.narrow(F.gelu(self.widen(self.norm(self.around(image)))))
        return torch.addcmul(image, self.scale, mixed)


class ChannelNorm(nn.Module):
    """Layer normalisation over the C of (B, C, bands, T), without moving it to the end.

    Rows of four to thirty-two features are too short for PyTorch's own: this is twice as fast.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width, 1, 1))
        self.bias = nn.Parameter(torch.zeros(width, 1, 1))

    def forward(self, image: Tensor) -> Tensor:
        """(B, C, bands, T) -> the same shape, mean zero and variance one over C, then affine."""
        centred = image - image.mean(dim=1, keepdim=True)
        variance = centred.square().mean(dim=1, keepdim=True)
        return torch.addcmul(self.bias, centred * (variance + EPS).rsqrt(), self.weight)


def _halving(before: int, after: int) -> nn.Sequential:
    conv = nn.Conv2d(before, after, HALVING, stride=(2, 1), padding=(0, HALVING_PADDING))
    return nn.Sequential(ChannelNorm(before), conv)
