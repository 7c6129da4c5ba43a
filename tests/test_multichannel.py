"""What drums sound like, how hard they are hit and where they stand, learnt together: its laws."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from drumsep.adaptation import spatial
from drumsep.adaptation.fitting import Fit, Hearing
from drumsep.adaptation.multichannel import MultichannelModel, Stretch
from drumsep.adaptation.strokes import LAGS, LAYERS, ROWS, Strokes, place
from drumsep.drums import Drum
from drumsep.results import Hit

BINS, FRAMES = 24, 800
FRAME = 512 / 44_100  # s
CPU = torch.device("cpu")
GAINS = torch.tensor([[1.0, 0.3], [0.2, 0.9j]])  # of a kick and a snare, in both channels


def strokes_of(kicks: list[int], snares: list[int]) -> Strokes:
    """Hits in these frames."""
    struck = [(at, Drum.KICK) for at in kicks] + [(at, Drum.SNARE) for at in snares]
    return Strokes.of([Hit(at * FRAME, drum, 0.9) for at, drum in sorted(struck)])


def true_fit(strokes: Strokes) -> Fit:
    """A kick of low bins and a snare of all; hits of strength one."""
    decay = torch.exp(-torch.from_numpy(LAGS).float().clamp_min(0) / 12)
    colours = torch.stack([torch.linspace(3, 0.1, BINS), torch.linspace(0.7, 1, BINS)])
    templates = colours.repeat_interleave(LAYERS, dim=0)[:, None] * decay[:, None]
    return Fit(templates[: LAYERS * len(strokes.drums)], torch.ones(len(strokes)))


def played(fit: Fit, strokes: Strokes, channels: int = 2) -> Tensor:
    """The drums' spectra (D, C, F, T): noise of the model's magnitudes from one place each."""
    random = torch.Generator().manual_seed(0)
    model = MultichannelModel.of(fit, strokes, masks(strokes, channels), 2.0)
    magnitudes = model.sounding(hearing(strokes)).magnitudes * model.level
    noise = torch.randn(magnitudes.shape, generator=random, dtype=torch.complex64)
    gains = GAINS[: len(magnitudes), :channels]
    return gains[:, :, None, None] * (magnitudes * noise)[:, None].transpose(-1, -2)


def hearing(strokes: Strokes) -> Hearing:
    return Hearing(place(strokes, 0, FRAMES), strokes, CPU)


def masks(strokes: Strokes, channels: int = 2) -> spatial.Covariances:
    return spatial.of_masks(len(strokes.drums), channels, BINS, CPU)


def learnt(heard: Tensor, fit: Fit, strokes: Strokes, alpha: float = 2.0) -> MultichannelModel:
    """Learnt from the spectrum (C, F, T) of all frames."""
    model = MultichannelModel.of(fit, strokes, masks(strokes, len(heard)), alpha)
    return model.learnt([Stretch(spatial.in_groups(heard / model.level), hearing(strokes))])


def strengths_of(drum: Drum, model: MultichannelModel) -> Tensor:
    """In order of time."""
    return model.strengths[model.drum == (0 if drum is Drum.KICK else 1)]


KICKS, SNARES = [50, 200, 350, 500, 650], [120, 200, 420, 500, 720]


def test_where_drums_stand_is_learnt() -> None:
    strokes = strokes_of(KICKS, SNARES)
    fit = true_fit(strokes)
    (covariances,) = learnt(played(fit, strokes).sum(dim=0), fit, strokes).covariances
    left, right, real, imaginary = covariances[1].mean(dim=-1)
    assert right / left == pytest.approx((0.9 / 0.2) ** 2, rel=0.25)
    assert imaginary < 0 and imaginary.abs() > 4 * real.abs()  # conj(0.9j) is -0.9j


def test_what_was_played_softer_becomes_softer() -> None:
    strokes = strokes_of(KICKS, SNARES)
    fit = true_fit(strokes)
    loudness = torch.ones(len(strokes))
    loudness[-1] = 0.3
    heard = played(replace(fit, strengths=loudness), strokes).sum(dim=0)
    snares = strengths_of(Drum.SNARE, learnt(heard, fit, strokes))
    assert snares[-1] < 0.6 * snares[:-1].min()


@pytest.mark.parametrize("channels", [1, 2])
def test_hits_that_nobody_played_shrink(channels: int) -> None:
    true, false = strokes_of(KICKS, SNARES), strokes_of(KICKS, [*SNARES, 280, 570])
    heard = played(true_fit(true), true, channels).sum(dim=0)
    snares = strengths_of(Drum.SNARE, learnt(heard, true_fit(false), false))
    assert snares[[2, 5]].max() < 0.5 * snares[[0, 1, 3, 4, 6]].min()


def test_the_mean_strength_of_a_drum_stays() -> None:
    strokes = strokes_of(KICKS, SNARES)
    fit = true_fit(strokes)
    model = learnt(3 * played(fit, strokes).sum(dim=0), fit, strokes)
    for drum in (Drum.KICK, Drum.SNARE):
        assert float(strengths_of(drum, model).mean()) == pytest.approx(1, rel=1e-4)


def test_what_is_not_heard_stays() -> None:
    """A hit after the last frame, and a drum that has no other."""
    strokes = strokes_of([*KICKS, FRAMES + 100], [FRAMES + 200])
    fit = true_fit(strokes)
    heard = played(replace(fit, strengths=2 * fit.strengths), strokes).sum(dim=0)
    start = MultichannelModel.of(fit, strokes, masks(strokes), 2.0)
    model = learnt(heard, fit, strokes)
    assert torch.equal(model.strengths[-2:], torch.ones(2))
    torch.testing.assert_close(model.templates[1], start.templates[1])
    assert not torch.allclose(model.templates[0], start.templates[0])
    (covariances,), (before,) = model.covariances, start.covariances
    torch.testing.assert_close(covariances[1], before[1])


def test_the_level_of_a_recording_does_not_matter() -> None:
    strokes = strokes_of(KICKS, SNARES)
    fit = true_fit(strokes)
    heard = played(fit, strokes).sum(dim=0)
    soft = replace(fit, templates=1e-4 * fit.templates)
    models = learnt(heard, fit, strokes), learnt(1e-4 * heard, soft, strokes)
    assert float(models[0].level / models[1].level) == pytest.approx(1e4, rel=1e-3)
    for found, expected in [
        (models[1].templates, models[0].templates),
        (models[1].strengths, models[0].strengths),
        (models[1].covariances[0], models[0].covariances[0]),
    ]:
        torch.testing.assert_close(found, expected, rtol=0.02, atol=1e-3)


def test_a_drum_that_always_sounds_with_another_does_not_vanish() -> None:
    strokes = strokes_of(KICKS, KICKS)
    fit = true_fit(strokes)
    (covariances,) = learnt(played(fit, strokes)[0], fit, strokes).covariances
    assert spatial.power(covariances).min() > 0


def test_twice_the_same_channel_is_learnt_as_mono() -> None:
    strokes = strokes_of(KICKS, SNARES)
    fit = true_fit(strokes)
    heard = played(fit, strokes, channels=1).sum(dim=0)
    alone, twice = (learnt(channels, fit, strokes) for channels in (heard, heard.expand(2, -1, -1)))
    torch.testing.assert_close(twice.strengths, alone.strengths, rtol=0.15, atol=0)


def test_silence_is_finite() -> None:
    strokes = strokes_of(KICKS, SNARES)
    model = learnt(torch.zeros(2, BINS, FRAMES, dtype=torch.complex64), true_fit(strokes), strokes)
    for values in (model.templates, model.strengths, *model.covariances):
        assert values.isfinite().all()


def test_magnitudes_are_strengths_times_templates() -> None:
    strokes = strokes_of(KICKS, SNARES)
    fit = true_fit(strokes)
    model = MultichannelModel.of(fit, strokes, masks(strokes), 2.0)
    assert model.templates.shape == (2, ROWS, BINS)
    sounding = model.sounding(hearing(strokes))
    activations = hearing(strokes).activations(fit.strengths)
    both = (activations.T @ fit.templates.flatten(0, 1)) / model.level
    torch.testing.assert_close(sounding.magnitudes.sum(dim=0), both)
