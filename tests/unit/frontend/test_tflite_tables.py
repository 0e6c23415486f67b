"""Functions of one number from int8 .tflite files: every code as the runtime answers it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeq.emit.tflite_check import run_tflite
from edgeq.errors import UnsupportedOp
from edgeq.frontend.tflite_loader import graph_of_tflite
from edgeq.frontend.tflite_tables import rsqrt_table
from edgeq.ir import Quant
from edgeq.ops.op import Array
from edgeq.reference import run
from tests.tflite_files import X, unary, written
from tests.tflite_more import CODES, LITERT_ALONE

EVERY_CODE = np.arange(-128, 128).astype(np.int8).reshape(CODES)
MOST = {"GELU": 20.0, "EXP": 400.0, "LOG": 6.0}


def assert_every_code(data: bytes) -> None:
    got = run(graph_of_tflite(data, "t"), EVERY_CODE).output
    np.testing.assert_array_equal(got, run_tflite(data, EVERY_CODE).logits)


@pytest.mark.parametrize("name", LITERT_ALONE)
def test_every_code_is_answered_as_litert_does(name: str) -> None:
    assert_every_code(LITERT_ALONE[name])


@settings(max_examples=12, deadline=None)
@given(
    st.sampled_from(["GELU", "EXP", "LOG"]),
    st.floats(-2.5, -0.7),
    st.integers(60, 255),
    st.tuples(st.integers(-128, 127), st.integers(-128, 127)),
)
def test_at_any_scale_and_zero_point(
    op: str, power: float, steps: int, zeros: tuple[int, int]
) -> None:
    made = Quant((float(np.float32(MOST[op] / steps)),), zeros[1])
    given = Quant((float(np.float32(10**power)),), zeros[0])
    assert_every_code(written(CODES, unary(op, made), given))


@settings(deadline=None)
@given(st.floats(1e-3, 0.1), st.floats(1e-2, 0.1), st.integers(-128, 127))
def test_rsqrt_is_near_the_real_one_wherever_it_is_defined(
    scale: float, made: float, zero: int
) -> None:
    table: Array = rsqrt_table(Quant((scale,), zero), Quant((made,), -128))
    above = np.arange(1, 128 - zero)
    wanted = np.clip(1 / np.sqrt(above * scale) / made - 128, -128, 127)
    assert np.abs(table[above + zero + 128] - wanted).max(initial=0) <= 1
    assert (table[: zero + 129] == 127).all()  # there and below the runtime has no number


def test_a_clip_moves_no_code_to_another_scale() -> None:
    with pytest.raises(UnsupportedOp, match="different scales"):
        graph_of_tflite(written(CODES, unary("RELU_0_TO_1", Quant((1e-4,), 0)), X), "t")
