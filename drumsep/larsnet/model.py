"""A LarsNet at work: chunks of the mixture's spectrum -> masks -> alpha-Wiener filter -> stems.

The network hears chunks of fixed length, counted from the start of the recording. In stereo and
without overlap this is the published result; what the published code refuses is defined here:
- Mono is doubled, and a stem is the mean of the two channels that the network makes of it.
- More than two channels are taken in pairs, the last of an odd number like mono.
- Recordings shorter than half a window are padded with zeros, and keep their length.
- With `Options.overlap`, neighbouring chunks share frames, and their masks are cross-faded.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from drumsep import onsets
from drumsep.devices import blocks_at_once, rounded_products
from drumsep.drums import STEMS
from drumsep.dsp import Stft, magnitude, wiener
from drumsep.errors import DrumsepError
from drumsep.larsnet.layers import CHANNELS
from drumsep.larsnet.network import LarsNet, frames_heard
from drumsep.masking import masked_stems
from drumsep.recording import Recording
from drumsep.results import Kit, Options, Progress, Samples, Transcription
from drumsep.separator import Analysis, Transcriber, heard_by

ALPHA = 1.0  # exponent of the Wiener filter in the paper's results
EPS = 1e-7  # added to the filter's sum, in units of the spectrum to the power of alpha
FEW = 32  # frames filtered at a time: what is in work then fits the cache
BY_ONSETS = "no transcriber is installed: the hits were found by onset detection in the stems"


@dataclass(frozen=True, eq=False)
class LarsNetModel:
    """A `separator.Model`: masks from the network, hits from a transcriber, or from the stems."""

    network: LarsNet
    name: str
    transcriber: Transcriber | None = None

    @property
    def rate(self) -> int:
        """Sample rate of the network, in Hz."""
        return self.network.dimensions.rate

    def transcribe(
        self, recording: Recording, options: Options, progress: Progress
    ) -> Transcription:
        """Find the hits with the transcriber; without one, separate and look for onsets."""
        if self.transcriber is None:
            return onsets.transcribe(
                self._mono_stems(recording, options, progress), self.rate, options.thresholds
            )
        return heard_by(self.transcriber, recording, options, progress)

    def analyse(self, recording: Recording, options: Options, progress: Progress) -> Analysis:
        """Find the hits, or take `options.hits`; the masks do not depend on them.

        Raises:
            DrumsepError: nine stems or an adaptation are asked for, or a kit is given.
        """
        if options.stems != len(STEMS):
            raise DrumsepError(f"{self.name} separates {len(STEMS)} stems, not {options.stems}")
        if options.adapt:
            raise DrumsepError(
                f"{self.name} has no templates to adapt, asked for {options.adapt} updates"
            )
        if options.kit:
            raise DrumsepError(f"{self.name} plays no kit, so it cannot start from yours")
        transcription = options.hits
        by_onsets = transcription is None and self.transcriber is None
        if transcription is None:
            transcription = self.transcribe(recording, options, progress)
        return Analysis(
            names=STEMS,
            transcription=transcription,
            stems=lambda: self._stems(recording, options),
            kit=lambda: Kit(()),
            warnings=(BY_ONSETS,) if by_onsets else (),
        )

    def _stems(self, recording: Recording, options: Options) -> Iterator[Samples]:
        return masked_stems(recording, ChunkMasker(self.network, options))

    def _mono_stems(
        self, recording: Recording, options: Options, progress: Progress
    ) -> Iterator[Samples]:
        """The stems mixed as the recording is for listening, float32 (stem, n), peak-normalised."""
        scale = recording.weights / (recording.peak or 1.0)
        done = 0
        for block in self._stems(recording, options):
            yield np.tensordot(block, scale, axes=(1, 0)).astype(np.float32)
            done += block.shape[-1]
            progress("transcribe", done / recording.frames)


class ChunkMasker:
    """Masks for one pass over one recording: a `masking.Masker`, made anew for each pass.

    A block is as many chunks as are heard at once, and `lookahead` frames that the last one shares
    with the next. What a chunk says of shared frames is kept until the next one is there to be
    cross-faded with.
    """

    def __init__(self, network: LarsNet, options: Options) -> None:
        size = network.dimensions
        self.stft = Stft(size.n_fft, size.hop)
        self.device = next(network.parameters()).device
        self.lookahead = round(options.overlap * size.frames)
        self._at_once = blocks_at_once(self.device, options.batch)
        self._step = size.frames - self.lookahead  # frames from one chunk to the next
        self.block = self._at_once * self._step
        self._network = network
        self._alpha = (options.alpha or ALPHA) if options.mask else None
        self._shared = torch.zeros(0)  # masks (5, C, F, n): of the first frames of the next chunk

    @torch.inference_mode()
    def masks(self, spectrum: Tensor, start: int) -> Tensor:
        """Spectrum (C, F, T) of a block -> masks (5, C, F, min(T, block))."""
        magnitudes = _in_pairs(magnitude(spectrum))
        starts = range(0, min(magnitudes.shape[-1], self.block), self._step)
        frames = self._network.dimensions.frames
        chunks = [magnitudes[..., first : first + frames] for first in starts]
        told = start + starts[-1] > 0 and chunks[-1].shape[-1] <= self.lookahead
        heard = self._heard(chunks[:-1] if told else chunks)
        masks = [self._cross_faded(own) for own in heard]
        if told:  # the chunk before the last reached the end of the recording
            masks.append(self._shared)
        masks = [self._filtered(*pair) for pair in zip(masks, chunks, strict=True)]
        return _as_recorded(torch.cat(masks, dim=-1) if len(masks) > 1 else masks[0], len(spectrum))

    def _filtered(self, masks: Tensor, magnitudes: Tensor) -> Tensor:
        """Masks (5, C, F, T) of a chunk, filtered in place where a filter is asked for."""
        if self._alpha is None:
            return masks
        heard = magnitudes[..., : masks.shape[-1]]
        pieces = (torch.split(all_frames, FEW, dim=-1) for all_frames in (masks, heard))
        for some, own in zip(*pieces, strict=True):
            some[:] = wiener(some.mul_(own), self._alpha, EPS)
        return masks

    def _cross_faded(self, masks: Tensor) -> Tensor:
        """Masks (5, C, F, T) of a chunk up to the next, faded in from the previous chunk's."""
        shared = self._shared
        count = shared.shape[-1]
        self._shared = masks[..., self._step :].clone()
        if count:
            rising = (torch.arange(count, device=masks.device) + 0.5) / count
            masks[..., :count] = shared.lerp(masks[..., :count], rising)
        return masks[..., : self._step]

    def _heard(self, chunks: Sequence[Tensor]) -> list[Tensor]:
        """Masks (5, C, F, T) that the network gives chunks of magnitudes (C, F, T)."""
        masks = [_empty_masks(chunk) for chunk in chunks]
        sounding = []
        for chunk, own in zip(chunks, masks, strict=True):
            pairs = torch.split(chunk, CHANNELS), torch.split(own, CHANNELS, dim=1)
            for pair, of_pair in zip(*pairs, strict=True):
                if pair.any():
                    sounding.append((pair, of_pair))
                else:
                    of_pair.zero_()  # any mask of silence is exact
        for first in range(0, len(sounding), self._at_once):
            self._hear(*zip(*sounding[first : first + self._at_once], strict=True))
        return masks

    def _hear(self, pairs: Sequence[Tensor], masks: Sequence[Tensor]) -> None:
        """Write the masks (5, 2, F, T) that the network gives to pairs of channels (2, F, T).

        The published network hears a short chunk padded with zeros to its full length; those that
        change nothing are left out.
        """
        longest = max(pair.shape[-1] for pair in pairs)
        length = min(frames_heard(longest), self._network.dimensions.frames)
        padded = torch.stack(
            [F.pad(pair.mT[..., :-1], (0, 0, 0, length - pair.shape[-1])) for pair in pairs]
        )
        for own in masks:
            own[:, :, -1:] = 0  # the Nyquist frequency is lost as published
        shares = [own.chunk(len(self._network)) for own in masks]
        for number, net in enumerate(self._network.values()):
            with rounded_products(self.device):
                made = net(padded.mT, longest)
            for share, stems in zip(shares, made, strict=True):
                own = share[number]
                own[:, :, :-1] = stems[..., : own.shape[-1]]


def _empty_masks(magnitudes: Tensor) -> Tensor:
    """Room for the masks (5, C, F, T) of a chunk; frames lie one after another in memory."""
    channels, bins, frames = magnitudes.shape
    return magnitudes.new_empty(len(STEMS), channels, frames, bins).mT


def _in_pairs(magnitudes: Tensor) -> Tensor:
    """Magnitudes (C, F, T) with an even number of channels: the last of an odd number doubled."""
    return torch.cat([magnitudes, magnitudes[-1:]]) if len(magnitudes) % 2 else magnitudes


def _as_recorded(masks: Tensor, channels: int) -> Tensor:
    """Masks (5, C, F, T) for the recording's own channels: the mean of both for a doubled one."""
    if masks.shape[1] == channels:
        return masks
    return torch.cat([masks[:, :-2], masks[:, -2:].mean(dim=1, keepdim=True)], dim=1)
