"""FullyConnected kernels that read streams of weights, bit for bit against the numpy reference."""

import ctypes
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeq.ir import Quant
from edgeq.kernels.streams import lanes, row_groups, trits, two_rows
from tests.kernels import samples
from tests.kernels.conftest import KERNELS, ON_CORE
from tests.kernels.differential.case import Const, Pointer
from tests.kernels.differential.fully_connected import (
    CHUNKS,
    NARROW,
    TABLES,
    WHOLE,
    WIDE,
    stream_cases,
)
from tests.kernels.dsp.core import Core
from tests.kernels.dsp.layers import (
    ACTIVATIONS,
    FORMATS,
    STREAMS,
    Layer,
    layer,
    on_core,
    on_host,
    with_answer,
)

TOKENS = tuple(STREAMS)
# outputs that share a group of columns, and bits of a weight
GROUPS = {
    "s8": (2, 8),
    "s4": (4, 4),
    "s3": (5, 3.2),
    "s16": (2, 16),
    "t2": (4, 2),
    "s2": (4, 2),
    "b1": (4, 1),
    "s4_whole": (4, 4),
    "t2_whole": (4, 2),
    "t5": (4, 1.6),
    "s8_v6m": (4, 8),
    "s4_v6m": (4, 4),
    "s3_v6m": (4, 3.2),
    "s2_v6m": (4, 2),
    "t2_v6m": (4, 2),
    "b1_v6m": (4, 1),
}
COLUMNS = dict.fromkeys(TOKENS, 8) | {"t5": 40, "s3_v6m": 10, "b1_v6m": 16}
EDGES = {token: NARROW if token in ("t2", "s2", "b1") else WIDE for token in TOKENS}
EDGES["t5"] = TABLES
EDGES |= WHOLE
EDGES |= {token: CHUNKS for token in TOKENS if token.endswith("v6m")}
TIMED_INPUTS = 50


@pytest.mark.parametrize("token", TOKENS)
@given(
    inputs=st.integers(1, 300),
    outputs=st.integers(1, 18),
    seed=st.integers(0, 2**32 - 1),
    fill=st.sampled_from(samples.FILLS),
    act=st.sampled_from(ACTIVATIONS),
)
@KERNELS
def test_equals_reference(
    kernels: ctypes.CDLL, token: str, inputs: int, outputs: int, seed: int, fill: str, act: str
) -> None:
    one = layer(token, inputs, outputs, seed, fill, act)
    np.testing.assert_array_equal(on_host(kernels, one), one.wanted)


@pytest.mark.parametrize("token", TOKENS)
@pytest.mark.parametrize("x_fill", ["low", "high"])
@pytest.mark.parametrize("w_fill", ["low", "high", "ends"])
def test_no_lane_overflows(kernels: ctypes.CDLL, token: str, x_fill: str, w_fill: str) -> None:
    """Every chunk at its extreme: all activations and a row's weights at an end."""
    one = layer(token, 1536, 12, 7, x_fill, "none", w_fill)
    np.testing.assert_array_equal(on_host(kernels, one), one.wanted)


def sums_at_their_ends(zero_point: int, act: str) -> Layer:
    """16-bit weights: accumulators of 2^31 - 2^8 - 1 and its negative, divided by every power."""
    shift = -np.repeat(np.arange(1, 32), 2)
    sign = np.where(np.arange(62) % 2 == 0, 1, -1)
    weight = np.repeat(sign[:, None] * 257, 13, axis=1).astype(np.int16)
    most = row_groups.S16.reach - 1
    bias = sign * (most - 255 * 257 * 13)
    multiplier = np.where(np.arange(62) % 4 < 2, 2**31 - 1, 2**30)
    r = samples.Requantization(bias.astype(np.int32), multiplier.astype(np.int32), shift)
    x = np.full((1, 13), 127, np.int8)
    return with_answer("s16", x, weight, Quant((0.1,), -128), Quant((0.1,), zero_point), r, act)


@pytest.mark.parametrize("zero_point", [-128, 127])
@pytest.mark.parametrize("act", ACTIVATIONS)
def test_sums_of_all_32_bits(kernels: ctypes.CDLL, zero_point: int, act: str) -> None:
    one = sums_at_their_ends(zero_point, act)
    np.testing.assert_array_equal(on_host(kernels, one), one.wanted)


@pytest.mark.parametrize("zero_point", [-128, 127])
@pytest.mark.parametrize("act", ACTIVATIONS)
def test_sums_of_all_32_bits_on_the_core(core: Core, zero_point: int, act: str) -> None:
    one = sums_at_their_ends(zero_point, act)
    np.testing.assert_array_equal(on_core(core, one)[0], one.wanted)


@pytest.mark.parametrize("token", TOKENS)
def test_stream_has_the_true_width(token: str) -> None:
    """Rows padded to a group, columns to a step, nothing else."""
    rows, bits = GROUPS[token]
    for inputs, outputs in EDGES[token]:
        words = layer(token, inputs, outputs, 1, "random", "none").words
        padded = (-(-outputs // rows) * rows) * (-(-inputs // COLUMNS[token]) * COLUMNS[token])
        assert words.dtype == np.uint32
        assert words.nbytes * 8 == round(padded * bits)


def test_streams_of_the_examples() -> None:
    """The words that the sources' header comments spell out."""
    two = np.array([[1, 2, 3, 4], [-1, 0, 5, -2]], np.int8)
    assert row_groups.S8.pack(two).tolist() == [0x0503FF01, 0xFE040002, 0, 0]
    wide = [0x00030001, 0x0005FFFF, 0x00040002, 0xFFFE0000]
    assert row_groups.S16.pack(two.astype(np.int16)).tolist() == [*wide, 0, 0, 0, 0]
    four = np.array([[1, 0, 0], [-2, 0, 0], [7, 0, 0], [-1, 0, 7]], np.int8)
    assert row_groups.S4.pack(four)[0] == 0x7888FF69
    five = np.array([[1, 0, -3], [-2, 0, -3], [3, 0, -3], [0, 0, -3], [-1, 0, 3]], np.int8)
    assert row_groups.S3.pack(five)[0] == 0x3000F78C
    t2 = np.zeros((2, 8), np.int8)
    t2[0, :2], t2[1, :3] = (1, -1), (-1, 0, 1)
    assert two_rows.T2.pack(t2).tolist() == [0x5111D102, 0]
    s2 = np.array([[3, -3, 1] + [-3] * 5, [-3, 3] + [1] * 6], np.int8)
    assert two_rows.S2.pack(s2).tolist() == [0x00068003, 0]
    b1 = np.full((4, 8), -1, np.int8)
    b1[0, 0] = b1[2, 0] = b1[2, 2] = 1
    assert two_rows.B1.pack(b1).tolist() == [0xAAAEAAAF]
    t5 = np.array([[1, -1, 0, 0, 1]], np.int8)
    none = 0x7D7D7D7D  # a byte of 125 is five weights of 0
    assert trits.T5.pack(t5).tolist() == [0x7D7D7D00 + 207, *[none] * 7]


@pytest.mark.parametrize(("token", "kinds"), [("s8", {0, 1, 2, 3}), ("s4", {0, 1})])
def test_tables_of_every_kind_are_run(token: str, kinds: set[int]) -> None:
    """Near and far shifts, short and long rows, among the cases that find planted faults."""
    seen = set()
    for case in stream_cases(token):
        given = case.calls[0].arguments[0]
        assert isinstance(given, Pointer)
        table = given.structs[0].fields[1]
        assert isinstance(table, Const)
        seen.add(int(table.values[0]))
    assert seen == kinds


@pytest.mark.parametrize(
    ("token", "rows", "word"),
    [
        ("s8", [[1], [-2], [3], [-4]], 0xFC03FE01),
        ("s4", [[1, -2], [7, 0]], 0x008F0069),
        ("s3", [[1, -2], [3, 0]], 0x001E000C),
        ("s2", [[1, -3], [3, -1]], 0x00070002),
        ("t2", [[1, -1], [-1, 0]], 0x00040002),
        ("b1", [[1, -1], [1, 1]], 0x00030001),
    ],
)
def test_streams_of_the_examples_for_armv6m(token: str, rows: list[list[int]], word: int) -> None:
    """Columns behind the last have codes of 0: activations of 0 meet them."""
    assert lanes.LANES[token].pack(np.array(rows, np.int8))[0] == word


def test_wide_groups_come_first() -> None:
    """Eight rows of 8-bit weights: six in the first group, two words behind it for the rest."""
    rows = np.repeat(np.arange(1, 9, dtype=np.int8)[:, None], 8, axis=1)
    words = row_groups.S8.pack(rows)
    assert words.tolist() == [0x02010201, 0x04030403, 0x06050605] * 4 + [0x08070807] * 4


@pytest.mark.parametrize("token", TOKENS)
def test_core_equals_reference(core: Core, token: str) -> None:
    for seed, (inputs, outputs) in enumerate(EDGES[token]):
        act = ACTIVATIONS[seed % 3]
        one = layer(token, inputs, outputs, seed, samples.FILLS[seed % 4], act)
        np.testing.assert_array_equal(on_core(core, one)[0], one.wanted)


@pytest.mark.parametrize("token", TOKENS)
def test_cycles_do_not_depend_on_data(core: Core, token: str) -> None:
    """50 inputs and weights, some at the ends of their range: not half a cycle between them."""
    one = layer(token, 139, 11, 0, "random", "relu6")
    rng = np.random.default_rng(1)
    seen = set()
    for i in range(TIMED_INPUTS):
        fill = samples.FILLS[i % 4]
        x = samples.activations(rng, fill, one.x.shape)
        weight = samples.weights(rng, fill, one.weight.shape, FORMATS[token])
        seen.add(on_core(core, replace(one, x=x, weight=weight))[1])
    assert len(seen) == 1


@pytest.mark.full
@pytest.mark.parametrize("token", TOKENS)
@given(
    inputs=st.integers(1, 150),
    outputs=st.integers(1, 18),
    seed=st.integers(0, 2**32 - 1),
    fill=st.sampled_from(samples.FILLS),
    act=st.sampled_from(ACTIVATIONS),
)
@ON_CORE
def test_core_equals_reference_at_random(
    core: Core, token: str, inputs: int, outputs: int, seed: int, fill: str, act: str
) -> None:
    one = layer(token, inputs, outputs, seed, fill, act)
    np.testing.assert_array_equal(on_core(core, one)[0], one.wanted)


@pytest.mark.full
@pytest.mark.parametrize("token", TOKENS)
def test_core_on_every_width(core: Core, token: str) -> None:
    """All remainders of blocks, turns, passes and groups."""
    for inputs in range(1, 300, 3):
        one = layer(token, inputs, 1 + inputs % 59, inputs, samples.FILLS[inputs % 4], "none")
        np.testing.assert_array_equal(on_core(core, one)[0], one.wanted)
