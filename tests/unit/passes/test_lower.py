"""Integer layers stay close to their real ones, however large a bias or a row of weights is."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeq.ir import Quant, TensorType
from edgeq.ops import OPS
from edgeq.ops.fully_connected import FullyConnected
from edgeq.ops.op import Array, Io
from edgeq.ops.weighted import BIAS_LIMIT, UNIT_STEPS, integer_layer, layer_finest

SCALE_IN, ZERO_IN, ROWS, FEATURES, UNITS = 0.02, -7, 12, 9, 4


def layer(
    codes: Array, scales: Array, bias: Array, fmt: str
) -> tuple[Array, float, dict[str, Any]]:
    """Error in output steps (rows, units), the largest real output, and what was lowered."""
    rng = np.random.default_rng(0)
    x = rng.integers(-128, 128, (ROWS, FEATURES)).astype(np.int8)
    real = (x.astype(float) - ZERO_IN) * SCALE_IN @ (codes * scales[:, None]).T + bias
    out = Quant((float(np.abs(real).max()) / 127,), 0)
    quant = Quant(tuple(map(float, scales)), 0, 0)
    values, types = integer_layer(codes, quant, bias, SCALE_IN, out.per_tensor)
    io = Io(
        (TensorType((FEATURES,), "int8", Quant((SCALE_IN,), ZERO_IN)),),
        TensorType((UNITS,), "int8", out),
    )
    y = OPS["FullyConnected"].reference(FullyConnected(fmt, "none"), io, (x,), values)
    scale = types["weight"].quant
    assert scale is not None
    kept = values["weight"] * np.array(scale.scale)[:, None]
    return y - real / out.per_tensor, float(np.abs(kept - codes * scales[:, None]).max()), values


@given(
    st.integers(0, 2**32 - 1),
    st.lists(st.floats(-1e4, 1e4, width=32), min_size=UNITS, max_size=UNITS),
    st.lists(st.floats(2**-28, 1.0, width=32), min_size=UNITS, max_size=UNITS),
)
def test_an_int8_layer_is_within_a_step_of_the_real_one(
    seed: int, bias: list[float], scales: list[float]
) -> None:
    codes = np.random.default_rng(seed).integers(-127, 128, (UNITS, FEATURES)).astype(np.int8)
    error, _, values = layer(codes, np.array(scales), np.array(bias), "s8")
    reach = np.abs(values["bias"].astype(np.int64)).max()
    assert reach <= BIAS_LIMIT * (1 + 2**-22)  # scales are float32
    assert np.abs(error).max() <= 1.01


def test_a_bias_beyond_32_bits_moves_its_channel_to_a_coarser_grid() -> None:
    codes = np.full((UNITS, FEATURES), 100, np.int8)
    scales, bias = np.full(UNITS, 1e-8), np.array([0.0, 1.0, 1.0, 0.5])
    error, moved, values = layer(codes, scales, bias, "s8")
    assert values["weight"].tolist() == [[100] * FEATURES] + [[21] * FEATURES] * 2 + [
        [43] * FEATURES
    ]
    assert moved < 5e-8  # codes followed their scale: half a step of the wider grid
    assert np.abs(error).max() <= 1


@pytest.mark.parametrize("bias", [0.0, 3.0, -500.0])
def test_a_16_bit_row_at_full_scale_stays_within_32_bits(bias: float) -> None:
    codes = np.full((UNITS, FEATURES), 32767, np.int16)
    error, _, values = layer(codes, np.full(UNITS, 1e-4), np.full(UNITS, bias), "s16")
    reach = np.abs(values["weight"].astype(np.int64)).sum(axis=1) * 255
    assert (reach + np.abs(values["bias"].astype(np.int64))).max() < 2**31
    assert np.abs(error).max() <= 1.01


@given(st.floats(2**-30, 1e4), st.floats(2**-30, 1e4), st.floats(4e-9, 1.0), st.booleans())
def test_a_row_without_weights_takes_steps_that_its_output_can_carry(
    scale: float, scale_in: float, scale_out: float, shared: bool
) -> None:
    """LiteRT holds the float32 bias scale against 2 % of an output step."""
    codes, quant = np.zeros((1 + shared, 3), np.int8), Quant((scale,), 0, 0)
    made = integer_layer(codes, quant, np.zeros(1 + shared), scale_in, scale_out)
    weight = made.types["weight"].quant
    assert weight is not None
    assert 0 < scale_in * weight.scale[0] <= scale_out * UNIT_STEPS * (1 + 2**-22)
    assert not made.values["bias"].any()


def test_a_layer_is_no_finer_than_a_fraction_of_its_largest_weight() -> None:
    weight, bias = np.array([[0.5, -0.5]]), np.zeros(1)
    assert layer_finest(weight, bias, 2.0, 0) == 1.0 / UNIT_STEPS
    assert layer_finest(np.ones((1, 2**10)), bias, 2.0, 0) == 2.0 * 255 * 2**10 / 2**29
