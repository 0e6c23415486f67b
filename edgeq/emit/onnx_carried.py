"""Recurrent steps -> ONNX's layers with a state that comes in, and what they leave behind."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from edgeq.emit.onnx_builder import OnnxBuilder
from edgeq.emit.onnx_pcen import pcen_left, pcen_step
from edgeq.emit.onnx_recurrent import gru, lstm
from edgeq.ir import Graph, Node
from edgeq.ops.gates import ANSWER_SCALE
from edgeq.ops.op import quant_of
from edgeq.ops.pcen_steps import PARTS

LAYER = {"LstmStep": "lstm", "GruStep": "gru", "MguStep": "gru"}


def step(b: OnnxBuilder, graph: Graph, node: Node, x: list[str]) -> str:
    """The layer from its state (1, codes): the hidden state, of an LSTM the cell behind it."""
    units, form = graph.tensors[node.outputs[0]].shape[1], LAYER[node.op]
    parts = [
        _part(b, node, x[1], f"begun_{i}", (i * units, units), scale)
        for i, scale in enumerate(_scales(graph, node))
    ]
    begun = [_front(b, node, part, f"begun_{i}") for i, part in enumerate(reversed(parts))]
    return (lstm if form == "lstm" else gru)(b, graph, node, [x[0], *begun])


def left(b: OnnxBuilder, graph: Graph, node: Node, x: list[str]) -> str:
    """The state's codes (1, codes) of the step's answers and the state that it began with."""
    own = graph.producer(node.inputs[0])
    assert own is not None
    if own.op == "PcenStep":
        kept = pcen_left(b, own, node.name)
        came = _part(b, node, x[1], "came", (PARTS * own.attrs.mels, 1), 1.0)
        return _waited(b, node, [kept], came)
    units, made = graph.tensors[own.outputs[0]].shape[1], f"{own.name}.{LAYER[own.op]}"
    ends = [b.prefix + f"{made}.hidden"]
    if own.op == "LstmStep":  # the rounded answer, as the next row reads it
        last = _last(b, graph, own, x[0])
        ends = [b.prefix + f"{made}.cell", last]
    shape = b.constant(f"{node.name}.shape", [1, units], np.int64)
    codes = []
    for i, (end, scale) in enumerate(zip(ends, _scales(graph, own), strict=True)):
        flat = b.node("Reshape", [end, shape], f"{node.name}.end_{i}")
        unit = b.constant(f"{node.name}.unit_{i}", scale, np.float32)
        codes.append(b.node("Div", [flat, unit], f"{node.name}.codes_{i}"))
    came = _part(b, node, x[1], "came", (len(codes) * units, 1), 1.0)
    return _waited(b, node, codes, came)


def _waited(b: OnnxBuilder, node: Node, codes: Sequence[str], came: str) -> str:
    """Nothing but the count while rows are waited for."""
    wait = node.attrs.wait
    above = b.constant(f"{node.name}.above", float(wait - 1), np.float32)
    counts = _clipped(b, node, b.node("Sub", [came, above], f"{node.name}.late"), 1.0, "heard")
    kept = [b.node("Mul", [part, counts], f"{node.name}.kept_{i}") for i, part in enumerate(codes)]
    one = b.constant(f"{node.name}.one", 1.0, np.float32)
    more = _clipped(b, node, b.node("Add", [came, one], f"{node.name}.more"), float(wait), "count")
    return b.node("Concat", [*kept, more], f"{node.name}.state", axis=1)


def _clipped(b: OnnxBuilder, node: Node, value: str, most: float, name: str) -> str:
    ends = [
        b.constant(f"{node.name}.{name}.{i}", end, np.float32) for i, end in enumerate((0.0, most))
    ]
    return b.node("Clip", [value, *ends], f"{node.name}.{name}")


def _scales(graph: Graph, node: Node) -> tuple[float, ...]:
    """What the codes of each part of the state stand for."""
    if node.op != "LstmStep":
        return (ANSWER_SCALE,)
    return 2.0**node.attrs.cell_power, quant_of(graph.tensors[node.outputs[0]]).per_tensor


def _part(
    b: OnnxBuilder, node: Node, state: str, name: str, place: tuple[int, int], scale: float
) -> str:
    """Values (1, size) of a state from a place on."""
    name, (start, size) = f"{node.name}.{name}", place
    ends = [
        b.constant(f"{name}.{what}", [value], np.int64)
        for what, value in (("start", start), ("end", start + size), ("axis", 1))
    ]
    codes = b.node("Slice", [state, *ends], f"{name}.codes")
    return b.node("Mul", [codes, b.constant(f"{name}.scale", scale, np.float32)], name)


def _front(b: OnnxBuilder, node: Node, value: str, name: str) -> str:
    """(1, units) -> (1, 1, units): of one direction."""
    axis = b.constant(f"{node.name}.{name}.axis_0", [0], np.int64)
    return b.node("Unsqueeze", [value, axis], f"{node.name}.{name}.of_one_direction")


def _last(b: OnnxBuilder, graph: Graph, node: Node, answers: str) -> str:
    """The last row of (1, T, units)."""
    steps, name = graph.tensors[node.outputs[0]].shape[0], f"{node.name}.last"
    ends = [
        b.constant(f"{name}.{what}", [value], np.int64)
        for what, value in (("start", steps - 1), ("end", steps), ("axis", 1))
    ]
    return b.node("Slice", [answers, *ends], name)


CARRIED_OPS: Mapping[str, Callable[[OnnxBuilder, Graph, Node, list[str]], str]] = {
    **dict.fromkeys(LAYER, step),
    "PcenStep": pcen_step,
    "Left": left,
}
