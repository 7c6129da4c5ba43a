"""Templates from kits: which kits are used, and how loud they come out."""

import json

import numpy as np
import pytest
import soundfile

from drumsep import weights
from drumsep.adaptation.strokes import LAGS, STFT
from drumsep.drums import DRUM_NAMES
from drumsep.errors import DrumsepError
from drumsep.train.templates import write_templates

RATE = 44100


def write_kit(folder, licence="CC0-1.0", names=DRUM_NAMES, seed=0):
    """A kit of noise bursts, each drum 6 dB below the one before it."""
    folder.mkdir(parents=True)
    noise = np.random.default_rng(seed).standard_normal(4000) * np.exp(-np.arange(4000) / 800)
    soundfile.write(folder / "hit.wav", 0.2 * np.pad(noise, (22, 0)), RATE)
    entry = {"file": "hit.wav", "layer": 0, "rr": 0, "velocity_lo": 1, "velocity_hi": 127}
    classes = {name: [entry | {"gain_db": -6.02 * n}] for n, name in enumerate(names)}
    facts = {"id": folder.name, "licence": licence, "classes": classes, "pre_onset_samples": 22}
    (folder / "kit.json").write_text(json.dumps(facts | {"velocity_exponent": {"default": 1.5}}))


def templates(card):
    state, metadata = weights.read(card)
    assert metadata["kind"] == "templates"
    return state["templates"].float()


def test_drums_are_as_loud_as_the_kits_have_them(tmp_path):
    write_kit(tmp_path / "kits" / "one")
    found = templates(write_templates(tmp_path / "kits", tmp_path / "out"))
    assert found.shape == (len(DRUM_NAMES), len(LAGS), STFT.bins)
    energies = found.square().sum((1, 2)).sqrt()
    np.testing.assert_allclose(energies, 0.5 ** np.arange(9), rtol=1e-2)


def test_kits_that_may_not_be_used_freely_are_left_out(tmp_path):
    write_kit(tmp_path / "both" / "free")
    write_kit(tmp_path / "both" / "shared-alike", licence="CC-BY-SA-3.0", seed=1)
    write_kit(tmp_path / "alone" / "free")
    both = write_templates(tmp_path / "both", tmp_path / "1")
    alone = write_templates(tmp_path / "alone", tmp_path / "2")
    assert both.sha256 == alone.sha256
    assert "shared-alike" not in both.source and "free (CC0-1.0)" in both.source


def test_every_drum_is_needed(tmp_path):
    write_kit(tmp_path / "kits" / "one", names=DRUM_NAMES[:-1])
    with pytest.raises(DrumsepError, match="none of the 1 kits has a sample of ride"):
        write_templates(tmp_path / "kits", tmp_path / "out")
