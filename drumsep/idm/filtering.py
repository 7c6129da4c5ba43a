"""Dilated convolutions of sound in a third of the multiplications, without gradients.

Samples one dilation apart stand in columns; a piece of a column, 36 rows long, gives 22 outputs of
a filter of 15 taps. It is convolved as y = inverse [(kernel w) * (forward x)], the discrete Fourier
transform in real numbers: its 36 rows become 53 points, and at each point channels are mixed by a
matrix. That makes 256 multiplications per output and pair of channels where the sum over taps
takes 720, and rounding errors 4 dB smaller.
"""

import math
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

COLUMNS = 96  # convolved at a time: what is in work then fits the cache


class Bilinear(NamedTuple):
    """Matrices that turn a short convolution into products point by point; float64."""

    forward: Tensor  # (points, rows)
    kernel: Tensor  # (points, taps)
    inverse: Tensor  # (outputs, points), outputs = rows - taps + 1


@lru_cache
def bilinear(taps: int) -> Bilinear:
    """y[i] = sum_k w[k] x[i + k], for about as many rows as need the fewest multiplications.

    A product of complex numbers (a + bi)(p + qi) takes three real ones, after Gauss:
    (a + b) p, a (q - p) and b (p + q).
    """
    rows = 2 * (taps + 3)
    forward, kernel, inverse = [], [], []
    for frequency in range(rows // 2 + 1):
        turn = 2 * math.pi * frequency / rows * torch.arange(rows, dtype=torch.float64)
        real, imaginary = turn.cos(), turn.sin()
        if frequency in (0, rows // 2):
            forward.append(real)
            kernel.append(real[:taps])
            inverse.append(real / rows)
        else:
            forward += [real - imaginary, real, -imaginary]
            kernel += [x[:taps] for x in (real, imaginary - real, real + imaginary)]
            inverse += [x * 2 / rows for x in (real - imaginary, -imaginary, -real)]
    outputs = rows - taps + 1
    return Bilinear(torch.stack(forward), torch.stack(kernel), torch.stack(inverse, 1)[:outputs])


class Piece(NamedTuple):
    """A part of a filtered line: n samples, not neighbours in time."""

    place: tuple[slice, ...]  # which they are, for `Line.put`
    heard: Tensor  # (n, C), the samples themselves, less the mean
    filtered: Tensor  # (n, C')


class Line:
    """Sound (T, C) with room around it for all dilations, in memory that is used again."""

    def __init__(self, sound: Tensor, taps: int, dilations: Sequence[int]) -> None:
        self.taps = taps
        self.length, channels = sound.shape
        self._matrices = Bilinear(*(matrix.to(sound) for matrix in bilinear(taps)))
        self._outputs, self._rows = len(self._matrices.inverse), self._matrices.forward.shape[1]
        self._past = (taps - 1) * max(dilations, default=0)
        longest = max((self._padded(dilation) for dilation in dilations), default=self.length)
        self._room = sound.new_empty(self._past + longest, channels)
        self.sound[:] = sound

    @property
    def sound(self) -> Tensor:
        """View (T, C) of the samples."""
        return self._room[self._past : self._past + self.length]

    def pieces(self, mean: Tensor, weight: Tensor, bias: Tensor, dilation: int) -> Iterator[Piece]:
        """Filter the sound less its mean (C,) causally; weight (C', C, taps), bias (C',)."""
        past = (self.taps - 1) * dilation
        begin, stop = self._past - past, self._past + self._padded(dilation)
        self._room[begin : self._past] = mean
        self._room[self._past + self.length : stop] = mean
        columns = self._columns(self._room[begin:stop], self._rows, dilation)
        kernel = self._matrices.kernel
        points = (kernel @ weight.permute(2, 1, 0).flatten(1)).view(len(kernel), len(mean), -1)
        means = mean.repeat(min(dilation, COLUMNS))
        for place in _places(columns.shape[1], dilation):
            shown = columns[place].flatten(2)
            heard = shown.new_empty(shown.shape)  # in its own order, not in that of the line
            torch.sub(shown, means[: shown.shape[2]], out=heard)
            filtered = self._convolved(heard.flatten(1), points, bias)
            yield Piece(place, heard[self.taps - 1 :].view(-1, len(mean)), filtered)

    def _convolved(self, heard: Tensor, points: Tensor, bias: Tensor) -> Tensor:
        """Columns (rows, n * C) -> (outputs * n, C'), by a matrix (C, C') for each point."""
        forward, _, inverse = self._matrices
        product = torch.bmm((forward @ heard).view(len(forward), -1, points.shape[1]), points)
        product[0] += self._rows * bias  # at the frequency zero
        return (inverse @ product.flatten(1)).view(-1, len(bias))

    def put(self, piece: Piece, values: Tensor, dilation: int) -> None:
        """Write values (n, C) where the piece of a line of this length lies."""
        stop = self._past + self._padded(dilation)
        place = self._columns(self._room[self._past : stop], self._outputs, dilation)[piece.place]
        place.copy_(values.view(place.shape))

    def _padded(self, dilation: int) -> int:
        """Length of whole columns of outputs."""
        step = self._outputs * dilation
        return step * -(-self.length // step)

    def _columns(self, sound: Tensor, rows: int, dilation: int) -> Tensor:
        """View of sound as (rows, tiles, columns, C).

        Row r of column c in tile t is sample (t * outputs + r) * dilation + c.
        """
        tiles = (len(sound) // dilation - rows) // self._outputs + 1
        channels = sound.shape[1]
        row = dilation * channels
        strides = (row, self._outputs * row, channels, 1)
        return sound.as_strided((rows, tiles, dilation, channels), strides, sound.storage_offset())


def _places(tiles: int, dilation: int) -> Iterator[tuple[slice, ...]]:
    """Indices of tiles and columns that make about `COLUMNS` columns together."""
    together = max(1, COLUMNS // dilation)
    for tile in range(0, tiles, together):
        for column in range(0, dilation, COLUMNS):
            yield slice(None), slice(tile, tile + together), slice(column, column + COLUMNS)
