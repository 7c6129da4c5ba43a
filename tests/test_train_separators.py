"""Training of IDM and LarsNet: a few steps lower the loss, onsets and stems are in place."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from drumsep.idm.network import Dimensions as IdmDimensions
from drumsep.idm.network import Idm
from drumsep.larsnet.network import Dimensions as LarsNetDimensions
from drumsep.larsnet.network import LarsNet
from drumsep.sampled_kits import read_kits
from drumsep.train import idm, larsnet
from drumsep.train.data import Clips, Recipe
from drumsep.train.grooves import read_grooves
from drumsep.train.loop import Trainee, TrainOptions, run
from drumsep.train.losses import log_flatness, masked_l1, spectral_loss
from tests.train_data import write_grooves, write_kit

TOY_IDM = IdmDimensions(
    widths=(2, 4), depths=(1, 1), bands=32, kits=1, channels=4, blocks=2, kernel=3, one_shot=1000
)
TOY_LARSNET = LarsNetDimensions(n_fft=256, hop=64, frames=64, base=2, nets=1)


@pytest.fixture
def options(tmp_path: Path) -> TrainOptions:
    write_kit(tmp_path / "kits", "one")
    grooves = write_grooves(tmp_path / "grooves", count=1)
    return TrainOptions(
        kits=tmp_path / "kits", grooves=grooves, out=tmp_path / "out", batch=2,
        learning_rate=1e-2, weight_decay=0.0, warm_up=1, workers=0, average=0.5,
    )  # fmt: skip


def idm_trainee(options: TrainOptions) -> idm.IdmTrainee:
    kits = read_kits(options.kits, channels=1)
    clips = Clips(kits, read_grooves(options.grooves), replace(Recipe().plainly(), seconds=0.3), 0)
    torch.manual_seed(0)
    return idm.IdmTrainee(Idm(TOY_IDM), clips, options.batch, clips)


def larsnet_trainee(options: TrainOptions) -> larsnet.LarsNetTrainee:
    clips = Clips(
        read_kits(options.kits), read_grooves(options.grooves), larsnet.recipe(TOY_LARSNET), 0
    )
    torch.manual_seed(0)
    return larsnet.LarsNetTrainee(LarsNet(TOY_LARSNET), clips, options.batch, clips)


@pytest.mark.parametrize("make", [idm_trainee, larsnet_trainee])
def test_a_few_steps_lower_the_loss(
    make, options: TrainOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    learner: Trainee = make(options)
    batch = learner.batch(0)
    monkeypatch.setattr(learner, "batch", lambda number: batch)
    monkeypatch.setattr(learner, "validate", lambda network: {"score": 0.0})
    before = learner.loss(learner.network.train(), batch)["loss"].item()
    run(learner, replace(options, steps=8), lambda line: None)
    after = learner.loss(learner.network.train(), batch)["loss"].item()
    assert after < 0.9 * before


@pytest.mark.parametrize("make", [idm_trainee, larsnet_trainee])
def test_validation_gives_a_score(make, options: TrainOptions) -> None:
    learner = make(options)
    with torch.no_grad():
        assert learner.validate(learner.network.eval())["score"] < 0


def test_larsnets_stems_add_up_and_fill_one_chunk(options: TrainOptions) -> None:
    learner = larsnet_trainee(options)
    mixture, stems = learner.batch(0)
    torch.testing.assert_close(stems.sum(1), mixture, atol=1e-5, rtol=0)
    magnitudes = learner._magnitudes(mixture)
    assert magnitudes.shape == (2, 2, TOY_LARSNET.bins, TOY_LARSNET.frames)


def test_sequencing_is_convolution_with_the_onsets() -> None:
    generator = torch.Generator().manual_seed(0)
    shots = torch.randn(2, 9, 300, generator=generator)
    amplitudes = torch.rand(2, 9, 20, generator=generator)
    starts = torch.full((2, 9, 20), idm.NO_HIT)
    starts[0, 1, 3], starts[0, 1, 4], starts[1, 8, 19] = 50, 307, 511
    made = idm.sequenced(amplitudes, shots, starts, length=520)
    expected = torch.zeros(520)
    expected[50:350] += amplitudes[0, 1, 3] * shots[0, 1]
    expected[307:] += amplitudes[0, 1, 4] * shots[0, 1, :213]
    torch.testing.assert_close(made[0], expected)
    torch.testing.assert_close(made[1, 511:], amplitudes[1, 8, 19] * shots[1, 8, :9])
    assert not made[1, :511].any()


def test_starts_are_those_of_the_rendering_in_the_nearest_frame(options: TrainOptions) -> None:
    learner = idm_trainee(options)
    starts = learner.batch(0)[1][0]
    drums, frames = (starts != idm.NO_HIT).nonzero(as_tuple=True)
    rendering = learner._clips.rendered(0)[1].rendering
    found = set(zip(drums.tolist(), starts[drums, frames].tolist(), strict=True))
    assert found and found <= set(zip(rendering.drums, rendering.onsets, strict=True))
    assert ((starts[drums, frames] - frames * TOY_IDM.hop).abs() <= TOY_IDM.hop // 2).all()


def test_the_kit_counts_only_where_it_is_known() -> None:
    logits = torch.tensor([[2.0, 0.0], [0.0, 5.0]])
    known = torch.tensor([0, idm.UNKNOWN])
    alone = torch.nn.functional.cross_entropy(logits[:1], known[:1])
    torch.testing.assert_close(idm._kit_loss(logits, known), alone)
    assert idm._kit_loss(logits, torch.full((2,), idm.UNKNOWN)) == 0


def test_losses_vanish_for_what_is_right() -> None:
    sound = torch.randn(2, 8000, generator=torch.Generator().manual_seed(0))
    assert spectral_loss(sound, sound).item() == 0
    assert spectral_loss(0.5 * sound, sound).item() > 0.5
    assert log_flatness(sound).max() < 0
    torch.testing.assert_close(log_flatness(0.1 * sound), log_flatness(sound), atol=1e-3, rtol=0)
    dying = sound * torch.linspace(1, 0, 8000) ** 4
    assert (log_flatness(dying) < log_flatness(sound) - 0.5).all()
    mixture = torch.rand(1, 2, 8, 4)
    masks = torch.rand(1, 5, 2, 8, 4)
    assert masked_l1(masks, mixture, masks * mixture[:, None]).item() == 0
