"""A GPU that is none: tensors that claim to lie on another device, while the CPU computes them.

What would fail on a GPU fails here as well, on any machine: operations on tensors of two devices,
and arrays made of memory that is not the CPU's. The arithmetic is the CPU's own, so what comes out
is too. It stands on the hooks that PyTorch has for backends written in Python.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch.utils._pytree import tree_leaves, tree_map

try:
    from torch.utils.backend_registration import _setup_privateuseone_for_python_backend
except ImportError:
    pytest.skip("this PyTorch takes no backends written in Python", allow_module_level=True)

aten = torch.ops.aten

# Results lie where the first argument does, whatever the others are on.
COPYING = (aten.copy_.default,)
INDEXING = (aten.index.Tensor, aten.index_put_.default, aten._index_put_impl_.default)

# Lazy forms, which a wrapper has no flag for, and the same done at once.
AT_ONCE = {
    aten._conj.default: aten.conj_physical.default,
    aten._neg_view.default: aten.neg.default,
}

_setup_privateuseone_for_python_backend("pretend")
DEVICE = torch.device("pretend", 0)


class OnGpu(torch.Tensor):
    """A tensor on the device; `host` is the tensor of the CPU that it is."""

    __torch_function__ = torch._C._disabled_torch_function_impl
    host: torch.Tensor

    @staticmethod
    def __new__(cls, host: torch.Tensor) -> "OnGpu":
        made = torch.Tensor._make_wrapper_subclass(
            cls,
            host.size(),
            strides=host.stride(),
            storage_offset=host.storage_offset(),
            dtype=host.dtype,
            device=DEVICE,
        )
        made.host = host
        return made

    @classmethod
    def __torch_dispatch__(cls, operation: Any, _: Any, args: Any = (), kwargs: Any = None) -> Any:
        return computed(operation, *args, **(kwargs or {}))

    def tolist(self) -> Any:
        """The numbers, as of any tensor; wrappers refuse it by themselves."""
        return self.cpu().tolist()


def computed(operation: Any, *args: Any, **kwargs: Any) -> Any:
    """What the CPU makes of an operation, and on the device if it belongs there."""
    given = [each for each in tree_leaves((args, kwargs)) if isinstance(each, torch.Tensor)]
    ours = {id(each.host): each for each in given if isinstance(each, OnGpu)}
    there = _belongs_there(operation, args, kwargs, given)
    named, named_kwargs = tree_map(_on_cpu, (args, kwargs))
    made = AT_ONCE.get(operation, operation)(*named, **named_kwargs)

    def wrapped(each: Any) -> Any:
        if not isinstance(each, torch.Tensor):
            return each
        return ours[id(each)] if id(each) in ours else OnGpu(each)

    return tree_map(wrapped, made) if there else made


def _belongs_there(operation: Any, args: Any, kwargs: Any, given: list[torch.Tensor]) -> bool:
    """Whether results lie on the device.

    Raises:
        RuntimeError: tensors of both devices are given, other than numbers, indices and copies.
    """
    if kwargs.get("device") is not None:
        return torch.device(kwargs["device"]).type == DEVICE.type
    if operation in COPYING:
        return isinstance(args[0], OnGpu)
    there = any(isinstance(each, OnGpu) for each in given)
    strangers = [each for each in given if not isinstance(each, OnGpu) and each.dim()]
    indexed = operation in INDEXING and isinstance(args[0], OnGpu)
    if there and strangers and not indexed:
        raise RuntimeError(f"{operation}: tensors on {DEVICE} and on the CPU")
    return there


def _on_cpu(each: Any) -> Any:
    if isinstance(each, OnGpu):
        return each.host
    ours = isinstance(each, torch.device) and each.type == DEVICE.type
    return torch.device("cpu") if ours else each


def _copied(source: torch.Tensor, target: torch.Tensor, non_blocking: bool = False) -> torch.Tensor:
    _on_cpu(target).copy_(_on_cpu(source))
    return target


def _empty(size: Any, *, dtype: Any = None, memory_format: Any = None, **_: Any) -> OnGpu:
    return OnGpu(torch.empty(size, dtype=dtype, memory_format=memory_format))


def _empty_strided(size: Any, stride: Any, *, dtype: Any = None, **_: Any) -> OnGpu:
    return OnGpu(torch.empty_strided(size, stride, dtype=dtype))


# Tensors made of numbers are copied below the level of `__torch_dispatch__`.
_kernels = torch.library.Library("aten", "IMPL")
_kernels.impl("_copy_from", _copied, "PrivateUse1")
_kernels.impl("empty.memory_format", _empty, "PrivateUse1")
_kernels.impl("empty_strided", _empty_strided, "PrivateUse1")
_others = torch.library.Library("_", "IMPL")
_others.fallback(computed, "PrivateUse1")


@contextmanager
def without_inference_mode() -> Iterator[None]:
    """Only without gradients: inference mode cannot split wrappers into views."""
    with pytest.MonkeyPatch.context() as patch:
        held: list[torch.no_grad] = []

        def enter(_: Any) -> None:
            held.append(torch.no_grad())
            held[-1].__enter__()

        def leave(_: Any, *error: Any) -> None:
            held.pop().__exit__(*error)

        patch.setattr(torch.inference_mode, "__enter__", enter)
        patch.setattr(torch.inference_mode, "__exit__", leave)
        yield
