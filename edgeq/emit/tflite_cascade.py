"""A cascade as TensorFlow Lite: the first expert, then an IF for each that may follow.

An IF's taken side is the next expert's subgraph with the decision behind it; the other side hands
on what was there. In sequence, not nested: TensorFlow Lite Micro holds the inputs of every open
subgraph at once. A side that hands on has decided already that nothing follows.
"""

from dataclasses import dataclass, replace

import numpy as np
from ai_edge_litert import (  # type: ignore[import-untyped,unused-ignore]
    schema_py_generated as schema,
)

from edgeq.emit import tflite_steps as step
from edgeq.emit.tflite_ops import Values, emit_nodes
from edgeq.emit.tflite_writer import ACTIVATION, SubgraphWriter, Value
from edgeq.ir import Graph, Node, Quant
from edgeq.ops.cascade import THRESHOLDS
from edgeq.ops.mixture import Expert

LOWEST, REACH = -128, 256  # int8 codes hold 0..255 above the lowest; a gap below 256 is any gap


@dataclass(frozen=True)
class _State:
    """What goes from stage to stage: y int8 (1, classes); route int32 (1,); signal int8 (1, 1), of
    the last decision; goes_on int32 (1,), 1 when the next expert runs.
    """

    y: Value
    route: Value
    signal: Value
    goes_on: Value

    @property
    def values(self) -> tuple[Value, ...]:
        return self.y, self.route, self.signal, self.goes_on


def cascade(
    sg: SubgraphWriter, graph: Graph, node: Node, values: Values
) -> tuple[Value, Value, Value]:
    """(y, route, signal)."""
    x, experts = values[node.inputs[0]], node.attrs.experts
    state = _answered(sg, graph, node, 0, x, None)
    for stage in range(1, len(experts)):
        one = sg.constant(f"{node.name}.one", np.array([1], dtype=np.int32))
        runs = sg.value(f"{node.name}.runs_{experts[stage].name}", (1,), "bool")
        sg.op("EQUAL", [state.goes_on, one], [runs], schema.EqualOptionsT())
        taken = _taken(sg, graph, node, stage, x, state)
        handed_on = _handed_on(sg, experts[stage], x, state)
        options = schema.IfOptionsT(thenSubgraphIndex=taken, elseSubgraphIndex=handed_on)
        name = f"{node.name}.after_{experts[stage].name}"
        y = node.outputs[0] if stage == len(experts) - 1 else f"{name}.y"
        names = (y, f"{name}.route", f"{name}.signal", f"{name}.goes_on")
        pairs = zip(names, state.values, strict=True)
        after = [sg.value(n, v.shape, v.dtype, v.quant) for n, v in pairs]
        sg.op("IF", [runs, x, *state.values], after, options)
        state = _State(*after)
    return state.y, state.route, state.signal


def _answered(
    sg: SubgraphWriter, graph: Graph, node: Node, stage: int, x: Value, before: _State | None
) -> _State:
    """Expert number `stage` on x, and what its answer says of the next."""
    expert: Expert = node.attrs.experts[stage]
    values: Values = {expert.graph.inputs[0]: x}
    emit_nodes(sg, expert.graph, values)
    y = values[expert.graph.outputs[0]]
    route = _constant_index(sg, f"{node.name}.{stage}.route", stage, len(node.attrs.experts))
    if stage == len(node.attrs.experts) - 1:
        assert before is not None  # a cascade has two experts or more
        return replace(before, y=y, route=route)
    signal = _gap(sg, f"{node.name}.{stage}", y)
    limit = int(graph.param(node, THRESHOLDS)[stage])
    return _State(y, route, signal, _below(sg, f"{node.name}.{stage}", signal, limit))


def _taken(
    sg: SubgraphWriter, graph: Graph, node: Node, stage: int, x: Value, state: _State
) -> int:
    """The subgraph of the next expert; its index."""
    inner = sg.model.subgraph(node.attrs.experts[stage].name)
    given, before = _inputs(inner, x, state)
    made = _answered(inner, graph, node, stage, given, before)
    inner.finish([given, *before.values], list(made.values))
    return inner.index


def _handed_on(sg: SubgraphWriter, expert: Expert, x: Value, state: _State) -> int:
    """The subgraph that changes nothing. One of its own for each IF: TensorFlow Lite Micro keeps a
    shared one's inputs from first to last use.
    """
    inner = sg.model.subgraph("without_" + expert.name)
    given, before = _inputs(inner, x, state)
    inner.finish([given, *before.values], list(before.values))
    return inner.index


def _inputs(inner: SubgraphWriter, x: Value, state: _State) -> tuple[Value, _State]:
    names = ("y", "route", "signal", "goes_on")
    given = inner.value("input", x.shape, x.dtype, x.quant)
    values = zip(names, state.values, strict=True)
    return given, _State(
        *(inner.value("before_" + name, v.shape, v.dtype, v.quant) for name, v in values)
    )


def _gap(sg: SubgraphWriter, name: str, y: Value) -> Value:
    """Largest less second largest of y int8 (1, classes), int8 (1, 1) from LOWEST on.

    The second is the largest once the first one's place is at the lowest code: nothing is rounded.
    """
    classes, scale = y.shape[1], y.q.per_tensor
    steps = Quant((scale,), LOWEST)
    winner = _arg_max(sg, name + ".winner", y)
    places = np.full((classes, classes), LOWEST, dtype=np.int8)
    np.fill_diagonal(places, 127)  # 255 steps, as far as a code can fall
    table = sg.constant(name + ".places", places, steps)
    mask = sg.value(name + ".mask", (1, classes), "int8", steps)
    options = schema.GatherOptionsT(axis=0, batchDims=0)
    sg.op("GATHER", [table, winner], [mask], options)
    rest = step.subtract(sg, name + ".rest", y, mask, y.q)
    best, second = _largest(sg, name + ".best", y), _largest(sg, name + ".second", rest)
    return step.subtract(sg, name + ".gap", best, second, steps)


def _largest(sg: SubgraphWriter, name: str, y: Value) -> Value:
    """int8 (1, 1) of (1, n)."""
    count = y.shape[1]
    column = step.reshape(sg, name + ".column", y, (1, count, 1, 1))
    return step.reshape(sg, name, step.largest(sg, name + ".pooled", column), (1, 1))


def _below(sg: SubgraphWriter, name: str, signal: Value, limit: int) -> Value:
    """int32 (1,): 1 when the signal is below the limit. ARG_MAX compares codes as they are, where
    LESS multiplies by their scale; of equal ones it takes the first, the signal.
    """
    if limit >= REACH:
        return _constant_index(sg, name + ".goes_on", 1, 2)
    code = np.array([[limit + LOWEST]], dtype=np.int8)
    bound = sg.constant(name + ".threshold", code, signal.quant)
    pair = sg.value(name + ".pair", (1, 2), "int8", signal.quant)
    options = schema.ConcatenationOptionsT(axis=1, fusedActivationFunction=ACTIVATION["none"])
    sg.op("CONCATENATION", [signal, bound], [pair], options)
    return _arg_max(sg, name + ".goes_on", pair)


def _constant_index(sg: SubgraphWriter, name: str, index: int, count: int) -> Value:
    """int32 (1,) that is always `index`: computed, as a subgraph may not give a constant."""
    row = np.zeros((1, count), dtype=np.int8)
    row[0, index] = 1
    return _arg_max(sg, name, sg.constant(name + ".places", row, Quant((1.0,), 0)))


def _arg_max(sg: SubgraphWriter, name: str, x: Value) -> Value:
    axis = sg.constant(name + ".axis", np.array(1, dtype=np.int32))
    best = sg.value(name, (1,), "int32")
    sg.op("ARG_MAX", [x, axis], [best], schema.ArgMaxOptionsT(outputType=schema.TensorType.INT32))
    return best
