"""Templates of a user's own kit: they replace those of its drums, and they help."""

import numpy as np
import pytest
import torch

from drumsep.adaptation.adapt import adapt
from drumsep.adaptation.own_kit import with_kit
from drumsep.adaptation.starting import first_templates
from drumsep.adaptation.strokes import RATE
from drumsep.drums import Drum
from drumsep.masking import filtered_stems
from drumsep.recording import survey
from drumsep.results import Audio, Hit, Kit, OneShot, Options, Transcription, no_progress

SECONDS = 0.4
TIME = np.arange(round(SECONDS * RATE)) / RATE


def stroke(hertz: float) -> np.ndarray:
    return (np.sin(2 * np.pi * hertz * TIME) * np.exp(-20 * TIME)).astype(np.float32)


def shot(drum: Drum, sound: np.ndarray, velocity: float = 1.0, rate: int = RATE) -> OneShot:
    return OneShot(drum, Audio(sound[None], rate), "extracted", velocity)


@pytest.fixture
def templates() -> torch.Tensor:
    noise = torch.randn(9, RATE // 4, generator=torch.Generator().manual_seed(0))
    return first_templates(noise * torch.linspace(1, 0, RATE // 4))


def test_without_a_kit_nothing_changes(templates: torch.Tensor) -> None:
    assert with_kit(templates, None) is templates
    assert with_kit(templates, Kit(())) is templates


def test_own_drums_keep_their_levels_and_others_their_templates(templates: torch.Tensor) -> None:
    kit = Kit((shot(Drum.KICK, stroke(60)), shot(Drum.SNARE, 0.1 * stroke(200), velocity=0.5)))
    found = with_kit(templates, kit)
    torch.testing.assert_close(found[2:], templates[2:])
    torch.testing.assert_close(found.sum(), templates.sum(), rtol=1e-4, atol=0)
    own = first_templates(torch.from_numpy(np.stack([stroke(60), 0.2 * stroke(200)])))
    torch.testing.assert_close(found[1] / found[0].sum(), own[1] / own[0].sum())


def test_the_hardest_stroke_counts_and_any_rate_does(templates: torch.Tensor) -> None:
    hard, soft = shot(Drum.KICK, stroke(60)), shot(Drum.KICK, stroke(900), velocity=0.3)
    found = with_kit(templates, Kit((hard, soft)))
    torch.testing.assert_close(found, with_kit(templates, Kit((hard,))))
    half = stroke(60)[::2].copy()
    slower = with_kit(templates, Kit((shot(Drum.KICK, half, rate=RATE // 2),)))
    torch.testing.assert_close(slower[0].sum(1), found[0].sum(1), rtol=0.05, atol=1e-3)


def test_the_right_kit_separates_what_wrong_templates_do_not(templates: torch.Tensor) -> None:
    drums = {Drum.KICK: stroke(60), Drum.SNARE: stroke(1500)}
    sources = {drum: np.zeros((1, RATE), np.float32) for drum in drums}
    hits = []
    for drum, sound in drums.items():
        for start in (2000, 22000):
            sources[drum][0, start : start + len(sound)] += 0.4 * sound
            hits.append(Hit(start / RATE, drum, 1.0))
    mixture = survey(Audio(sum(sources.values()), RATE), RATE)
    kit = Kit(tuple(shot(drum, sound) for drum, sound in drums.items()))

    def error(first: torch.Tensor) -> float:
        options = Options(adapt=0)
        hits_given = Transcription(tuple(hits), 1.0)
        fitted = adapt(first, hits_given, mixture, options, no_progress)
        stems = np.concatenate(list(filtered_stems(mixture, fitted.filter(options))), axis=-1)
        return float(np.square(stems[0] - sources[Drum.KICK]).sum())

    assert error(with_kit(templates, kit)) < 0.05 * error(templates)
