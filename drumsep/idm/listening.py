"""First pass over a recording: hit curves frame by frame, and what describes it as a whole.

The network is convolutional up to its frame features, so it may run on stretches that overlap by
its reach; the kit and the gains are functions of means over the whole recording, kept as sums.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from drumsep.devices import blocks_at_once
from drumsep.drums import DRUMS
from drumsep.idm.network import Idm
from drumsep.masking import spectral_blocks
from drumsep.recording import Recording
from drumsep.results import Progress, Samples

CHUNK = 2048  # frames computed at a time by a CPU, beside the context they need


@dataclass(frozen=True, eq=False)
class Heard:
    """What the network hears in a recording; 72 bytes per frame, 45 MB per hour."""

    onsets: Samples  # (9, frames), probabilities
    amplitudes: Samples  # (9, frames), of a one-shot that starts in this frame, in (0, 2]
    kit: Tensor  # (1, kits), mixture of the kits the network knows
    gains: Samples  # (9,), of the drums' tracks


@torch.inference_mode()
def listen(
    network: Idm, recording: Recording, progress: Progress, batch: int | None = None
) -> Heard:
    """Run the encoder and its heads over a recording of any length, in bounded memory.

    Equal to one pass over the whole, up to rounding. `batch` is that of `Options`.
    """
    size = network.dimensions
    frames = size.stft.frames(recording.frames) + size.growth
    onsets = np.empty((len(DRUMS), frames), np.float32)
    amplitudes = np.empty_like(onsets)
    sums = torch.zeros(2, 1, size.widths[-1], dtype=torch.float64)
    chunk = CHUNK * blocks_at_once(network.mel_filters.device, batch)
    for here, kept, log_mel in _stretches(network, recording, frames, chunk):
        features = network.features(log_mel)
        curves = network.hit_curves(features)
        onsets[:, here] = curves.onset_logits[0, :, kept].sigmoid().cpu().numpy()
        amplitudes[:, here] = curves.amplitudes[0, :, kept].cpu().numpy()
        own = features[:, kept]
        sums += torch.stack([own, network.kit_features(own)]).double().sum(dim=2).cpu()
        progress("listening", here.stop / frames)
    mean, kit_mean = (sums / frames).float().to(network.mel_filters.device)
    return Heard(onsets, amplitudes, network.kit(kit_mean), network.gains(mean)[0].cpu().numpy())


def _stretches(
    network: Idm, recording: Recording, frames: int, chunk: int
) -> Iterator[tuple[slice, slice, Tensor]]:
    """Yield (frames of the recording, which frames of the stretch they are, its log-mel).

    The log-mel is (1, bands, T). Its context is cut at the ends of the recording, where the network
    pads as it does in one pass.
    """
    size = network.dimensions
    total = frames - size.growth
    device = network.mel_filters.device
    spectra = spectral_blocks(Monitor(recording), size.stft, chunk, 0, device)
    held = torch.zeros(1, size.bands, 0, device=device)
    held_from = 0
    for start in range(0, frames, chunk):
        stop = min(start + chunk, frames)
        first, last = max(start - size.past, 0), min(stop + size.future, total)
        while held_from + held.shape[-1] < last:
            _, spectrum = next(spectra)
            held = torch.cat([held, network.log_mel(spectrum)], dim=-1)
        held = held[..., first - held_from :]
        held_from = first
        yield slice(start, stop), slice(start - first, stop - first), held[..., : last - first]


@dataclass(frozen=True, eq=False)
class Monitor:
    """The peak-normalised mono signal of a recording, as a `Source` of one channel."""

    recording: Recording
    channels = 1

    @property
    def rate(self) -> int:
        """Samples per second."""
        return self.recording.rate

    @property
    def frames(self) -> int:
        """Length in samples."""
        return self.recording.frames

    def blocks(self, size: int) -> Iterator[Samples]:
        """Yield float32 (1, n) with n <= size."""
        for block in self.recording.mono_blocks(size):
            yield block[None]
