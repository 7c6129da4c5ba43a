"""Templates of the default model: the mean magnitudes of the loudest hits of acoustic kits."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor

from drumsep.adaptation.adapt import first_templates
from drumsep.adaptation.strokes import LAST, STFT
from drumsep.drums import DRUMS, Drum
from drumsep.errors import DrumsepError
from drumsep.train.kits import SampledKit, read_kits
from drumsep.weights import ModelCard, Origin, store

NAME = "templates"
LENGTH = int(LAST) * STFT.hop  # samples of a hit that are used


def mean_templates(kits: Sequence[SampledKit]) -> Tensor:
    """Templates (9, L, F) of drums as loud, beside each other, as the kits have them.

    Every kit counts alike: its hit is scaled to unit energy before the mean, its gain put back.

    Raises:
        DrumsepError: no kit has some drum.
    """
    means = []
    for drum in DRUMS:
        found = [template for kit in kits for template in _templates(kit, drum)]
        if not found:
            raise DrumsepError(f"none of the {len(kits)} kits has a sample of {drum}")
        means.append(torch.stack(found).mean(dim=0))
    return torch.stack(means)


def _templates(kit: SampledKit, drum: Drum) -> Iterator[Tensor]:
    """The template of the drum's loudest layer, where the kit has the drum."""
    for layer in kit.classes.get(drum, ())[-1:]:
        sample = layer.samples[0]
        audio = sample.audio.mean(axis=0)[sample.before :][:LENGTH]
        template = first_templates(torch.from_numpy(audio)[None])[0]
        yield sample.gain * template / template.square().sum().sqrt()


def write_templates(kits_folder: Path, out: Path) -> ModelCard:
    """Make the templates of all acoustic kits in a folder and store them with their card."""
    kits = [kit for kit in read_kits(kits_folder, channels=1) if not kit.electronic]
    state = {NAME: mean_templates(kits).half()}
    origin = Origin(
        kind="templates",
        licence="GPL-3.0-or-later",
        source=f"mean magnitudes of {len(kits)} kits: {_credits(kits)}",
        notes="written by drumsep.train.templates",
    )
    return store(out, NAME, state, {}, origin)


def _credits(kits: Sequence[SampledKit]) -> str:
    return ", ".join(f"{kit.name} ({kit.licence})" for kit in kits)
