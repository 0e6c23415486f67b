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
from edgeq.emit.tflite_signals import TFLITE_SIGNALS, constant_index
from edgeq.emit.tflite_writer import SubgraphWriter, Value
from edgeq.ir import Graph, Node, Quant
from edgeq.ops.cascade import THRESHOLDS
from edgeq.ops.mixture import Expert
from edgeq.ops.op import quant_of


@dataclass(frozen=True)
class _State:
    """What goes from stage to stage: y int8 (1, classes); route int32 (1,); signal (1, 1), of the
    last decision; goes_on int32 (1,), 1 when the next expert runs; carry: what an exit hands to the
    next one, None where experts read the cascade's input.
    """

    y: Value
    route: Value
    signal: Value
    goes_on: Value
    carry: Value | None = None

    @property
    def values(self) -> tuple[Value, ...]:
        return self.y, self.route, self.signal, self.goes_on

    @property
    def made(self) -> tuple[Value, ...]:
        """What an expert's branch gives."""
        return (*self.values, *([] if self.carry is None else [self.carry]))


def cascade(
    sg: SubgraphWriter, graph: Graph, node: Node, values: Values
) -> tuple[Value, Value, Value]:
    """(y, route, signal)."""
    x, experts = values[node.inputs[0]], node.attrs.experts
    state = _answered(sg, graph, node, 0, x, None)
    for stage in range(1, len(experts)):
        x = state.carry or x
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
        kind = _carried(experts[stage])
        carry = [] if kind is None else [sg.value(f"{name}.carry", *kind)]
        sg.op("IF", [runs, x, *state.values], [*after, *carry], options)
        state = _State(*after, *carry)
    return state.y, state.route, state.signal


def _answered(
    sg: SubgraphWriter, graph: Graph, node: Node, stage: int, x: Value, before: _State | None
) -> _State:
    """Expert number `stage` on x, and what its answer says of the next."""
    expert: Expert = node.attrs.experts[stage]
    values: Values = {expert.graph.inputs[0]: x}
    emit_nodes(sg, expert.graph, values)
    y = values[expert.graph.outputs[0]]
    route = constant_index(sg, f"{node.name}.{stage}.route", stage, len(node.attrs.experts))
    if stage == len(node.attrs.experts) - 1:
        assert before is not None  # a cascade has two experts or more
        return replace(before, y=y, route=route, carry=None)
    name, form = f"{node.name}.{stage}", TFLITE_SIGNALS[node.attrs.signal]
    read = values[expert.heads] if node.attrs.rule.heads else y
    limits = graph.param(node, THRESHOLDS)
    signal = form.value(sg, name, read, node.attrs.heads, int(limits.max()))
    limit = int(limits[stage])
    carry = values[expert.carry] if expert.carry else None
    return _State(y, route, signal, form.goes_on(sg, name, signal, limit), carry)


def _carried(expert: Expert) -> tuple[tuple[int, ...], str, Quant] | None:
    """Shape with batch, type and scale of what an exit hands on."""
    if not expert.carry:
        return None
    kind = expert.graph.tensors[expert.carry]
    return (1, *kind.shape), kind.dtype, quant_of(kind)


def _taken(
    sg: SubgraphWriter, graph: Graph, node: Node, stage: int, x: Value, state: _State
) -> int:
    """The subgraph of the next expert; its index."""
    inner = sg.model.subgraph(node.attrs.experts[stage].name)
    given, before = _inputs(inner, x, state)
    made = _answered(inner, graph, node, stage, given, before)
    inner.finish([given, *before.values], list(made.made))
    return inner.index


def _handed_on(sg: SubgraphWriter, expert: Expert, x: Value, state: _State) -> int:
    """The subgraph that changes nothing. One of its own for each IF: TensorFlow Lite Micro keeps a
    shared one's inputs from first to last use. What nobody will read has to be computed: a
    subgraph may not give a constant.
    """
    inner = sg.model.subgraph("without_" + expert.name)
    given, before = _inputs(inner, x, state)
    outputs, kind = list(before.values), _carried(expert)
    if kind is not None:
        shape, dtype, quant = kind
        nothing = inner.constant("nothing", np.zeros(shape, dtype), quant)
        outputs.append(step.quantize(inner, "no_carry", nothing, dtype, quant))
    inner.finish([given, *before.values], outputs)
    return inner.index


def _inputs(inner: SubgraphWriter, x: Value, state: _State) -> tuple[Value, _State]:
    names = ("y", "route", "signal", "goes_on")
    given = inner.value("input", x.shape, x.dtype, x.quant)
    values = zip(names, state.values, strict=True)
    return given, _State(
        *(inner.value("before_" + name, v.shape, v.dtype, v.quant) for name, v in values)
    )
