"""The margin beyond the extremes of a few rows; other methods are tested by what they quantise."""

import numpy as np
import pytest

from edgeq.passes.ranges import choose_quant


@pytest.mark.parametrize("rows", [1, 16, 400])
def test_a_margin_is_the_extremes_and_less_more_with_more_rows(rows: int) -> None:
    values = np.linspace(-1, 3, 40 * rows, dtype=np.float32).reshape(rows, 40)
    plain, wider = (choose_quant(values, method) for method in ("minmax", "margin"))
    assert wider.per_tensor == pytest.approx(plain.per_tensor * (1 + rows**-0.5), rel=1e-6)
    assert wider.zero_point == plain.zero_point


def test_a_margin_never_moves_zero_off_a_code() -> None:
    values = np.full((4, 3), 2, np.float32)
    quant = choose_quant(values, "margin")
    assert quant.zero_point == -128
    assert quant.per_tensor == pytest.approx(3 / 255)
