"""What a GPU makes is what the CPU makes, to 60 dB."""

import numpy as np
import pytest
import torch

from drumsep import load
from drumsep.drums import Drum
from drumsep.larsnet.model import LarsNetModel
from drumsep.results import Hit, Options, Transcription
from drumsep.separator import Separator
from tests.conftest import drum_loop
from tests.goldens.make_larsnet import SMALL, toy

pytestmark = [
    pytest.mark.cuda,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
]

HITS = tuple(Hit(0.05 + 0.25 * n, (Drum.KICK, Drum.SNARE)[n % 2], 0.7) for n in range(7))


LOOP = drum_loop()


def check(separators: tuple[Separator, Separator]) -> None:
    """Compare the stems of one model on the CPU and on the GPU."""
    options = Options(hits=Transcription(HITS, 2.0))
    expected, found = (one.separate(LOOP, options).stems for one in separators)
    for stem, audio in expected.items():
        error = np.square(found[stem].samples - audio.samples).sum()
        assert error <= 1e-6 * np.square(LOOP.samples).sum(), stem


@pytest.mark.parametrize("name", ["drumsep", "idm", "nmfd", "sab-nmf", "toy"])
def test_stems_are_those_of_the_cpu(name: str, toy_installed: str) -> None:
    check((load(name, device="cpu"), load(name, device="cuda")))


def test_larsnets_stems_are_those_of_the_cpu() -> None:
    cpu, cuda = (toy(SMALL).to(device) for device in ("cpu", "cuda"))
    check((Separator(LarsNetModel(cpu, "toy")), Separator(LarsNetModel(cuda, "toy"))))


def test_hits_are_those_of_the_cpu() -> None:
    cpu, cuda = (load("drumsep", device=device).transcribe(LOOP).hits for device in ("cpu", "cuda"))
    assert [hit.drum for hit in cpu] == [hit.drum for hit in cuda]
    np.testing.assert_allclose([h.time for h in cpu], [h.time for h in cuda], atol=1e-4)
