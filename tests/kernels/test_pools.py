"""Average and max pool, bit for bit against the numpy reference."""

import ctypes

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from edgeq.ir import Graph, Node, TensorType
from edgeq.ops import average_pool_2d, max_pool_2d, mean_pool_2d
from edgeq.ops.average_pool_2d import AveragePool2D
from edgeq.ops.fixed_point import quantize_multipliers
from edgeq.ops.max_pool_2d import MaxPool2D
from edgeq.ops.mean_pool_2d import MeanPool2D
from edgeq.ops.op import Io, Site
from edgeq.ops.window import output_size
from tests.kernels import samples
from tests.kernels.conftest import KERNELS
from tests.kernels.host_kernels import AveragePool2DParams, Held, MeanPool2DParams, Window, call
from tests.kernels.test_conv_2d import Geometry, geometries

seeds = st.integers(0, 2**32 - 1)
fills = st.sampled_from(samples.FILLS)


@given(g=geometries(), seed=seeds, fill=fills)
@KERNELS
def test_max_pool_equals_reference(kernels: ctypes.CDLL, g: Geometry, seed: int, fill: str) -> None:
    rng = np.random.default_rng(seed)
    x = samples.activations(rng, fill, (1, *g.size, g.channels))
    out = output_size(g.size, g.kernel, g.stride, g.padding)
    y = np.zeros((*out, g.channels), np.int8)
    call(kernels.edgeq_max_pool_2d_s8, g.window(out), x, y)
    t = TensorType(x.shape[1:], "int8", samples.quant(rng))
    attrs = MaxPool2D(g.kernel, g.stride, g.padding)
    np.testing.assert_array_equal(y, max_pool_2d.OP.reference(attrs, Io((t,), t), (x,), {})[0])


@given(
    kernel=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    more=st.tuples(st.integers(0, 3), st.integers(0, 3)),
    stride=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    channels=st.integers(1, 9),
    seed=seeds,
    fill=fills,
)
@KERNELS
def test_average_pool_equals_reference(
    kernels: ctypes.CDLL,
    kernel: tuple[int, int],
    more: tuple[int, int],
    stride: tuple[int, int],
    channels: int,
    seed: int,
    fill: str,
) -> None:
    rng = np.random.default_rng(seed)
    size = (kernel[0] + more[0], kernel[1] + more[1])
    x = samples.activations(rng, fill, (1, *size, channels))
    q_in, q_out = samples.quant(rng), samples.quant(rng)
    real = q_in.per_tensor / (q_out.per_tensor * kernel[0] * kernel[1])
    multiplier, shift = quantize_multipliers([real])
    out = output_size(size, kernel, stride, (0, 0, 0, 0))
    window = Window(*size, channels, *out, *kernel, *stride, 0, 0)
    zeros = (q_in.zero_point, q_out.zero_point)
    y = np.zeros((*out, channels), np.int8)
    params = AveragePool2DParams(window, *zeros, int(multiplier[0]), int(shift[0]))
    call(kernels.edgeq_average_pool_2d_s8, params, x, y)
    io = Io((TensorType(x.shape[1:], "int8", q_in),), TensorType(y.shape, "int8", q_out))
    constants = {"multiplier": multiplier, "shift": shift}
    wanted = average_pool_2d.OP.reference(AveragePool2D(kernel, stride), io, (x,), constants)
    np.testing.assert_array_equal(y, wanted[0])


@given(g=geometries(), seed=seeds, fill=fills, activation=st.sampled_from(("none", "relu6")))
@KERNELS
def test_mean_pool_equals_reference(
    kernels: ctypes.CDLL, g: Geometry, seed: int, fill: str, activation: str
) -> None:
    rng = np.random.default_rng(seed)
    x = samples.activations(rng, fill, (1, *g.size, g.channels))
    attrs = MeanPool2D(g.kernel, g.stride, g.padding, activation)
    t = TensorType(x.shape[1:], "int8", samples.quant(rng))
    try:
        shape = mean_pool_2d.OP.result_shape(attrs, (t.shape,), {})
    except ValueError:  # a window that lies in padding only has no mean
        return
    out = TensorType(shape, "int8", t.quant)
    node = Node("pool", "MeanPool2D", ("x",), ("y",), attrs)
    site = Site(Graph("g", ("x",), ("y",), (node,), {"x": t, "y": out}, {}), node)
    lowered, held, y = mean_pool_2d.OP.lower(site), Held(), np.zeros(shape, np.int8)
    fields = dict(mean_pool_2d.OP.code.fields(site))  # type: ignore[union-attr]
    tail = ("least_rows", "least_columns", "columns", "activation_min", "activation_max")
    table = held.pointer(lowered.values["reciprocal"], np.uint32)
    params = MeanPool2DParams(table, g.window(shape[:2]), *(fields[name] for name in tail))
    call(kernels.edgeq_mean_pool_2d_s8, params, x, y)
    wanted = mean_pool_2d.OP.reference(attrs, Io((t,), out), (x,), lowered.values)
    np.testing.assert_array_equal(y, wanted[0])


def test_the_reciprocal_of_any_window_divides_every_sum_exactly() -> None:
    """The kernel multiplies by ceil(2^31 / n); the largest sums are the hardest."""
    n = np.arange(1, mean_pool_2d.MOST_CELLS + 1, dtype=np.uint64)
    reciprocal = -(-(1 << 31) // n.astype(np.int64)).astype(np.int64)
    for back in range(64):
        largest = (128 * n + n // 2).astype(np.int64) - back
        kept = largest[largest >= 0]
        divisors = n[largest >= 0].astype(np.int64)
        found = kept * reciprocal[largest >= 0] >> 31
        np.testing.assert_array_equal(found, kept // divisors)
