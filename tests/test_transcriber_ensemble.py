"""Transcribers together: their mean, and what is stored of them."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from drumsep.drums import DRUMS
from drumsep.errors import DrumsepError
from drumsep.transcriber.ensemble import Ensemble, from_state, to_metadata
from drumsep.transcriber.network import Dimensions, Transcriber

FIRST = Dimensions(bands=32, channels=4, features=16, blocks=3)
OTHER = replace(FIRST, long_n_fft=4096, detail=3, channels=2, blocks=4)


@pytest.fixture
def two() -> Ensemble:
    torch.manual_seed(0)
    return Ensemble([Transcriber(FIRST), Transcriber(OTHER)]).eval()


def samples() -> torch.Tensor:
    return torch.randn(2, 5000, generator=torch.Generator().manual_seed(1))


def test_they_are_believed_on_average(two: Ensemble) -> None:
    one, other = (Ensemble([member]) for member in two.members)
    with torch.no_grad():
        for mean, first, second in zip(
            *(part(samples()) for part in (two, one, other)), strict=True
        ):
            assert mean.shape == (2, len(DRUMS), 1 + 5000 // FIRST.hop)
            torch.testing.assert_close(mean, (first + second) / 2)
            assert (first - second).abs().max() > 1e-3


def test_the_widest_context_is_that_of_all(two: Ensemble) -> None:
    assert two.context == two.members[1].context > two.members[0].context


def test_other_frames_do_not_go_together() -> None:
    with pytest.raises(DrumsepError, match="same rate and hop"):
        Ensemble([Transcriber(FIRST), Transcriber(replace(FIRST, hop=512))])


def test_a_fused_ensemble_hears_the_same(two: Ensemble) -> None:
    two.thresholds.copy_(torch.linspace(0.1, 0.9, len(DRUMS)))
    fast = two.fused()
    torch.testing.assert_close(fast.thresholds, two.thresholds)
    with torch.no_grad():
        for ours, theirs in zip(fast(samples()), two(samples()), strict=True):
            torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=0)


def test_what_is_stored_comes_back(two: Ensemble) -> None:
    two.thresholds.copy_(torch.linspace(0.1, 0.9, len(DRUMS)))
    metadata = to_metadata(two, "CC0-1.0", "a command")
    state = {name: value.half() if value.is_floating_point() else value
             for name, value in two.state_dict().items()}  # fmt: skip
    again = from_state(state, metadata)
    assert [one.dimensions for one in again.members] == [FIRST, OTHER]
    np.testing.assert_allclose(again.thresholds, two.thresholds, atol=1e-4)
    assert not again.training
    with torch.no_grad():
        for ours, theirs in zip(again(samples()), two(samples()), strict=True):
            torch.testing.assert_close(ours, theirs, atol=2e-3, rtol=0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "idm"}, "kind transcriber, got drumsep-1 and idm"),
        ({"dimensions": '[{"x": 1}]'}, "not dimensions of this network"),
        ({"dimensions": "[3]"}, "not dimensions of this network"),
        ({"dimensions": '{"bands": 32}'}, "not a list of them"),
        ({"dimensions": "[{}]"}, "transcriber weights: "),
        ({"thresholds": '{"kick": 0.5}'}, "do not state their thresholds"),
        ({"thresholds": "[1]"}, "do not state their thresholds"),
    ],
)
def test_other_weights_are_refused(two: Ensemble, change: dict[str, str], message: str) -> None:
    with pytest.raises(DrumsepError, match=message):
        from_state(two.state_dict(), to_metadata(two, "CC0-1.0", "a command") | change)


def test_an_ensemble_of_none_is_refused(two: Ensemble) -> None:
    with pytest.raises(DrumsepError):
        from_state({}, to_metadata(two, "", "") | {"dimensions": "[]"})
