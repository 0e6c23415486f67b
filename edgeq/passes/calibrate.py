"""Gives every activation a scale and a zero point from a float run on calibration rows."""

from dataclasses import replace

import numpy as np

from edgeq.errors import BadInput, UnsupportedOp
from edgeq.ir import Graph, Node, Quant
from edgeq.ops import softmax
from edgeq.ops.mixture import Mixture
from edgeq.ops.op import Array
from edgeq.passes.float_forward import FloatRun, run_float
from edgeq.passes.ranges import choose_quant

SAME_SCALE = ("MaxPool2D", "Relu", "Reshape")


def check_calibration(graph: Graph, x: Array) -> None:
    """Raises BadInput for rows that are empty, of the wrong shape, not finite or constant."""
    wanted = graph.tensors[graph.inputs[0]].shape
    if x.ndim == 0 or len(x) == 0:
        raise BadInput("the calibration set is empty; give at least one row (about 100 are good)")
    if x.shape[1:] != wanted:
        raise BadInput(f"calibration rows have shape {x.shape[1:]}, the model's input is {wanted}")
    if not np.isfinite(x).all():
        raise BadInput("the calibration set holds values that are not finite; clean the data")
    if np.ptp(x) == 0:
        raise BadInput(
            f"the calibration set is constant (every value is {x.flat[0]:g}); use real inputs"
        )


def calibrate(graph: Graph, x: Array, method: str) -> Graph:
    """Types every activation int8 with a Quant; x (rows, *input shape) float, channels-last."""
    check_calibration(graph, x)
    return _assign(graph, run_float(graph, x, curious=True), method, choose_quant(x, method), None)


def _assign(graph: Graph, run: FloatRun, method: str, entry: Quant, exit_: Quant | None) -> Graph:
    """`entry` types the input; `exit_`, when given, the output (experts share theirs)."""
    quants: dict[str, Quant] = {graph.inputs[0]: entry}
    nodes = []
    for node in graph.nodes:
        if node.op == "Mixture":
            node, quants[node.outputs[0]] = _mixture(node, run, method, quants)
        else:
            quants[node.outputs[0]] = _output_quant(graph, node, run, method, quants)
        nodes.append(node)
    if exit_ is not None:
        _force(graph, quants, exit_)
    types = {n: replace(graph.tensors[n], dtype="int8", quant=q) for n, q in quants.items()}
    return graph.with_nodes(nodes).with_tensors(types)


def _output_quant(
    graph: Graph, node: Node, run: FloatRun, method: str, quants: dict[str, Quant]
) -> Quant:
    if node.op in SAME_SCALE or (node.op == "AveragePool2D" and not _is_global(graph, node)):
        return quants[node.inputs[0]]
    if node.op == "Softmax":
        return softmax.OUTPUT_QUANT
    return choose_quant(run.values[node.outputs[0]], method)


def _is_global(graph: Graph, node: Node) -> bool:
    return bool(graph.tensors[node.inputs[0]].shape[:2] == node.attrs.kernel)


def _force(graph: Graph, quants: dict[str, Quant], wanted: Quant) -> None:
    """Sets the output's quant, and that of tensors before it that must share its scale."""
    name = graph.outputs[0]
    while True:
        quants[name] = wanted
        node = graph.producer(name)
        if node is None or quants.get(node.inputs[0]) is None or node.op not in SAME_SCALE:
            return
        name = node.inputs[0]


def _mixture(
    node: Node, run: FloatRun, method: str, quants: dict[str, Quant]
) -> tuple[Node, Quant]:
    attrs: Mixture = node.attrs
    runs = run.experts[node.name]
    shared = _shared_output(node, runs, method)
    experts = tuple(
        replace(e, graph=_assign(e.graph, r, method, quants[node.inputs[0]], shared))
        for e, r in zip(attrs.experts, runs, strict=True)
    )
    layers = tuple(choose_quant(v, method) for v in run.router_layers[node.name])
    router = replace(attrs.router, quants=layers)
    quant = shared if attrs.gate == "none" else choose_quant(run.values[node.outputs[0]], method)
    return replace(node, attrs=replace(attrs, experts=experts, router=router)), quant


def _shared_output(node: Node, runs: list[FloatRun], method: str) -> Quant:
    """One output quant for all experts, so that whoever reads them needs no branch."""
    graphs = [e.graph for e in node.attrs.experts]
    ends = {p.op if (p := g.producer(g.outputs[0])) else "input" for g in graphs}
    if ends == {"Softmax"}:
        return softmax.OUTPUT_QUANT
    if "Softmax" in ends:
        raise UnsupportedOp(
            f"mixture {node.name!r}: some experts end in Softmax, others in {ends - {'Softmax'}}; "
            "end all of them alike, best without Softmax"
        )
    values = [r.values[g.outputs[0]] for r, g in zip(runs, graphs, strict=True)]
    return choose_quant(np.concatenate(values), method)
