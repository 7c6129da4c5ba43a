"""Where drums stand: what one channel holds of a drum tells what the other does.

A drum comes from one place. So at every frequency its two channels have one ratio and one phase
between them, hit after hit: a covariance R_d of channels, beside its power v_d in a bin, which is
what the fit knows. The multichannel Wiener filter (Duong, Vincent and Gribonval 2010) takes

    y_d = v_d R_d z,   z = (sum_k v_k R_k)^-1 x

of the recording's spectrum x. It hears drums apart that sound at once in the same bins, which masks
cannot: on eval-dev with true onsets it is better than the ideal mask. The covariances are learnt as
in Nugraha, Liutkus and Vincent 2016, starting from masks, R_d = 1:

    R_d <- sum_t y_d y_d^H / sum_t v_d = R_d (sum_t v_d^2 z z^H) R_d / sum_t v_d

More than two channels are taken in pairs. An odd last one is a group of its own, with a number for
a covariance: how loud it hears the drum.

Shapes: D drums, T frames, F bins. Complex numbers are two planes, real and imaginary, since sums of
products are fastest so; the covariance of a pair of channels is four: the power of the left, that
of the right, and real and imaginary what is between them.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

EPS = 1e-12  # beside powers of which the loudest is one
UPDATES = 4
INCOHERENCE = 1e-4  # of what two channels hear of a drum: no place is exact, no room is dry
SMOOTHED = 3  # bins over which covariances are averaged
PAIR, ALONE = 4, 1  # planes of the covariances of two channels, and of one


@dataclass(frozen=True, eq=False)
class Stretch:
    """Some frames of a recording: what is heard in each group of channels, and from which drums."""

    heard: tuple[Tensor, ...]  # of each group (channels, 2, T, F), real and imaginary
    powers: Tensor  # (drums that sound, T, F)
    drums: Tensor  # their numbers


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


def learnt(stretches: Sequence[Stretch], start: Covariances) -> Covariances:
    """Covariances of the drums after UPDATES; what is not heard keeps its start."""
    power = torch.zeros_like(start[0][:, :1])  # sum_t v_d
    for one in stretches:
        power[one.drums, 0] += one.powers.sum(dim=1)
    return tuple(
        _learnt([(one.heard[group], one.powers, one.drums) for one in stretches], power, first)
        for group, first in enumerate(start)
    )


def _learnt(
    stretches: Sequence[tuple[Tensor, Tensor, Tensor]], power: Tensor, start: Tensor
) -> Tensor:
    """Covariances (D, planes, F) of one group of channels; `power` is (D, 1, F)."""
    weight = _smoothed(power).clamp_min(EPS)
    covariances = _less_coherent(start)
    for _ in range(UPDATES):
        fitted = _smoothed(_sandwiched(covariances, _told(stretches, covariances))) / weight
        covariances = _less_coherent(torch.where(power > EPS, fitted, covariances))
    return covariances


def summed(powers: Iterable[Tensor], covariances: Tensor, like: Tensor) -> Tensor:
    """sum_d v_d R_d of powers (T, F) and covariances (drums, planes, F): (planes, T, F).

    `like` (T, F) tells the shape.
    """
    total = like.new_zeros(covariances.shape[1], *like.shape)
    for power, covariance in zip(powers, covariances, strict=True):
        total.addcmul_(power, covariance[:, None])
    return total


def whitened(total: Tensor, heard: Tensor) -> Tensor:
    """z, (channels, 2, T, F): the inverse of covariances (planes, T, F), times what is heard."""
    if len(heard) == 1:
        return heard / (total + EPS)
    left_power, right_power = total[:2] + EPS
    real, imaginary = total[2:]
    (left, right), (left_turned, right_turned) = heard, turned(heard)
    determinant = left_power * right_power
    determinant.addcmul_(real, real, value=-1).addcmul_(imaginary, imaginary, value=-1)
    white = torch.empty_like(heard)
    torch.mul(right_power, left, out=white[0])
    white[0].addcmul_(real, right, value=-1).addcmul_(imaginary, right_turned, value=-1)
    torch.mul(left_power, right, out=white[1])
    white[1].addcmul_(real, left, value=-1).addcmul_(imaginary, left_turned)
    return white.div_(determinant)


def taken(own: Tensor, white: Tensor, white_turned: Tensor) -> Tensor:
    """y: covariances of one source (planes, T, F) times z, of one group; z is also given `turned`.

    Complex (channels, T, F).
    """
    if len(white) == 1:
        both = own * white
    else:
        left_power, right_power, real, imaginary = own
        (left, right), (left_turned, right_turned) = white, white_turned
        both = torch.empty_like(white)
        torch.mul(left_power, left, out=both[0])
        both[0].addcmul_(real, right).addcmul_(imaginary, right_turned)
        torch.mul(right_power, right, out=both[1])
        both[1].addcmul_(real, left).addcmul_(imaginary, left_turned, value=-1)
    return torch.complex(both[:, 0], both[:, 1])


def turned(planes: Tensor) -> Tensor:
    """Planes (channels, 2, T, F) of complex numbers, times i."""
    by_i = planes.flip(1)
    by_i[:, 0].neg_()
    return by_i


def _told(stretches: Sequence[tuple[Tensor, Tensor, Tensor]], covariances: Tensor) -> Tensor:
    """sum_t v_d^2 z z^H of one group of channels, by covariances (D, planes, F)."""
    told = torch.zeros_like(covariances)
    for heard, powers, drums in stretches:
        outer = _outer(whitened(summed(powers, covariances[drums], heard[0, 0]), heard))
        for number, own in zip(drums.tolist(), powers, strict=True):
            told[number] += (own.square() * outer).sum(dim=1)
    return told


def _outer(white: Tensor) -> Tensor:
    """z z^H as planes: (planes, T, F)."""
    powers = white.square().sum(dim=1)
    if len(white) == 1:
        return powers
    (left_real, left_imaginary), (right_real, right_imaginary) = white
    real = left_real * right_real + left_imaginary * right_imaginary
    imaginary = left_imaginary * right_real - left_real * right_imaginary
    return torch.cat([powers, torch.stack([real, imaginary])])


def _sandwiched(covariances: Tensor, told: Tensor) -> Tensor:
    """R S R of covariances R and S (D, planes, F)."""
    if covariances.shape[1] == ALONE:
        return covariances.square() * told
    outside, inside = _matrices(covariances), _matrices(told)
    product = outside @ inside @ outside
    between = product[..., 0, 1]
    planes = [product[..., 0, 0].real, product[..., 1, 1].real, between.real, between.imag]
    return torch.stack(planes, dim=1)


def _matrices(planes: Tensor) -> Tensor:
    """Planes (D, PAIR, F) as complex matrices (D, F, 2, 2)."""
    left, right, real, imaginary = planes.unbind(dim=1)
    between = torch.complex(real, imaginary)
    rows = [left.to(between.dtype), between, between.conj(), right.to(between.dtype)]
    return torch.stack(rows, dim=-1).view(*between.shape, 2, 2)


def _less_coherent(covariances: Tensor) -> Tensor:
    """Covariances of which a little is common to no two channels, so that their inverse is safe."""
    if covariances.shape[1] == ALONE:
        return covariances
    coherent = covariances.new_tensor([1, 1, 1 - INCOHERENCE, 1 - INCOHERENCE])
    return covariances * coherent[:, None]


def _smoothed(values: Tensor) -> Tensor:
    """The mean of neighbouring bins, (D, planes, F)."""
    side = SMOOTHED // 2
    return functional.avg_pool1d(
        functional.pad(values, (side, side), mode="replicate"), SMOOTHED, 1
    )
