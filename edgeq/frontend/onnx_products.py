"""Readers of ONNX products with matrices: Gemm and MatMul."""

import math
from dataclasses import replace

import numpy as np

from edgeq.frontend.findings import Refused
from edgeq.frontend.float_graph import UNIT, Array, Value
from edgeq.frontend.onnx_file import Operator
from edgeq.frontend.onnx_graph import Reader, Reading, widened
from edgeq.ops.batch_matmul import BatchMatMul
from edgeq.ops.concat import Concat
from edgeq.ops.conv_2d import Conv2D
from edgeq.ops.copies import Slice
from edgeq.ops.fully_connected import FullyConnected

MOST_MATRICES = 64
NO_PADDING = (0, 0, 0, 0)


def dense(g: Reading, op: Operator, value: Value, weight: Array, bias: Array) -> None:
    """Rows times weight (out, in), over the last axis of any shape."""
    rank, outputs = len(value.shape), len(weight)
    if value.shape[-1] != weight.shape[1] or bias.shape != (outputs,):
        raise Refused(f"weights {list(weight.shape)} on {list(value.shape)}")
    shape = (*value.shape[:-1], outputs)
    rows = math.prod(value.shape[:-1])
    if rows == 1:
        if value.flat is not None:
            name, weight = value.name, weight[:, value.index]
        else:
            name = g.ordered(value, (rank - 1,))
        constants = {"weight": np.ascontiguousarray(weight), "bias": bias}
        made = g.add("FullyConnected", FullyConnected(), (name,), constants)
        return g.give(op, made, shape, (rank - 1,))
    name = g.ordered(value, range(rank))
    name = g.reshaped(name, (1, rows, weight.shape[1]))
    constants = {"weight": np.ascontiguousarray(weight[:, None, None]), "bias": bias}
    made = g.add("Conv2D", Conv2D((1, 1), (0, 0, 0, 0)), (name,), constants)
    kept = tuple(i for i in range(rank) if i == rank - 1 or shape[i] > 1)
    return g.give(op, g.reshaped(made, [shape[i] for i in kept]), shape, kept)


def _gemm(g: Reading, op: Operator) -> None:
    value, weight = g.value(op), g.real(op, 1)
    if weight.ndim != 2 or len(value.shape) != 2:
        raise Refused("it multiplies no matrices")
    if op.get("transA", 0):
        value = _turned(g, value)
    alpha, beta = float(op.get("alpha", 1.0)), float(op.get("beta", 1.0))
    weight = (weight if op.get("transB", 0) else weight.T) * np.float32(alpha)
    bias = g.real(op, 2) * np.float32(beta) if g.has(op, 2) else np.zeros(1, np.float32)
    outputs = len(weight)
    if bias.size in (1, outputs) and bias.shape[-1:] in ((), (1,), (outputs,)):
        bias = np.broadcast_to(bias.reshape(-1), (outputs,))
        return dense(g, op, value, weight, np.ascontiguousarray(bias, np.float32))
    if bias.ndim > 2:
        raise Refused(f"its bias has shape {list(bias.shape)}")
    rows = value.shape[0]
    value = value if value.flat is None else g.unflattened(value)
    apart = Value(
        value.name, (rows, 1, value.shape[1]), tuple(2 * a if a > 0 else a for a in value.axes)
    )
    bias = np.broadcast_to(bias, (rows, outputs))
    made = _matrices(g, apart, np.broadcast_to(weight.T, (rows, *weight.T.shape)), bias)
    return g.give(op, g.reshaped(made, (rows, outputs)), (rows, outputs), (0, 1))


def _turned(g: Reading, value: Value) -> Value:
    """With its last two axes exchanged: nothing moves."""
    value = value if value.flat is None else g.unflattened(value)
    rank = len(value.shape)
    other = {rank - 1: rank - 2, rank - 2: rank - 1}
    *front, down, across = value.shape
    shape = (*front, across, down)
    return Value(value.name, shape, tuple(other.get(a, a) for a in value.axes))


def _matmul(g: Reading, op: Operator) -> None:
    if not g.is_constant(op, 0) and not g.is_constant(op, 1):
        return _activations(g, op)
    first = g.is_constant(op, 0)
    value, weight = g.value(op, int(first)), g.real(op, int(not first))
    between = replace(op, outputs=(f"{op.outputs[0]} with all axes",))
    flat_row = len(value.shape) == 1
    if flat_row:
        value = Value(value.name, (1, *value.shape), tuple(a + (a >= 0) for a in value.axes))
    vector = weight.ndim == 1
    weight = weight[:, None] if vector else weight
    if first:  # W x = (x' W')'
        if vector or flat_row:
            raise Refused("it multiplies a constant by a vector, or a vector by a matrix")
        value, weight = _turned(g, value), weight.swapaxes(-1, -2)
    if math.prod(weight.shape[:-2]) == 1:
        matrix = weight.reshape(-1, weight.shape[-1])
        dense(g, between, value, matrix.T, np.zeros(matrix.shape[1], np.float32))
    else:
        name = _matrices(g, value, weight, np.zeros(weight.shape[-1:]))
        shape = g.shape_of(name)
        g.give(between, name, shape, range(len(shape)))
    made = g.live[between.outputs[0]]
    made = _turned(g, made) if first else made
    rank = len(made.shape)
    gone = {rank - 1} if vector else set()
    gone |= {rank - 2} if flat_row else set()
    kept = [i for i in range(rank) if i not in gone]
    axes = [kept.index(a) if a in kept else UNIT for a in made.axes]
    return g.give(op, made.name, [made.shape[i] for i in kept], axes)


def _activations(g: Reading, op: Operator) -> None:
    """Of two activations, the second as it lies."""
    rank = max(2, *(len(g.value(op, i).shape) for i in (0, 1)))
    if min(len(g.value(op, i).shape) for i in (0, 1)) < 2:
        raise Refused("it multiplies an activation by a vector that is one")
    a, b = (widened(g, g.value(op, i), rank) for i in (0, 1))
    front = [i for i in range(rank - 2) if (a.shape[i], b.shape[i]) != (1, 1)]
    held = [x for x in b.axes if x != UNIT and b.shape[x] > 1]
    turned = rank - 2 in held and held[-2:] == [rank - 1, rank - 2]
    last = (rank - 1, rank - 2) if turned else (rank - 2, rank - 1)
    names = g.ordered(a, (*front, rank - 2, rank - 1)), g.ordered(b, (*front, *last))
    made = g.add("BatchMatMul", BatchMatMul(turned), names)
    shape = (*np.broadcast_shapes(a.shape[:-2], b.shape[:-2]), a.shape[-2], b.shape[-1])
    return g.give(op, made, shape, (*front, rank - 2, rank - 1))


def _matrices(g: Reading, value: Value, weight: Array, bias: Array) -> str:
    """Each of the value's matrices by a constant one, plus a row: a layer each; all broadcast."""
    try:
        batch = np.broadcast_shapes(value.shape[:-2], weight.shape[:-2])
    except ValueError as error:
        raise Refused(f"weights {list(weight.shape)} on {list(value.shape)}") from error
    rows, depth, outputs = value.shape[-2], value.shape[-1], weight.shape[-1]
    if math.prod(batch) > MOST_MATRICES or depth != weight.shape[-2]:
        raise Refused(
            f"weights {list(weight.shape)} on {list(value.shape)}; up to {MOST_MATRICES} matrices "
            "are taken"
        )
    size = value.shape[:-2]
    name = g.reshaped(g.ordered(value, range(len(value.shape))), (math.prod(size), rows, depth))
    places = np.broadcast_to(np.arange(math.prod(size)).reshape(size), batch).reshape(-1)
    weights = np.broadcast_to(weight, (*batch, depth, outputs)).reshape(-1, depth, outputs)
    biases = np.broadcast_to(bias, (*batch, outputs)).reshape(-1, outputs)
    parts = []
    for place, matrix, row in zip(places, weights, biases, strict=True):
        attrs = Slice((int(place), 0, 0), (1, rows, depth), (1, 1, 1))
        part = g.add("Slice", attrs, (name,)) if math.prod(size) > 1 else name
        constants = {
            "weight": np.ascontiguousarray(matrix.T[:, None, None], np.float32),
            "bias": np.ascontiguousarray(row, np.float32),
        }
        parts.append(g.add("Conv2D", Conv2D((1, 1), NO_PADDING), (part,), constants))
    return g.reshaped(g.add("Concat", Concat(0), parts), (*batch, rows, outputs))


PRODUCT_READERS: dict[str, Reader] = {"Gemm": _gemm, "MatMul": _matmul}
