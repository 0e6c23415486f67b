"""Holds an emitted file in TensorFlow Lite Micro to the integer reference, operator by operator."""

from collections.abc import Callable, Iterator
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edgeq.emit.runs import file_names
from edgeq.emit.state_ports import with_state_ports
from edgeq.emit.tflite_model import tflite_model
from edgeq.emit.tflite_rounding import STEPS_APART, UNCERTAINTY_APART
from edgeq.ir import Graph, Node
from edgeq.ir.ports import join, result_tensors, split
from edgeq.ops import OPS, cascade, mixture
from edgeq.ops.op import Array, quant_of
from edgeq.ops.routed import routed_node
from edgeq.reference import Answered, io_of, run, run_all_stages
from tests.tflm.interpreter import TflmRun, run_tflm

EXACT = ("gap", "ensemble")  # signals that decide alike to the step
OPERATOR = {value: name for name, value in vars(schema.BuiltinOperator).items() if name.isupper()}


def assert_agrees(graph: Graph, x: Array) -> list[TflmRun]:
    """The file is taken; only the chosen experts run; outputs are the reference's on rows x.

    Bytes are equal unless an op of STEPS_APART stands in the graph. Then each op is given what
    TensorFlow Lite Micro gave it, and only those ops may differ, by no more than the table says.
    Rows that a cascade's int16 signal may send elsewhere are left out; most must stay.
    """
    x = x[~near_a_threshold(graph, x)]
    model, wanted = tflite_model(graph, "t"), run(graph, x)
    runs = run_tflm(model, *file_inputs(graph, model, x))
    for i, got in enumerate(runs):
        assert not got.refused, got.refused
        assert got.trace == expected_trace(model, chosen_names(graph, wanted.chosen[i])), i
        if wanted.chosen[i, 0] >= 0:
            assert int(got.outputs[route_place(graph)][0]) == wanted.route[i], f"route of row {i}"
    if loose_parts(graph):
        assert_each_op_agrees(graph, x)
    else:
        _assert_answers(graph, x, runs, wanted)
    _assert_uncertainty(graph, model, runs, wanted)
    return runs


def route_place(graph: Graph) -> int:
    """Of the route among the file's outputs, behind the answer and the states."""
    return 1 + len(with_state_ports(graph)[1])


def near_a_threshold(graph: Graph, x: Array) -> Array:
    """(rows,) whether an int16 signal lies as near to a threshold as it may be off."""
    node = routed_node(graph)
    if node is None or node.op != "Cascade" or node.attrs.signal in EXACT:
        return np.zeros(len(x), bool)
    away = np.abs(run_all_stages(graph, x).signals - graph.param(node, "thresholds"))
    near = (away <= UNCERTAINTY_APART * 2**node.attrs.rule.fraction_bits).any(axis=1)
    assert near.mean() <= 0.5
    return np.asarray(near)


def _assert_answers(graph: Graph, x: Array, runs: list[TflmRun], wanted: Answered) -> None:
    """Every answer, and every state that a row leaves behind, to the byte."""
    results, (open_graph, states) = result_tensors(graph), with_state_ports(graph)
    got: dict[str, Array] = {}
    for i, name in enumerate((*results, *(state.kept for state in states))):
        shape = open_graph.tensors[name].shape
        got[name] = np.stack([each.outputs[i].reshape(shape) for each in runs])
    assert np.array_equal(join(results, got), wanted.output)
    for name, left in states_left(graph, x).items():
        assert np.array_equal(got[name], left), name


def states_left(graph: Graph, x: Array) -> dict[str, Array]:
    """What the reference keeps of each row, by tensor: it goes in again with the next row."""
    open_graph, states = with_state_ports(graph)
    held: dict[str, Array] = {}
    for state in states:
        kind = open_graph.tensors[state.given]
        held[state.given] = np.full((1, *kind.shape), state.reset, kind.dtype)
    left: dict[str, list[Array]] = {state.kept: [] for state in states}
    for i in range(len(x) if states else 0):
        given = join(open_graph.inputs, {**split(graph, x[i : i + 1]), **held})
        values = run(open_graph, given).values
        held = {state.given: values[state.kept] for state in states}
        for state in states:
            left[state.kept].append(values[state.kept])
    return {name: np.concatenate(rows) for name, rows in left.items()}


def file_inputs(graph: Graph, model: bytes, x: Array) -> list[Array]:
    """Rows x as the file's inputs: a state's row is what the run of the row before gave."""
    open_graph, states = with_state_ports(graph)
    given, names = [*split(graph, x).values()], file_names(graph, states)[1]
    kept: list[tuple[Array, int]] = []
    for state in states:
        kind = open_graph.tensors[state.given]
        rows = np.full((len(x), *kind.shape), state.reset, kind.dtype)
        kept.append((rows, names.index(state.output_name)))
    given += [rows for rows, _ in kept]
    for i in range(len(x) - 1 if states else 0):
        (got,) = run_tflm(model, *(rows[i : i + 1] for rows in given))
        assert not got.refused, got.refused
        for rows, place in kept:
            rows[i + 1] = got.outputs[place].reshape(rows.shape[1:])
    return given


def loose_parts(graph: Graph) -> set[str]:
    """The entries of STEPS_APART that the graph has, experts included."""
    found = {node.op for node in graph.nodes} & STEPS_APART.keys()
    for node in graph.nodes:
        if getattr(node.attrs, "experts", ()):
            found |= {"gate"} if node.attrs.gate != "none" else set()
            found |= set().union(*(loose_parts(e.graph) for e in node.attrs.experts))
    return found


def assert_each_op_agrees(graph: Graph, x: Array) -> Array:
    """Every node against its reference on the inputs that TensorFlow Lite Micro gave it.

    Returns the graph's output there, int8 (rows, ...). A chosen expert's own file is run as well.
    """
    values = _values(graph, x)
    for node in graph.nodes:
        inputs = tuple(values[t] for t in node.inputs)
        got = values[node.outputs[0]].astype(int)
        wanted = _reference(graph, node, inputs).astype(int)
        worst = int(np.abs(got - wanted).max())
        assert worst <= _bound(node), f"{node.name} ({node.op}): {worst} steps"
    return values[graph.outputs[0]]


def _bound(node: Node) -> int:
    if getattr(node.attrs, "experts", ()):
        return 0 if node.attrs.gate == "none" else STEPS_APART["gate"]
    return STEPS_APART.get(node.op, 0)


def _reference(graph: Graph, node: Node, inputs: tuple[Array, ...]) -> Array:
    """A mixture's experts are run by TensorFlow Lite Micro too: the gates alone are compared."""
    io, params = io_of(graph, node), graph.params(node)
    if node.op == "Cascade":
        x = inputs[0]
        return cascade.reference(node.attrs, x, params, _each_value).output
    if node.op != "Mixture":
        return OPS[node.op].reference(node.attrs, io, inputs, params)
    return mixture.reference(node.attrs, io, inputs, params, assert_each_op_agrees).output


def _each_value(graph: Graph, x: Array) -> dict[str, Array]:
    assert_each_op_agrees(graph, x)
    return _values(graph, x)


def _values(graph: Graph, x: Array) -> dict[str, Array]:
    """Every tensor between nodes as TensorFlow Lite Micro has it (rows, *shape)."""
    given = file_inputs(graph, tflite_model(graph, "t"), x)
    model, names = with_all_outputs(tflite_model(graph, "t"), graph)
    runs = run_tflm(model, *given)
    values = dict(zip(with_state_ports(graph)[0].inputs, given, strict=True))
    for i, name in enumerate(names):
        shape = graph.tensors[name].shape
        values[name] = np.stack([r.outputs[i].reshape(shape) for r in runs])
    for node in graph.nodes:  # a RESHAPE to the same shape is not written
        if node.outputs[0] not in values:
            assert node.op == "Reshape", node.name
            values[node.outputs[0]] = values[node.inputs[0]].reshape(
                len(x), *graph.tensors[node.outputs[0]].shape
            )
    return values


def with_all_outputs(model: bytes, graph: Graph) -> tuple[bytes, list[str]]:
    """The file with each node's first output as an output of the model, and their names."""
    body = parsed(model)
    main = body.subgraphs[0]
    wanted = {node.outputs[0] for node in graph.nodes if node.op != "Delay"}  # those are inputs
    last = main.outputs[0]
    found = {_text(t.name): i for i, t in enumerate(main.tensors) if _text(t.name) in wanted}
    found = {name: i for name, i in found.items() if i != last}
    found[graph.outputs[0]] = last
    main.outputs = list(found.values())
    body.signatureDefs = None
    return packed(body), list(found)


def expected_trace(model: bytes, chosen: set[str]) -> tuple[str, ...]:
    """The operators in the order of a run that enters an IF's branch when it is a chosen expert."""
    body = parsed(model)
    return tuple(_walk(body, 0, lambda branch: branch in chosen))


def _walk(body: Any, index: int, enters: Callable[[str], bool]) -> Iterator[str]:
    for op in body.subgraphs[index].operators:
        code = body.operatorCodes[op.opcodeIndex]
        yield OPERATOR[max(code.builtinCode, code.deprecatedBuiltinCode)]
        if isinstance(op.builtinOptions, schema.IfOptionsT):
            then = op.builtinOptions.thenSubgraphIndex
            taken = enters(_text(body.subgraphs[then].name))
            yield from _walk(body, then if taken else op.builtinOptions.elseSubgraphIndex, enters)


def chosen_names(graph: Graph, chosen: Array) -> set[str]:
    """Names of the experts that a row takes: those of its top k that count."""
    for node in graph.nodes:
        if node.op == "Cascade":
            return {node.attrs.experts[int(e)].name for e in chosen}
        if node.op == "Mixture":
            k = node.attrs.top_k if node.attrs.gate != "none" else 1
            return {node.attrs.experts[int(e)].name for e in chosen[:k]}
    return set()


def _assert_uncertainty(graph: Graph, model: bytes, runs: list[TflmRun], wanted: Answered) -> None:
    main, doubt = parsed(model).subgraphs[0], route_place(graph) + 1
    if len(main.outputs) <= doubt or not {"Mixture", "Cascade"} & {node.op for node in graph.nodes}:
        return
    routed = routed_node(graph)
    if routed is not None and routed.op == "Cascade" and routed.attrs.signal == "gap":
        signals = [int(got.outputs[doubt].reshape(-1)[0]) + 128 for got in runs]
        assert signals == (wanted.uncertainty >> 24).tolist() or loose_parts(graph)
        return
    scale, unit, apart = float(main.tensors[main.outputs[doubt]].quantization.scale[0]), 1.0, 1.0
    if routed is not None and routed.op == "Cascade":
        step = quant_of(graph.tensors[routed.outputs[0]]).per_tensor
        unit = routed.attrs.rule.unit(step) * 2**routed.attrs.rule.fraction_bits
        apart = 10 * step if routed.attrs.signal in EXACT else 1.0  # a tenth of a logit's step
    for got, exact in zip(runs, wanted.uncertainty / 2.0**24 * unit, strict=True):
        u = float(got.outputs[doubt].reshape(-1)[0]) * scale
        saturated = u >= 32767 * scale
        assert abs(u - exact) <= apart * UNCERTAINTY_APART or (saturated and exact > u)


def parsed(model: bytes) -> Any:
    return schema.ModelT.InitFromObj(schema.Model.GetRootAs(model, 0))


def packed(body: Any) -> bytes:
    """A parsed file as bytes; its constants come back as lists."""
    for buffer in body.buffers:
        buffer.data = None if buffer.data is None else np.asarray(buffer.data, dtype=np.uint8)
    builder = flatbuffers.Builder(1024)
    builder.Finish(body.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def _text(name: Any) -> str:
    return name.decode() if isinstance(name, bytes) else str(name)
