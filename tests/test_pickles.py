"""Checkpoints read without trusting them: exact where they are plain, inert where they are not."""

import collections
import io
import os
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from drumsep.errors import DrumsepError
from drumsep.pickles import read_state

STATE = OrderedDict(
    weight=torch.arange(24, dtype=torch.float32).reshape(2, 3, 4),
    half=torch.linspace(-1, 1, 5, dtype=torch.float16),
    double=torch.tensor([1 / 3], dtype=torch.float64),
    count=torch.tensor(123456789012),
)


def saved(path: Path, payload: Any) -> Path:
    torch.save(payload, path)
    return path


def rewritten(path: Path, change: Mapping[str, bytes | None], method: int = 0) -> Path:
    """The same zip with members, named without their folder, replaced or (None) left out."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in members.items():
            new = change.get(name.partition("/")[2], data)
            if new is not None:
                archive.writestr(name, new)
    return path


def with_pickle(path: Path, data: bytes) -> Path:
    return rewritten(saved(path, {"state_dict": STATE}), {"data.pkl": data})


def refusal(path: Path) -> str:
    with pytest.raises(DrumsepError) as caught:
        read_state(path)
    message = str(caught.value)
    assert message.startswith(str(path)) and "\n" not in message
    return message


def assert_same(read: Mapping[str, torch.Tensor], expected: Mapping[str, torch.Tensor]) -> None:
    assert list(read) == list(expected)
    for name, tensor in expected.items():
        assert read[name].dtype == tensor.dtype and torch.equal(read[name], tensor)
        assert read[name].is_contiguous()


@pytest.mark.parametrize("key", ["state_dict", "model_state_dict", None])
def test_a_plain_state_is_read_exactly(tmp_path: Path, key: str | None) -> None:
    path = saved(tmp_path / "a.pth", {key: STATE, "epoch": 3} if key else STATE)
    assert_same(read_state(path), STATE)


def test_modules_parameters_and_views_are_read_as_torch_reads_them(tmp_path: Path) -> None:
    layer = torch.nn.Conv2d(2, 3, 5)
    state = layer.state_dict(keep_vars=True)  # with Parameters, and versions as an attribute
    state["turned"] = torch.arange(12.0).reshape(3, 4).T
    state["later"] = torch.arange(12.0)[4:]
    state["one"] = torch.arange(4.0)[:1].reshape(1, 1, 1)
    path = saved(tmp_path / "a.pth", {"model_state_dict": state})
    expected = torch.load(path, weights_only=True)["model_state_dict"]
    assert_same(read_state(path), {name: value.detach() for name, value in expected.items()})


class Hostile:
    """Makes a file where it is unpickled by the rules."""

    def __init__(self, target: Path):
        self._target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self._target),)


def test_extras_that_torch_refuses_are_passed_over_and_run_nothing(tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    extras = {
        "loss": np.float64(0.5),
        "history": np.arange(3),
        "by_name": collections.defaultdict(list, a=[1]),
        "seen": {1, 2},
        "random": torch.zeros(4, dtype=torch.uint8),
        "hostile": Hostile(marker),
    }
    path = saved(tmp_path / "a.pth", extras | {"model_state_dict": STATE})
    with pytest.raises(pickle.UnpicklingError):
        torch.load(path, weights_only=True)
    assert_same(read_state(path), STATE)
    assert not marker.exists()


def test_a_hostile_entry_of_the_state_is_refused_and_runs_nothing(tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    state = OrderedDict(STATE, evil=Hostile(marker))
    assert "'evil' in its state dict is not a plain tensor" in refusal(
        saved(tmp_path / "a.pth", {"state_dict": state})
    )
    refusal(saved(tmp_path / "b.pth", Hostile(marker)))
    assert not marker.exists()


@pytest.mark.parametrize(
    "make",
    [
        lambda: torch.eye(3).to_sparse(),
        lambda: torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.qint8),
        lambda: torch.ones(3, dtype=torch.bfloat16),
        lambda: torch.ones(3, dtype=torch.complex64),
        lambda: torch.ones(3, device="meta"),
    ],
    ids=["sparse", "quantised", "bfloat16", "complex", "meta"],
)
@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")
def test_tensors_that_are_not_plain_are_refused(
    tmp_path: Path, make: Callable[[], torch.Tensor]
) -> None:
    assert "'odd'" in refusal(saved(tmp_path / "a.pth", OrderedDict(STATE, odd=make())))


def test_a_tensor_larger_than_its_bytes_is_refused(tmp_path: Path) -> None:
    grown = {"grown": torch.ones(1).expand(1 << 40)}
    assert "'grown' is empty, or larger" in refusal(saved(tmp_path / "a.pth", grown))
    assert "is empty" in refusal(saved(tmp_path / "b.pth", {"none": torch.zeros(0)}))
    cut = rewritten(saved(tmp_path / "c.pth", STATE), {"data/0": bytes(8)})
    assert "'weight' has 2 values stored, not 24" in refusal(cut)
    gone = rewritten(saved(tmp_path / "d.pth", STATE), {"data/1": None})
    assert "the values of tensor 'half' are missing" in refusal(gone)


def test_tensors_that_share_memory_are_refused(tmp_path: Path) -> None:
    values = torch.ones(4)
    state = {"one": values, "other": values[:2]}
    assert "'other' shares its memory" in refusal(saved(tmp_path / "a.pth", state))


@pytest.mark.parametrize(
    "payload", [[1, 2], {}, {"state_dict": {}}, {"state_dict": 3}, {"a": 1}, {3: torch.ones(1)}]
)
def test_what_is_not_a_state_dict_is_refused(tmp_path: Path, payload: Any) -> None:
    assert "state dict" in refusal(saved(tmp_path / "a.pth", payload))


def test_other_formats_are_refused(tmp_path: Path) -> None:
    legacy = tmp_path / "legacy.pth"
    torch.save(STATE, legacy, _use_new_zipfile_serialization=False)
    assert "not a zip file" in refusal(legacy)
    plain = tmp_path / "plain.zip"
    with zipfile.ZipFile(plain, "w") as archive:
        archive.writestr("folder/text", "")
    assert "not a PyTorch checkpoint" in refusal(plain)
    two = saved(tmp_path / "two.pth", STATE)
    with zipfile.ZipFile(two, "a") as archive:
        archive.writestr("other/data.pkl", b"")
    assert "more than one folder" in refusal(two)
    packed = rewritten(saved(tmp_path / "packed.pth", STATE), {}, zipfile.ZIP_DEFLATED)
    assert "compressed" in refusal(packed)
    big = rewritten(saved(tmp_path / "big.pth", STATE), {"byteorder": b"big"})
    assert "big-endian" in refusal(big)


def test_every_cut_of_a_checkpoint_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.pth", STATE)
    data = path.read_bytes()
    for size in range(0, len(data), 97):
        path.write_bytes(data[:size])
        refusal(path)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\x80\x02}r\xff\xff\xff\x7f.", "more memory"),  # LONG_BINPUT 2**31 - 1
        (b"\x80\x04\x8c\x02os\x8c\x06system\x93.", "opcode"),  # by the newer protocol
        (b"cos\nsystem\n(S'true'\ntR.", "opcode"),  # by the oldest
        (b"\x80\x02})" + b"\x85" * 60_000 + b"Ns.", "operations"),  # nested until hash() dies
        (b"\x80\x02}X\xff\xff\xff\x7fabc.", "refused"),  # text of 2 GB that is not there
        (b"\x80\x02ccollections\nOrderedDict\n)R}X\x05\x00\x00\x00itemsNsb.", "empty"),
        (b"\x80\x02ccollections\nOrderedDict\n}X\x05\x00\x00\x00itemsNsb.", "malformed"),
        (b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n}X\x01\x00\x00\x00aNsb.", "malformed"),
        (b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n(NK\x00))NNtR.", "not a state dict"),
        (b"\x80\x02cbuiltins\neval\nX\x01\x00\x00\x001\x85R.", "not a state dict"),
        (b"\x80\x02(X\x01\x00\x00\x00OK\x01tQ.", "malformed"),
        (b"\x80\x02.", "malformed"),
        (b"", "refused"),
    ],
)
def test_malformed_pickles_are_refused(tmp_path: Path, data: bytes, reason: str) -> None:
    assert reason in refusal(with_pickle(tmp_path / "a.pth", data))


def attempt(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    try:
        read_state(path)
    except DrumsepError as error:
        assert "\n" not in str(error)


FUZZ = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
CHANGES = st.lists(st.tuples(st.integers(0, 1 << 30), st.integers(0, 255)), min_size=1, max_size=6)


@pytest.fixture(scope="module")
def plain() -> bytes:
    buffer = io.BytesIO()
    torch.save({"state_dict": STATE}, buffer)
    return buffer.getvalue()


@FUZZ
@given(changes=CHANGES)
def test_a_damaged_file_ends_in_an_error_of_ours(
    tmp_path: Path, plain: bytes, changes: list[tuple[int, int]]
) -> None:
    data = bytearray(plain)
    for place, value in changes:
        data[place % len(data)] = value
    attempt(tmp_path / "a.pth", bytes(data))


@FUZZ
@given(changes=CHANGES)
def test_a_damaged_pickle_ends_in_an_error_of_ours(
    tmp_path: Path, plain: bytes, changes: list[tuple[int, int]]
) -> None:
    path = tmp_path / "a.pth"
    path.write_bytes(plain)
    with zipfile.ZipFile(path) as archive:
        data = bytearray(archive.read(next(n for n in archive.namelist() if "data.pkl" in n)))
    for place, value in changes:
        data[place % len(data)] = value
    attempt(path, rewritten(path, {"data.pkl": bytes(data)}).read_bytes())


@pytest.mark.reference
def test_the_published_checkpoint_is_read_as_torch_reads_it(reference: Path) -> None:
    path = reference / "idm" / "val-epoch=518-global_step=0.ckpt"
    state = read_state(path)
    assert len(state) == 330
    assert_same(state, torch.load(path, weights_only=True)["state_dict"])
