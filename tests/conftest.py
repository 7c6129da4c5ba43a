"""Shared fixtures: where the reference material lies, and short sounds made by formula."""

from pathlib import Path

import numpy as np
import pytest
import torch

from drumsep import weights
from drumsep.results import Audio

# Toy tensors are too small to share: threads that wait for each other take minutes.
torch.set_num_threads(1)

SHARED = Path(__file__).resolve().parent.parent.parent / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder with reference material and data; tests that need it skip where it is absent."""
    if not SHARED.is_dir():
        pytest.skip(f"no shared material at {SHARED}")
    return SHARED


@pytest.fixture(scope="session")
def reference(shared: Path) -> Path:
    """Specifications, goldens and the published IDM checkpoint."""
    return shared / "reference"


def drum_loop(seconds: float = 2.0, rate: int = 44100, channels: int = 2, seed: int = 0) -> Audio:
    """A loop by formula: kick on the beats, snare on the backbeats, a hat on every eighth."""
    time = np.arange(round(seconds * rate)) / rate
    noise = np.random.default_rng(seed).standard_normal(time.size)

    def hits(first: float, period: float, decay: float, wave: np.ndarray) -> np.ndarray:
        phase = np.where(time >= first, (time - first) % period, np.inf)
        return np.exp(-decay * phase) * wave

    kick = hits(0.05, 0.5, 18, np.sin(2 * np.pi * 60 * time))
    snare = hits(0.30, 0.5, 25, 0.6 * noise + 0.4 * np.sin(2 * np.pi * 190 * time))
    hat = hits(0.05, 0.25, 70, np.diff(noise, prepend=0))
    left = 0.6 * kick + 0.3 * snare + 0.1 * hat
    right = 0.6 * kick + 0.2 * snare + 0.25 * hat
    pan = np.stack([left, right, 0.5 * left, 0.5 * right])[:channels]
    samples = pan if channels > 1 else pan[:1]
    return Audio((0.7 * samples / np.abs(samples).max()).astype(np.float32), rate)


@pytest.fixture
def loop() -> Audio:
    """Two seconds of stereo drums at 44.1 kHz."""
    return drum_loop()


@pytest.fixture(scope="session")
def toy_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `toy.safetensors`: the smallest IDM, its weights drawn from a seed."""
    import json

    from drumsep import weights
    from drumsep.idm.network import Dimensions, Idm

    torch.manual_seed(3)
    size = Dimensions(widths=(2, 4), depths=(1, 1), channels=4, blocks=3, one_shot=4410)
    network = Idm(size)
    folder = tmp_path_factory.mktemp("weights")
    metadata = {"format": "drumsep-1", "kind": "idm", "dimensions": json.dumps(size.to_dict())}
    origin = weights.Origin(kind="idm", licence="CC0-1.0", source="drawn from a seed")
    weights.store(folder, "toy", network.state_dict(), metadata, origin)
    return folder


@pytest.fixture
def toy_installed(toy_weights: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Name of a model that is installed for this test and its child processes."""
    monkeypatch.setenv("DRUMSEP_WEIGHTS", str(toy_weights))
    return "toy"


@pytest.fixture
def user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's folder for models: empty, and the only one that is looked into."""
    folder = tmp_path / "user"
    monkeypatch.delenv("DRUMSEP_WEIGHTS", raising=False)
    monkeypatch.setattr(weights, "user_folder", lambda: folder)
    monkeypatch.setattr(weights, "bundled_folder", lambda: tmp_path / "bundled")
    return folder
