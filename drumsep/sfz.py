"""A kit as SFZ text: General MIDI keys, velocity layers, round robins, and a hi-hat that chokes.

Levels: SFZ players scale a note by (velocity / 127)^2 at amp_veltrack=100. Each region's volume
undoes that at the velocity its sample was played with, so that this velocity sounds as recorded.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from math import log10
from statistics import mean

from drumsep.drums import Drum

LOUDEST_DB = 6.0  # the highest volume that SFZ 1 allows
SOFTEST = 1 / 127  # velocity

# A closed hi-hat ends a ringing open one: it is in group 1, which switches group 2 off.
CHOKES = {
    Drum.HIHAT_CLOSED: " group=1",
    Drum.HIHAT_OPEN: " group=2 off_by=1 off_mode=fast",
}


@dataclass(frozen=True)
class Zone:
    """A sample and when it is to be played."""

    file: str  # name in the folder of samples
    drum: Drum
    velocity: float  # 0..1, of the recorded stroke
    gain_db: float  # from the file's level to the recorded one
    layer: int  # 1 is the softest of its drum
    robin: int  # 1 is the first of its layer


def text(zones: Sequence[Zone], title: str, folder: str) -> str:
    """The SFZ file of zones that are in order of drum, layer and robin.

    Args:
        zones: at least one robin for every layer from 1 on.
        title: goes into a comment.
        folder: of the samples, relative to the file.
    """
    lowered = max([0.0, *(_volume(zone) - LOUDEST_DB for zone in zones)])
    lines = [
        f"// {' '.join(title.split())}",
        f"<control> default_path={folder}/",
        "<global> loop_mode=one_shot amp_veltrack=100",
    ]
    for drum, of_drum in groupby(zones, key=lambda zone: zone.drum):
        lines.append(f"\n<group> key={drum.note}{CHOKES.get(drum, '')} // {drum.value}")
        layers = [list(layer) for _, layer in groupby(of_drum, key=lambda zone: zone.layer)]
        for layer, (low, high) in zip(layers, _ranges(layers), strict=True):
            for zone in layer:
                lines.append(
                    f"<region> sample={zone.file} lovel={low} hivel={high}"
                    f" seq_length={len(layer)} seq_position={zone.robin}"
                    f" volume={_volume(zone) - lowered:.2f}"
                )
    return "\n".join(lines) + "\n"


def _volume(zone: Zone) -> float:
    return zone.gain_db - 40 * log10(max(zone.velocity, SOFTEST))


def _ranges(layers: Sequence[Sequence[Zone]]) -> list[tuple[int, int]]:
    """Velocities of each layer, 1 to 127 without gaps, parted halfway between their strokes."""
    centres = [127 * mean(zone.velocity for zone in layer) for layer in layers]
    highs = [*(round((soft + loud) / 2) for soft, loud in pairwise(centres)), 127]
    lows = [1, *(high + 1 for high in highs[:-1])]
    return list(zip(lows, highs, strict=True))
