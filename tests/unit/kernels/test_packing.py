"""Weight formats: round trip, layout of the header's examples, refusals."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeq.errors import BadInput
from edgeq.kernels import PACKINGS, pack_masks, weight_rows
from edgeq.ops.op import WEIGHT_RANGE

EXAMPLES = {  # as edgeq_kernels.h prints them
    "s16": ([1, -2], "01 00 fe ff"),
    "s8": ([1, -2, 3, 0, -127], "01 fe 03 00 81 00 00 00"),
    "s4": ([1, -2, 7, 0, -7], "e1 07 09 00"),
    "s3": ([1, -2, 3, 0, -3], "8c 07 00 00"),
    "s2": ([1, -3, 3, -1, 3], "72 03 00 00"),
    "t2": ([1, -1, 0, 0, 1], "52 02 00 00"),
    "b1": ([1, -1, -1, 1, 1], "19 00 00 00"),
}


def levels(token: str) -> list[int]:
    low, high = WEIGHT_RANGE[token]
    return list(range(low, high + 1, 2 if token in ("s2", "b1") else 1))


@given(
    token=st.sampled_from(sorted(PACKINGS)),
    rows=st.integers(0, 5),
    columns=st.integers(1, 40),
    seed=st.integers(0, 2**32 - 1),
)
def test_round_trip(token: str, rows: int, columns: int, seed: int) -> None:
    packing = PACKINGS[token]
    weights = np.random.default_rng(seed).choice(levels(token), (rows, columns))
    data = packing.pack(weights)
    assert len(data) == rows * packing.row_bytes(columns)
    assert packing.row_bytes(columns) % 4 == 0
    np.testing.assert_array_equal(packing.unpack(data, rows, columns), weights)


@pytest.mark.parametrize("token", sorted(PACKINGS))
def test_header_example(token: str) -> None:
    weights, data = EXAMPLES[token]
    assert PACKINGS[token].pack(np.array([weights])) == bytes.fromhex(data)
    back = PACKINGS[token].unpack(bytes.fromhex(data), 1, len(weights))
    assert back.dtype == (np.int16 if token == "s16" else np.int8)
    np.testing.assert_array_equal(back, [weights])


@pytest.mark.parametrize("token", sorted(PACKINGS))
def test_wide_rows_take_their_true_width(token: str) -> None:
    bits = {"s16": 16, "s8": 8, "s4": 4, "s3": 3, "s2": 2, "t2": 2, "b1": 1}[token]
    assert PACKINGS[token].row_bytes(1536) == 1536 * bits // 8


@pytest.mark.parametrize(
    ("token", "wrong"),
    [
        *[("s16", -32768), ("s8", -129), ("s4", 8), ("s4", -8), ("s3", 4), ("s3", -4)],
        *[("s2", 0), ("s2", 5), ("t2", 2), ("b1", 0), ("b1", 3), ("b1", -3)],
    ],
)
def test_refuses_what_does_not_fit(token: str, wrong: int) -> None:
    weights = np.ones((2, 3), np.int32)
    weights[1, 2] = wrong
    with pytest.raises(BadInput, match=rf"{token} holds .*\[1, 2\] is {wrong} "):
        PACKINGS[token].pack(weights)


def test_s8_holds_the_128_that_other_quantisers_use() -> None:
    weights = np.array([[-128, 127, -1]], np.int8)
    assert PACKINGS["s8"].pack(weights) == bytes([0x80, 0x7F, 0xFF, 0])


def test_refuses_floats_and_other_ranks() -> None:
    with pytest.raises(BadInput, match="float64"):
        PACKINGS["s8"].pack(np.ones((2, 3)))
    with pytest.raises(BadInput, match="two axes"):
        PACKINGS["s8"].pack(np.ones(3, np.int8))


def test_unpack_refuses_another_length() -> None:
    with pytest.raises(BadInput, match="take 8 B, got 7 B"):
        PACKINGS["t2"].unpack(bytes(7), 2, 5)


def test_rows_of_each_op() -> None:
    weight = np.arange(24).reshape(2, 3, 2, 2)
    assert weight_rows("Conv2D", weight).shape == (2, 12)
    assert weight_rows("FullyConnected", weight[0, 0]).shape == (2, 2)
    np.testing.assert_array_equal(weight_rows("DepthwiseConv2D", weight[0])[1], [2, 3])


def test_masks() -> None:
    mask = np.array([[1, 0, 0, 0, 0, 0, 0, 0, 1], [0, 1, 0, 0, 0, 0, 0, 1, 0]])
    assert pack_masks(mask).hex(" ") == "01 01 82 00"
    with pytest.raises(BadInput, match="0 or 1"):
        pack_masks(mask * 2)
