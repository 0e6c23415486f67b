"""What kernels share, function by function: shifts and ties that layers seldom meet."""

from collections.abc import Callable, Iterator

import numpy as np

from edgeq.ops import fixed_point, lstm_steps
from tests.kernels.differential.case import Call, Case, Const

FILES = (  # where they stand
    "edgeq_requantize.h",
    "edgeq_requantize_v6m.h",
    "edgeq_rsqrt.h",
    "edgeq_gates.h",
)
EXPORTS = """
#include "edgeq_gates.h"
#include "edgeq_requantize_v6m.h"
#include "edgeq_rsqrt.h"
int32_t rsqrt(uint32_t d) { return (int32_t)edgeq_rsqrt_q30(d); }
int32_t srdhm(int32_t a, int32_t b) { return edgeq_srdhm(a, b); }
int32_t rdp(int32_t x, int32_t e) { return edgeq_rdp(x, e); }
int32_t multiply(int32_t a, int32_t m, int32_t s) { return edgeq_multiply(a, m, s); }
int32_t clamp(int32_t x, int32_t low, int32_t high) { return edgeq_clamp(x, low, high); }
int32_t requantize(int32_t a, int32_t m, int32_t s, int32_t z, int32_t l, int32_t h) {
    return edgeq_requantize(a, m, s, z, l, h);
}
int32_t srdhm_v6m(int32_t a, int32_t b) { return edgeq_srdhm_v6m(a, b); }
int32_t rdp_v6m(int32_t x, int32_t e) { return edgeq_rdp_v6m(x, e); }
int32_t clamp_v6m(int32_t x, int32_t low, int32_t high) { return edgeq_clamp_v6m(x, low, high); }
int32_t requantize_v6m(int32_t a, int32_t m, int32_t s, int32_t z, int32_t l, int32_t h) {
    return edgeq_requantize_v6m(a, m, s, z, l, h);
}
int32_t leading_zeros_32(uint32_t x) { return edgeq_leading_zeros_32(x); }
int32_t leading_zeros_64(uint32_t high, uint32_t low) {
    return edgeq_leading_zeros_64((uint64_t)high << 32 | low);
}
int32_t high_multiply(uint32_t a, uint32_t b) { return (int32_t)edgeq_high_multiply(a, b); }
int32_t reciprocal(uint32_t d) { return (int32_t)edgeq_reciprocal_q30(d); }
int32_t gate_sigmoid(const uint16_t *table, int32_t x) { return edgeq_gate_sigmoid(table, x); }
int32_t gate_tanh(const uint16_t *table, int32_t x, int32_t power) {
    return edgeq_gate_tanh(table, x, power);
}
"""
_TABLE = Const(lstm_steps.DEVICE_TABLE)
INT32 = (-(2**31), 2**31)
MULTIPLIER = (2**30, 2**31)


def _word(value: int) -> int:
    """As the int32 of the same bits."""
    return (value + 2**31) % 2**32 - 2**31


def _case(name: str, given: tuple[int, ...], returns: int) -> Case:
    arguments = tuple(_word(value) for value in given)
    return Case(f"{name}{given}", (Call(name, arguments, _word(returns)),))


def fixed_point_cases() -> Iterator[Case]:
    """Random operands, the ends of each range, ties of every shift."""
    rng = np.random.default_rng(1)
    for _ in range(200):
        a, m = int(rng.integers(*INT32)), int(rng.integers(*MULTIPLIER))
        small = int(rng.integers(-600, 600))
        for value in (a, small, *INT32[:1], 2**31 - 1):
            for name in ("srdhm", "srdhm_v6m"):
                yield _case(name, (value, m), _of(fixed_point.srdhm, value, m))
            e = int(rng.integers(0, 32))
            yield _case("rdp", (value, e), _of(fixed_point.rdp, value, e))
            if e > 0 and abs(value) < 2**31 - 1:
                yield _case("rdp_v6m", (value, e), _of(fixed_point.rdp, value, e))
        yield from _multiplies(rng, small, m)
        yield from _bits(int(rng.integers(0, 2**32)), int(rng.integers(0, 2**32)))
    for e in range(1, 31):
        for x in (1 << (e - 1), (1 << (e - 1)) - 1, -(1 << (e - 1)), 1 - (1 << (e - 1))):
            for name in ("rdp", "rdp_v6m"):
                yield _case(name, (x, e), _of(fixed_point.rdp, x, e))
    for x in range(-4, 5):
        for name in ("clamp", "clamp_v6m"):
            yield _case(name, (x, -2, 3), min(max(x, -2), 3))
        yield _case("srdhm", (x, 2**30), _of(fixed_point.srdhm, x, 2**30))
    for interval in range(8, 32):
        d = (interval << 27) + (1 << 26)
        yield _case("rsqrt", (d,), int(fixed_point.rsqrt_q30(np.array(d, np.uint64))))
    for place in range(32):
        yield from _bits(1 << place, (1 << place) - 1)
        yield from _bits(0, 1 << place)
    yield from _bits(0, 0)
    yield from _gates(rng)


def _of(function: Callable[..., object], *given: int) -> int:
    return int(np.asarray(function(*(np.array(value) for value in given))))


def _multiplies(rng: np.random.Generator, acc: int, m: int) -> Iterator[Case]:
    for shift in range(-4, 5):
        wanted = _of(fixed_point.multiply_by_quantized_multiplier, acc, m, shift)
        yield _case("multiply", (acc, m, shift), wanted)
        zero, low = int(rng.integers(-128, 128)), int(rng.integers(-128, 0))
        high = int(rng.integers(0, 128))
        clamped = min(max(wanted + zero, low), high)
        for name in ("requantize", "requantize_v6m"):
            yield _case(name, (acc, m, shift, zero, low, high), clamped)


def _bits(a: int, b: int) -> Iterator[Case]:
    yield _case("leading_zeros_32", (a,), 32 - a.bit_length())
    yield _case("leading_zeros_64", (a, b), 64 - (a << 32 | b).bit_length())
    yield _case("high_multiply", (a, b), a * b >> 32)
    d = a | 2**31
    root = a | 2**30
    yield _case("rsqrt", (root,), int(fixed_point.rsqrt_q30(np.array(root, np.uint64))))
    yield _case("reciprocal", (d,), int(fixed_point.reciprocal_q30(np.array(d, np.uint64))))


def _gates(rng: np.random.Generator) -> Iterator[Case]:
    """The ends of Q3.12, some of its values, and those whose answer is a tie."""
    x = np.arange(-32768, 32768)
    table = lstm_steps.SIGMOID_TABLE.astype(np.int64)
    scaled = 3 * np.abs(x)
    place = np.minimum(scaled >> 9, 254)
    line = (table[place] << 9) + (scaled & 511) * (table[place + 1] - table[place])
    ties = x[(line & 1023) == 512]
    for value in (*ties, *x[[0, 1, -2, -1]], *rng.choice(x, 100)):
        wanted = _of(lstm_steps.sigmoid_q15, value)
        yield Case(f"sigmoid {value}", (Call("gate_sigmoid", (_TABLE, int(value)), wanted),))
        for power in range(-15, -8):
            wanted = int(lstm_steps.tanh_q15(np.array(value), power))
            call = Call("gate_tanh", (_TABLE, int(value), power), wanted)
            yield Case(f"tanh {value} in 2^{power}", (call,))
