"""Runs a Graph in numpy through the ops' references: the oracle every other form is held to."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from edgeq.errors import BadInput
from edgeq.ir import Graph, Node, TensorType
from edgeq.ir.ports import inputs_by_name, join, limits, outputs_by_name, result_tensors, split
from edgeq.ops import OPS, cascade, mixture
from edgeq.ops.kept import memory_of
from edgeq.ops.op import Array, Io, quant_of
from edgeq.ops.routed import routed_node, stem_of
from edgeq.ops.router import uncertainty_q24

ROWS_AT_ONCE = 32

State = dict[str, Array]
"""What each node with a memory keeps, by its name."""


@dataclass
class Answered:
    """`values` holds every tensor (rows, *shape). route is -1 and uncertainty 0 without experts.

    output: the codes of the output ports, as rows (ir/ports.py). chosen (rows, top_k), of a cascade
    (rows, stages): the experts that ran, the route first; uncertainty: Q8.24 integers; numerator:
    the exact integer U. A cascade has its signal in both. state: what is kept after the last row.
    """

    values: dict[str, Array]
    output: Array
    chosen: Array
    numerator: Array
    uncertainty: Array
    router_logits: Array | None = field(default=None)
    state: State = field(default_factory=dict)

    @property
    def route(self) -> Array:
        return np.asarray(self.chosen[:, 0])


def run(graph: Graph, x: Array, state: State | None = None) -> Answered:
    """The quantised graph on rows x of its input ports' codes (rows, *row shape).

    Where nodes have a memory the rows follow on one another, from `state` or a reset. Raises
    BadInput for a state of other nodes, shapes or types.
    """
    values = split(graph, x)
    kept = reset_state(graph) if state is None else _checked(graph, state)
    route, none, nothing = (_nothing(len(x), value) for value in (-1, 0, 0))
    result = Answered(values, x, route[:, None], none, nothing)
    for node in graph.nodes:
        if node.op == "Mixture":
            _run_mixture(graph, node, result, kept.get(node.name))
        elif node.op == "Cascade":
            _run_cascade(graph, node, result, kept.get(node.name))
        else:
            inputs = tuple(values[n] for n in node.inputs)
            io, params, memory = io_of(graph, node), graph.params(node), memory_of(node)
            if memory is None:
                made = OPS[node.op].reference(node.attrs, io, inputs, params)
            else:
                before = kept[node.name]
                made, result.state[node.name] = memory.run(node.attrs, io, inputs, params, before)
            values[node.outputs[0]] = made
    result.output = join(result_tensors(graph), values)
    return result


def reference(
    graph: Graph, inputs: Mapping[str, Array], state: State | None = None
) -> tuple[dict[str, Array], State]:
    """Named codes (rows, *shape) of every input port to those of the output ports, and the state
    after the last row. Raises BadInput for other names, shapes, types or numbers of rows.
    """
    rows = _rows_of(graph, inputs)
    ran = run(graph, rows, state)
    outputs = outputs_by_name(graph)
    return {name: ran.values[tensor] for name, tensor in outputs.items()}, ran.state


def _rows_of(graph: Graph, inputs: Mapping[str, Array]) -> Array:
    ports = inputs_by_name(graph)
    if set(inputs) != set(ports):
        raise BadInput(f"inputs {', '.join(sorted(inputs))} are given, not {', '.join(ports)}")
    values = {}
    for name, tensor in ports.items():
        kind, given = graph.tensors[tensor], inputs[name]
        if given.shape[1:] != kind.shape or not given.ndim or str(given.dtype) != kind.dtype:
            wanted = f"(rows, {', '.join(map(str, kind.shape))}) of {kind.dtype}"
            raise BadInput(f"input {name!r} is {given.shape} of {given.dtype}, not {wanted}")
        values[tensor] = given
    if len({len(given) for given in values.values()}) > 1:
        raise BadInput("the inputs have different numbers of rows")
    return join(graph.inputs, values)


def memories(graph: Graph) -> dict[str, TensorType]:
    """The type of what each node keeps, by the node's name; nodes of experts keep nothing."""
    found = {}
    for node in graph.nodes:
        memory = memory_of(node)
        if memory is not None:
            found[node.name] = memory.kind(node.attrs, io_of(graph, node))
    return found


def reset_state(graph: Graph) -> State:
    """What is kept after a reset."""
    kinds = memories(graph).items()
    return {n: np.full(kind.shape, quant_of(kind).zero_point, kind.dtype) for n, kind in kinds}


def _checked(graph: Graph, state: State) -> State:
    wanted = {name: (kind.shape, kind.dtype) for name, kind in memories(graph).items()}
    given = {name: (value.shape, str(value.dtype)) for name, value in state.items()}
    if given != wanted:
        raise BadInput(f"the state is {given}, the graph {graph.name!r} keeps {wanted}")
    return state


Numbers = tuple[tuple[int, ...], int, int]  # outputs, route, uncertainty in Q8.24


def numbers(graph: Graph, rows: Array, start: int = 0) -> Iterator[Numbers]:
    """What the graph answers from row `start` on, a few rows at a time: each keeps every tensor.

    A state begins with row 0, whatever `start` is.
    """
    state = None
    for at in range(0, start, ROWS_AT_ONCE) if memories(graph) else ():
        state = run(graph, rows[at : min(start, at + ROWS_AT_ONCE)], state).state
    for at in range(start, len(rows), ROWS_AT_ONCE):
        ran = run(graph, rows[at : at + ROWS_AT_ONCE], state)
        state = ran.state
        outputs = ran.output.reshape(len(ran.output), -1).tolist()
        for output, route, doubt in zip(outputs, ran.route, ran.uncertainty, strict=True):
            yield tuple(output), int(route), int(doubt)


def io_of(graph: Graph, node: Node) -> Io:
    """Types around a node."""
    return Io(tuple(graph.tensors[n] for n in node.inputs), graph.tensors[node.outputs[0]])


def _nothing(rows: int, value: int) -> Array:
    return np.full(rows, value, dtype=np.int64)


def _run_mixture(graph: Graph, node: Node, result: Answered, before: Array | None) -> None:
    inputs = tuple(result.values[n] for n in node.inputs)
    io, left = io_of(graph, node), 0 if before is None else int(before[0])
    mixed = mixture.reference(
        node.attrs, io, inputs, graph.params(node), lambda g, x: run(g, x).output, left
    )
    if before is not None:
        result.state[node.name] = np.array([mixed.routing.left], before.dtype)
    result.values[node.outputs[0]] = mixed.output
    result.chosen, result.numerator = mixed.chosen, mixed.routing.uncertainty
    result.router_logits = mixed.routing.logits
    if node.attrs.router.kind == "bayesian":
        result.uncertainty = uncertainty_q24(result.numerator, node.attrs.router.passes)


def _run_cascade(graph: Graph, node: Node, result: Answered, before: Array | None) -> None:
    x, params = result.values[node.inputs[0]], graph.params(node)
    answered = cascade.reference(node.attrs, x, params, lambda g, x: run(g, x).values, before)
    if before is not None:
        result.state[node.name] = answered.left
    result.values[node.outputs[0]] = answered.output
    result.chosen = cascade.ran(answered.route, len(node.attrs.experts))
    result.numerator = answered.signal
    result.uncertainty = node.attrs.rule.reported(answered.signal)


@dataclass(frozen=True)
class Stages:
    """Every stage of a cascade on every row, whatever its thresholds say.

    outputs (rows, stages, classes) int8: each expert's own answer; signals (rows, stages - 1):
    what each stage but the last would be judged by.
    """

    outputs: Array
    signals: Array


def run_all_stages(graph: Graph, x: Array) -> Stages:
    """Every expert's answer and every signal of the graph's cascade, on int8 rows x.

    Layers behind the cascade are left out. Raises ValueError for a graph without a cascade.
    """
    node = routed_node(graph)
    if node is None or node.op != "Cascade":
        raise ValueError(f"graph {graph.name!r} has no cascade")
    given, params = run(stem_of(graph, node, node.inputs[0]), x).output, graph.params(node)
    attrs, ran = node.attrs, []
    for expert in attrs.experts:
        ran.append(run(expert.graph, given).values)
        given = expert.handed_on(given, ran[-1])
    both = list(zip(attrs.experts, ran, strict=True))
    outputs = [values[expert.graph.outputs[0]] for expert, values in both]
    signals = [attrs.rule.of(attrs.read(expert, values), params) for expert, values in both[:-1]]
    return Stages(np.stack(outputs, axis=1), np.stack(signals, axis=1))


def quantize_rows(graph: Graph, x: Array) -> Array:
    """Real rows in the graph's layout (rows, *row shape) as codes, as the host makes them."""
    codes = {n: _quantized(graph.tensors[n], part) for n, part in split(graph, x).items()}
    return join(graph.inputs, codes)


def _quantized(kind: TensorType, x: Array) -> Array:
    if kind.quant is None:
        raise ValueError("the graph's input is not quantised")
    q = np.round(x.astype(np.float64) / kind.quant.per_tensor) + kind.quant.zero_point
    return np.clip(q, *limits(kind)).astype(kind.dtype)


def real_inputs(graph: Graph, rows: Array) -> Array:
    """Codes of the input ports (rows, *row shape) as the real numbers that they stand for."""
    return _real(graph, graph.inputs, split(graph, rows)).astype(np.float32)


def real_outputs(graph: Graph, codes: Array) -> Array:
    """Codes of the output ports (rows, values) as real numbers, float64."""
    return _steps(graph, codes, lambda part, scale, zero: (part - zero) * scale)


def output_codes(graph: Graph, real: Array) -> Array:
    """Real outputs (rows, values) as the steps nearest to them, int64 and not clamped."""

    def steps(part: Array, scale: float, zero: int) -> Array:
        return np.asarray(np.round(part.astype(np.float64) / scale) + zero)

    return _steps(graph, real, steps).astype(np.int64)


def _steps(graph: Graph, rows: Array, change: Callable[[Array, float, int], Array]) -> Array:
    """`change` on each output port's part of the rows, with its scale and zero point."""
    flat, parts, at = rows.reshape(len(rows), -1), [], 0
    for name in result_tensors(graph):
        kind = graph.tensors[name]
        quant = quant_of(kind)
        part = flat[:, at : at + kind.size].astype(np.float64)
        parts.append(change(part, quant.per_tensor, quant.zero_point))
        at += kind.size
    return np.concatenate(parts, axis=1)


def _real(graph: Graph, names: Sequence[str], values: Mapping[str, Array]) -> Array:
    found = {}
    for name in names:
        quant = quant_of(graph.tensors[name])
        found[name] = (values[name].astype(np.float64) - quant.zero_point) * quant.per_tensor
    return join(names, found)


def random_rows(graph: Graph, rows: int, seed: int = 0) -> Array:
    """Seeded codes over the whole range of each input port (rows, *row shape)."""
    rng = np.random.default_rng(seed)
    parts = {}
    for name in graph.inputs:
        kind = graph.tensors[name]
        low, high = limits(kind)
        shape = (rows, *kind.shape)
        parts[name] = rng.integers(low, high, shape, dtype=kind.dtype, endpoint=True)
    return join(graph.inputs, parts)
