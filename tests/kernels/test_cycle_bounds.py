"""What a multiply-accumulate may cost on the modelled Cortex-M4 and M0+, and a kernel's code."""

import shutil
from functools import cache
from typing import Any

import pytest

from edgeq.bench import bench_kernels
from edgeq.bench.cases import cases_named, runs
from edgeq.board import load_board
from edgeq.kernels import kernel_named

COMPILERS = ("gcc", "zig")

FLAT = ("1536x640", "640x320", "320x50", "256x128", "64x12")
# cycles per multiply-accumulate of a whole layer at most, in the better of two compilers
FULLY_CONNECTED: dict[str, tuple[float, ...]] = {
    "s8": (1.185, 1.205, 1.31, 1.245, 1.83),
    "s4": (1.155, 1.17, 1.325, 1.225, 2.24),
    "s3": (1.25, 1.30, 1.55, 1.40, 2.5),
    "t2": (0.70, 0.73, 0.86, 0.80, 1.6),
    "s2": (0.80, 0.83, 0.97, 0.92, 1.7),
    "b1": (0.68, 0.70, 0.84, 0.79, 1.6),
    "s16": (1.3, 1.35, 1.5, 1.4, 2.2),
    "t5": (0.97, 1.13),
}
WINDOWS: dict[str, dict[str, float]] = {
    "conv3x3": {"s8": 1.09, "s4": 1.15, "t2": 0.855},
    "conv1x1": {"s8": 1.145, "s4": 1.18, "t2": 0.895},
    "conv10x4s2": {"s8": 1.34, "s4": 1.43, "t2": 1.16},
    "dw3x3": {"s8": 2.435, "s4": 2.48},
}
M0PLUS: dict[str, dict[str, float]] = {
    "640x320": {"t5": 2.75, "s8": 4.9},
    "conv3x3": {"s8": 4.9, "s4": 5.0, "t2": 4.0},
    "conv1x1": {"s8": 5.3, "s4": 5.0, "t2": 4.5},
    "dw3x3": {"s8": 12.6, "s4": 12.8},
}
BLOCKS_OF_64 = (
    ("1536x640", "1536x640/64"),
    ("256x128", "256x128/64"),
    ("conv1x1", "conv1x1k64/64"),
    ("conv1x1k128", "conv1x1k128/64"),
)
CODE_BYTES = {
    "64x12": 3072,
    "conv1x1": 3072,
    "dw3x3": 3072,
    "conv1x1k64/64": 2600,
}


def _limits(shape: str) -> dict[str, float]:
    if shape in WINDOWS:
        return WINDOWS[shape]
    at = FLAT.index(shape)
    return {token: row[at] for token, row in FULLY_CONNECTED.items() if at < len(row)}


def _rows(board: str, shape: str) -> tuple[dict[str, Any], ...]:
    """Those of both compilers, each answer equal to the reference."""
    if shutil.which("arm-none-eabi-gcc") is None:
        pytest.skip("no arm-none-eabi-gcc: the bounds hold for the better of two compilers")
    rows = _measured(board, shape)
    for row in rows:
        assert row["mismatches"] == 0
        assert row["cycles_spread"] == 0 or board != "virtual_m4"
    return rows


@cache
def _measured(board: str, shape: str) -> tuple[dict[str, Any], ...]:
    """Kept: two tests want some of them. The plain kernels, slow and without a bound, stay out."""
    there = [one.kernel for one in runs(load_board(board).features, None, cases_named(shape))]
    fast = [name for name in there if kernel_named(name).isa or name.endswith("_t5")]
    results = (
        bench_kernels(board, name, compiler, shape=shape) for compiler in COMPILERS for name in fast
    )
    return tuple(row for result in results for row in result["kernels"])


def _best(board: str, shape: str) -> dict[str, float]:
    """Cycles of a multiply-accumulate by packing, of the fastest kernel and better compiler."""
    best: dict[str, float] = {}
    for row in _rows(board, shape):
        one = row["cycles"] / row["macs"]
        best[row["weight"]] = min(best.get(row["weight"], one), one)
    return best


@pytest.mark.full
@pytest.mark.parametrize("shape", [*FLAT, *WINDOWS])
def test_cycles_of_a_multiply(shape: str) -> None:
    best = _best("virtual_m4", shape)
    over = {t: best[t] for t, limit in _limits(shape).items() if best[t] > limit}
    assert not over


@pytest.mark.full
@pytest.mark.parametrize("shape", M0PLUS)
def test_cycles_of_a_multiply_without_dsp(shape: str) -> None:
    best = _best("virtual_m0plus", shape)
    assert {t: best[t] for t, limit in M0PLUS[shape].items() if best[t] > limit} == {}


@pytest.mark.full
@pytest.mark.parametrize("shape", [*CODE_BYTES])
def test_code_fits_its_bytes(shape: str) -> None:
    by_kernel = [(row["kernel"], row["code_bytes"]) for row in _rows("virtual_m4", shape)]
    assert [(k, b) for k, b in by_kernel if b > CODE_BYTES[shape]] == []


@pytest.mark.full
@pytest.mark.parametrize(("shape", "blocks"), BLOCKS_OF_64)
def test_blocks_of_64_cost_at_most_15_percent(shape: str, blocks: str) -> None:
    """Scales a block, against the same layer without, on kernels for any weights: a norm that keeps
    rows whole is of layers without block scales."""
    plain: dict[str, float] = {}
    for row in (r for r in _rows("virtual_m4", shape) if "_whole" not in r["kernel"]):
        one = row["cycles"] / row["macs"]
        plain[row["weight"]] = min(plain.get(row["weight"], one), one)
    with_scales = _best("virtual_m4", blocks)
    assert {t: with_scales[t] for t in ("s4", "t2") if with_scales[t] > 1.15 * plain[t]} == {}
