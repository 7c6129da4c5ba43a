"""What a GPU makes is what the CPU makes, to 60 dB."""

import numpy as np
import pytest
import torch

from drumsep import load
from drumsep.drums import Drum
from drumsep.results import Hit, Options, Transcription
from tests.conftest import drum_loop

pytestmark = [
    pytest.mark.cuda,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
]

HITS = tuple(Hit(0.05 + 0.25 * n, (Drum.KICK, Drum.SNARE)[n % 2], 0.7) for n in range(7))


@pytest.mark.parametrize("name", ["drumsep", "nmfd", "sab-nmf", "toy"])
def test_stems_are_those_of_the_cpu(name: str, toy_installed: str) -> None:
    options = Options(hits=Transcription(HITS, 2.0))
    loop = drum_loop()
    made = {
        device: load(name, device=device).separate(loop, options).stems
        for device in ("cpu", "cuda")
    }
    for stem, expected in made["cpu"].items():
        error = np.square(made["cuda"][stem].samples - expected.samples).sum()
        assert error <= 1e-6 * np.square(loop.samples).sum(), stem


def test_hits_are_those_of_the_cpu() -> None:
    loop = drum_loop()
    cpu, cuda = (load("drumsep", device=device).transcribe(loop).hits for device in ("cpu", "cuda"))
    assert [hit.drum for hit in cpu] == [hit.drum for hit in cuda]
    np.testing.assert_allclose([h.time for h in cpu], [h.time for h in cuda], atol=1e-4)
