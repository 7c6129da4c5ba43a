"""Sizes and weights of networks as they are stored."""

from dataclasses import dataclass
from typing import Any

import pytest
import torch

from drumsep.errors import DrumsepError
from drumsep.stored_networks import FORMAT, Sizes, check_state, read_dimensions, to_metadata


@dataclass(frozen=True)
class Toy(Sizes):
    """Sizes of no network."""

    width: int = 3
    levels: tuple[int, ...] = (1, 2)


def test_sizes_are_read_as_they_were_written() -> None:
    size = Toy(width=5, levels=(7, 8, 9))
    metadata = to_metadata("toy", size.to_dict())
    assert all(isinstance(value, str) for value in metadata.values())
    assert Toy.from_dict(read_dimensions(metadata, "toy")) == size


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "idm"}, f"format {FORMAT} and kind toy, got {FORMAT} and idm"),
        ({"format": "drumsep-0"}, "got drumsep-0 and toy"),
        ({"dimensions": "{"}, "toy weights do not state their dimensions"),
    ],
)
def test_other_metadata_are_refused(change: dict[str, str], message: str) -> None:
    with pytest.raises(DrumsepError, match=message):
        read_dimensions(to_metadata("toy", {}) | change, "toy")


@pytest.mark.parametrize("values", [None, [1], "width", {"depth": 1}])
def test_what_are_no_sizes_is_refused(values: Any) -> None:
    with pytest.raises(DrumsepError, match="not dimensions of this network"):
        Toy.from_dict(values)


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({}, "toy: tensor a is missing"),
        ({"a": torch.zeros(2), "b": torch.zeros(1)}, "toy: unexpected tensor b"),
        ({"a": torch.zeros(3)}, r"toy: tensor a must have shape \(2,\), got \(3,\)"),
        ({"a": torch.tensor([0, torch.nan])}, "toy: tensor a holds values that are not finite"),
        ({"a": torch.tensor([0, -torch.inf])}, "toy: tensor a holds values that are not finite"),
    ],
)
def test_weights_that_cannot_be_are_refused(state: dict[str, torch.Tensor], message: str) -> None:
    check_state({"a": torch.zeros(2)}, {"a": torch.Size([2])}, "toy")
    with pytest.raises(DrumsepError, match=message):
        check_state(state, {"a": torch.Size([2])}, "toy")


def test_variances_are_not_negative() -> None:
    expected = {"norm.running_var": torch.Size([2])}
    check_state({"norm.running_var": torch.zeros(2)}, expected, "toy")
    with pytest.raises(DrumsepError, match="negative variances"):
        check_state({"norm.running_var": torch.tensor([1.0, -1.0])}, expected, "toy")
