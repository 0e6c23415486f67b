"""The machine that reads a model file's pickle: data comes back, sizes are held to the bytes."""

import io
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from edgeq.nn.plain_pickle import read_plain

PLAIN = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(allow_nan=False),
        st.text(st.characters(exclude_categories=("Cs",)), max_size=9),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=4).map(tuple),
        st.dictionaries(st.text("abc", max_size=3), inner, max_size=4),
    ),
    max_leaves=12,
)  # fmt: skip


def no_storage(key: str) -> bytes:
    raise ValueError(f"no tensor {key}")


@given(PLAIN)
def test_plain_data_comes_back(value: Any) -> None:
    assert read_plain(pickle.dumps(value, protocol=2), no_storage) == value


def saved(value: Any) -> tuple[bytes, Callable[[str], bytes]]:
    """The pickle that torch.save makes, and what reads its storages."""
    out = io.BytesIO()
    torch.save(value, out)
    with zipfile.ZipFile(out) as archive:
        entries = {n.partition("/")[2]: archive.read(n) for n in archive.namelist()}
    return entries["data.pkl"], lambda key: entries[f"data/{key}"]


@pytest.mark.parametrize(
    "dtype", [torch.float32, torch.float64, torch.float16, torch.int64, torch.int8, torch.uint8]
)
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 3), (1, 4, 1), (2, 0, 3)])
def test_tensors_come_back(dtype: torch.dtype, shape: tuple[int, ...]) -> None:
    tensor = torch.arange(torch.Size(shape).numel()).reshape(shape).to(dtype)
    back = read_plain(*saved({"w": tensor, "again": [1]}))
    assert back["w"].dtype == dtype
    assert torch.equal(back["w"], tensor)
    assert back["again"] == [1]


def test_a_state_dict_is_a_dict() -> None:
    state = torch.nn.Linear(2, 2).state_dict()
    assert isinstance(state, OrderedDict)
    back = read_plain(*saved(state))
    assert type(back) is dict
    assert torch.equal(back["weight"], state["weight"])


def renumbered(data: bytes, old: int, new: int, which: int = 0) -> bytes:
    """The nth BININT1 of that value as another number."""
    at = -1
    for _ in range(which + 1):
        at = data.index(b"K" + bytes((old,)), at + 1)
    return data[:at] + b"J" + new.to_bytes(4, "little", signed=True) + data[at + 2 :]


@pytest.mark.parametrize(
    ("which", "new", "why"),
    [
        (0, 10**9, "does not fill"),  # numbers of the storage: were read past its end
        (1, 10**9, "does not fill"),  # size: was made as asked
        (1, -77, "no size"),
    ],
)
def test_a_size_that_lies_is_refused(which: int, new: int, why: str) -> None:
    data, storage = saved({"w": torch.zeros(77)})
    with pytest.raises(ValueError, match=why):
        read_plain(renumbered(data, 77, new, which), storage)


def test_both_sizes_lying_alike_is_refused() -> None:
    data, storage = saved({"w": torch.zeros(77)})
    lying = renumbered(renumbered(data, 77, 10**9), 77, 10**9)
    with pytest.raises(ValueError, match="has 308 bytes in the file"):
        read_plain(lying, storage)


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (torch.zeros(1, 1).expand(2, 4), "does not fill"),
        (torch.arange(12.0)[3:], "does not fill"),
        (torch.arange(6.0).reshape(2, 3).T, "not contiguous"),
        ((lambda w: [w, w.view(4)])(torch.zeros(4)), "share their numbers"),
        (torch.zeros(3, dtype=torch.bool), "asks for torch BoolStorage"),
        (torch.nn.Linear(1, 1), "asks for"),
        ({1: "x"}, "no text"),
        ({"x": {1, 2}}, "asks for|uses"),
    ],
)
def test_what_no_save_of_edgeq_s_writes_is_refused(value: Any, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        read_plain(*saved(value))


@pytest.mark.parametrize(
    "data",
    [
        b"\x80\x02.",
        b"\x80\x02(.",
        b"\x80\x02K\x01K\x02.",
        b"\x80\x02h\x07.",
        b"\x80\x02u.",
        b"\x80\x02]K\x01s.",
        b"\x80\x02t.",
        b"\x80\x02}\x80\x02a.",
        b"\x80\x02ctorch\nFloatStorage\n.",
        b"\x80\x02NQ.",
        b"\x80\x02X\x03\x00\x00\x00\xed\xa0\x80.",
        b"\x80\x02" + b"cos\nsystem\nX\x04\x00\x00\x00true\x85R.",
        b"",
    ],
)
def test_a_pickle_that_makes_no_sense_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError):
        read_plain(data, no_storage)
