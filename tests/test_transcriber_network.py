"""The transcriber network: shapes and blocks; and the law of picking peaks."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from drumsep.drums import DRUMS, Drum
from drumsep.transcriber import network
from drumsep.transcriber.network import SECOND, Dimensions, Transcriber, fused
from drumsep.transcriber.peaks import CONFIRMING, LEAN, NEARBY, SIDE, candidates, pick

TOY = Dimensions(bands=32, channels=4, features=16, blocks=3)
DETAILED = replace(TOY, long_n_fft=4096, short_n_fft=1024, detail=3)


@pytest.fixture(params=[TOY, DETAILED], ids=["first", "second"])
def toy(request: pytest.FixtureRequest) -> Transcriber:
    torch.manual_seed(0)
    return Transcriber(request.param).eval()


@pytest.mark.parametrize("samples", [1, 440, 441, 5000])
def test_frames_are_centred_on_multiples_of_the_hop(toy: Transcriber, samples: int) -> None:
    log_mel = toy.log_mel(torch.randn(2, samples))
    assert log_mel.shape == (2, 2, TOY.bands, 1 + samples // TOY.hop)
    onsets, velocities = toy(log_mel)
    assert onsets.shape == velocities.shape == (2, len(DRUMS), log_mel.shape[-1])


def test_a_click_is_loudest_in_its_frame_and_silence_is_zero(toy: Transcriber) -> None:
    click = torch.zeros(1, 44100)
    assert not toy.log_mel(click).any()
    click[0, 30 * TOY.hop] = 1
    assert toy.log_mel(click)[0, 1].sum(0).argmax() == 30


def test_context_is_what_a_frame_depends_on(toy: Transcriber) -> None:
    samples = torch.randn(1, 200 * TOY.hop)
    changed = samples.clone()
    changed[0, 100 * TOY.hop] += 1
    with torch.no_grad():
        before, after = (toy(toy.log_mel(one))[0][0] for one in (samples, changed))
    touched = torch.nonzero((before != after).any(0)).flatten()
    assert 100 - toy.context <= touched.min() and touched.max() <= 100 + toy.context
    assert touched.max() - touched.min() > toy.context


@pytest.mark.parametrize("length", [1, 7, 100])
def test_stretches_change_nothing(
    toy: Transcriber, monkeypatch: pytest.MonkeyPatch, length: int
) -> None:
    log_mel = toy.log_mel(torch.randn(2, 100 * TOY.hop))
    with torch.no_grad():
        whole = toy(log_mel)
        monkeypatch.setattr(network, "STRETCH", length)
        for in_stretches, at_once in zip(toy(log_mel), whole, strict=True):
            torch.testing.assert_close(in_stretches, at_once)


@pytest.mark.parametrize("dimensions", [Dimensions(), SECOND])
def test_every_band_hears_something(dimensions: Dimensions) -> None:
    ears = Transcriber(dimensions)
    for filters in (ears.long_filters, ears.short_filters):
        torch.testing.assert_close(filters.sum(1), torch.ones(len(filters)))


def quiet(frames: int = 100) -> tuple[np.ndarray, np.ndarray]:
    return np.zeros((9, frames), np.float32), np.full((9, frames), 0.5, np.float32)


@pytest.mark.parametrize("offset", [-0.45, -0.2, 0.0, 0.3, 0.5])
def test_picking_reads_the_fraction_that_training_wrote(offset: float) -> None:
    onsets, velocities = quiet()
    onsets[2, 49:52] = SIDE - LEAN * offset, 1, SIDE + LEAN * offset
    found = pick(onsets, velocities, np.full(9, 0.4, np.float32))
    assert found.frames.tolist() == pytest.approx([50 + offset], abs=1e-6)
    assert found.drums.tolist() == [2]
    assert found.confidences.tolist() == [1]


def test_hits_thirty_milliseconds_apart_are_two() -> None:
    onsets, velocities = quiet()
    onsets[1, [20, 23]] = 0.9
    found = pick(onsets, velocities, np.full(9, 0.5, np.float32))
    assert found.frames.round().tolist() == [20, 23]


@pytest.mark.parametrize(("between", "strokes"), [(0.3, 2), (0.5, 2), (0.6, 1), (0.7, 1)])
def test_peaks_twenty_milliseconds_apart_are_two_with_a_dip_between(
    between: float, strokes: int
) -> None:
    for heights in ((0.8, between, 0.9), (0.9, between, 0.8), (0.8, between, 0.8)):
        onsets, velocities = quiet()
        onsets[1, 20:23] = heights
        found = pick(onsets, velocities, at_half())
        assert len(found.frames) == strokes
        assert found.confidences.max() == pytest.approx(max(heights))


def test_equal_neighbours_are_one_and_edges_count() -> None:
    onsets, velocities = quiet()
    onsets[0, [0, 1, 40, 41, 99]] = 0.8
    found = pick(onsets, velocities, np.full(9, 0.5, np.float32))
    assert len(found.frames) == 3
    assert found.frames[0] == 0 and found.frames[-1] == 99


def at_half(thresholds: float = 0.5) -> np.ndarray:
    return np.full(len(DRUMS), thresholds, np.float32)


def test_each_drum_has_its_threshold() -> None:
    onsets, velocities = quiet()
    for drum in range(len(DRUMS)):
        onsets[drum, 10 * drum + 5] = 0.5
    thresholds = np.where(np.arange(9) % 2, 0.6, 0.4).astype(np.float32)
    assert candidates(onsets, velocities, thresholds).drums.tolist() == [0, 2, 4, 6, 8]


def test_a_stroke_shared_by_two_drums_of_a_stem_is_one_hit_of_the_likelier() -> None:
    onsets, velocities = quiet()
    crash, ride = Drum.CRASH.position, Drum.RIDE.position
    onsets[crash, 10], onsets[ride, 10] = 0.3, 0.4
    onsets[Drum.KICK.position, 10] = 0.4  # of another stem, and too little
    found = candidates(onsets, velocities, at_half())
    assert found.drums.tolist() == [ride]
    assert found.confidences.tolist() == [pytest.approx(0.7)]


@pytest.mark.parametrize("second, struck", [(0.8, 1), (0.9, 2)])
def test_two_drums_of_a_stem_are_struck_at_once_only_when_both_are_sure(
    second: float, struck: int
) -> None:
    onsets, velocities = quiet()
    onsets[Drum.TOM_HIGH.position, 10] = 0.95
    onsets[Drum.TOM_FLOOR.position, 11] = second
    found = pick(onsets, velocities, at_half())
    assert len(found.drums) == struck
    assert found.drums[0] == Drum.TOM_HIGH.position


def test_a_hat_is_open_or_closed() -> None:
    onsets, velocities = quiet()
    onsets[Drum.HIHAT_CLOSED.position, 10] = 0.9
    onsets[Drum.HIHAT_OPEN.position, 10] = 0.95
    onsets[Drum.HIHAT_CLOSED.position, 40] = 0.6
    found = pick(onsets, velocities, at_half())
    assert found.drums.tolist() == [Drum.HIHAT_OPEN.position, Drum.HIHAT_CLOSED.position]


@pytest.mark.parametrize(
    ("certain", "distance", "drum", "found"),
    [
        (CONFIRMING, NEARBY - 10, Drum.RIDE, True),
        (CONFIRMING, NEARBY - 10, Drum.CRASH, True),
        (CONFIRMING - 1, NEARBY - 10, Drum.RIDE, False),
        (CONFIRMING, NEARBY + 10, Drum.RIDE, False),
        (0, 10, Drum.SNARE, True),
    ],
)
def test_a_cymbal_with_no_certain_stroke_around_must_be_likelier(
    certain: int, distance: int, drum: Drum, found: bool
) -> None:
    onsets, velocities = quiet(3 * NEARBY)
    onsets[drum.position, 100] = 0.6
    onsets[drum.position, 100 + distance + 3 * np.arange(certain)] = 0.96
    assert (100 in pick(onsets, velocities, at_half()).frames) == found
    assert 100 in pick(onsets, velocities, at_half(), doubt=np.zeros(9, np.float32)).frames


def test_velocities_are_those_at_the_peaks() -> None:
    onsets, velocities = quiet()
    onsets[3, 60], velocities[3, 60] = 0.9, 0.8
    assert pick(onsets, velocities, np.full(9, 0.5, np.float32)).velocities.tolist() == [
        pytest.approx(0.8)
    ]


@pytest.mark.parametrize("detail", [0, 3])
def test_a_fused_network_gives_the_same_from_fewer_layers(detail: int) -> None:
    torch.manual_seed(3)
    network = Transcriber(Dimensions(bands=32, detail=detail, channels=2, features=6, blocks=2))
    with torch.no_grad():
        for _ in range(5):  # so that the statistics of normalisation are not the initial ones
            network(3 * torch.rand(2, 2, 32, 40))
    fast = fused(network)
    assert not any(isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d) for part in fast.modules())
    log_mel = 3 * torch.rand(1, 2, 32, 60)
    with torch.no_grad():
        for ours, theirs in zip(fast(log_mel), network.eval()(log_mel), strict=True):
            torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=0)
