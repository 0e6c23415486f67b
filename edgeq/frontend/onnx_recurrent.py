"""Readers of ONNX's LSTM and GRU: one direction, tanh and sigmoid, a state of zero."""

from collections.abc import Sequence

import numpy as np

from edgeq.frontend.findings import Refused
from edgeq.frontend.float_graph import Array
from edgeq.frontend.onnx_file import Operator
from edgeq.frontend.onnx_graph import Reader, Reading
from edgeq.ops import gru as gru_op
from edgeq.ops import lstm as lstm_op
from edgeq.ops.copies import Slice

SEQUENCE_LENGTHS, FIRST_STATES, PEEPHOLES = 4, (5, 6), 7


def _lstm(g: Reading, op: Operator) -> None:
    _check(g, op, ["Sigmoid", "Tanh", "Tanh"])
    if op.get("input_forget", 0) or g.has(op, PEEPHOLES):
        raise Refused("it has peepholes, or couples its input and forget gates")
    name = _sequence(g, op)
    steps = g.shape_of(name)[0]
    constants = _constants(g, op, lstm_op.GATES, lstm_op.ONNX_GATES)
    _give(g, op, g.add("Lstm", lstm_op.Lstm(lstm_op.cell_power(steps)), (name,), constants))


def _gru(g: Reading, op: Operator) -> None:
    _check(g, op, ["Sigmoid", "Tanh"])
    if not op.get("linear_before_reset", 0):
        raise Refused("its reset gate stands before the product; linear_before_reset=1 is taken")
    name = _sequence(g, op)
    constants = _constants(g, op, gru_op.GATES, gru_op.ONNX_GATES)
    _give(g, op, g.add("Gru", gru_op.Gru(), (name,), constants))


def _check(g: Reading, op: Operator, activations: list[str]) -> None:
    """Refused for what no kernel computes."""
    if (direction := str(op.get("direction", "forward"))) != "forward":
        raise Refused(f"it is {direction[:20]}: only forward is taken")
    named = [a.decode(errors="replace") for a in op.get("activations", [])]
    if named not in ([], activations):
        raise Refused(f"it has activations {named[:4]}; {', '.join(activations)} are taken")
    if op.get("layout", 0) or op.get("clip", 0.0):
        raise Refused("it has layout 1, or clips its gates")
    for place in FIRST_STATES:
        if g.has(op, place) and g.real(op, place).any():
            raise Refused("it begins with a state of its own; zeros are taken")
    g.optional(op, SEQUENCE_LENGTHS)


def _sequence(g: Reading, op: Operator) -> str:
    """The tensor (T, features) of (T, 1, features)."""
    value = g.value(op)
    if len(value.shape) != 3 or value.shape[1] != 1:
        raise Refused(f"it takes a sequence (T, 1, features), got {list(value.shape)}")
    if g.has(op, SEQUENCE_LENGTHS) and g.whole(op, SEQUENCE_LENGTHS) != [value.shape[0]]:
        raise Refused("it ends before its sequence does")
    return g.ordered(value, (0, 2))


def _constants(g: Reading, op: Operator, gates: int, order: Sequence[int]) -> dict[str, Array]:
    """Weights and biases, whose sum LSTM takes, gates in the op's own order."""
    given, kept = (g.real(op, place) for place in (1, 2))
    rows = given.shape[1] if given.ndim == 3 else 0
    units = rows // gates
    if (
        kept.shape != (1, rows, units)
        or rows != gates * units
        or int(op.get("hidden_size", units)) != units
    ):
        raise Refused(f"its weights are {list(given.shape)} and {list(kept.shape)}")
    bias = g.real(op, 3) if g.has(op, 3) else np.zeros((1, 2 * rows), np.float32)
    if bias.shape != (1, 2 * rows):
        raise Refused(f"its bias is {list(bias.shape)}, of {rows} rows")
    own, before = bias.reshape(2, rows)
    held = {"input_weight": given[0], "recurrent_weight": kept[0]}
    held |= {"bias": own, "recurrent_bias": before} if op.op == "GRU" else {"bias": own + before}
    return {role: _ordered(value, gates, order) for role, value in held.items()}


def _ordered(rows: Array, gates: int, order: Sequence[int]) -> Array:
    """Blocks of gates that stand in `order` of ours."""
    blocks = rows.reshape(gates, -1, *rows.shape[1:])[np.argsort(order)]
    return np.ascontiguousarray(blocks.reshape(rows.shape), np.float32)


def _give(g: Reading, op: Operator, name: str) -> None:
    """Every step (T, 1, 1, units), and the last hidden state (1, 1, units)."""
    steps, units = g.shape_of(name)
    wanted = [i for i, output in enumerate(op.outputs) if output]
    if wanted and wanted[-1] > 1:
        raise Refused("it gives its last cell, which nothing here takes")
    if 0 in wanted:
        g.give(op, name, (steps, 1, 1, units), (0, 3))
    if 1 in wanted:
        last = g.add("Slice", Slice((steps - 1, 0), (1, units), (1, 1)), (name,))
        g.give(op, last, (1, 1, units), (1, 2), place=1)


RECURRENT_READERS: dict[str, Reader] = {"GRU": _gru, "LSTM": _lstm}
