"""Stretches of a recording in bands, with the hits that lie in them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from drumsep.adaptation.bands import pooled
from drumsep.adaptation.fitting import Hearing
from drumsep.adaptation.pieces import PIECE, heard
from drumsep.adaptation.strokes import STFT, Placement, place
from drumsep.dsp import magnitude
from drumsep.recording import Recording
from drumsep.second_look.case import Case, Mask

TAIL = 40  # frames, 0.5 s: what is listened to of a hit, and beyond a piece


@dataclass(frozen=True, eq=False)
class Scene:
    """A stretch of a recording, in mono and in bands, and the hits that lie in it."""

    magnitudes: Tensor  # (T, B)
    samples: tuple[Tensor, ...]  # (C, n) each, of the pieces
    hearing: Hearing
    inside: Mask  # (H,)

    def powers(self, bands: slice, sides: bool) -> Tensor:
        """Powers in bands (C, T, B'): in mono (C = 1), or of all channels, in single bins."""
        if not sides:
            return self.magnitudes[None, :, bands].square()
        spectra = [STFT.spectrum(piece)[:, bands] for piece in self.samples]
        channels = torch.cat(spectra, dim=2).transpose(1, 2)
        return channels.real.square() + channels.imag.square()


def joined(recording: Recording, chosen: Sequence[int], case: Case, device: torch.device) -> Scene:
    """Some pieces of a recording, end to end."""
    pieces = list(_in_bands(recording, chosen, 0, device))
    placed = [
        place(case.strokes, first, first + len(magnitudes), TAIL) for first, magnitudes, _ in pieces
    ]
    hearing = Hearing(Placement.joined(placed), case.strokes, device)
    magnitudes = torch.cat([magnitudes for _, magnitudes, _ in pieces])
    samples = tuple(samples for _, _, samples in pieces)
    return Scene(magnitudes, samples, hearing, np.isin(case.pieces, chosen))


def apart(
    recording: Recording, numbers: Sequence[int], case: Case, device: torch.device
) -> Iterator[Scene]:
    """Yield pieces of a recording one by one, with what follows them."""
    for first, magnitudes, samples in _in_bands(recording, numbers, TAIL, device):
        placed = place(case.strokes, first, first + len(magnitudes), TAIL)
        hearing = Hearing(placed, case.strokes, device)
        yield Scene(magnitudes, (samples,), hearing, case.pieces == first // PIECE)


def _in_bands(
    recording: Recording, numbers: Sequence[int], lookahead: int, device: torch.device
) -> Iterator[tuple[int, Tensor, Tensor]]:
    """Yield (first frame, magnitudes in mono and in bands (T, B), samples (C, n)) of pieces."""
    weights = torch.from_numpy(recording.weights).float().to(device)
    for first, samples in heard(recording, numbers, lookahead, device):
        yield first, pooled(magnitude(STFT.spectrum(weights @ samples)).T), samples
