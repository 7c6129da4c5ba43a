"""The tensors of a PyTorch checkpoint, read without trusting its pickle.

A checkpoint is a zip with a pickle that names tensors and, beside it, their bytes (the format of
torch >= 1.6). `torch.load(weights_only=True)` refuses the published LarsNet files, which are
believed to hold a few numpy scalars, so the pickle is read here, more strictly: it can make
containers, numbers, strings and descriptions of tensors; whatever else it names is never imported
and becomes an `_Inert`. Only the tensors of the state dict are then read from the zip.
"""

import pickle
import pickletools
from io import BytesIO
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from zipfile import ZIP_STORED, ZipFile

import numpy as np
from numpy.typing import NDArray

from drumsep.archives import open_archive

if TYPE_CHECKING:
    from torch import Tensor

MAX_PICKLE = 4 << 20  # bytes; the published ones have 42 kB
MAX_OPERATIONS = 50_000  # of a pickle, so that it cannot nest too deep; the published have 12,000

STATE_KEYS = ("state_dict", "model_state_dict")  # Lightning's, and that of the LarsNet files

# numpy types of torch's storage classes. Others (bfloat16, quantised, complex) hold no weights that
# a published model has, and stay inert.
STORAGE_TYPES = {
    "DoubleStorage": "<f8",
    "FloatStorage": "<f4",
    "HalfStorage": "<f2",
    "LongStorage": "<i8",
}

# What torch.save writes (pickle protocol 2). Keeping to it shuts out opcodes that ask for memory
# without bringing data.
OPCODES = frozenset(
    "PROTO STOP MARK GLOBAL REDUCE NEWOBJ BUILD BINPERSID BINPUT LONG_BINPUT BINGET LONG_BINGET "
    "NONE NEWTRUE NEWFALSE BININT BININT1 BININT2 LONG1 BINFLOAT BINUNICODE EMPTY_DICT EMPTY_LIST "
    "EMPTY_TUPLE TUPLE TUPLE1 TUPLE2 TUPLE3 APPEND APPENDS SETITEM SETITEMS".split()
)


def read_state(path: Path) -> dict[str, "Tensor"]:
    """Read the state dict of a checkpoint: name -> CPU tensor of a plain dense type.

    Raises:
        DrumsepError: the file is unreadable or not such a checkpoint, its pickle is malformed, or
            a tensor is not plain (sparse, quantised, larger than its bytes, sharing memory).
    """
    import torch

    with open_archive(path) as archive:
        root = _root(archive)
        described = _described(archive.read(f"{root}data.pkl"))
        used: set[str] = set()
        state = {}
        for name, tensor in described.items():
            if tensor.storage.key in used:
                raise ValueError(f"tensor {name!r} shares its memory with another")
            used.add(tensor.storage.key)
            state[name] = torch.from_numpy(_values(archive, root, name, tensor))
    return state


def is_checkpoint(names: list[str]) -> bool:
    """Whether a zip with members of these names has the form of a checkpoint."""
    return any(name.endswith("/data.pkl") and name.count("/") == 1 for name in names)


class _Storage(NamedTuple):
    dtype: str  # of numpy
    key: str  # name of the member with its bytes
    length: int  # values


class _Tensor(NamedTuple):
    storage: _Storage
    offset: int  # values
    shape: tuple[int, ...]
    stride: tuple[int, ...]  # values


class _Dict(dict[Any, Any]):
    """Stands for `OrderedDict`, without the attributes that a pickle could replace."""

    __slots__ = ()

    def __setstate__(self, state: object) -> None:
        """Leave out the module versions that state dicts carry."""


class _Inert:
    """Stands for whatever a pickle names that is none of our business, and does nothing."""

    def __new__(cls, *_: object, **__: object) -> "_Inert":
        return super().__new__(cls)

    def __call__(self, *_: object, **__: object) -> "_Inert":
        return self

    def _ignore(self, *_: object) -> None:
        pass

    __setstate__ = __setitem__ = append = extend = _ignore


class _Rebuild:
    """Stands for torch's functions that make a tensor. Without attributes a pickle could set."""

    __slots__ = ()

    def __call__(
        self, storage: _Storage | _Inert, offset: int, shape: Any, stride: Any, *_: object
    ) -> _Tensor | _Inert:
        if not isinstance(storage, _Storage):
            return _Inert()
        return _Tensor(storage, offset, tuple(shape), tuple(stride))


class _RebuildParameter:
    """Stands for torch's wrapping of a tensor that is learned."""

    __slots__ = ()

    def __call__(self, tensor: _Tensor, *_: object) -> _Tensor:
        return tensor


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if module == "torch" and name in STORAGE_TYPES:
            return STORAGE_TYPES[name]
        return {
            ("collections", "OrderedDict"): _Dict,
            ("torch._utils", "_rebuild_tensor_v2"): _Rebuild(),
            ("torch._utils", "_rebuild_parameter"): _RebuildParameter(),
        }.get((module, name), _Inert)

    def persistent_load(self, described: Any) -> _Storage | _Inert:
        kind, dtype, key, _location, count = described
        if kind != "storage" or not isinstance(key, str) or not isinstance(count, int):
            raise ValueError("a malformed reference to the values of a tensor")
        return _Storage(dtype, key, count) if dtype in STORAGE_TYPES.values() else _Inert()


def _root(archive: ZipFile) -> str:
    """The one folder of the checkpoint, with its slash, once the archive is seen to be one."""
    members = archive.infolist()
    names = [member.filename for member in members]
    if not is_checkpoint(names):
        raise ValueError("a zip file, but not a PyTorch checkpoint")
    root = names[0].partition("/")[0] + "/"
    if not all(name.startswith(root) for name in names):
        raise ValueError("not a PyTorch checkpoint: it has more than one folder")
    if any(member.compress_type != ZIP_STORED for member in members):
        raise ValueError("compressed, which PyTorch never writes")
    size = Path(archive.filename or "").stat().st_size
    if sum(member.file_size for member in members) > size:
        raise ValueError("its members overlap")
    order = f"{root}byteorder"
    if order in names and archive.read(order) != b"little":
        raise ValueError("written by a big-endian machine")
    if archive.getinfo(f"{root}data.pkl").file_size > MAX_PICKLE:
        raise ValueError(f"its pickle has more than {MAX_PICKLE} bytes")
    return root


def _described(data: bytes) -> dict[str, _Tensor]:
    """The state dict in a pickle: itself, or under one of `STATE_KEYS`."""
    tree = _unpickled(data)
    if not isinstance(tree, dict):
        raise ValueError("not a state dict, and does not hold one")
    state = next((tree[key] for key in STATE_KEYS if key in tree), tree)
    if not isinstance(state, dict) or not state:
        raise ValueError("its state dict is empty")
    for name, value in state.items():
        if not isinstance(name, str) or not name.isprintable():
            raise ValueError("a name in its state dict is not printable text")
        if not isinstance(value, _Tensor):
            raise ValueError(f"{name!r} in its state dict is not a plain tensor")
    return state


def _unpickled(data: bytes) -> Any:
    for number, (code, argument, _) in enumerate(pickletools.genops(data)):
        if number > MAX_OPERATIONS:
            raise ValueError(f"its pickle has more than {MAX_OPERATIONS} operations")
        if code.name not in OPCODES:
            raise ValueError(f"its pickle has the opcode {code.name}, which PyTorch never writes")
        if code.name == "LONG_BINPUT" and isinstance(argument, int) and argument > len(data):
            raise ValueError("its pickle asks for more memory than it can need")
    try:
        return _Unpickler(BytesIO(data)).load()
    except Exception as error:  # a malformed pickle can make any of them
        raise ValueError(f"malformed pickle: {error!r}") from error


def _values(archive: ZipFile, root: str, name: str, tensor: _Tensor) -> NDArray[Any]:
    """The values of a tensor, as a new contiguous array of its shape."""
    stored, offset, shape, stride = tensor
    whole = all(isinstance(n, int) and n >= 0 for n in (offset, *shape, *stride))
    if not whole or len(shape) != len(stride):
        raise ValueError(f"tensor {name!r} has a malformed shape")
    last = offset + sum((n - 1) * step for n, step in zip(shape, stride, strict=True))
    if not 0 < prod(shape) <= stored.length or last >= stored.length:
        raise ValueError(f"tensor {name!r} is empty, or larger than the values stored for it")
    try:
        flat = np.frombuffer(archive.read(f"{root}data/{stored.key}"), stored.dtype)
    except KeyError:
        raise ValueError(f"the values of tensor {name!r} are missing") from None
    if flat.size != stored.length:
        raise ValueError(f"tensor {name!r} has {flat.size} values stored, not {stored.length}")
    strides = [step * flat.itemsize * (n > 1) for n, step in zip(shape, stride, strict=True)]
    return np.lib.stride_tricks.as_strided(flat[offset:], shape, strides).copy()
