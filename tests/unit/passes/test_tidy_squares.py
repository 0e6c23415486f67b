"""A difference times itself becomes one op, where nothing rounds or reads it in between."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest

from edgeq.ir import Graph, Node, Quant, TensorType
from edgeq.ops.batch_norm import BatchNorm
from edgeq.ops.broadcast import AddConstant, Mul, Sub
from edgeq.ops.functions import Affine
from edgeq.passes.float_forward import run_float
from edgeq.passes.tidy import tidy

SHAPE = (2, 3)
ROWS = np.random.default_rng(3).normal(size=(5, *SHAPE)).astype(np.float32)
ROW = np.array([0.5, -1.0, 2.0], np.float32)
ONES = np.ones(3, np.float32)
NO_NORM = {"gain": ONES, "offset": ROW}


def squared(
    attrs: object, inputs: tuple[str, ...] = ("x",), held: Mapping[str, np.ndarray] | None = None
) -> Graph:
    """From x, and z made of it, to the square of d, which a node of `attrs` makes."""
    held = held or {}
    apart = Node("d", type(attrs).__name__, inputs, ("d",), attrs, {name: name for name in held})
    nodes = (
        Node("z", "Affine", ("x",), ("z",), Affine(0.5, 1.0)),
        apart,
        Node("square", "Mul", ("d", "d"), ("y",), Mul()),
    )
    tensors = {name: TensorType(SHAPE) for name in ("x", "z", "d", "y")}
    return Graph("g", ("x",), ("y",), nodes, tensors, {}).with_constants(held)


TAKEN = {
    "two": squared(Sub(), ("x", "z")),
    "a constant": squared(AddConstant((1, -1)), held={"other": ROW}),
    "from a constant": squared(AddConstant((-1, 1)), held={"other": ROW}),
    "a sum": squared(AddConstant((1, 1)), held={"other": ROW}),
    "a norm that only moves": squared(BatchNorm(), held=NO_NORM),
    "a number": squared(Affine(1.0, -2.5)),
    "from a number": squared(Affine(-1.0, 0.75)),
}
LEFT = {
    "a file rounds it": TAKEN["two"].with_tensors({"d": TensorType(SHAPE, quant=Quant((0.1,), 3))}),
    "it is an answer, too": replace(TAKEN["two"], outputs=("y", "d")),
    "clipped": squared(Sub("relu"), ("x", "z")),
    "a gain": squared(Affine(2.0, 1.0)),
    "a norm": squared(BatchNorm(), held={**NO_NORM, "gain": 2 * ONES}),
    "no square": TAKEN["two"].with_nodes(
        replace(n, inputs=("d", "z")) if n.name == "square" else n for n in TAKEN["two"].nodes
    ),
}


@pytest.mark.parametrize("name", TAKEN)
def test_it_becomes_one_op_of_the_same_numbers(name: str) -> None:
    made = tidy(TAKEN[name])
    assert [n.op for n in made.nodes][-1] in ("SquaredDifference", "SquaredDifferenceConstant")
    assert not {"Sub", "Mul", "AddConstant", "BatchNorm"} & {n.op for n in made.nodes}
    wanted, got = (run_float(g, ROWS).values["y"] for g in (TAKEN[name], made))
    np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", LEFT)
def test_otherwise_it_stays(name: str) -> None:
    assert "Mul" in {n.op for n in tidy(LEFT[name]).nodes}
