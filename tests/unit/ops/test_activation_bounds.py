"""The clamp of a fused ReLU6 rounds as TensorFlow Lite does: in float32, half away from zero."""

import numpy as np
import pytest

from edgeq.ir import Quant
from edgeq.ops.op import activation_bounds


@pytest.mark.parametrize(
    ("steps", "high"),
    [(127.5, -20 + 128), (126.5, -20 + 127), (100.25, 80), (1000.0, 127)],
)
def test_six_is_rounded_half_away_from_zero(steps: float, high: int) -> None:
    """The scale is one that float32 holds; in float64 its quotient lies just below the half."""
    scale = float(np.float32(6) / np.float32(steps))
    assert activation_bounds("relu6", Quant((scale,), -20)) == (-20, high)
