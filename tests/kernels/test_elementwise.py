"""Add, Relu and LayerNorm, bit for bit against the numpy reference."""

import ctypes

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeq.ir import TensorType
from edgeq.ops import add, layer_norm, relu
from edgeq.ops.fixed_point import quantize_multipliers
from edgeq.ops.op import Io, activation_bounds
from tests.kernels import samples
from tests.kernels.conftest import KERNELS
from tests.kernels.host_kernels import AddParams, Held, LayerNormParams, ReluParams, call

seeds = st.integers(0, 2**32 - 1)
fills = st.sampled_from(samples.FILLS)
activations = st.sampled_from(("none", "relu", "relu6"))


@given(size=st.integers(1, 40), seed=seeds, fill=fills, act=activations)
@KERNELS
def test_add_equals_reference(
    kernels: ctypes.CDLL, size: int, seed: int, fill: str, act: str
) -> None:
    """The result may be written over an input."""
    rng = np.random.default_rng(seed)
    a, b = (samples.activations(rng, fill, (1, size)) for _ in range(2))
    quants = [samples.quant(rng) for _ in range(3)]
    scales = [q.per_tensor for q in quants]
    twice = 2 * max(scales[:2])
    multiplier, shift = quantize_multipliers(
        [scales[0] / twice, scales[1] / twice, twice / (2**add.LEFT_SHIFT * scales[2])]
    )
    types = [TensorType((size,), "int8", q) for q in quants]
    constants = {"multiplier": multiplier, "shift": shift}
    wanted = add.OP.reference(add.Add(act), Io(tuple(types[:2]), types[2]), (a, b), constants)
    triple = ctypes.c_int32 * 3
    params = AddParams(
        size,
        triple(*(q.zero_point for q in quants)),
        triple(*multiplier.tolist()),
        triple(*shift.tolist()),
        *activation_bounds(act, quants[2]),
    )
    call(kernels.edgeq_add_s8, params, a, b, a)
    np.testing.assert_array_equal(a, wanted)


@given(size=st.integers(1, 40), seed=seeds, fill=fills, act=activations)
@KERNELS
def test_relu_equals_reference(
    kernels: ctypes.CDLL, size: int, seed: int, fill: str, act: str
) -> None:
    rng = np.random.default_rng(seed)
    x = samples.activations(rng, fill, (1, size))
    t = TensorType((size,), "int8", samples.quant(rng))
    wanted = relu.OP.reference(relu.Relu(act), Io((t,), t), (x,), {})
    assert t.quant is not None
    call(kernels.edgeq_relu_s8, ReluParams(size, *activation_bounds(act, t.quant)), x, x)
    np.testing.assert_array_equal(x, wanted)


@pytest.mark.parametrize("features", [None, 1, 1536])
@given(rows=st.integers(1, 3), drawn=st.integers(1, 80), seed=seeds, fill=fills, act=activations)
@KERNELS
def test_layer_norm_equals_reference(
    kernels: ctypes.CDLL,
    features: int | None,
    rows: int,
    drawn: int,
    seed: int,
    fill: str,
    act: str,
) -> None:
    rng = np.random.default_rng(seed)
    n = features or drawn
    x = samples.activations(rng, fill, (1, rows, n))
    q_in, q_out = samples.quant(rng), samples.quant(rng)
    gamma = rng.normal(1, float(rng.choice([0.1, 3.0])), n)
    epsilon = float(rng.choice([1e-12, 1e-5, 1e-2]))
    constants = layer_norm.integer_params(
        gamma, rng.normal(0, 1, n), epsilon, q_in.per_tensor, q_out.per_tensor
    )
    types = [TensorType((rows, n), "int8", q) for q in (q_in, q_out)]
    attrs = layer_norm.LayerNorm(epsilon, act)
    wanted = layer_norm.OP.reference(attrs, Io((types[0],), types[1]), (x,), constants)
    held = Held()
    params = LayerNormParams(
        held.pointer(constants["gamma"], np.int16),
        held.pointer(constants["beta"], np.int32),
        int(constants["epsilon"][0]),
        rows,
        n,
        int(constants["shift"][0]),
        q_out.zero_point,
        *activation_bounds(act, q_out),
    )
    call(kernels.edgeq_layer_norm_s8, params, x, x)
    np.testing.assert_array_equal(x, wanted)
