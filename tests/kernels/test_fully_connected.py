"""FullyConnected kernels, bit for bit against the numpy reference."""

import ctypes

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeq.ir import TensorType
from edgeq.kernels import PACKINGS
from edgeq.ops import fully_connected
from edgeq.ops.fully_connected import FullyConnected
from edgeq.ops.op import Io, activation_bounds
from tests.kernels import samples
from tests.kernels.conftest import KERNELS
from tests.kernels.host_kernels import FullyConnectedParams, Held, call

TOKENS = ("s16", "s8", "s4", "s3", "s2", "t2", "b1")


def run_both(
    kernels: ctypes.CDLL, token: str, inputs: int, outputs: int, seed: int, fill: str, act: str
) -> tuple[samples.Array, samples.Array]:
    """(kernel's y, reference's y) for one random case."""
    rng = np.random.default_rng(seed)
    x = samples.activations(rng, fill, (1, inputs))
    weight = samples.weights(rng, fill, (outputs, inputs), token)
    q_in, q_out = samples.quant(rng), samples.quant(rng)
    r = samples.requantization(rng, np.abs(weight.astype(int)).sum(1), q_in.zero_point)
    held, y = Held(), np.zeros(outputs, np.int8)
    low, high = activation_bounds(act, q_out)
    params = FullyConnectedParams(
        held.packed(PACKINGS[token].pack(weight)),
        held.pointer(r.bias, np.int32),
        held.pointer(r.multiplier, np.int32),
        held.pointer(r.shift, np.int8),
        inputs,
        outputs,
        q_in.zero_point,
        q_out.zero_point,
        low,
        high,
    )
    call(getattr(kernels, f"edgeq_fully_connected_s8_{token}"), params, x, y)
    io = Io((TensorType((inputs,), "int8", q_in),), TensorType((outputs,), "int8", q_out))
    wanted = fully_connected.OP.reference(
        FullyConnected(token, act),
        io,
        (x,),
        {"weight": weight, "bias": r.bias, "multiplier": r.multiplier, "shift": r.shift},
    )
    return y, wanted[0]


@pytest.mark.parametrize("token", TOKENS)
@given(
    inputs=st.integers(1, 70),
    outputs=st.integers(1, 9),
    seed=st.integers(0, 2**32 - 1),
    fill=st.sampled_from(samples.FILLS),
    act=st.sampled_from(("none", "relu", "relu6")),
)
@KERNELS
def test_equals_reference(
    kernels: ctypes.CDLL, token: str, inputs: int, outputs: int, seed: int, fill: str, act: str
) -> None:
    y, wanted = run_both(kernels, token, inputs, outputs, seed, fill, act)
    np.testing.assert_array_equal(y, wanted)


@pytest.mark.parametrize("token", TOKENS)
@pytest.mark.parametrize("fill", samples.FILLS)
def test_wide_layer(kernels: ctypes.CDLL, token: str, fill: str) -> None:
    """Paper-size rows; 16-bit weights only as wide as int32 holds at the extremes."""
    inputs = 250 if token == "s16" else 1536
    y, wanted = run_both(kernels, token, inputs, 12, 7, fill, "none")
    np.testing.assert_array_equal(y, wanted)
