"""Filter a recording of any length: spectrum, stems and overlap-add, one block of frames at a time.

Every model ends here. It brings a `Masker`, which looks at a block of the mixture's spectrum and
answers with masks, or a `Filter`, which answers with what each stem takes of it. What is kept in
memory is one block, whatever the length of the recording. The result is that of transforming the
whole file at once, up to rounding.
"""

from collections.abc import Iterator
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from drumsep.devices import ahead, fetched, sent
from drumsep.dsp import Stft, masked
from drumsep.results import Samples, Source


class _OfBlocks(Protocol):
    """Asked once per block of a recording's spectrum, in order of time, from frame 0."""

    @property
    def stft(self) -> Stft:
        """The transform whose frames are asked for."""

    @property
    def block(self) -> int:
        """Frames wanted at a time."""

    @property
    def lookahead(self) -> int:
        """Frames beyond the block that are shown as well, where the recording has them."""

    @property
    def device(self) -> torch.device:
        """Where the spectra are computed."""


class Masker(_OfBlocks, Protocol):
    """Masks for a recording."""

    def masks(self, spectrum: Tensor, start: int) -> Tensor:
        """Masks of one block.

        Args:
            spectrum: complex (C, F, T); frame 0 is frame `start` of the recording and T is at most
                block + lookahead.
            start: a multiple of `block`.

        Returns:
            Real masks (K, C or 1, F, min(T, block)).
        """


class Filter(_OfBlocks, Protocol):
    """What stems take of a recording's spectrum."""

    def stems(self, spectrum: Tensor, start: int) -> Iterator[Tensor | None]:
        """Yield each stem's complex (C, F, min(T, block)) of a block, or None where it is silent.

        Spectrum and start are those of `Masker.masks`.
        """


class _ByMasks:
    """The `Filter` that multiplies by the masks of a `Masker`."""

    def __init__(self, masker: Masker) -> None:
        self._masker = masker
        self.stft, self.device = masker.stft, masker.device
        self.block, self.lookahead = masker.block, masker.lookahead

    def stems(self, spectrum: Tensor, start: int) -> Iterator[Tensor | None]:
        """One after another, so that what is in work is small: twice as fast as all together."""
        masks = self._masker.masks(spectrum, start)
        own = spectrum[..., : masks.shape[-1]]
        for mask in torch.split(masks, 1):
            yield masked(own, mask)[0] if mask.amax() > 0 else None


def masked_stems(recording: Source, masker: Masker) -> Iterator[Samples]:
    """Yield the stems of a recording, float32 (K, C, n), n adding up to the recording's length."""
    return filtered_stems(recording, _ByMasks(masker))


def filtered_stems(recording: Source, filter: Filter) -> Iterator[Samples]:
    """Yield the stems of a recording, float32 (K, C, n), n adding up to the recording's length."""
    return ahead(_filtered(recording, filter), filter.device)


def _filtered(recording: Source, filter: Filter) -> Iterator[Samples]:
    stft, device = filter.stft, filter.device
    tail: tuple[Tensor, Tensor] | None = None  # sound and energy that overlap the next block
    position = -stft.margin
    for start, spectrum in spectral_blocks(recording, stft, filter.block, filter.lookahead, device):
        count = min(spectrum.shape[-1], filter.block)
        last = start + count == stft.frames(recording.frames)
        summed = _heard(stft, filter.stems(spectrum, start), len(spectrum), count, device)
        energy = stft.window_energy(count, device)
        if tail is not None:
            overlap = tail[0].shape[-1]
            summed[..., :overlap] += tail[0]
            energy[..., :overlap] += tail[1]
        ready = summed.shape[-1] if last else count * stft.hop
        tail = (summed[..., ready:], energy[..., ready:])
        piece = summed[..., :ready] / energy[..., :ready].clamp_min(1e-11)
        first, stop = max(-position, 0), min(ready, recording.frames - position)
        position += ready
        if stop > first:
            yield fetched(piece[..., first:stop])


def _heard(
    stft: Stft, stems: Iterator[Tensor | None], channels: int, frames: int, device: torch.device
) -> Tensor:
    """The sound of the stems' spectra, (K, C, n); many are silent in a block."""
    length = stft.n_fft + (frames - 1) * stft.hop
    silent = torch.zeros(channels, length, device=device)
    return torch.stack([silent if one is None else stft.overlap_add(one) for one in stems])


def spectral_blocks(
    recording: Source, stft: Stft, block: int, lookahead: int, device: torch.device
) -> Iterator[tuple[int, Tensor]]:
    """Yield (first frame, complex spectrum (C, F, T)) with T <= block + lookahead."""
    for start, samples in framed_blocks(recording, stft, block, lookahead, device):
        yield start, stft.spectrum(samples)


def framed_blocks(
    recording: Source, stft: Stft, block: int, lookahead: int, device: torch.device
) -> Iterator[tuple[int, Tensor]]:
    """Yield (first frame, samples (C, n) of T <= block + lookahead frames)."""
    total = stft.frames(recording.frames)
    pieces = ahead(_padded(recording, stft, block * stft.hop), device)
    held = np.zeros((recording.channels, 0), np.float32)
    for start in range(0, total, block):
        count = min(block + lookahead, total - start)
        needed = stft.n_fft + (count - 1) * stft.hop
        while held.shape[-1] < needed:
            held = np.concatenate([held, next(pieces)], axis=-1)
        yield start, sent(held[:, :needed].copy(), device)
        held = held[:, block * stft.hop :]


def _padded(recording: Source, stft: Stft, size: int) -> Iterator[Samples]:
    """The recording with reflection, zeros to a whole number of hops, and reflection again."""
    margin = stft.margin
    zeros = stft.padded_length(recording.frames) - recording.frames
    pieces = _then_zeros(recording, size, zeros)
    held = np.zeros((recording.channels, 0), np.float32)
    while held.shape[-1] <= margin:
        held = np.concatenate([held, next(pieces)], axis=-1)
    yield held[:, margin:0:-1]
    for piece in pieces:
        yield held[:, : held.shape[-1] - margin - 1]
        held = np.concatenate([held[:, -margin - 1 :], piece], axis=-1)
    yield held
    yield held[:, -2 : -margin - 2 : -1]


def _then_zeros(recording: Source, size: int, zeros: int) -> Iterator[Samples]:
    yield from recording.blocks(size)
    if zeros:
        yield np.zeros((recording.channels, zeros), np.float32)
