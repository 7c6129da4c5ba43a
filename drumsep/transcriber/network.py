"""A transcriber: log-mel spectrograms in, onsets and velocities of nine drums out.

A pyramid of small two-dimensional convolutions folds frequency, each halving the bands; then
residual dilated convolutions look about 2.6 s to either side, frame by frame. Nothing pools over
time, so a long recording may be cut into blocks: with `context` frames more on either side,
blocks give what the whole gives.
"""

import copy
import math
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from drumsep.drums import DRUMS
from drumsep.dsp import magnitude
from drumsep.stored_networks import Sizes

LOUDNESS = 1000.0  # log-mel is log(1 + LOUDNESS * magnitude): linear below -60 dB of full scale
KERNEL = 3  # frames and bands of every convolution that looks around
RARE = -4.0  # logit of an onset in a network that has learnt nothing: most frames have none
RESOLUTIONS = 2  # windows: the long one tells pitches apart, the short one hits
HALVINGS = 4  # of the bands
PIECE = 250  # frames that are transformed at a time
GROUP = 32  # bands whose filters are applied together: over half of all filters' bins are zero
STRETCH = 750  # frames whose frequency is folded at a time


@dataclass(frozen=True)
class Dimensions(Sizes):
    """The sizes of a `Transcriber`; the defaults are the first of the shipped networks."""

    rate: int = 44100  # Hz
    long_n_fft: int = 2048  # samples, and the long window
    short_n_fft: int = 512  # samples, and the short window
    hop: int = 441  # samples
    bands: int = 128  # mel bands of each window
    lowest: float = 30.0  # Hz
    highest: float = 16000.0  # Hz
    detail: int = 0  # channels of a convolution of all bands; 0: they are halved at once
    channels: int = 24  # of the first that halves them; the following have 2, 3 and 4 times as many
    features: int = 192  # per frame, after frequency is folded
    blocks: int = 8  # dilated convolutions, dilation doubling from 1
    dropout: float = 0.0  # what it hears is varied enough

    @property
    def frame_rate(self) -> float:
        """Frames per second."""
        return self.rate / self.hop


SECOND = Dimensions(  # of the shipped networks: it listens longer, so that toms have a pitch
    long_n_fft=4096, short_n_fft=1024, detail=8, channels=16, features=128, blocks=7
)


class Transcriber(nn.Module):
    """Onsets and velocities of nine drums from peak-normalised mono drums at `dimensions.rate`."""

    long_window: Tensor
    short_window: Tensor
    long_filters: Tensor
    short_filters: Tensor

    def __init__(self, dimensions: Dimensions | None = None) -> None:
        super().__init__()
        self.dimensions = size = dimensions or Dimensions()
        self._spans: dict[int, list[tuple[int, int]]] = {}  # by length of the window
        for name, n_fft in (("long", size.long_n_fft), ("short", size.short_n_fft)):
            filters = mel_filters(size, n_fft)
            self.register_buffer(f"{name}_window", _window(n_fft), persistent=False)
            self.register_buffer(f"{name}_filters", filters, persistent=False)
            self._spans[n_fft] = _spans(filters)

        first = size.detail or RESOLUTIONS
        widths = [first, *(size.channels * times for times in range(1, HALVINGS + 1))]
        self.pyramid = nn.Sequential(
            *([_Convolution(RESOLUTIONS, first, stride=1)] if size.detail else []),
            *(_Convolution(*pair, stride=2) for pair in zip(widths, widths[1:], strict=False)),
        )
        folded = size.bands // 2**HALVINGS
        self.enter = nn.Sequential(
            _Fold(widths[-1], folded, size.features),
            nn.BatchNorm2d(size.features),
            nn.ReLU(inplace=True),
            nn.Dropout(size.dropout),
        )
        self.blocks = nn.ModuleList(
            _Dilated(size.features, 2**depth, size.dropout) for depth in range(size.blocks)
        )
        self.leave = _OverTime(size.features, 2 * len(DRUMS), 1)
        nn.init.constant_(self.leave.bias[: len(DRUMS)], RARE)  # type: ignore[index]

    @property
    def context(self) -> int:
        """Frames on either side that an output frame depends on, the analysis window included."""
        around = KERNEL // 2
        dilated = around * ((1 << self.dimensions.blocks) - 1)  # the sum of all dilations
        window = math.ceil(self.dimensions.long_n_fft / 2 / self.dimensions.hop)
        return around * len(self.pyramid) + dilated + window

    def log_mel(self, samples: Tensor) -> Tensor:
        """Log-mel spectrograms of mono audio with a peak of 1.

        `samples` (B, N) -> (B, 2, bands, T), T = 1 + N // hop; frame f is centred on sample
        f * hop, and silence is 0. The axis of 2 is the long and the short window.
        """
        return compressed(self.mel(samples))

    def mel(self, samples: Tensor) -> Tensor:
        """Magnitudes per mel band, proportional to the samples; shaped as `log_mel`."""
        both = [
            self._mel(samples, self.long_window, self.long_filters),
            self._mel(samples, self.short_window, self.short_filters),
        ]
        return torch.stack(both, dim=1)

    def _mel(self, samples: Tensor, window: Tensor, filters: Tensor) -> Tensor:
        """Magnitudes (B, bands, T) of samples (B, N); one is a sine of amplitude one.

        A piece at a time: the spectra of a whole recording would be new memory, twice as slow.
        """
        size, hop = len(window), self.dimensions.hop
        padded = functional.pad(samples, (size // 2, size // 2))
        frames = 1 + samples.shape[-1] // hop
        pieces = []
        for start in range(0, frames, PIECE):
            stop = min(start + PIECE, frames)
            piece = padded[:, start * hop : (stop - 1) * hop + size]
            bins = torch.stft(piece, size, hop, window=window, center=False, return_complex=True)
            heard = magnitude(bins[:, : filters.shape[1]])
            groups = zip(torch.split(filters, GROUP), self._spans[size], strict=True)
            pieces.append(torch.cat([own[:, a:b] @ heard[:, a:b] for own, (a, b) in groups], dim=1))
        return torch.cat(pieces, dim=-1)

    def forward(self, log_mel: Tensor) -> tuple[Tensor, Tensor]:
        """Log-mel (B, 2, bands, T) -> onset logits (B, 9, T) and velocities 0..1 (B, 9, T)."""
        features = self._folded(log_mel.contiguous(memory_format=torch.channels_last))
        for block in self.blocks:
            features = features + block(features)
        onsets, velocities = self.leave(features).squeeze(2).chunk(2, dim=1)
        return onsets, velocities.sigmoid()

    def _folded(self, image: Tensor) -> Tensor:
        """Features (B, features, 1, T) of an image (B, 2, bands, T), frequency folded.

        A stretch at a time, which fits a cache, with the frames around it that it looks at; in
        training all at once, as normalisations then depend on all of it.
        """
        frames, around = image.shape[-1], KERNEL // 2 * len(self.pyramid)
        length = frames if self.training else STRETCH
        stretches = []
        for start in range(0, frames, length):
            first, stop = max(start - around, 0), start + length + around
            stretch = self.pyramid(image[..., first:stop])
            stretches.append(self.enter(stretch[..., start - first :][..., :length]))
        return torch.cat(stretches, dim=-1)


class _Convolution(nn.Sequential):
    """Convolve (B, C, bands, T) into bands / stride."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__(
            nn.Conv2d(before, after, KERNEL, stride=(stride, 1), padding=KERNEL // 2, bias=False),
            nn.BatchNorm2d(after),
            nn.ReLU(inplace=True),
        )


class _Fold(nn.Conv1d):
    """All bands of a frame at once: (B, C, bands, T) -> (B, features, 1, T).

    Its weights (features, C * bands, 1) are in the order of a flattened image, channels first.
    """

    def __init__(self, channels: int, bands: int, features: int) -> None:
        super().__init__(channels * bands, features, 1, bias=False)
        self._bands = bands

    def forward(self, image: Tensor) -> Tensor:
        """Convolve as an image, whose channels lie innermost: flattening it would copy it."""
        kernel = self.weight.view(len(self.weight), -1, self._bands, 1)
        return functional.conv2d(image, _channels_last(kernel), self.bias)


class _OverTime(nn.Conv1d):
    """A convolution of features (B, C, 1, T) over time, as an image: twice as fast as a row."""

    def __init__(
        self, before: int, after: int, kernel: int, dilation: int = 1, bias: bool = True
    ) -> None:
        super().__init__(before, after, kernel, dilation=dilation, bias=bias)
        self._around = dilation * (kernel // 2)

    def forward(self, features: Tensor) -> Tensor:
        """(B, before, 1, T) -> (B, after, 1, T)."""
        kernel = _channels_last(self.weight.unsqueeze(2))
        return functional.conv2d(
            features,
            kernel,
            self.bias,
            padding=(0, self._around),
            dilation=(1, *self.dilation),
        )


def _channels_last(kernel: Tensor) -> Tensor:
    return kernel.contiguous(memory_format=torch.channels_last)


class _Dilated(nn.Sequential):
    """What one residual block adds to its features (B, C, 1, T)."""

    def __init__(self, features: int, dilation: int, dropout: float) -> None:
        super().__init__(
            _OverTime(features, features, KERNEL, dilation, bias=False),
            nn.BatchNorm2d(features),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
            _OverTime(features, features, 1),
        )


def fused(network: Transcriber) -> Transcriber:
    """A copy for running: normalisations folded into the convolutions before them."""
    fast = copy.deepcopy(network).eval()
    for part in fast.modules():
        if isinstance(part, nn.Sequential):
            _fuse(part)
    return fast.to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


def _fuse(layers: nn.Sequential) -> None:
    """Fold every normalisation of a chain into the convolution before it, in place."""
    for place, norm in enumerate(layers):
        if isinstance(norm, nn.BatchNorm2d):
            convolution = cast("nn.Conv2d", layers[place - 1])  # or one-dimensional
            layers[place - 1] = fuse_conv_bn_eval(convolution, norm)
            layers[place] = nn.Identity()


def compressed(mel: Tensor) -> Tensor:
    """Magnitudes as the network takes them: linear below -60 dB, logarithmic above."""
    return torch.log1p(LOUDNESS * mel)


def mel_filters(size: Dimensions, n_fft: int) -> Tensor:
    """Triangular filters of unit sum (bands, bins up to the highest heard), evenly over mel.

    mel(f) = 2595 log10(1 + f / 700) (O'Shaughnessy 1987). Bands narrower than the distance of two
    bins take the nearest bin, so that none is empty.
    """
    spacing = size.rate / n_fft  # Hz
    lowest, highest = (2595 * math.log10(1 + hz / 700) for hz in (size.lowest, size.highest))
    mels = torch.linspace(lowest, highest, size.bands + 2, dtype=torch.float64)
    edges = 700 * (10 ** (mels / 2595) - 1)
    low, middle, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    bins = torch.arange(n_fft // 2 + 1, dtype=torch.float64) * spacing
    filters = torch.minimum((bins - low) / (middle - low), (high - bins) / (high - middle))
    nearest = (bins - middle).abs().argmin(dim=1, keepdim=True)
    filters = filters.clamp(min=0).scatter_reduce(
        1, nearest, torch.full_like(nearest, 0.5, dtype=torch.float64), "amax"
    )
    heard = int(filters.any(dim=0).nonzero().max()) + 1
    return (filters / filters.sum(dim=1, keepdim=True))[:, :heard].float()


def _spans(filters: Tensor) -> list[tuple[int, int]]:
    """The bins that each GROUP of filters (bands, bins) hears, from the first to the last."""
    heard = [group.any(dim=0).nonzero() for group in torch.split(filters, GROUP)]
    return [(int(bins[0]), int(bins[-1]) + 1) for bins in heard]


def _window(n_fft: int) -> Tensor:
    """A Hann window (n_fft,), scaled so that a sine of amplitude 1 has a bin of magnitude 1."""
    return torch.hann_window(n_fft) * 4 / n_fft
