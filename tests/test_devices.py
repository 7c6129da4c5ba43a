"""The same results on every device; a GPU that the CPU pretends to be stands for real ones."""

import threading
from collections.abc import Iterator

import numpy as np
import pytest
import torch

from drumsep import loading
from drumsep.devices import GPU_BATCH, ahead, blocks_at_once, device_of, fetched, sent
from drumsep.drums import Drum
from drumsep.errors import DrumsepError
from drumsep.larsnet.model import LarsNetModel
from drumsep.results import Hit, Options, Separation, Transcription
from drumsep.separator import Separator
from tests import pretend_gpu
from tests.conftest import drum_loop
from tests.goldens.make_larsnet import SMALL, toy

CPU = torch.device("cpu")
LOOP = drum_loop(seconds=4.0)


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[torch.device]:
    """A device that is no CPU; models are loaded onto it as "gpu"."""
    places = {"cpu": CPU, "gpu": pretend_gpu.DEVICE}
    monkeypatch.setattr(loading, "device_of", places.__getitem__)
    with pretend_gpu.without_inference_mode():
        yield pretend_gpu.DEVICE


def test_the_pretended_gpu_refuses_what_a_gpu_refuses(gpu: torch.device) -> None:
    there, here = torch.ones(3, device=gpu), torch.ones(3)
    assert torch.equal((there + 1).cpu(), here + 1)
    assert (there[torch.tensor([0, 2])] * torch.tensor(2.0)).tolist() == [2.0, 2.0]
    for mixed in (
        lambda: there + here,
        lambda: torch.stack([here, there]),
        lambda: here[there > 0],
    ):
        with pytest.raises(RuntimeError, match="on the CPU"):
            mixed()
    with pytest.raises(RuntimeError, match="numpy"):
        there.numpy()


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("drumsep", Options()),
        ("drumsep", Options(stems=9, adapt=0)),
        ("drumsep", Options(mask=False)),
        ("idm", Options()),
        ("idm", Options(adapt=4)),
        ("nmfd", Options(adapt=2)),
        ("sab-nmf", Options(adapt=2)),
        ("toy", Options(adapt=2)),
    ],
)
def test_a_model_is_the_same_on_a_gpu(
    gpu: torch.device, toy_installed: str, name: str, options: Options
) -> None:
    expected, found = (
        loading.load(name, device=device).separate(LOOP, options) for device in ("cpu", "gpu")
    )
    assert found.transcription.hits == expected.transcription.hits
    assert error(found, expected) < 1e-6  # 60 dB: to adapt enlarges what rounding leaves


@pytest.mark.parametrize("overlap", [0.0, 0.5])
def test_larsnet_is_the_same_on_a_gpu(gpu: torch.device, overlap: float) -> None:
    options = Options(hits=Transcription((Hit(0.1, Drum.RIDE, 0.5),), 4.0), overlap=overlap)
    expected, found = (
        Separator(LarsNetModel(toy(SMALL).to(device), "toy")).separate(LOOP, options)
        for device in (CPU, gpu)
    )
    assert error(found, expected) < 1e-12


def error(found: Separation, expected: Separation) -> float:
    """Energy of the largest difference of a stem, over that of the mixture."""
    differences = [
        np.square(found.stems[name].samples - stem.samples).sum()
        for name, stem in expected.stems.items()
    ]
    return float(max(differences) / np.square(LOOP.samples).sum())


def test_a_gpu_computes_several_blocks_at_once(gpu: torch.device) -> None:
    assert blocks_at_once(CPU, None) == 1
    assert blocks_at_once(gpu, None) == GPU_BATCH
    assert blocks_at_once(gpu, 3) == blocks_at_once(CPU, 3) == 3


@pytest.mark.parametrize("samples", [np.zeros((2, 0)), np.arange(6).reshape(2, 3)[:, ::-1]])
def test_sound_comes_back_as_it_was_sent(gpu: torch.device, samples: np.ndarray) -> None:
    sound = np.ascontiguousarray(samples, np.float32)
    for device in (CPU, gpu):
        there = sent(sound, device)
        assert there.device == device
        np.testing.assert_array_equal(fetched(there), sound)


def test_a_gpu_makes_the_next_block_while_this_one_is_used(gpu: torch.device) -> None:
    made, used = threading.Event(), []

    def blocks() -> Iterator[int]:
        yield 1
        made.set()
        yield 2

    for block in ahead(blocks(), gpu):
        assert made.wait(timeout=10)
        used.append(block)
    assert used == [1, 2]


def test_a_cpu_makes_a_block_when_it_is_asked_for() -> None:
    blocks = iter([1, 2])
    assert ahead(blocks, CPU) is blocks


def test_an_error_in_a_block_made_ahead_is_raised_where_it_is_used(gpu: torch.device) -> None:
    def blocks() -> Iterator[int]:
        yield 1
        raise DrumsepError("the file ends here")

    coming = ahead(blocks(), gpu)
    assert next(coming) == 1
    with pytest.raises(DrumsepError, match="ends here"):
        next(coming)


def test_blocks_made_ahead_may_be_left_half_read(gpu: torch.device) -> None:
    coming = ahead(iter(range(1000)), gpu)
    assert next(coming) == 0
    coming.close()  # type: ignore[attr-defined]
    assert not [each for each in threading.enumerate() if each.name.startswith("ThreadPool")]


def test_a_gpu_convolves_in_full_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    assert device_of("cuda") == torch.device("cuda")
    assert not torch.backends.cudnn.allow_tf32
