"""Training LarsNet: magnitudes of a mixture to those of five stems (Mezza et al. 2024, section 3).

L1 between masked and true magnitudes, clips of one chunk of the network (11.9 s), the paper's
augmentations. Adam with decoupled weight decay off, as the loop's only optimiser is AdamW.
"""

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from drumsep.drums import DRUMS, STEMS
from drumsep.larsnet.network import Dimensions, LarsNet, to_metadata
from drumsep.sampled_kits import credits, read_kits
from drumsep.train.data import PAPER_RECIPE, Clips, Recipe
from drumsep.train.grooves import read_grooves
from drumsep.train.loop import Batch, Report, TrainOptions, run
from drumsep.train.losses import masked_l1
from drumsep.train.stem_recordings import credit, read_stem_recordings
from drumsep.train.storing import save

LEARNING_RATE, BATCH = 1e-4, 8  # unless asked otherwise
VALIDATION_CLIPS = 8
VALIDATION_SEED = 30_000
COMPACT = Dimensions(base=8, nets=1)  # one U-Net with five masks: 2.5 M instead of 49 M weights

_TO_STEMS = np.array([[drum.stem == stem for drum in DRUMS] for stem in STEMS], np.float32)


class LarsNetTrainee:
    """A `LarsNet` with its clips, for `loop.run`."""

    def __init__(self, network: LarsNet, clips: Clips, batch: int, validation: Clips) -> None:
        self.network: nn.Module = network
        self.dimensions = network.dimensions
        self._clips = clips
        self._batch = batch
        self._validation = validation

    def batch(self, number: int) -> Batch:
        """Mixtures (B, 2, N) and stems (B, 5, 2, N)."""
        first = number * self._batch
        return _batch(self._clips, range(first, first + self._batch))

    def loss(self, network: nn.Module, batch: Batch) -> dict[str, Tensor]:
        """L1 of masked magnitudes against those of the stems."""
        mixture, stems = (self._magnitudes(samples) for samples in batch)
        return {"loss": masked_l1(network(mixture), mixture, stems)}

    def validate(self, network: nn.Module) -> dict[str, float]:
        """The negated loss over validation clips, as "score"."""
        device = next(network.parameters()).device
        losses = []
        for number in range(VALIDATION_CLIPS):
            one = tuple(tensor.to(device) for tensor in _batch(self._validation, [number]))
            losses.append(float(self.loss(network, one)["loss"]))
        return {"score": -float(np.mean(losses))}

    def _magnitudes(self, samples: Tensor) -> Tensor:
        """Samples (..., N) -> magnitudes (..., F, T) without the Nyquist frequency."""
        size = self.dimensions
        spectrum = torch.stft(
            samples.flatten(0, -2),
            size.n_fft,
            size.hop,
            window=torch.hann_window(size.n_fft, device=samples.device),
            return_complex=True,
        )
        magnitudes = spectrum.abs()[:, : size.bins, : size.frames]
        return magnitudes.reshape(*samples.shape[:-1], *magnitudes.shape[1:])


def _batch(clips: Clips, numbers: range | list[int]) -> Batch:
    mixes = [clips[number] for number in numbers]
    mixtures = np.stack([mix.mixture for mix in mixes])
    stems = np.stack([np.tensordot(_TO_STEMS, mix.rendering.stems, 1) for mix in mixes])
    return torch.from_numpy(mixtures), torch.from_numpy(stems)


def recipe(dimensions: Dimensions) -> Recipe:
    """The paper's clips, as long as a chunk of the network."""
    return replace(PAPER_RECIPE, seconds=(dimensions.frames - 1) * dimensions.hop / dimensions.rate)


def train(
    options: TrainOptions,
    report: Report = lambda line: None,
    dimensions: Dimensions = COMPACT,
) -> LarsNet:
    """Train a LarsNet, the compact one by default; `Dimensions()` is the published size."""
    grooves = read_grooves(options.grooves)
    kits = read_kits(options.kits)
    recordings = read_stem_recordings(options.stems, needed="stems")
    clips = Clips(kits, grooves, recipe(dimensions), options.seed, recordings)
    other_kits = read_kits(options.validation_kits) if options.validation_kits else kits
    validation = Clips(other_kits, grooves, recipe(dimensions).plainly(), VALIDATION_SEED)
    trainee = LarsNetTrainee(LarsNet(dimensions), clips, options.batch, validation)
    network = run(trainee, replace(options, weight_decay=0.0), report)
    assert isinstance(network, LarsNet)
    source = f"trained on Groove MIDI (CC-BY-4.0) rendered with {credits(kits)}"
    source += credit(options.stems, recordings)
    save(network, options, "larsnet", to_metadata(network.dimensions), source)
    return network
