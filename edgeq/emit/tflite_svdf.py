"""SvdfFeature and SvdfTime -> SVDF, one operator a frame; all keep their state in one variable,
which is zero when a file is loaded.
"""

import numpy as np
from ai_edge_litert import (  # type: ignore[import-untyped,unused-ignore]
    schema_py_generated as schema,
)

from edgeq.emit import tflite_steps as step
from edgeq.emit.tflite_writer import ACTIVATION, SubgraphWriter, Value
from edgeq.errors import UnsupportedOp
from edgeq.ir import Graph, Node, Quant
from edgeq.ops.op import quant_of

MOST_JOINED = 10  # inputs of a CONCATENATION in TensorFlow Lite Micro


def svdf_feature(_: SubgraphWriter, graph: Graph, node: Node, x: list[Value]) -> Value:
    """Nothing of its own: what it reads goes to the operators of the SvdfTime behind it."""
    readers = graph.consumers(node.outputs[0])
    if [reader.op for reader in readers] != ["SvdfTime"] or node.outputs[0] in graph.outputs:
        _refuse(node)
    return x[0]


def svdf_time(sg: SubgraphWriter, graph: Graph, node: Node, x: list[Value]) -> Value:
    """An SVDF a frame, and their answers joined."""
    feature = graph.producer(node.inputs[0])
    taps = graph.param(node, "taps")
    if feature is None or feature.op != "SvdfFeature" or node.attrs.before != len(taps) - 1:
        _refuse(node)
    assert feature is not None
    frames, features = x[0].shape[2:]
    rows = step.reshape(sg, f"{node.name}.frames", x[0], (frames, features))
    constants = _constants(sg, graph, feature, node)
    out, units = quant_of(graph.tensors[node.outputs[0]]), graph.tensors[node.outputs[0]].shape[2]
    made = []
    for at in range(frames):
        given = rows if frames == 1 else _frame(sg, f"{node.name}.frame_{at}", rows, at)
        y = sg.value(f"{node.name}.units_{at}", (1, units), "int8", out)
        options = schema.SVDFOptionsT(node.attrs.rank, ACTIVATION["relu"], False)
        sg.op("SVDF", [given, *constants], [y], options)
        made.append(y)
    joined = _joined(sg, f"{node.name}.joined", made, out)
    shown = step.reshape(sg, node.outputs[0], joined, (1, 1, frames, units))
    return _clamped(sg, node, shown, out)


def _frame(sg: SubgraphWriter, name: str, rows: Value, at: int) -> Value:
    y = sg.value(name, (1, rows.shape[1]), "int8", rows.quant)
    begin = sg.constant(f"{name}.begin", np.array([at, 0], np.int32))
    size = sg.constant(f"{name}.size", np.array(y.shape, np.int32))
    sg.op("SLICE", [rows, begin, size], [y], schema.SliceOptionsT())
    return y


def _constants(sg: SubgraphWriter, graph: Graph, feature: Node, node: Node) -> list[Value]:
    """What every frame's operator reads: weights of frames and of time, bias, and the state."""
    state = quant_of(graph.tensors[feature.outputs[0]])
    weight, taps = feature.params["feature_weight"], node.params["taps"]
    over = graph.tensors[taps].quant
    assert over is not None
    memory, filters = graph.constants[taps].shape
    scale = float(np.float32(state.per_tensor) * np.float32(over.per_tensor))
    return [
        sg.constant(weight, graph.constants[weight], graph.tensors[weight].quant),
        sg.constant(taps, np.ascontiguousarray(graph.constants[taps].T), over),
        sg.constant(node.params["bias"], graph.param(node, "bias"), Quant((scale,))),
        sg.variable(f"{node.name}.state", (1, memory * filters), "int16", state),
    ]


def _joined(sg: SubgraphWriter, name: str, rows: list[Value], out: Quant) -> Value:
    """One behind the other, as many at once as an operator takes."""
    while len(rows) > 1:
        groups = [rows[at : at + MOST_JOINED] for at in range(0, len(rows), MOST_JOINED)]
        rows = [
            _concatenated(sg, f"{name}_{i}_of_{len(rows)}", g, out) for i, g in enumerate(groups)
        ]
    return rows[0]


def _concatenated(sg: SubgraphWriter, name: str, rows: list[Value], out: Quant) -> Value:
    if len(rows) == 1:
        return rows[0]
    y = sg.value(name, (sum(row.shape[0] for row in rows), rows[0].shape[1]), "int8", out)
    sg.op("CONCATENATION", rows, [y], schema.ConcatenationOptionsT(axis=0))
    return y


def _clamped(sg: SubgraphWriter, node: Node, x: Value, out: Quant) -> Value:
    """An activation that is more than int8's own end: the operator knows no other."""
    kind = step.fused(node.attrs.activation, out)
    if kind == ACTIVATION["none"] or (kind == ACTIVATION["relu"] and out.zero_point == -128):
        return x
    zero = np.full((1,) * len(x.shape), out.zero_point, np.int8)
    nothing = sg.constant(f"{node.name}.zero", zero, out)
    return step.add(sg, f"{node.name}.clamped", x, nothing, out, node.attrs.activation)


def _refuse(node: Node) -> None:
    raise UnsupportedOp(
        f"TFLite's SVDF keeps its own state, and {node.name} is a part of one whose state is kept "
        "outside; the file of the window has it"
    )
