"""A recording in pieces: which of them to learn from, and what each sounds like.

What is learnt of a recording is learnt from an excerpt, at most `PIECES` pieces, whatever its
length; the others are judged by it one by one.
"""

from collections.abc import Collection, Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from drumsep.adaptation.strokes import STFT, Strokes
from drumsep.masking import framed_blocks
from drumsep.recording import Recording

PIECE = 430  # frames, 5 s
PIECES = 6


def pieces_of(strokes: Strokes, frames: int) -> NDArray[np.int64]:
    """The number of the piece that each hit lies in, (N,), of a recording of so many frames."""
    return (np.minimum(strokes.position, frames - 1) // PIECE).astype(np.int64)


def excerpt(strokes: Strokes, frames: int) -> list[int]:
    """Numbers of the pieces to learn from, at most PIECES: those with most that is new.

    Each piece in turn is the one with most hits, a hit counting the less, the more of its drum
    are already chosen: so rare drums are heard as well.
    """
    hits = np.zeros((_count(frames), len(strokes.drums)))
    np.add.at(hits, (pieces_of(strokes, frames), strokes.drum), 1)
    chosen: list[int] = []
    while len(chosen) < min(PIECES, len(hits)):
        gain = (hits / (1 + hits[chosen].sum(axis=0))).sum(axis=1)
        gain[chosen] = -1
        chosen.append(int(gain.argmax()))
    return sorted(chosen)


def others(chosen: Collection[int], frames: int) -> list[int]:
    """Numbers of the pieces that are not chosen."""
    return [number for number in range(_count(frames)) if number not in chosen]


def heard(
    recording: Recording, numbers: Collection[int], lookahead: int, device: torch.device
) -> Iterator[tuple[int, Tensor]]:
    """Yield (first frame, samples (C, n)) of some pieces, with frames beyond them to look at."""
    for first, samples in framed_blocks(recording, STFT, PIECE, lookahead, device):
        if first // PIECE in numbers:
            yield first, samples


def _count(frames: int) -> int:
    return -(-frames // PIECE)
