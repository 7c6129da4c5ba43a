"""LarsNet: magnitudes of a stereo drum mixture in, one soft mask per stem and channel out.

Five equal U-Nets, one per stem (Mezza et al. 2024, section 3.1), or one compact U-Net that makes
all five masks.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from drumsep import stored_networks
from drumsep.drums import STEMS
from drumsep.errors import DrumsepError
from drumsep.larsnet.layers import (
    AHEAD,
    CHANNELS,
    Decoder,
    Encoder,
    Halving,
    LastDecoder,
    MaskLayer,
)
from drumsep.stored_networks import Sizes, check_state, read_dimensions

KIND = "larsnet"

DEPTH = 6  # encoders, and decoders
STEP = 1 << DEPTH  # bins and frames must be a multiple of this
DROPPED = 3  # decoders that are followed by dropout in training
SHARED = "drums"  # name of the one U-Net of the compact variant


@dataclass(frozen=True)
class Dimensions(Sizes):
    """The sizes of a `LarsNet`; the defaults are the published network."""

    rate: int = 44100  # Hz
    n_fft: int = 4096  # samples
    hop: int = 1024  # samples
    frames: int = 512  # of a chunk
    base: int = 16  # channels of the first encoder, doubled by each of the following five
    nets: int = 5  # 5: one U-Net per stem; 1: one U-Net with five pairs of output channels

    def __post_init__(self) -> None:
        if self.bins % STEP or self.frames % STEP:
            raise DrumsepError(
                f"LarsNet takes multiples of {STEP} bins and frames, "
                f"got {self.bins} and {self.frames}"
            )
        if self.base < 1:
            raise DrumsepError(f"LarsNet needs at least 1 channel, got {self.base}")
        if self.nets not in (1, len(STEMS)):
            raise DrumsepError(f"LarsNet has 1 or {len(STEMS)} U-Nets, got {self.nets}")

    @property
    def bins(self) -> int:
        """Frequencies the networks see: all but the Nyquist frequency."""
        return self.n_fft // 2

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the U-Nets, the first part of the names of their weights."""
        return STEMS if self.nets == len(STEMS) else (SHARED,)

    @property
    def stems(self) -> int:
        """Stems that one U-Net masks."""
        return len(STEMS) // self.nets

    @property
    def widths(self) -> tuple[int, ...]:
        """Channels after each encoder."""
        return tuple(self.base * 2**depth for depth in range(DEPTH))


class LarsNet(nn.ModuleDict):
    """The bag of U-Nets: each hears the whole mixture, none hears another."""

    def __init__(self, dimensions: Dimensions | None = None) -> None:
        self.dimensions = size = dimensions or Dimensions()
        super().__init__({name: UNet(size) for name in size.names})
        # Convolutions to or from few channels are faster with the channels innermost.
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, magnitudes: Tensor) -> Tensor:
        """Magnitudes (B, 2, F, T), Nyquist frequency left out -> masks (B, 5, 2, F, T) in (0, 1).

        F is `dimensions.bins`; T is any multiple of `STEP`, and `dimensions.frames` in training.
        """
        return torch.cat([net(magnitudes) for net in self.values()], dim=1)


class UNet(nn.Module):
    """Six encoders halve bins and frames, six decoders double them, joined level by level."""

    def __init__(self, size: Dimensions) -> None:
        super().__init__()
        self.input_norm = nn.BatchNorm2d(size.bins)  # "FreqBN": statistics per frequency
        *levels, deepest = size.widths
        self.encoders = nn.ModuleList(
            Encoder(before, after)
            for before, after in zip((CHANNELS, *levels), levels, strict=False)
        )
        # The published sixth encoder has a norm as well, which nothing listens to.
        self.bottleneck = Halving(levels[-1], deepest)
        upwards = levels[::-1]
        heard = (deepest, *(2 * width for width in upwards))  # the skip and the level below
        self.decoders = nn.ModuleList(
            Decoder(before, after, dropout=0.5 if depth < DROPPED else 0.0)
            for depth, (before, after) in enumerate(zip(heard, upwards, strict=False))
        )
        masks = CHANNELS * size.stems
        self.last_decoder = LastDecoder(heard[-1], masks)
        self.mask = MaskLayer(size.stems)

    def forward(self, magnitudes: Tensor, frames: int | None = None) -> Tensor:
        """Magnitudes (B, 2, F, T) -> masks (B, stems, 2, F, frames) in (0, 1).

        Decoders leave out what the first frames do not depend on, where only those are wanted.
        """
        frames = frames or magnitudes.shape[-1]
        # Frames lie one after another in memory, as in a spectrum: images are (B, C, T, F).
        features = self.input_norm(magnitudes.transpose(1, 2)).permute(0, 2, 3, 1)
        skips = []
        for encoder in self.encoders:
            skip, features = encoder(features)
            skips.append(skip)
        features = self.bottleneck(features)
        *needed, whole = _needed(frames)
        features = self.decoders[0](features[:, :, : needed[0]])
        for decoder, count in zip(self.decoders[1:], needed[1:], strict=True):
            joined = [image[:, :, :count] for image in (skips.pop(), features)]
            features = decoder(torch.cat(joined, dim=1))
        features = self.last_decoder(skips.pop()[:, :, :whole], features[:, :, :whole])
        masks: Tensor = self.mask(features)[:, :, :frames].sigmoid().transpose(2, 3)
        return masks.reshape(len(masks), -1, CHANNELS, *masks.shape[2:])


def frames_heard(frames: int) -> int:
    """Frames of a chunk that the masks of its first frames depend on, a multiple of `STEP`.

    Frame n of an encoder comes of its input up to 2 n + 2.
    """
    return STEP * (_needed(frames)[0] + 1)


def _needed(frames: int) -> list[int]:
    """Frames that each decoder has to hear for the first frames of the masks.

    Frame n of a decoder comes of its input up to n // 2 + 1.
    """
    last = frames - 1 + AHEAD
    needed = []
    for _ in range(DEPTH):
        last = last // 2 + 1
        needed.append(last + 1)
    return needed[::-1]


def to_metadata(dimensions: Dimensions) -> dict[str, str]:
    """The strings stored beside the weights in their safetensors file."""
    return stored_networks.to_metadata(KIND, dimensions.to_dict())


def shapes(dimensions: Dimensions) -> dict[str, torch.Size]:
    """Names and shapes of the weights and statistics of a network of these dimensions."""
    with torch.device("meta"):
        return {name: value.shape for name, value in LarsNet(dimensions).state_dict().items()}


def from_state(state: Mapping[str, Tensor], metadata: Mapping[str, str]) -> LarsNet:
    """The network that `state` and `metadata` of a safetensors file describe, ready to run.

    Weights may be stored in half precision and become float32.

    Raises:
        DrumsepError: the weights are of another kind or do not fit the dimensions.
    """
    dimensions = Dimensions.from_dict(read_dimensions(metadata, KIND))
    check_state(state, shapes(dimensions), "LarsNet weights")
    with torch.device("meta"):  # a random start of 49 M numbers would take longer than the load
        network = LarsNet(dimensions)
    network.load_state_dict({name: _ready(value) for name, value in state.items()}, assign=True)
    return network.eval()


def _ready(value: Tensor) -> Tensor:
    """Single precision, and the channels of a convolution innermost as in a new `LarsNet`.

    More exactly the channels of its transpose, which is what `Halving` and the others take.
    Always a copy: a tensor that is still in its file keeps all of the file (197 MB) in memory.
    """
    if not value.is_floating_point():
        return value.clone()
    value = value.to(torch.float32, copy=True)
    if value.ndim < 4:
        return value
    return value.transpose(2, 3).contiguous(memory_format=torch.channels_last).transpose(2, 3)
