"""Training IDM: mixtures and their transcriptions only (Torres et al. 2025, section III).

Analysis by synthesis: one-shots made for the kit that is heard, placed at the true onsets with the
amplitudes that are heard, must sound like the mixture. No isolated stem is used.

Differences from the published code, whose released step does not run (reference/idm/SPEC.md,
section 11): onsets drive the sequencer as ones and zeros, mixtures are peak-normalised, and kits
are all that are given, stems never swapped between them.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from drumsep.drums import DRUMS
from drumsep.idm.network import Dimensions, Idm, to_metadata
from drumsep.sampled_kits import SampledKit, credits, read_kits
from drumsep.train.data import Clips, Recipe
from drumsep.train.grooves import read_grooves
from drumsep.train.loop import Batch, Report, TrainOptions, run
from drumsep.train.losses import spectral_loss
from drumsep.train.storing import save

LEARNING_RATE = 5e-3
SECONDS = 6.0
ONSET_WEIGHT = 10.0
SOFTEST = 0.3  # gain of a mixture at least, in GAIN_SHARE of all
GAIN_SHARE = 0.8
VALIDATION_CLIPS = 8
VALIDATION_SEED = 40_000


class IdmTrainee:
    """An `Idm` with its clips and the names of its kits, for `loop.run`."""

    def __init__(self, network: Idm, clips: Clips, batch: int, kits: Sequence[SampledKit]) -> None:
        self.network: nn.Module = network
        self.dimensions = network.dimensions
        self._clips = clips
        self._batch = batch
        self._kits = {kit.name: place for place, kit in enumerate(kits)}

    def batch(self, number: int) -> Batch:
        """Mixtures (B, N), onsets (B, 9, T), kits (B,) and noise for one-shots (B, 9, one_shot)."""
        first = number * self._batch
        rows = [self._example(clip) for clip in range(first, first + self._batch)]
        return tuple(torch.stack(column) for column in zip(*rows, strict=True))

    def _example(self, number: int) -> Batch:
        size = self.dimensions
        kit, mix = self._clips.rendered(number)
        rng = np.random.default_rng((2, number))
        gain = rng.uniform(SOFTEST, 1) if rng.random() < GAIN_SHARE else 1.0
        samples = mix.mixture.mean(axis=0) * np.float32(gain)
        onsets = np.zeros((len(DRUMS), size.stft.frames(len(samples)) + size.growth), np.float32)
        onsets[mix.rendering.drums, mix.rendering.onsets // size.hop] = 1
        noise = rng.standard_normal((len(DRUMS), size.one_shot), dtype=np.float32)
        which = torch.tensor(self._kits[kit.name])
        return torch.from_numpy(samples), torch.from_numpy(onsets), which, torch.from_numpy(noise)

    def loss(self, network: nn.Module, batch: Batch) -> dict[str, Tensor]:
        """Reconstruction, onsets and kit, weighted as published."""
        assert isinstance(network, Idm)
        samples, onsets, kits, noise = batch
        features = network.features(network.log_mel(self._spectrum(samples)))
        curves = network.hit_curves(features)
        kit_logits = network.kit_head(network.kit_features(features).mean(dim=1))
        shots = network.synthesis(kit_logits.softmax(dim=-1), noise, DRUMS)
        shots = shots * network.gains(features.mean(dim=1)).unsqueeze(-1)
        made = sequenced(onsets * curves.amplitudes, shots, self.dimensions.hop, samples.shape[1])
        parts = {
            "sound": spectral_loss(made, samples),
            "onset": functional.binary_cross_entropy_with_logits(curves.onset_logits, onsets),
            "kit": functional.cross_entropy(kit_logits, kits),
        }
        return {"loss": parts["sound"] + ONSET_WEIGHT * parts["onset"] + parts["kit"], **parts}

    def _spectrum(self, samples: Tensor) -> Tensor:
        """Samples (B, N) -> spectrum (B, F, T), padded as in use."""
        stft = self.dimensions.stft
        short = stft.padded_length(samples.shape[1]) - samples.shape[1]
        padded = functional.pad(samples, (0, short))
        return stft.spectrum(functional.pad(padded, (stft.margin, stft.margin), mode="reflect"))

    def validate(self, network: nn.Module) -> dict[str, float]:
        """The negated loss over the last clips before the seed's first, as "score"."""
        device = next(network.parameters()).device
        losses = []
        for number in range(VALIDATION_CLIPS):
            rows = [tensor[None].to(device) for tensor in self._example(VALIDATION_SEED + number)]
            losses.append(float(self.loss(network, tuple(rows))["loss"]))
        return {"score": -float(np.mean(losses))}


def sequenced(amplitudes: Tensor, one_shots: Tensor, hop: int, length: int) -> Tensor:
    """One-shots (B, 9, M) placed at their hits and summed: (B, length).

    `amplitudes` (B, 9, T) are zero but at hits; frame f starts a one-shot at sample f * hop. Only
    the hits are computed: scatter-add, with gradients to both arguments.
    """
    items, drums, frames = torch.nonzero(amplitudes, as_tuple=True)
    size = one_shots.shape[-1]
    total = one_shots.new_zeros(len(amplitudes), length + size)
    for item, drum, frame in zip(items.tolist(), drums.tolist(), frames.tolist(), strict=True):
        start = frame * hop
        if start < length:
            placed = amplitudes[item, drum, frame] * one_shots[item, drum]
            total[item, start : start + size] += placed
    return total[:, :length]


def train(
    options: TrainOptions, report: Report = lambda line: None, dimensions: Dimensions | None = None
) -> Idm:
    """Train an IDM of the published size, but for the number of kits, which is that of the data."""
    kits = read_kits(options.kits, channels=1)
    recipe = replace(Recipe().plainly(), seconds=SECONDS)
    clips = Clips(kits, read_grooves(options.grooves), recipe, options.seed)
    size = replace(dimensions or Dimensions(), kits=len(kits))
    trainee = IdmTrainee(Idm(size), clips, options.batch, kits)
    options = replace(options, learning_rate=LEARNING_RATE, weight_decay=0.0)
    network = run(trainee, options, report)
    assert isinstance(network, Idm)
    source = f"trained on Groove MIDI (CC-BY-4.0) rendered with {credits(kits)}"
    save(network, options, "idm", to_metadata(network.dimensions), source)
    return network
