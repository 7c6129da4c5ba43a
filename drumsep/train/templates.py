"""Templates of the default model: the mean magnitudes of the loudest hits of acoustic kits."""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor

from drumsep.adaptation.starting import first_templates
from drumsep.adaptation.strokes import LAST, STFT
from drumsep.drums import DRUMS, Drum
from drumsep.errors import DrumsepError
from drumsep.sampled_kits import SampledKit, read_kits
from drumsep.weights import ModelCard, Origin, store

NAME = "templates"
FREE = ("CC0", "CC-BY-3", "CC-BY-4", "MIT", "Public domain")  # how licences of used kits begin
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
    """Make templates of the acoustic kits in a folder that may be used freely; store them.

    Raises:
        DrumsepError: no such kit has some drum, or `out` cannot be written.
    """
    kits = [kit for kit in read_kits(kits_folder, channels=1) if _usable(kit)]
    origin = Origin(
        kind="templates",
        licence="CC-BY-4.0",
        source=f"drumsep, from the samples of {len(kits)} kits: {_credits(kits)}",
        notes="made by drumsep.train.templates; see templates.md",
    )
    return store(out, NAME, {NAME: mean_templates(kits).half()}, {"kind": NAME}, origin)


def _usable(kit: SampledKit) -> bool:
    return not kit.electronic and kit.licence.startswith(FREE)


def _credits(kits: Sequence[SampledKit]) -> str:
    return ", ".join(f"{kit.name} ({kit.licence.partition('(')[0].strip()})" for kit in kits)


if __name__ == "__main__":
    write_templates(*map(Path, sys.argv[1:3]))
