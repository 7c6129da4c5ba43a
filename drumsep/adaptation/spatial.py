"""Where drums stand: what one channel holds of a drum tells what the other does.

A drum comes from one place. So at every frequency its two channels have one ratio and one phase
between them, hit after hit: a covariance R_d of channels, beside its power v_d in a bin. The
multichannel Wiener filter (Duong, Vincent and Gribonval 2010) takes

    y_d = v_d R_d z,   z = S^-1 x,   S = sum_k v_k R_k

of the recording's spectrum x. It hears drums apart that sound at once in the same bins, which masks
cannot: on eval-dev with true onsets it is better than the ideal mask. How covariances are learnt is
said in `multichannel`.

More than two channels are taken in pairs. An odd last one is a group of its own, with a number for
a covariance: how loud it hears the drum.

Shapes: D drums, T frames, F bins. Complex numbers are two planes, real and imaginary, since sums of
products are fastest so; the covariance of a pair of channels is four: the power of the left, that
of the right, and real and imaginary what is between them.
"""

from collections.abc import Iterable

import torch
from torch import Tensor
from torch.nn import functional

EPS = 1e-12  # beside powers of which the loudest is one
# Of what two channels hear of a drum: no place is exact, no room is dry. Less separates dry renders
# a little better and those with rooms a little worse, and float32 tells sums of stems less exactly.
INCOHERENCE = 1e-4
SMOOTHED = 3  # bins over which covariances are averaged
PAIR, ALONE = 4, 1  # planes of the covariances of two channels, and of one

Covariances = tuple[Tensor, ...]
"""Of each group of channels, (D, planes, F)."""


def in_groups(spectrum: Tensor) -> tuple[Tensor, ...]:
    """A spectrum (C, F, T) as planes (channels, 2, T, F) of pairs of channels, and of the last."""
    frames = spectrum.transpose(-1, -2)
    planes = torch.stack([frames.real, frames.imag], dim=1)
    return torch.split(planes, 2)


def of_masks(drums: int, channels: int, bins: int, device: torch.device) -> Covariances:
    """The covariances with which the filter is a mask, the same for all channels."""
    pair, alone = torch.tensor([1.0, 1.0, 0.0, 0.0]), torch.ones(ALONE)
    groups = [pair] * (channels // 2) + [alone] * (channels % 2)
    return tuple(group.to(device)[:, None].repeat(drums, 1, bins) for group in groups)


def summed(powers: Iterable[Tensor], covariances: Tensor, like: Tensor) -> Tensor:
    """sum_d v_d R_d of powers (T, F) and covariances (drums, planes, F): (planes, T, F).

    `like` (T, F) tells the shape.
    """
    total = like.new_zeros(covariances.shape[1], *like.shape)
    for power, covariance in zip(powers, covariances, strict=True):
        total.addcmul_(power, covariance[:, None])
    return total


def inverse(total: Tensor) -> Tensor:
    """S^-1 of covariances S (planes, T, F), to whose powers EPS is added; in the same form."""
    if len(total) == ALONE:
        return 1 / (total + EPS)
    left, right = total[:2] + EPS
    between = total[2:]
    determinant = left * right
    determinant.addcmul_(between[0], between[0], value=-1)
    determinant.addcmul_(between[1], between[1], value=-1)
    inverted = torch.empty_like(total)
    torch.div(right, determinant, out=inverted[0])
    torch.div(left, determinant, out=inverted[1])
    torch.div(between, determinant.neg_(), out=inverted[2:])
    return inverted


def times(matrix: Tensor, vector: Tensor, vector_turned: Tensor) -> Tensor:
    """A matrix of one group (planes, T, F) times a vector (channels, 2, T, F), in its form.

    The vector is also given `turned`, since it is often the same for several matrices.
    """
    if len(vector) == 1:
        return matrix * vector
    left_power, right_power, real, imaginary = matrix
    (left, right), (left_turned, right_turned) = vector, vector_turned
    product = torch.empty_like(vector)
    torch.mul(left_power, left, out=product[0])
    product[0].addcmul_(real, right).addcmul_(imaginary, right_turned)
    torch.mul(right_power, right, out=product[1])
    product[1].addcmul_(real, left).addcmul_(imaginary, left_turned, value=-1)
    return product


def whitened(inverse: Tensor, heard: Tensor) -> Tensor:
    """z = S^-1 x of one group: matrices (planes, T, F), vectors (channels, 2, T, F)."""
    return times(inverse, heard, turned(heard))


def turned(planes: Tensor) -> Tensor:
    """Planes (channels, 2, T, F) of complex numbers, times i."""
    by_i = planes.flip(1)
    by_i[:, 0].neg_()
    return by_i


def outer(vector: Tensor) -> Tensor:
    """z z^H of a vector (channels, 2, T, F), as planes: (planes, T, F)."""
    powers = vector.square().sum(dim=1)
    if len(vector) == 1:
        return powers
    (left_real, left_imaginary), (right_real, right_imaginary) = vector
    real = left_real * right_real + left_imaginary * right_imaginary
    imaginary = left_imaginary * right_real - left_real * right_imaginary
    return torch.cat([powers, torch.stack([real, imaginary])])


def trace(covariance: Tensor, matrix: Tensor) -> Tensor:
    """tr(R M) of a covariance (planes, F) and matrices (planes, T, F): (T, F)."""
    weights = covariance[:, None]
    if len(matrix) == ALONE:
        return weights[0] * matrix[0]
    total = weights[0] * matrix[0]
    total.addcmul_(weights[1], matrix[1])
    total.addcmul_(weights[2], matrix[2], value=2).addcmul_(weights[3], matrix[3], value=2)
    return total


def sandwiched(covariances: Tensor, told: Tensor) -> Tensor:
    """R M R of covariances R and matrices M (D, planes, F).

    In double precision: R hardly hears from where M, a sum of z z^H, is largest.
    """
    if covariances.shape[1] == ALONE:
        return covariances.square() * told
    outside, inside = _matrices(covariances.double()), _matrices(told.double())
    product = outside @ inside @ outside
    between = product[..., 0, 1]
    planes = [product[..., 0, 0].real, product[..., 1, 1].real, between.real, between.imag]
    return torch.stack(planes, dim=1).to(told)


def _matrices(planes: Tensor) -> Tensor:
    """Planes (D, PAIR, F) as complex matrices (D, F, 2, 2)."""
    left, right, real, imaginary = planes.unbind(dim=1)
    between = torch.complex(real, imaginary)
    rows = [left.to(between.dtype), between, between.conj(), right.to(between.dtype)]
    return torch.stack(rows, dim=-1).view(*between.shape, 2, 2)


def less_coherent(covariances: Tensor) -> Tensor:
    """Covariances of which a little is common to no two channels, so that their inverse is safe."""
    if covariances.shape[1] == ALONE:
        return covariances
    coherent = covariances.new_tensor([1, 1, 1 - INCOHERENCE, 1 - INCOHERENCE])
    return covariances * coherent[:, None]


def power(covariances: Tensor) -> Tensor:
    """tr R of covariances (D, planes, F): (D, 1, F)."""
    channels = 1 if covariances.shape[1] == ALONE else 2
    return covariances[:, :channels].sum(dim=1, keepdim=True)


def smoothed(values: Tensor) -> Tensor:
    """The mean of neighbouring bins, (D, planes, F)."""
    side = SMOOTHED // 2
    return functional.avg_pool1d(
        functional.pad(values, (side, side), mode="replicate"), SMOOTHED, 1
    )
