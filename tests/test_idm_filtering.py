"""Convolutions in fewer multiplications: equal to sums over taps, for all dilations and sizes."""

import pytest
import torch
from torch.nn import functional as F

from drumsep.idm.filtering import COLUMNS, Line, bilinear


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("taps", [1, 2, 3, 15])
def test_the_matrices_make_a_short_convolution(taps: int) -> None:
    forward, kernel, inverse = bilinear(taps)
    rows = noise(forward.shape[1]).double()
    weights = noise(taps, seed=1).double()
    expected = F.conv1d(rows[None, None], weights[None, None])[0, 0]
    torch.testing.assert_close(inverse @ ((kernel @ weights) * (forward @ rows)), expected)


def test_the_published_filters_take_a_third_of_the_multiplications() -> None:
    forward, _, inverse = bilinear(15)
    points, rows = forward.shape
    channels, outputs = 48, len(inverse)
    assert points * (rows + channels + outputs) / outputs < 15 * channels / 2.8


def filtered(line: Line, weight: torch.Tensor, bias: torch.Tensor, dilation: int) -> torch.Tensor:
    """The whole line filtered, and what each piece says it heard checked against its place."""
    mean = line.sound.mean(dim=0)
    result = Line(noise(line.length, weight.shape[0]), weight.shape[2], [dilation])
    heard = Line(noise(*line.sound.shape), weight.shape[2], [dilation])
    for piece in line.pieces(mean, weight, bias, dilation):
        result.put(piece, piece.filtered, dilation)
        heard.put(piece, piece.heard, dilation)
    torch.testing.assert_close(heard.sound, line.sound - mean)
    return result.sound


@pytest.mark.parametrize("dilation", [1, 2, COLUMNS - 1, COLUMNS, COLUMNS + 3, 400])
@pytest.mark.parametrize("length", [1, 50, 1000])
def test_a_line_is_convolved_like_one_dimension(dilation: int, length: int) -> None:
    sound, weight, bias = 100 + noise(length, 2), noise(3, 2, 4, seed=1), noise(3, seed=2)
    line = Line(sound, 4, [dilation, 7])
    padded = F.pad((sound - sound.mean(dim=0)).T, (3 * dilation, 0))
    expected = F.conv1d(padded[None], weight, bias, dilation=dilation)[0].T
    torch.testing.assert_close(filtered(line, weight, bias, dilation), expected)


def test_a_line_forgets_what_it_held_before() -> None:
    """What is left around the sound by a longer filter must not be heard by the next."""
    line, weight, bias = Line(noise(300, 2), 4, [1, 90]), noise(2, 2, 4, seed=1), noise(2, seed=2)
    alone = filtered(line, weight, bias, 2)
    for piece in line.pieces(torch.full((2,), 1e9), weight, bias, 90):
        line.put(piece, torch.full_like(piece.filtered, torch.nan), 90)
    line.sound.copy_(noise(300, 2))
    assert torch.equal(filtered(line, weight, bias, 2), alone)
