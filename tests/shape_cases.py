"""A graph for each way of an op that broadcasts, joins or moves cells: SHAPE_CASES is the table."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from edgeq.ir import Graph, Node, Quant, TensorType
from edgeq.ops import OPS, batch_matmul, broadcast, concat, copies, gather, resize_linear
from edgeq.ops.relu import Relu
from edgeq.ops.squared_difference import SquaredDifference, SquaredDifferenceConstant
from edgeq.passes.join_scales import join_scales
from edgeq.passes.lower import lower
from edgeq.passes.select_kernels import select_kernels
from edgeq.passes.verify import verify

# of one number, and no layers of edgeq.nn
IMPORTED_FUNCTIONS = ("Affine", "Power", "Erf", "Table", "Rescale")
X, Y, Z = Quant((0.05,), 7), Quant((0.11,), -9), Quant((0.03,), 40)
Shape = tuple[int, ...]
Make = Callable[[], Graph]


def finished(nodes: list[Node], tensors: dict[str, TensorType], constants: Any = None) -> Graph:
    """The graph from x to y with its integers and kernels."""
    graph = Graph("g", ("x",), ("y",), tuple(nodes), tensors, constants or {})
    graph = select_kernels(lower(join_scales(graph)), frozenset())
    return verify(graph, "lowered")


def copied(attrs: Any, shape: Shape) -> Make:
    """The op alone."""

    def make() -> Graph:
        op = type(attrs).__name__
        made = OPS[op].result_shape(attrs, (shape,), {})
        tensors = {"x": TensorType(shape, "int8", X), "y": TensorType(made, "int8", X)}
        return finished([Node("one", op, ("x",), ("y",), attrs)], tensors)

    return make


def two(attrs: Any, a: Shape, b: Shape, start: Shape | None = None) -> Make:
    """Of the input x (a) and of a part of it (b) in another scale."""

    def make() -> Graph:
        size = tuple(b) if len(a) == len(b) else (*[1] * (len(a) - len(b)), *b)
        part = copies.Slice(start or (0,) * len(a), size, (1,) * len(a))
        op = type(attrs).__name__
        made = OPS[op].result_shape(attrs, (a, b), {})
        nodes = [
            Node("part", "Slice", ("x",), ("p",), part),
            Node("other", "Quantize", ("p",), ("q",), OPS["Quantize"].attrs()),
            Node("shape", "Reshape", ("q",), ("r",), OPS["Reshape"].attrs(b)),
            Node("one", op, ("x", "r"), ("y",), attrs),
        ]
        kinds = {"x": (a, X), "p": (size, X), "q": (size, Z), "r": (b, Z), "y": (made, Y)}
        return finished(nodes, {n: TensorType(s, "int8", q) for n, (s, q) in kinds.items()})

    return make


def with_constant(attrs: Any, shape: Shape, other: Shape) -> Make:
    def make() -> Graph:
        op = type(attrs).__name__
        values = np.random.default_rng(3).normal(0.5, 1.0, other).astype(np.float32)
        tensors = {n: TensorType(shape, "int8", q) for n, q in (("x", X), ("y", Y))}
        tensors["c"] = TensorType(other)
        node = Node("one", op, ("x",), ("y",), attrs, {"other": "c"})
        return finished([node], tensors, {"c": values})

    return make


def joined(axis: int, shape: Shape, parts: int) -> Make:
    """x, its ReLU in another scale, and x again."""

    def make() -> Graph:
        nodes = [
            Node("relu", "Relu", ("x",), ("r",), Relu("relu6")),
            Node("other", "Quantize", ("r",), ("q",), OPS["Quantize"].attrs()),
            Node("one", "Concat", ("x", "q", "x")[:parts], ("y",), concat.Concat(axis)),
        ]
        made = OPS["Concat"].result_shape(concat.Concat(axis), (shape,) * parts, {})
        kinds = {"x": (shape, X), "r": (shape, X), "q": (shape, Z), "y": (made, Y)}
        return finished(nodes, {n: TensorType(s, "int8", q) for n, (s, q) in kinds.items()})

    return make


def in_place() -> Graph:
    """Two parts that kernels write where they lie in the whole."""
    nodes = [
        Node("relu", "Relu", ("x",), ("r",), Relu("relu6")),
        Node("above", "Quantize", ("r",), ("p",), OPS["Quantize"].attrs()),
        Node("other", "Quantize", ("x",), ("q",), OPS["Quantize"].attrs()),
        Node("one", "ConcatInPlace", ("p", "q"), ("y",), concat.ConcatInPlace(0)),
    ]
    kinds = {"x": ((2, 3, 4), X), "r": ((2, 3, 4), X), "p": ((2, 3, 4), Y), "q": ((2, 3, 4), Y)}
    kinds["y"] = ((4, 3, 4), Y)
    return finished(nodes, {n: TensorType(s, "int8", q) for n, (s, q) in kinds.items()})


def _resized(shape: Shape, made: Shape, **how: bool) -> resize_linear.ResizeLinear:
    ways = {"align": False, "half": False, **how}
    sides = zip(shape[:2], made, strict=True)
    return resize_linear.ResizeLinear(
        *(resize_linear.tflite_positions(a, b, **ways) for a, b in sides)
    )


MAP, ROWS = (4, 6, 8), (5, 6)
COPIED: Mapping[str, tuple[Any, Shape]] = {
    "transpose map": (copies.Transpose((1, 0, 2)), MAP),
    "transpose channels": (copies.Transpose((2, 1, 0)), MAP),
    "transpose cycle": (copies.Transpose((1, 2, 0)), MAP),
    "transpose rows": (copies.Transpose((1, 0)), ROWS),
    "transpose four": (copies.Transpose((0, 2, 1, 3)), (2, 3, 4, 5)),
    "slice": (copies.Slice((1, 0, 2), (2, 6, 5), (1, 1, 1)), MAP),
    "slice steps": (copies.Slice((0, 5, 7), (2, 3, 4), (2, -2, -2)), MAP),
    "slice back": (copies.Slice((4,), (5,), (-1,)), (5,)),
    "expand": (copies.Expand((4, 3, 5)), (4, 1, 5)),
    "expand both": (copies.Expand((4, 3, 5)), (1, 3, 1)),
    "resize": (copies.ResizeNearest((2, 3)), MAP),
    "gather": (gather.Gather(1, (5, 0, 0, 3, 2)), MAP),
    "gather rows": (gather.Gather(0, (4, 4, 1)), ROWS),
    "gather channels": (gather.Gather(2, (7, 1, 1, 6, 0, 2, 2, 3, 4)), MAP),
    "resize linear": (_resized(MAP, (8, 15), half=True), MAP),
    "resize linear down": (_resized(MAP, (3, 4), half=False), MAP),
    "resize linear corners": (_resized(MAP, (9, 1), align=True), MAP),
    "depth to space": (copies.DepthToSpace(2), MAP),
    "depth to space crd": (copies.DepthToSpace(2, crd=True), MAP),
    "space to depth": (copies.SpaceToDepth(2), MAP),
    "pad": (copies.Pad((1, 0, 2), (0, 3, 1)), MAP),
    "pad value": (copies.Pad((1, 2), (0, 3), -1.25), ROWS),
    "pad beyond": (copies.Pad((1,), (2,), 1e6), (7,)),
}
OTHERS: Mapping[str, tuple[Shape, Shape]] = {
    "same": (MAP, MAP),
    "channels": (MAP, (1, 1, 8)),
    "places": (MAP, (4, 6, 1)),
    "flat channels": (MAP, (8,)),
    "row": (MAP, (1, 6, 1)),
    "rows": (ROWS, ROWS),
    "one": (ROWS, (1, 1)),
}


PRODUCTS: Mapping[str, tuple[bool, Shape, Shape]] = {
    "turned": (True, (4, 6, 8), (4, 5, 8)),
    "stacks": (False, (3, 6, 6), (3, 6, 4)),
    "one matrix": (False, (3, 6, 6), (1, 6, 4)),
    "of rows": (True, ROWS, (3, 6)),
    "one row": (False, (1, 7, 7), (1, 7, 2)),
}


def _cases() -> dict[str, Make]:
    found = {name: copied(*given) for name, given in COPIED.items()}
    for name, (a, b) in OTHERS.items():
        for attrs in (
            broadcast.AddBroadcast(),
            broadcast.Sub(),
            broadcast.Mul(),
            broadcast.Minimum(),
            broadcast.Maximum(),
        ):
            found[f"{type(attrs).__name__} {name}"] = two(attrs, a, b)
        for sign in ((1, 1), (1, -1), (-1, 1)):
            found[f"AddConstant{sign} {name}"] = with_constant(broadcast.AddConstant(sign), a, b)
        found[f"MulConstant {name}"] = with_constant(broadcast.MulConstant(), a, b)
        found[f"SquaredDifference {name}"] = two(SquaredDifference(), a, b)
        square = SquaredDifferenceConstant()
        found[f"SquaredDifferenceConstant {name}"] = with_constant(square, a, b)
    for kind in (broadcast.AddBroadcast, broadcast.Sub, broadcast.Mul):
        for act in ("relu", "relu6"):
            found[f"{kind.__name__} {act}"] = two(kind(act), MAP, (1, 1, 8))
    for act in ("relu", "relu6"):
        found[f"AddConstant {act}"] = with_constant(
            broadcast.AddConstant((1, 1), act), MAP, (1, 1, 8)
        )
        found[f"MulConstant {act}"] = with_constant(broadcast.MulConstant(act), MAP, (8,))
    for name, (transpose, a, b) in PRODUCTS.items():
        found[f"product {name}"] = two(batch_matmul.BatchMatMul(transpose), a, b)
    for axis in range(3):
        found[f"concat {axis}"] = joined(axis, MAP, 3)
    found["concat rows"] = joined(1, ROWS, 2)
    found["concat features"] = joined(0, (7,), 2)
    found["concat four"] = joined(2, (2, 3, 4, 5), 2)
    found["concat of one"] = joined(1, ROWS, 1)
    found["concat in place"] = in_place
    return found


SHAPE_CASES: Mapping[str, Make] = _cases()

FOUR, SIX = (2, 3, 2, 4), (2, 3, 2, 3, 2, 2)
# every axis of the kernels in use: more than TensorFlow Lite Micro has beside the batch
DEEP_CASES: Mapping[str, Make] = {
    "transpose six": copied(copies.Transpose((4, 1, 3, 0, 5, 2)), SIX),
    "transpose six back": copied(copies.Transpose((5, 4, 3, 2, 1, 0)), SIX),
    "slice six": copied(
        copies.Slice((1, 0, 1, 2, 0, 1), (1, 2, 1, 2, 2, 1), (1, 2, 1, -2, 1, 1)), SIX
    ),
    "pad six": copied(copies.Pad((1, 0, 1, 0, 1, 1), (0, 1, 1, 1, 0, 1)), SIX),
    **{
        f"{type(attrs).__name__} {i}": two(attrs, FOUR, other)
        for attrs in (
            broadcast.AddBroadcast(),
            broadcast.Sub(),
            broadcast.Mul(),
            broadcast.Minimum(),
            broadcast.Maximum(),
            SquaredDifference(),
        )
        for i, other in enumerate(((2, 1, 2, 1), (1, 3, 1, 4), (2, 1, 1, 4)))
    },
    "AddConstant deep": with_constant(broadcast.AddConstant(), FOUR, (2, 1, 2, 1)),
    "MulConstant deep": with_constant(broadcast.MulConstant(), FOUR, (2, 1, 2, 1)),
    "square deep": with_constant(SquaredDifferenceConstant(), FOUR, (2, 1, 2, 1)),
}
