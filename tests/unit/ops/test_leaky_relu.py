"""LeakyReLU by hand: half a step is rounded up."""

import numpy as np

from edgeq.ops.leaky_relu import LeakyRelu, _steps


def test_below_zero_half_as_steep() -> None:
    x = np.array([-128, -5, -3, -1, 0, 1, 127])
    steps = _steps(LeakyRelu(0.5), x, 0.1, 0.1)
    np.testing.assert_array_equal(steps, [-64, -2, -1, 0, 0, 1, 127])
