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
from drumsep.train.losses import masked_l1, spectral_loss
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
    return idm.IdmTrainee(Idm(TOY_IDM), clips, options.batch, kits)


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
    amplitudes = torch.zeros(2, 9, 20)
    amplitudes[0, 1, 3], amplitudes[0, 1, 4], amplitudes[1, 8, 19] = 0.5, 1.0, 2.0
    made = idm.sequenced(amplitudes, shots, hop=16, length=320)
    expected = torch.zeros(320)
    expected[48:] += 0.5 * shots[0, 1, :272]
    expected[64:] += shots[0, 1, :256]
    torch.testing.assert_close(made[0], expected)
    torch.testing.assert_close(made[1, 304:], 2 * shots[1, 8, :16])


def test_losses_vanish_for_what_is_right() -> None:
    sound = torch.randn(2, 8000, generator=torch.Generator().manual_seed(0))
    assert spectral_loss(sound, sound).item() == 0
    assert spectral_loss(0.5 * sound, sound).item() > 0.5
    mixture = torch.rand(1, 2, 8, 4)
    masks = torch.rand(1, 5, 2, 8, 4)
    assert masked_l1(masks, mixture, masks * mixture[:, None]).item() == 0
