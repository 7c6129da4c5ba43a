"""The published IDM checkpoint in our names: every tensor accounted for, both ways.

The repository of Torres et al. (commit 4566568) names 330 tensors after its classes and orders the
drums alphabetically. Sizes are told by shapes alone; the published `model.yaml`, where it lies
beside the checkpoint, must agree with them.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from drumsep.drums import DRUMS, Drum
from drumsep.errors import DrumsepError
from drumsep.idm.network import Dimensions, shapes, to_metadata
from drumsep.stored_networks import check_state

# The order of every drum axis in the checkpoint. The repository holds two readings of the toms;
# this one is of its stem loader, and the pitches of the learned one-shots support it.
OFFICIAL_DRUMS = {
    "CY_CR": Drum.CRASH,
    "CY_RD": Drum.RIDE,
    "HH_CHH": Drum.HIHAT_CLOSED,
    "HH_OHH": Drum.HIHAT_OPEN,
    "KD": Drum.KICK,
    "SD": Drum.SNARE,
    "TT_HFT": Drum.TOM_FLOOR,
    "TT_HMT": Drum.TOM_HIGH,
    "TT_LMT": Drum.TOM_MID,
}
THEIRS = tuple(OFFICIAL_DRUMS.values())
TO_OURS = [THEIRS.index(drum) for drum in DRUMS]  # position there of each of our drums
TO_THEIRS = [drum.position for drum in THEIRS]

MEL = "encoder.transform.mel_transform"
BACKBONE = "encoder.backbone"
POOLING = "encoder.pooling"
HITS = "encoder.transcription_head"
SYNTH = "decoder.sample_synth"
GAINS = "decoder.processors.latent_to_params.latent_mlps.gain"

WINDOW = f"{MEL}.spectrogram.window"
UNUSED = "conditioning_vector"  # zeros that no published code reads


class Layout(NamedTuple):
    """How a tensor lies there and here."""

    to_ours: Callable[[Tensor], Tensor]
    to_theirs: Callable[[Tensor], Tensor]


class Renamed(NamedTuple):
    """One tensor under both names."""

    theirs: str
    ours: str
    layout: Layout


SAME = Layout(lambda x: x, lambda x: x)
TRANSPOSED = Layout(lambda x: x.T, lambda x: x.T)
PER_CHANNEL = Layout(lambda x: x[:, None, None], lambda x: x[:, 0, 0])
POINTWISE = Layout(lambda x: x[:, :, None, None], lambda x: x[:, :, 0, 0])
LINEAR = Layout(lambda x: x[:, :, 0], lambda x: x[:, :, None])
BY_DRUM = Layout(lambda x: x[TO_OURS], lambda x: x[TO_THEIRS])
BY_CONDITION = Layout(lambda x: _drum_columns(x, TO_OURS), lambda x: _drum_columns(x, TO_THEIRS))


def convert(state: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Translate the `state_dict` of a published checkpoint.

    Returns:
        The tensors in our names and layout, and the metadata `idm.network.from_state` asks for.

    Raises:
        DrumsepError: naming the first tensor that is missing, unexpected, misshaped or not what
            the released network needs.
    """
    size = dimensions_of(state)
    check_state(state, official_shapes(size), "IDM checkpoint")
    if not torch.equal(state[WINDOW].cpu().float(), torch.hann_window(size.n_fft)):
        raise DrumsepError(f"IDM checkpoint: {WINDOW} is not a periodic Hann window")
    ours = {
        entry.ours: entry.layout.to_ours(state[entry.theirs]).float().contiguous().clone()
        for entry in renames(size)
    }
    return ours, to_metadata(size)


def dimensions_of(state: Mapping[str, Tensor]) -> Dimensions:
    """Read the sizes of a published checkpoint off the shapes of its tensors."""
    levels = range(_count(state, BACKBONE + ".stages.{}.0.gamma"))
    bins, bands = _shape(state, f"{MEL}.mel_scale.fb", 2)
    channels, _, kernel = _shape(state, f"{SYNTH}.tcn.net.0.net.2.weight", 3)
    return Dimensions(
        n_fft=2 * (bins - 1),
        bands=bands,
        widths=tuple(_shape(state, f"{BACKBONE}.stages.{i}.0.gamma", 1)[0] for i in levels),
        depths=tuple(_count(state, f"{BACKBONE}.stages.{i}." + "{}.gamma") for i in levels),
        kits=_shape(state, f"{POOLING}.classifier.2.weight", 2)[0],
        gain_width=_shape(state, f"{GAINS}.0.0.0.weight", 2)[0],
        channels=channels,
        blocks=_count(state, SYNTH + ".tcn.net.{}.net.2.weight"),
        kernel=kernel,
    )


def official_shapes(size: Dimensions) -> dict[str, torch.Size]:
    """Name and shape of every tensor of a published checkpoint of these dimensions."""
    ours = shapes(size)
    kept = {
        entry.theirs: entry.layout.to_theirs(torch.empty(ours[entry.ours], device="meta")).shape
        for entry in renames(size)
    }
    unused = {WINDOW: torch.Size([size.n_fft]), UNUSED: torch.Size([len(DRUMS) + size.kits])}
    return kept | unused


def renames(size: Dimensions) -> tuple[Renamed, ...]:
    """Every tensor that is kept, under both names; only the window and `UNUSED` are not."""
    return (
        Renamed(f"{MEL}.mel_scale.fb", "mel_filters", TRANSPOSED),
        *_encoder(size),
        *_heads(),
        *_synthesis(size),
    )


def _encoder(size: Dimensions) -> Iterator[Renamed]:
    reduce = f"{BACKBONE}.downsample_layers"
    yield from _both(f"{reduce}.0.0", "encoder.enter")
    yield from _both(f"{reduce}.0.1", "encoder.enter_norm", PER_CHANNEL, PER_CHANNEL)
    for level, depth in enumerate(size.depths):
        if level > 0:
            ours = f"encoder.halvings.{level - 1}"
            yield from _both(f"{reduce}.{level}.0", f"{ours}.0", PER_CHANNEL, PER_CHANNEL)
            yield from _both(f"{reduce}.{level}.1", f"{ours}.1")
        for block in range(depth):
            yield from _encoder_block(
                f"{BACKBONE}.stages.{level}.{block}", f"encoder.levels.{level}.{block}"
            )
    yield from _both(f"{BACKBONE}.norm", "encoder.norm")


def _encoder_block(theirs: str, ours: str) -> Iterator[Renamed]:
    yield from _both(f"{theirs}.dwconv", f"{ours}.around")
    yield from _both(f"{theirs}.norm", f"{ours}.norm", PER_CHANNEL, PER_CHANNEL)
    yield from _both(f"{theirs}.pwconv1", f"{ours}.widen", POINTWISE)
    yield from _both(f"{theirs}.pwconv2", f"{ours}.narrow", POINTWISE)
    yield Renamed(f"{theirs}.gamma", f"{ours}.scale", PER_CHANNEL)


def _heads() -> Iterator[Renamed]:
    yield from _both(f"{HITS}.conv", "hits.around")
    yield from _both(f"{HITS}.onset_mlp", "hits.onset", BY_DRUM, BY_DRUM)
    yield from _both(f"{HITS}.velocity_mlp", "hits.amplitude", BY_DRUM, BY_DRUM)
    yield from _both(f"{POOLING}.norm", "kit_norm")
    yield from _both(f"{POOLING}.classifier.0", "kit_head.0")
    yield from _both(f"{POOLING}.classifier.2", "kit_head.2")
    for track, drum in enumerate(THEIRS):
        for layer in range(3):  # there, each layer is a pair of map and activation
            ours = f"gain_heads.{drum.position}.{2 * layer}"
            yield from _both(f"{GAINS}.{track}.{layer}.0", ours)


def _synthesis(size: Dimensions) -> Iterator[Renamed]:
    yield from _both(f"{SYNTH}.tcn.in_projection", "synthesis.enter", LINEAR)
    for block in range(size.blocks):
        theirs, ours = f"{SYNTH}.tcn.net.{block}", f"synthesis.blocks.{block}"
        yield from _both(f"{theirs}.net.2", f"{ours}.dilated")
        yield from _both(f"{theirs}.film.net", f"{ours}.modulation", BY_CONDITION)
        yield from _both(f"{theirs}.residual", f"{ours}.bypass", LINEAR)
    yield from _both(f"{SYNTH}.tcn.out_projection", "synthesis.leave", LINEAR)
    yield from _both(f"{SYNTH}.emb_to_gain_latent.0", "synthesis.envelope.0", BY_CONDITION)
    yield from _both(f"{SYNTH}.emb_to_gain_latent.2", "synthesis.envelope.2")
    yield Renamed(f"{SYNTH}.scale", "synthesis.max_decay", SAME)


def _both(
    theirs: str, ours: str, weight: Layout = SAME, bias: Layout = SAME
) -> tuple[Renamed, Renamed]:
    """Weight and bias of one layer."""
    return (
        Renamed(f"{theirs}.weight", f"{ours}.weight", weight),
        Renamed(f"{theirs}.bias", f"{ours}.bias", bias),
    )


def _drum_columns(weight: Tensor, order: list[int]) -> Tensor:
    """Reorder the drums of a weight (out, 9 + kits) that reads a condition."""
    return torch.cat([weight[:, order], weight[:, len(DRUMS) :]], dim=1)


def _shape(state: Mapping[str, Tensor], name: str, axes: int) -> tuple[int, ...]:
    if name not in state:
        raise DrumsepError(f"IDM checkpoint: tensor {name} is missing")
    shape = tuple(state[name].shape)
    if len(shape) != axes or min(shape) < 1:
        raise DrumsepError(f"IDM checkpoint: tensor {name} must have {axes} axes, got {shape}")
    return shape


def _count(state: Mapping[str, Tensor], pattern: str) -> int:
    """How many of pattern.format(0), pattern.format(1), ... there are."""
    count = 0
    while pattern.format(count) in state:
        count += 1
    return count


def check_description(text: str, size: Dimensions) -> None:
    """Compare the published `model.yaml` with what the shapes say, and with what they cannot say.

    Hop, rates and the order of the drums are in no tensor. Only lines of the form `name: number`
    and the list of drums are read, so no YAML parser is needed.

    Raises:
        DrumsepError: naming the first line that differs.
    """
    known = {
        "hop_length": size.hop,
        "sample_rate": size.rate,
        "sampling_rate": size.rate,
        "n_fft": size.n_fft,
        "n_mels": size.bands,
        "n_drum_kits": size.kits,
        "hidden_size": size.gain_width,
        "hidden_channels": size.channels,
        "num_layers": size.blocks,
    }
    for name, value in re.findall(r"^ *(\w+): (\d+)$", text, re.MULTILINE):
        if known.get(name, int(value)) != int(value):
            raise DrumsepError(f"model.yaml says {name}: {value}, the weights have {known[name]}")
    drums = re.search(r"^train_classes:\n((?: *- \w+\n?)+)", text, re.MULTILINE)
    if drums and re.findall(r"- (\w+)", drums[1]) != list(OFFICIAL_DRUMS):
        raise DrumsepError(f"model.yaml must list the drums as {', '.join(OFFICIAL_DRUMS)}")
