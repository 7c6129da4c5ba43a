"""The published checkpoint becomes ours: every tensor named, none lost, damaged ones refused."""

import json

import pytest
import torch
from torch import Tensor

from drumsep.drums import DRUMS
from drumsep.errors import DrumsepError
from drumsep.idm.network import Dimensions, Idm, from_state
from drumsep.idm.official import (
    OFFICIAL_DRUMS,
    TO_OURS,
    TO_THEIRS,
    UNUSED,
    WINDOW,
    check_description,
    convert,
    official_shapes,
    renames,
)
from tests.goldens.make_idm import TOY, toy_state

# What no tensor tells is as published.
SIZE = Dimensions(**{**TOY.to_dict(), "rate": 44100, "hop": 256, "one_shot": 44100})

DESCRIPTION = "\n".join(
    ["sampling_rate: 44100", "  hop_length: 256", "  n_mels: 128", "train_classes:"]
    + [f"- {name}" for name in OFFICIAL_DRUMS]
    + ["version: full", ""]
)


def published() -> dict[str, Tensor]:
    """A state in the published names and layout, as small as it gets."""
    ours = toy_state()
    theirs = {entry.theirs: entry.layout.to_theirs(ours[entry.ours]) for entry in renames(TOY)}
    unused = {UNUSED: torch.zeros(11), WINDOW: torch.hann_window(TOY.n_fft)}
    return theirs | unused


def test_the_table_is_complete_both_ways() -> None:
    table = renames(Dimensions())
    with torch.device("meta"):
        ours = set(Idm(Dimensions()).state_dict())
    assert len({entry.theirs for entry in table}) == len(table) == 328
    assert {entry.ours for entry in table} == ours
    assert len(official_shapes(Dimensions())) == 330


def test_conversion_reads_the_dimensions_off_the_shapes_and_keeps_the_values() -> None:
    state, metadata = convert(published())
    assert (metadata["format"], metadata["kind"]) == ("drumsep-1", "idm")
    assert Dimensions.from_dict(json.loads(metadata["dimensions"])) == SIZE
    expected = toy_state()
    assert set(state) == set(expected)
    assert all(torch.equal(state[name], expected[name]) for name in expected)
    assert all(value.is_contiguous() for value in state.values())
    assert from_state(state, metadata).dimensions == SIZE


def test_drums_change_places_with_all_they_own() -> None:
    assert [list(OFFICIAL_DRUMS.values())[there] for there in TO_OURS] == list(DRUMS)
    assert [TO_OURS[ours] for ours in TO_THEIRS] == list(range(9))
    theirs = published()
    for there, drum in enumerate(OFFICIAL_DRUMS.values()):
        state, _ = convert(theirs)
        bias = theirs["encoder.transcription_head.onset_mlp.bias"][there]
        assert state["hits.onset.bias"][drum.position] == bias
        column = theirs["decoder.sample_synth.tcn.net.1.film.net.weight"][:, there]
        assert torch.equal(state["synthesis.blocks.1.modulation.weight"][:, drum.position], column)
        gain = f"decoder.processors.latent_to_params.latent_mlps.gain.{there}.2.0.bias"
        assert torch.equal(state[f"gain_heads.{drum.position}.4.bias"], theirs[gain])


@pytest.mark.parametrize("name", sorted(published())[::7])
def test_a_missing_tensor_is_named(name: str) -> None:
    theirs = published()
    del theirs[name]
    with pytest.raises(DrumsepError, match="IDM checkpoint"):
        convert(theirs)


@pytest.mark.parametrize("name", sorted(published())[::7])
def test_a_misshaped_tensor_is_named(name: str) -> None:
    theirs = published()
    theirs[name] = theirs[name].new_zeros(*theirs[name].shape, 2)
    with pytest.raises(DrumsepError, match="must have (shape|[12345] axes)"):
        convert(theirs)


def test_the_first_fault_is_told_by_name() -> None:
    theirs = published()
    with pytest.raises(DrumsepError, match="unexpected tensor decoder.extra"):
        convert({**theirs, "decoder.extra": torch.zeros(1)})
    del theirs["encoder.pooling.norm.bias"]
    with pytest.raises(DrumsepError, match=r"tensor encoder\.pooling\.norm\.bias is missing"):
        convert(theirs)
    with pytest.raises(DrumsepError, match="is missing"):
        convert({})


def test_another_window_is_refused() -> None:
    with pytest.raises(DrumsepError, match="not a periodic Hann window"):
        convert({**published(), WINDOW: torch.ones(TOY.n_fft)})


def test_a_description_must_agree_with_the_weights() -> None:
    check_description(DESCRIPTION, Dimensions())
    with pytest.raises(DrumsepError, match="hop_length: 512, the weights have 256"):
        check_description(DESCRIPTION.replace("256", "512"), Dimensions())
    with pytest.raises(DrumsepError, match="must list the drums as CY_CR"):
        check_description(DESCRIPTION.replace("- KD\n- SD", "- SD\n- KD"), Dimensions())
