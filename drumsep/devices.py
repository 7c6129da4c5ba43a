"""Where networks run: the CPU or a GPU, how much a GPU is given at a time, and the way there.

On a GPU the work is the same in larger pieces. Decoding, computing and writing then overlap, and
sound travels through memory that the GPU reads by itself. On a CPU computing needs all cores, and
to decode and write beside it costs 5 % of the time instead of saving any.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TypeVar

import torch
from torch import Tensor

from drumsep.errors import DrumsepError
from drumsep.results import Samples

GPU_BATCH = 8  # blocks that are computed at once where there is memory for them

_T = TypeVar("_T")


def device_of(name: str) -> torch.device:
    """The device that is called auto (CUDA where there is some), cpu, cuda or cuda:N.

    A GPU convolves in full precision from then on, in the whole process. Its default (TF32: ten
    bits, as in half precision) leaves 40 to 49 dB of the stems of our IDM, and 67 dB of others.

    Raises:
        DrumsepError: unknown name, or no such device.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError:
        raise DrumsepError(f"unknown device {name!r}: auto, cpu, cuda or cuda:N") from None
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise DrumsepError(f"device {name} is not there: {torch.cuda.device_count()} CUDA devices")
    if device.type not in ("cpu", "cuda"):
        raise DrumsepError(f"device {name!r} is not supported: auto, cpu, cuda or cuda:N")
    if device.type == "cuda":
        torch.backends.cudnn.allow_tf32 = False
    return device


def rounded_products(device: torch.device) -> AbstractContextManager[None]:
    """Convolutions of a GPU in TF32, for large images that bear it: several times as fast.

    Half precision would be as exact, but ends at 65504, which magnitudes may exceed.
    """
    return _tf32() if device.type == "cuda" else nullcontext()


@contextmanager
def _tf32() -> Iterator[None]:
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = True
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = before


def blocks_at_once(device: torch.device, asked: int | None) -> int:
    """How many blocks are computed together: as many as `asked`, else what suits the device.

    A block fits the caches of a CPU, and keeps a small part of a GPU busy.
    """
    return asked or (1 if device.type == "cpu" else GPU_BATCH)


def sent(samples: Samples, device: torch.device) -> Tensor:
    """Samples as a tensor on a device."""
    tensor = torch.from_numpy(samples)
    if device.type != "cuda":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)


def fetched(tensor: Tensor) -> Samples:
    """A tensor as an array."""
    if tensor.device.type == "cuda":
        tensor = torch.empty_like(tensor, device="cpu", pin_memory=True).copy_(tensor)
    array: Samples = tensor.cpu().numpy()
    return array


def ahead(items: Iterator[_T], device: torch.device) -> Iterator[_T]:
    """The same items; for a GPU each is made in a thread while the one before it is used."""
    return items if device.type == "cpu" else _made_ahead(items)


def _made_ahead(items: Iterator[_T]) -> Iterator[_T]:
    end = object()
    with ThreadPoolExecutor(max_workers=1) as maker:
        coming = maker.submit(next, items, end)
        while (item := coming.result()) is not end:
            coming = maker.submit(next, items, end)
            yield item  # type: ignore[misc]
