"""LarsNet against the published code: five synthetic checkpoints, its numbers at every border."""

import hashlib
import importlib.util
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import soundfile
import torch
from torch import Tensor
from torch.nn import functional as F

from drumsep import importing
from drumsep.drums import STEMS
from drumsep.dsp import Stft
from drumsep.larsnet.model import ChunkMasker, LarsNetModel
from drumsep.larsnet.network import LarsNet, from_state
from drumsep.larsnet.official import NAMES, convert
from drumsep.results import Audio, Options, Transcription
from drumsep.separator import Separator

pytestmark = pytest.mark.reference

WAVEFORM = 2e-6  # absolute, of the specification
MASK = 1e-4
NO_HITS = Transcription((), 0.0)
RATE = 44100


@pytest.fixture(scope="module")
def maker(reference: Path) -> ModuleType:
    """The script that draws the checkpoints from its own seeds."""
    path = reference / "larsnet" / "make_checkpoints.py"
    spec = importlib.util.spec_from_file_location("make_checkpoints", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def goldens(reference: Path) -> dict[str, np.ndarray]:
    with np.load(reference / "larsnet" / "goldens.npz") as arrays:
        return dict(arrays)
