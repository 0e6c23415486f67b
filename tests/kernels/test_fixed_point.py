"""edgeq_requantize.h against fixed_point.py, function by function, at the ends of every range."""

import ctypes as ct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeq.ops import fixed_point
from tests.kernels import host_kernels
from tests.kernels.conftest import KERNELS

EXPORTS = """
#include "edgeq_requantize.h"
int32_t srdhm(int32_t a, int32_t b) { return edgeq_srdhm(a, b); }
int32_t rdp(int32_t x, int32_t e) { return edgeq_rdp(x, e); }
int32_t multiply(int32_t a, int32_t m, int32_t s) { return edgeq_multiply(a, m, s); }
int32_t leading_zeros_32(uint32_t x) { return edgeq_leading_zeros_32(x); }
int32_t leading_zeros_64(uint64_t x) { return edgeq_leading_zeros_64(x); }
uint32_t reciprocal(uint32_t d) { return edgeq_reciprocal_q30(d); }
"""
int32s = st.integers(-(2**31), 2**31 - 1) | st.integers(-300, 300)


@pytest.fixture(scope="module")
def exports(kernels: ct.CDLL, tmp_path_factory: pytest.TempPathFactory) -> ct.CDLL:
    """The inline functions as symbols; `kernels` is asked for its skip."""
    assert kernels is not None
    folder: Path = tmp_path_factory.mktemp("fixed_point")
    source = folder / "exports.c"
    source.write_text(EXPORTS)
    host_kernels.build(folder, [source])
    library = ct.CDLL(str(folder / "kernels.so"))
    library.reciprocal.restype = ct.c_uint32
    library.reciprocal.argtypes = library.leading_zeros_32.argtypes = [ct.c_uint32]
    library.leading_zeros_64.argtypes = [ct.c_uint64]
    return library


@given(a=int32s, b=st.integers(0, 2**31 - 1))
@KERNELS
def test_srdhm(exports: ct.CDLL, a: int, b: int) -> None:
    assert exports.srdhm(a, b) == fixed_point.srdhm(np.array(a), np.array(b))


@given(x=int32s, exponent=st.integers(0, 31))
@KERNELS
def test_rdp(exports: ct.CDLL, x: int, exponent: int) -> None:
    assert exports.rdp(x, exponent) == fixed_point.rdp(np.array(x), np.array(exponent))


@pytest.mark.parametrize("exponent", range(1, 31))
def test_rdp_ties_go_away_from_zero(exports: ct.CDLL, exponent: int) -> None:
    tie = 1 << (exponent - 1)
    assert [exports.rdp(x, exponent) for x in (tie, tie - 1, -tie, -tie + 1)] == [1, 0, -1, 0]


@given(acc=int32s, multiplier=st.integers(2**30, 2**31 - 1), shift=st.integers(-31, 30))
@KERNELS
def test_multiply(exports: ct.CDLL, acc: int, multiplier: int, shift: int) -> None:
    if shift > 0:
        acc >>= shift  # what the exporter proves: the left shift fits
    wanted = fixed_point.multiply_by_quantized_multiplier(
        np.array(acc), np.array(multiplier), np.array(shift)
    )
    assert exports.multiply(acc, multiplier, shift) == wanted


@given(x=st.integers(0, 2**64 - 1), drop=st.integers(0, 64))
@KERNELS
def test_leading_zeros(exports: ct.CDLL, x: int, drop: int) -> None:
    x >>= drop
    assert exports.leading_zeros_64(x) == 64 - x.bit_length()
    assert exports.leading_zeros_32(x & 0xFFFFFFFF) == 32 - (x & 0xFFFFFFFF).bit_length()


@given(d=st.integers(2**31, 2**32 - 1) | st.sampled_from((2**31, 2**31 + 1, 2**32 - 1)))
@KERNELS
def test_reciprocal(exports: ct.CDLL, d: int) -> None:
    assert exports.reciprocal(d) == int(fixed_point.reciprocal_q30(np.array(d, np.uint64)))
