"""Convolution kernels for DSP cores, bit for bit against the numpy reference."""

import ctypes
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeq.ir import Quant, TensorType
from edgeq.kernels.streams import convolutions as streams
from edgeq.kernels.streams import lines, patch_pairs
from edgeq.ops import OPS
from edgeq.ops.conv_2d import Conv2D
from edgeq.ops.depthwise_conv_2d import DepthwiseConv2D
from edgeq.ops.fixed_point import rdp
from edgeq.ops.op import Io, activation_bounds
from tests.kernels import samples
from tests.kernels.conftest import KERNELS, ON_CORE
from tests.kernels.differential.convolutions import (
    CONVOLUTIONS,
    DEPTHWISE,
    STREAMS,
    Geometry,
    function_of,
    shapes,
    token_of,
)
from tests.kernels.dsp.core import Core
from tests.kernels.dsp.layers import right_shifts
from tests.kernels.host_kernels import Conv2DParams, Held, Window, call

NAMES = tuple(STREAMS)


@st.composite
def geometries(draw: st.DrawFn) -> Geometry:
    """Kernels up to 4x4 on maps at least as large as the kernel, or reached by padding."""
    kernel = draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    padding = draw(st.tuples(*[st.integers(0, 2)] * 4))
    size = (
        draw(st.integers(max(1, kernel[0] - padding[0] - padding[2]), 7)),
        draw(st.integers(max(1, kernel[1] - padding[1] - padding[3]), 7)),
    )
    stride = draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    return Geometry(
        size, draw(st.integers(1, 11)), kernel, stride, padding, draw(st.integers(1, 9))
    )


@dataclass(frozen=True)
class Case:
    """One layer with its input, and what the kernel must answer."""

    name: str
    g: Geometry
    x: samples.Array
    weight: samples.Array
    q_in: Quant
    q_out: Quant
    r: samples.Requantization
    bounds: tuple[int, int]
    wanted: samples.Array

    @property
    def words(self) -> samples.Array:
        stream = STREAMS[self.name][0]
        words = stream.pack(self.weight)
        if stream.join is None:
            return words
        return stream.join(words, self.bias, self.r.multiplier, self.r.shift)

    @property
    def bias(self) -> samples.Array:
        sums = self.weight.astype(np.int64).sum(_axes(self.name))
        return STREAMS[self.name][0].bias(sums, self.r.bias, self.q_in.zero_point)

    @property
    def scratch_bytes(self) -> int:
        g = self.g
        return STREAMS[self.name][1](
            self.weight.shape, self.x.shape[1:], self.wanted.shape, g.padding, g.stride
        )


def _axes(name: str) -> tuple[int, ...]:
    return (0, 1) if name.startswith("depthwise") else (1, 2, 3)


def case(
    name: str,
    g: Geometry,
    seed: int,
    fill: str,
    act: str,
    shift: samples.Array | None = None,
) -> Case:
    rng = np.random.default_rng(seed)
    token = token_of(name)
    depthwise = name.startswith("depthwise")
    x = samples.activations(rng, fill, (1, *g.size, g.channels))
    shape = (*g.kernel, g.channels) if depthwise else (g.outputs, *g.kernel, g.channels)
    weight = samples.weights(rng, str(rng.choice([fill, *samples.FILLS])), shape, token)
    q_in, q_out = samples.quant(rng), samples.quant(rng)
    r = right_shifts(rng, np.abs(weight.astype(np.int64)).sum(_axes(name)) * 255)
    np.maximum(r.shift, STREAMS[name][0].least_shift, out=r.shift)
    r.shift[:] = r.shift if shift is None else shift
    r.multiplier[rng.random(r.multiplier.shape) < 0.1] = 2**30  # where -1 times it is rounded to 0
    outputs = g.channels if depthwise else g.outputs
    io = Io((TensorType(x.shape[1:], "int8", q_in),), TensorType((*g.out, outputs), "int8", q_out))
    params = {"weight": weight, "bias": r.bias, "multiplier": r.multiplier, "shift": r.shift}
    op, attrs = ("DepthwiseConv2D", DepthwiseConv2D) if depthwise else ("Conv2D", Conv2D)
    wanted = OPS[op].reference(attrs(g.stride, g.padding, token, act), io, (x,), params)
    return Case(name, g, x, weight, q_in, q_out, r, activation_bounds(act, q_out), wanted[0])


def on_host(kernels: ctypes.CDLL, c: Case) -> samples.Array:
    held, y = Held(), np.zeros(c.wanted.shape, np.int8)
    params = Conv2DParams(
        held.pointer(c.words, np.uint32),
        held.pointer(c.bias, np.int32),
        held.pointer(c.r.multiplier, np.int32),
        held.pointer(c.r.shift, np.int8),
        Window(*c.g.window.fields),
        c.wanted.shape[-1],
        c.q_in.zero_point,
        c.q_out.zero_point,
        *c.bounds,
    )
    scratch = np.full(c.scratch_bytes, 0x5A, np.uint8)
    call(getattr(kernels, function_of(c.name)), params, c.x, y, scratch)
    return y


def test_layout_of_convolutions() -> None:
    """The worked examples of the headers."""
    weight = np.zeros((4, 1, 1, 4), np.int8)
    weight[0], weight[1] = [1, 2, 3, 4], [5, -1, 0, 2]
    words = streams.CONV_S8.pack(weight)
    assert words.tolist() == [0x00030501, 0, 0x0204FF02, 0]
    assert streams.CONV_S8.join is not None
    assert streams.CONV_S4.join is not None
    for shifts, other, divisors in (
        ([-9, -9, -10, -2], 0, [0x00800001, 0x00800001, 0x00400001, 0x40000001]),
        ([-9, 0, 3, -1], 1, [0x00400000, 0x7FFFFF00, 0x7FFFFF03, 0x40000000]),
    ):
        vectors = np.array([5, -1, 0, 0]), np.full(4, 2**30), np.array(shifts)
        parameters = [10 + other, 0xFFFFFFFE, 0, 0, *[2**30] * 4, *divisors]
        assert streams.CONV_S4.join(words, *vectors).tolist() == [*words.tolist(), *parameters]
        behind = [0xFFFFFFFF, 0, 2**31 + other, *[2**31] * 3, *divisors]
        assert streams.CONV_S8.join(words, *vectors).tolist() == [5, 0, *words.tolist(), *behind]
    off = streams.CONV_S8.join(words, np.full(4, -7), np.array([0, 2**30, 0, 0]), np.full(4, -9))
    assert off[-4:].tolist() == [0, 0x00800001, 0, 0]  # switched off: the zero point alone
    assert streams.CONV_T2.join is not None
    joined = streams.CONV_T2.join(
        words, np.array([5, -1, 0, 0]), np.full(4, 2**30), np.array([-9, 0, -2, -1])
    )
    assert joined[len(words)] == 10
    assert joined[-4:].tolist() == [0x00800001, 0xFFFFFFFF, 0x40000001, 0x80000001]

    four = np.zeros((4, 1, 1, 4), np.int8)
    four[:, 0, 0, 0] = [1, -2, 3, -4]
    assert streams.CONV_S4.pack(four)[0] == 0x0808CAE9
    one = np.zeros((4, 1, 1, 8), np.int8)
    one[1, 0, 0, 0] = 1
    assert streams.CONV_T2.pack(one)[0] == 0x11115111
    assert streams.CONV_T2.pack(one[..., :4])[0] == 0x00114011  # four columns fill the group


@pytest.mark.parametrize(
    ("token", "rows", "word"),
    [
        ("s8", [[1], [-2], [3], [-4]], 0xFC03FE01),
        ("s4", [[1, -2], [3, 0]], 0x008B0069 | 0x88008800),
        ("t2", [[1, -1], [-1, 0]], 0x00040002 | 0x55505550),
    ],
)
def test_layout_for_armv6m(token: str, rows: list[list[int]], word: int) -> None:
    """The worked examples of the sources, zeros behind them."""
    weight = np.zeros((4, 1, 1, 8), np.int8)
    weight[: len(rows), 0, 0, : len(rows[0])] = rows
    assert patch_pairs.STREAMS[token].pack(weight)[0] == word


@pytest.mark.parametrize(("token", "word"), [("s8", 0xFC03FE01), ("s4", 0xC3E1)])
def test_layout_of_depthwise_for_armv6m(token: str, word: int) -> None:
    weight = np.array([1, -2, 3, -4], np.int8).reshape(1, 1, 4)
    assert lines.STREAMS[token].pack(weight).tolist() == [word]


def test_columns_are_outermost_where_patches_share_them() -> None:
    weight = np.zeros((4, 2, 2, 4), np.int8)
    weight[0, 0, 1] = 1  # row 0, column 1: the third group
    assert np.flatnonzero(streams.CONV_S8.pack(weight)).tolist() == [8, 10]


@pytest.mark.parametrize("name", NAMES)
@given(
    g=geometries(),
    seed=st.integers(0, 2**32 - 1),
    fill=st.sampled_from(samples.FILLS),
    act=st.sampled_from(("none", "relu", "relu6")),
)
@KERNELS
def test_equals_reference(
    kernels: ctypes.CDLL, name: str, g: Geometry, seed: int, fill: str, act: str
) -> None:
    c = case(name, g, seed, fill, act)
    np.testing.assert_array_equal(on_host(kernels, c), c.wanted)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("fill", samples.FILLS)
@pytest.mark.parametrize("act", ["none", "relu6"])
def test_shapes(kernels: ctypes.CDLL, name: str, fill: str, act: str) -> None:
    for seed, g in enumerate(shapes(name)):
        c = case(name, g, seed, fill, act)
        np.testing.assert_array_equal(on_host(kernels, c), c.wanted)


@pytest.mark.parametrize("name", CONVOLUTIONS)
@pytest.mark.parametrize("columns", [512, 516, 584, 1016, 1024, 4400])
@pytest.mark.parametrize("fill", ["low", "high", "ends"])
def test_no_lane_overflows(kernels: ctypes.CDLL, name: str, columns: int, fill: str) -> None:
    """Rows around the lengths at which sums are split, all activations and weights at an end."""
    g = Geometry((1, 2), columns, (1, 1), (1, 1), (0, 0, 0, 0), 4)
    for seed in range(3):
        c = case(name, g, seed, fill, "none")
        np.testing.assert_array_equal(on_host(kernels, c), c.wanted)


def on_core(core: Core, c: Case) -> tuple[samples.Array, int]:
    """(y, half cycles) of the assembly."""
    params = core.words(
        core.values(c.words, np.uint32),
        core.values(c.bias, np.int32),
        core.values(c.r.multiplier, np.int32),
        core.values(c.r.shift, np.int8),
        *c.g.window.fields,
        c.wanted.shape[-1],
        c.q_in.zero_point,
        c.q_out.zero_point,
        *c.bounds,
    )
    x, y = core.put(c.x.tobytes()), core.put(bytes(c.wanted.size))
    answer, taken = core.call(function_of(c.name), params, x, y, c.wanted.size, c.scratch_bytes)
    return answer.reshape(c.wanted.shape), taken


@pytest.mark.parametrize("name", NAMES)
def test_core_equals_reference(core: Core, name: str) -> None:
    """Shifts of one kind: those of a block choose its end."""
    for seed, g in enumerate(shapes(name)):
        cycles, near = set(), -2 - np.arange(g.outputs, dtype=np.int32) % 11
        for fill in ("random", "ends"):
            c = case(name, g, seed, fill, "none", near if name in CONVOLUTIONS else None)
            y, taken = on_core(core, c)
            np.testing.assert_array_equal(y, c.wanted)
            cycles.add(taken)
        assert len(cycles) == 1, f"{name} takes {cycles} half cycles on {g}"


def every_shift(name: str, kernel: tuple[int, int]) -> list[Case]:
    """A channel for each; depthwise, a word holds 2^(32 - shift) + 1, its leading zeros the shift.

    Those of convolutions are ordered and in disorder: blocks of one kind and of several.
    """
    if name in DEPTHWISE:
        g = Geometry((5, 6), 31, kernel, (1, 1), (0, 0, 0, 0), 31)
        shift = -1 - np.arange(31, dtype=np.int32)
        return [case(name, g, seed, "ends", "none", shift) for seed in range(2)]
    shift = np.arange(-22, 13, dtype=np.int32)
    g = Geometry((5, 6), 4, (1, 1), (1, 1), (0, 0, 0, 0), len(shift))
    orders = (shift, shift[np.arange(len(shift)) * 12 % len(shift)])
    return [case(name, g, seed, "random", "none", orders[seed % 2]) for seed in range(4)]


EVERY_SHIFT = pytest.mark.parametrize(
    ("name", "kernel"),
    [(name, kernel) for name in DEPTHWISE for kernel in ((3, 3), (2, 5))]
    + [(name, (1, 1)) for name in CONVOLUTIONS],
)


@EVERY_SHIFT
def test_every_shift(kernels: ctypes.CDLL, name: str, kernel: tuple[int, int]) -> None:
    for c in every_shift(name, kernel):
        np.testing.assert_array_equal(on_host(kernels, c), c.wanted)


@EVERY_SHIFT
def test_every_shift_on_the_core(core: Core, name: str, kernel: tuple[int, int]) -> None:
    for c in every_shift(name, kernel):
        np.testing.assert_array_equal(on_core(core, c)[0], c.wanted)


def test_sums_that_saturate_are_rounded_away_from_eight_bits() -> None:
    """At 2^(32 - s) and more the one multiply may answer a step too far."""
    for shift in streams.NEAR:
        first = 1 << 32 + shift
        v = np.arange(first - 3, first + 3000)
        v = np.concatenate([v, -v, [2**30, -(2**30)]])
        wanted = rdp(v, -shift)
        found = (v * (first + 1) + 2**31) >> 32
        for zero in (-128, 0, 127):
            bounds = np.clip(found + zero, -128, 127), np.clip(wanted + zero, -128, 127)
            np.testing.assert_array_equal(*bounds)


@pytest.mark.full
@pytest.mark.parametrize("name", NAMES)
@given(
    g=geometries(),
    seed=st.integers(0, 2**32 - 1),
    fill=st.sampled_from(samples.FILLS),
    act=st.sampled_from(("none", "relu", "relu6")),
)
@ON_CORE
def test_core_equals_reference_at_random(
    core: Core, name: str, g: Geometry, seed: int, fill: str, act: str
) -> None:
    c = case(name, g, seed, fill, act)
    np.testing.assert_array_equal(on_core(core, c)[0], c.wanted)


@pytest.mark.full
@pytest.mark.parametrize("name", CONVOLUTIONS)
@pytest.mark.parametrize("columns", [512, 516, 584, 1016, 1024])
def test_no_lane_overflows_on_the_core(core: Core, name: str, columns: int) -> None:
    g = Geometry((1, 2), columns, (1, 1), (1, 1), (0, 0, 0, 0), 4)
    for seed, fill in enumerate(("low", "high", "ends")):
        c = case(name, g, seed, fill, "none")
        np.testing.assert_array_equal(on_core(core, c)[0], c.wanted)
