"""The true kit: what the samples that a clip was played with sound like where its hits are."""

from collections.abc import Iterable

import numpy as np

from drumsep.drums import STEMS, Drum
from drumsep.results import Audio, Hit, Samples
from drumsep.sampled_kits import SampledKit


def strokes(kit: SampledKit, drum: Drum) -> tuple[Samples, ...]:
    """Every sample of a drum (C, N); none where the kit lacks it."""
    layers = kit.classes.get(drum.value, ())
    return tuple(sample.audio for layer in layers for sample in layer.samples)


def played(kit: SampledKit, hits: Iterable[Hit], like: Audio) -> dict[str, Samples]:
    """The five stems, float32 (C, N), of a kit that was read with the rate and channels of `like`.

    Articulations beyond the nine drums (side stick, pedal hat, ride bell) are left out, of round
    robins the first is taken, and an open hat rings on: close to what was played, not the same.
    """
    stems = {stem: np.zeros_like(like.samples) for stem in STEMS}
    for hit in hits:
        name = kit.resolve(hit.drum.value)
        if name is None:
            continue
        sample = kit.layer(name, round(hit.velocity * 127)).samples[0]
        level = np.float32(sample.gain * hit.velocity ** kit.exponent(name))
        start = round(hit.time * like.rate) - sample.before
        _add(stems[hit.drum.stem], level * sample.audio, start)
    return stems


def _add(stem: Samples, sound: Samples, start: int) -> None:
    """Add a sound at a sample, cut where it leaves the stem."""
    first, stop = max(start, 0), min(start + sound.shape[1], stem.shape[1])
    if stop > first:
        stem[:, first:stop] += sound[:, first - start : stop - start]
