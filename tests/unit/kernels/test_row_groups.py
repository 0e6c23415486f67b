"""Tables that stand in a bias's place: what their words are and what the first one tells."""

import numpy as np
import pytest

from edgeq.kernels.streams import row_groups


def test_table_of_the_example() -> None:
    """As the header of edgeq_row_table_dsp.h has it."""
    bias, factor, shift = np.array([5, -1]), np.array([2**30, 2**30]), np.array([-9, -10])
    table, *none = row_groups.S8.vectors(bias, factor, shift, np.ones((2, 1), np.int8))
    assert [v.size for v in none] == [0, 0]
    wanted = [0, 0xA, 0xFFFFFFFE, 0x40000000, 0x40000000, 0x00800001, 0x00400001]
    assert (table.astype(np.int64) & 0xFFFFFFFF).tolist() == wanted


@pytest.mark.parametrize(
    ("shift", "multiplier", "norm", "first"),
    [
        ((-2, -12), (7, 7), 65535, 0),
        ((-1, -12), (7, 7), 0, 1),
        ((-2, -13), (7, 7), 65536, 3),
        ((-2, -13), (7, 0), 65536, 2),  # the shift of a multiplier of 0 does not matter
    ],
)
def test_tables_tell_far_shifts_and_long_rows(
    shift: tuple[int, ...], multiplier: tuple[int, ...], norm: int, first: int
) -> None:
    weight = np.array([[0, 0], [norm - 5, -5]] if norm else [[0, 0], [0, 0]])
    bias, factor, right = (np.array(v) for v in ((0, 0), multiplier, shift))
    assert row_groups.S8.vectors(bias, factor, right, weight)[0][0] == first


def test_tables_of_four_bits_have_eight_rows_and_no_long_ones() -> None:
    bias, one = np.arange(9), np.ones(9, np.int64)
    table, *_ = row_groups.S4.vectors(bias, one * 2**30, -2 * one, np.full((9, 20000), 7))
    assert table[0] == 0
    assert table[1:9].tolist() == [0, 2, 4, 6, 8, 10, 12, 14]
    assert table[9:25].tolist() == [2**30] * 8 + [2**30 + 1] * 8
    assert table[25:].tolist() == [16, 2**30, 2**30 + 1]
