"""The inverse drum machine as tensors to tensors (Torres, Peeters and Richard 2025, section II).

spectrum -> log-mel -> frame features -> onset logits and velocities
                                      -> means over the recording -> kit mixture, track gains
kit mixture and noise -> one-shots (`synthesis`)

Every nine-drum axis is in the order of `DRUMS`. Letters: B items, T frames or samples, C features.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from drumsep import stored_networks
from drumsep.drums import DRUMS
from drumsep.dsp import Stft
from drumsep.errors import DrumsepError
from drumsep.idm.encoder import ENTRY_STRIDE, HALVING, HALVING_PADDING, KERNEL, REACH, Encoder
from drumsep.idm.shaping import Shaping, ShapingSize
from drumsep.idm.synthesis import Synthesis, SynthesisSize, exp_sigmoid
from drumsep.stored_networks import Sizes, check_state, read_dimensions

KIND = "idm"

LOG_FLOOR = 1e-6  # power added before the logarithm


@dataclass(frozen=True)
class Dimensions(Sizes):
    """The sizes of an `Idm`; the defaults are the published network."""

    rate: int = 44100  # Hz
    n_fft: int = 1024  # samples
    hop: int = 256  # samples
    bands: int = 128  # mel
    widths: tuple[int, ...] = (4, 8, 16, 32)  # features of each level of the encoder
    depths: tuple[int, ...] = (3, 3, 9, 3)  # blocks of each level
    kits: int = 6  # that the network was trained on
    gain_width: int = 8  # hidden features of a track's gain
    channels: int = 48  # of the synthesis
    blocks: int = 12  # of the synthesis
    kernel: int = 15  # taps of its convolutions
    one_shot: int = 44100  # samples
    shaped: bool = False  # one-shots by `shaping`, `channels` wide, instead of `synthesis`

    def __post_init__(self) -> None:
        if len(self.widths) != len(self.depths) or not self.widths:
            raise DrumsepError(f"widths {self.widths} and depths {self.depths} do not match")
        if self.rows < 1:
            raise DrumsepError(f"{self.bands} mel bands are too few for {len(self.widths)} levels")

    @property
    def stft(self) -> Stft:
        """The transform of the front end and of the masks."""
        return Stft(self.n_fft, self.hop)

    @property
    def frame_rate(self) -> float:
        """Frames per second."""
        return self.rate / self.hop

    @property
    def rows(self) -> int:
        """Rows of bands that are left after the last level of the encoder."""
        rows = (self.bands - KERNEL) // ENTRY_STRIDE + 1
        for _ in self.widths[1:]:
            rows = (rows - HALVING) // 2 + 1
        return rows

    @property
    def growth(self) -> int:
        """Frames that features have more than their log-mel spectrum."""
        return (len(self.widths) - 1) * (2 * HALVING_PADDING - HALVING + 1)

    @property
    def past(self) -> int:
        """Log-mel frames before frame f that hit curves at f depend on (69 as published)."""
        return self._blocks_reach + (len(self.widths) - 1) * HALVING_PADDING

    @property
    def future(self) -> int:
        """Log-mel frames after frame f that hit curves at f depend on (57 as published)."""
        return self._blocks_reach - (len(self.widths) - 1) * (HALVING_PADDING - HALVING + 1)

    @property
    def _blocks_reach(self) -> int:
        """Frames to either side of the first convolution, all blocks and the hit head."""
        return (1 + sum(self.depths) + 1) * REACH


COMPACT = Dimensions(  # ours: of many kits, and trained in hours
    widths=(8, 16, 32, 64), depths=(1, 2, 6, 3), channels=128, one_shot=66150, shaped=True
)


class HitCurves(NamedTuple):
    """What is played when: one curve for every drum."""

    onset_logits: Tensor  # (B, 9, T)
    amplitudes: Tensor  # (B, 9, T), of the one-shot if it starts in this frame, in (0, 2]


class Idm(nn.Module):
    """The stages of IDM; each is a method from tensors to tensors."""

    mel_filters: Tensor

    def __init__(self, dimensions: Dimensions | None = None) -> None:
        super().__init__()
        self.dimensions = size = dimensions or Dimensions()
        width = size.widths[-1]
        self.register_buffer("mel_filters", mel_filters(size))
        self.encoder = Encoder(size.widths, size.depths)
        self.hits = HitHead(width)
        self.kit_norm = nn.LayerNorm(width)
        self.kit_head = nn.Sequential(
            nn.Linear(width, width), nn.ReLU(), nn.Linear(width, size.kits)
        )
        self.gain_heads = nn.ModuleList(_gain_head(width, size.gain_width) for _ in DRUMS)
        self.synthesis = _synthesis(size)

    def log_mel(self, spectrum: Tensor) -> Tensor:
        """Spectrum (B, F, T), complex, of peak-normalised mono -> log-mel power (B, bands, T)."""
        power = spectrum.real.square() + spectrum.imag.square()
        return (self.mel_filters @ power + LOG_FLOOR).log()

    def features(self, log_mel: Tensor) -> Tensor:
        """Log-mel (B, bands, T) -> frame features (B, T + growth, C).

        Feature f belongs to sample f * hop: training has undone the lag that the padding of the
        encoder causes. A stretch of the log-mel gives the features of the whole where it has
        `past` and `future` frames of context, or the recording ends.
        """
        features: Tensor = self.encoder(log_mel.unsqueeze(1))
        return features

    def hit_curves(self, features: Tensor) -> HitCurves:
        """Features (B, T, C) -> onset logits and amplitudes, each (B, 9, T)."""
        curves: HitCurves = self.hits(features)
        return curves

    def kit_features(self, features: Tensor) -> Tensor:
        """Features (B, T, C) -> those (B, T, C) whose mean over the recording tells the kit."""
        normalised: Tensor = self.kit_norm(features)
        return normalised

    def kit(self, mean: Tensor) -> Tensor:
        """Mean of the kit features (B, C) -> mixture of the trained kits (B, kits), sum one."""
        mixture: Tensor = self.kit_head(mean).softmax(dim=-1)
        return mixture

    def gains(self, mean: Tensor) -> Tensor:
        """Mean of the features (B, C) -> one gain for every drum's track (B, 9), in (0, 2]."""
        return exp_sigmoid(torch.cat([head(mean) for head in self.gain_heads], dim=-1))


class HitHead(nn.Module):
    """Onset logits and amplitudes of nine drums from frame features."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.around = nn.Conv1d(width, width, KERNEL, padding=REACH)
        self.onset = nn.Linear(width, len(DRUMS))
        self.amplitude = nn.Linear(width, len(DRUMS))

    def forward(self, features: Tensor) -> HitCurves:
        """Features (B, T, C) -> curves (B, 9, T)."""
        seen = F.relu(self.around(features.transpose(1, 2))).transpose(1, 2)
        logits, amplitudes = self.onset(seen), exp_sigmoid(self.amplitude(seen))
        return HitCurves(logits.transpose(1, 2), amplitudes.transpose(1, 2))


def _synthesis(size: Dimensions) -> Synthesis | Shaping:
    if size.shaped:
        return Shaping(ShapingSize(size.rate, size.kits, size.channels, size.one_shot))
    return Synthesis(SynthesisSize(size.rate, size.kits, size.channels, size.blocks, size.kernel))


def _gain_head(width: int, hidden: int) -> nn.Sequential:
    """Mean features (B, width) -> (B, 1)."""
    return nn.Sequential(
        nn.Linear(width, hidden),
        nn.LeakyReLU(0.01),
        nn.Linear(hidden, hidden),
        nn.LeakyReLU(0.01),
        nn.Linear(hidden, 1),
    )


def mel_filters(size: Dimensions) -> Tensor:
    """Triangles of height one (bands, bins), evenly spread over mel from 0 Hz to half the rate.

    mel(f) = 2595 log10(1 + f / 700) (O'Shaughnessy 1987). The lowest triangles fall between two
    bins and are empty, as in the published checkpoint, which stores its own (equal to 1.1e-5).

    They are always computed: arithmetic without numbers ("meta") imports a compiler, 1.5 s long.
    """
    highest = 2595 * math.log10(1 + size.rate / 2 / 700)
    evenly = partial(torch.linspace, dtype=torch.float64, device="cpu")
    mels = evenly(0, highest, size.bands + 2)
    edges = 700 * (10 ** (mels / 2595) - 1)
    bins = evenly(0, size.rate / 2, size.stft.bins)
    rising = (bins - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - bins) / (edges[2:] - edges[1:-1])[:, None]
    return torch.minimum(rising, falling).clamp(min=0).float()


def shapes(dimensions: Dimensions) -> dict[str, torch.Size]:
    """Names and shapes of the weights; whatever dimensions are claimed, nothing is allocated."""
    with torch.device("meta"):
        return {name: value.shape for name, value in Idm(dimensions).state_dict().items()}


def to_metadata(dimensions: Dimensions) -> dict[str, str]:
    """The strings that `from_state` needs beside the weights."""
    return stored_networks.to_metadata(KIND, dimensions.to_dict())


def from_state(state: Mapping[str, Tensor], metadata: Mapping[str, str]) -> Idm:
    """The network that the tensors and strings of a safetensors file describe, ready to run.

    Raises:
        DrumsepError: of another kind, or the weights do not fit the dimensions.
    """
    dimensions = Dimensions.from_dict(read_dimensions(metadata, KIND))
    check_state(state, shapes(dimensions), "IDM weights")
    with torch.device("meta"):
        network = Idm(dimensions)
    network.load_state_dict({name: value.float() for name, value in state.items()}, assign=True)
    return network.eval()
