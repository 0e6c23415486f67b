"""Conv2D and DepthwiseConv2D kernels, bit for bit against the numpy reference."""

import ctypes
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeq.ir import Graph, Node, TensorType
from edgeq.kernels import PACKINGS, select, weight_rows
from edgeq.ops import OPS
from edgeq.ops.conv_2d import Conv2D
from edgeq.ops.depthwise_conv_2d import DepthwiseConv2D
from edgeq.ops.op import Io, activation_bounds
from edgeq.ops.window import output_size
from tests.kernels import samples
from tests.kernels.conftest import KERNELS
from tests.kernels.host_kernels import Conv2DParams, Held, Window, call


@dataclass(frozen=True)
class Geometry:
    size: tuple[int, int]
    channels: int
    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int, int, int]

    def window(self, out: tuple[int, int]) -> Window:
        return Window(
            *self.size, self.channels, *out, *self.kernel, *self.stride, *self.padding[:2]
        )


small = st.integers(1, 3)


@st.composite
def geometries(draw: st.DrawFn) -> Geometry:
    """Kernels up to 3x4 on maps at least as large as the kernel, or reached by padding."""
    kernel = draw(st.tuples(small, st.integers(1, 4)))
    padding = draw(st.tuples(*[st.integers(0, 2)] * 4))
    size = (
        draw(st.integers(max(1, kernel[0] - padding[0] - padding[2]), 6)),
        draw(st.integers(max(1, kernel[1] - padding[1] - padding[3]), 6)),
    )
    channels = draw(st.integers(1, 11))
    return Geometry(size, channels, kernel, draw(st.tuples(small, small)), padding)


def run_both(
    kernels: ctypes.CDLL, op: str, token: str, g: Geometry, outputs: int, seed: int, fill: str
) -> tuple[samples.Array, samples.Array]:
    """(kernel's y, reference's y) for one random case."""
    rng = np.random.default_rng(seed)
    depthwise = op == "DepthwiseConv2D"
    shape = (*g.kernel, g.channels) if depthwise else (outputs, *g.kernel, g.channels)
    outputs = g.channels if depthwise else outputs
    x = samples.activations(rng, fill, (1, *g.size, g.channels))
    weight = samples.weights(rng, fill, shape, token)
    sums = np.abs(weight.astype(int)).sum((0, 1) if depthwise else (1, 2, 3))
    q_in, q_out = samples.quant(rng), samples.quant(rng)
    r = samples.requantization(rng, sums, q_in.zero_point)
    act = str(rng.choice(["none", "relu", "relu6"]))
    attrs_type = DepthwiseConv2D if depthwise else Conv2D
    attrs = attrs_type(g.stride, g.padding, token, act)
    out = output_size(g.size, g.kernel, g.stride, g.padding)
    held, y = Held(), np.zeros((*out, outputs), np.int8)
    params = Conv2DParams(
        held.packed(PACKINGS[token].pack(weight_rows(op, weight))),
        held.pointer(r.bias, np.int32),
        held.pointer(r.multiplier, np.int32),
        held.pointer(r.shift, np.int8),
        g.window(out),
        outputs,
        q_in.zero_point,
        q_out.zero_point,
        *activation_bounds(act, q_out),
    )
    kernel = select(op, token)
    node = Node("conv", op, ("x",), ("y",), attrs, {"weight": "w"})
    graph = Graph("g", ("x",), ("y",), (node,), {"w": TensorType(shape, "int8")}, {})
    scratch = [np.zeros(kernel.scratch(graph, node), np.int8)] if kernel.takes_scratch else []
    call(getattr(kernels, kernel.name), params, x, y, *scratch)
    io = Io((TensorType(x.shape[1:], "int8", q_in),), TensorType(y.shape, "int8", q_out))
    constants = {"weight": weight, "bias": r.bias, "multiplier": r.multiplier, "shift": r.shift}
    return y, OPS[op].reference(attrs, io, (x,), constants)[0]


@pytest.mark.parametrize("token", ["s8", "s4", "s3", "s2", "t2", "b1"])
@given(
    g=geometries(),
    outputs=st.integers(1, 5),
    seed=st.integers(0, 2**32 - 1),
    fill=st.sampled_from(samples.FILLS),
)
@KERNELS
def test_conv_2d_equals_reference(
    kernels: ctypes.CDLL, token: str, g: Geometry, outputs: int, seed: int, fill: str
) -> None:
    np.testing.assert_array_equal(*run_both(kernels, "Conv2D", token, g, outputs, seed, fill))


@pytest.mark.parametrize("token", ["s8", "s4"])
@given(g=geometries(), seed=st.integers(0, 2**32 - 1), fill=st.sampled_from(samples.FILLS))
@KERNELS
def test_depthwise_conv_2d_equals_reference(
    kernels: ctypes.CDLL, token: str, g: Geometry, seed: int, fill: str
) -> None:
    np.testing.assert_array_equal(*run_both(kernels, "DepthwiseConv2D", token, g, 1, seed, fill))


@pytest.mark.parametrize("token", ["s8", "s4", "t2"])
def test_pointwise_conv_2d_needs_no_scratch(kernels: ctypes.CDLL, token: str) -> None:
    g = Geometry((5, 4), 7, (1, 1), (2, 3), (0, 0, 0, 0))
    np.testing.assert_array_equal(*run_both(kernels, "Conv2D", token, g, 3, 1, "random"))


@pytest.mark.parametrize("padding", [(0, 0, 2, 2), (1, 1, 0, 0), (2, 2, 2, 2)])
def test_padded_pointwise_conv_2d(kernels: ctypes.CDLL, padding: tuple[int, int, int, int]) -> None:
    """A 1x1 kernel that also lies wholly outside the map."""
    g = Geometry((3, 2), 4, (1, 1), (1, 1), padding)
    np.testing.assert_array_equal(*run_both(kernels, "Conv2D", "s8", g, 3, 2, "random"))
    np.testing.assert_array_equal(*run_both(kernels, "DepthwiseConv2D", "s8", g, 1, 2, "random"))
