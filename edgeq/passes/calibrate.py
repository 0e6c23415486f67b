"""Gives every activation a scale and a zero point from a float run on calibration rows."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from edgeq.errors import BadInput, UnsupportedOp
from edgeq.ir import Graph, Node, Quant
from edgeq.ir.ports import row_shape
from edgeq.ops import OPS
from edgeq.ops.mixture import Mixture
from edgeq.ops.op import Array, Scale, Site
from edgeq.ops.weighted import SUM_STEPS, layer_least
from edgeq.passes.float_forward import FloatRun, float_params, run_float
from edgeq.passes.ids import settled_types
from edgeq.passes.least_scale import least_scale, no_finer, silent_nodes, silent_quant
from edgeq.passes.ranges import choose_quant, wide_quant


def check_calibration(graph: Graph, x: Array) -> None:
    """Raises BadInput for rows that are empty, of the wrong shape, not finite or constant."""
    wanted = row_shape(graph)
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


def calibrate(graph: Graph, x: Array, method: str) -> tuple[Graph, tuple[str, ...]]:
    """Types every activation int8 with a Quant; x (rows, *row shape) float, channels-last.

    One that has a Quant, because a file settled it, keeps that where its op can give it, and an
    input that is int16 stays so.

    Also returns a note on each layer that never fires on these rows.
    """
    check_calibration(graph, x)
    graph = graph.with_tensors(settled_types(graph))
    run = run_float(graph, x, curious=True)
    ends = {
        name: graph.tensors[name].quant or choose_quant(run.values[name], method)
        for name in graph.inputs
    }
    nodes, quants = _quants(graph, run, method, ends)
    return _typed(graph, nodes, quants), tuple(_silent(graph, run, ""))


def _silent(graph: Graph, run: FloatRun, owner: str) -> Iterator[str]:
    for node in silent_nodes(graph, run.values):
        yield f"{owner}{node.name} never fires: its output is 0 on every calibration row"
    for node in graph.nodes:
        for expert, part in zip(
            getattr(node.attrs, "experts", ()), run.experts.get(node.name, ()), strict=True
        ):
            yield from _silent(expert.graph, part, f"{expert.name}: ")


def _quants(
    graph: Graph, run: FloatRun, method: str, ends: Mapping[str, Quant]
) -> tuple[list[Node], dict[str, Quant]]:
    """The nodes (a mixture with its experts typed) and a Quant for each activation; `ends` has
    those of the inputs.
    """
    quants = dict(ends)
    nodes = []
    for node in graph.nodes:
        if node.op == "Mixture":
            node, quants[node.outputs[0]] = _mixture(graph, node, run, method, quants)
        elif node.op == "Cascade":
            node, quants[node.outputs[0]] = _of_one_scale(node, run, method, quants)
        else:
            quants[node.outputs[0]] = _output_quant(graph, node, run, method, quants)
        nodes.append(node)
    return nodes, quants


def _typed(graph: Graph, nodes: Sequence[Node], quants: Mapping[str, Quant]) -> Graph:
    types = {}
    wide = {node.outputs[0] for node in nodes if _scale(graph, node) is Scale.WIDE}
    for name, quant in quants.items():
        kind = graph.tensors[name]
        dtype = "int16" if kind.dtype == "int16" or name in wide else "int8"
        types[name] = replace(kind, dtype=dtype, quant=quant)
    return graph.with_nodes(nodes).with_tensors(types)


def _output_quant(
    graph: Graph, node: Node, run: FloatRun, method: str, quants: dict[str, Quant]
) -> Quant:
    scale = _scale(graph, node)
    if isinstance(scale, Quant):
        return scale
    if scale not in (Scale.OWN, Scale.JOINED, Scale.WIDE):
        return quants[node.inputs[0]]
    values, least = run.values[node.outputs[0]], least_scale(graph, node.outputs[0], quants)
    settled = graph.tensors[node.outputs[0]].quant
    if settled is not None:
        return no_finer(settled, least)
    if OPS[node.op].weight_axis is not None and not values.any():
        return no_finer(silent_quant(graph, node, quants), least)
    chosen = wide_quant(values) if scale is Scale.WIDE else choose_quant(values, method)
    return no_finer(chosen, least)


def _scale(graph: Graph, node: Node) -> Scale | Quant:
    return OPS[node.op].scale(node.attrs, Site(graph, node).io)


def _force(graph: Graph, quants: dict[str, Quant], wanted: Quant) -> None:
    """Sets the output's quant, and that of tensors before it that must share its scale."""
    name = graph.outputs[0]
    while True:
        quants[name] = wanted
        node = graph.producer(name)
        if node is None or _scale(graph, node) is not Scale.SHARED:
            return
        name = node.inputs[0]


def _mixture(
    graph: Graph, node: Node, run: FloatRun, method: str, quants: dict[str, Quant]
) -> tuple[Node, Quant]:
    node, quant = _of_one_scale(node, run, method, quants)
    attrs: Mixture = node.attrs
    layers = _router_quants(graph, node, run, method, quants[node.inputs[1]])
    router = replace(attrs.router, quants=layers)
    if attrs.gate != "none":
        least = 255 * attrs.top_k * quant.per_tensor / SUM_STEPS
        quant = no_finer(choose_quant(run.values[node.outputs[0]], method), least)
    return replace(node, attrs=replace(attrs, router=router)), quant


def _of_one_scale(
    node: Node, run: FloatRun, method: str, quants: dict[str, Quant]
) -> tuple[Node, Quant]:
    """The node with its experts typed, and the one output quant that they share."""
    runs, entry = run.experts[node.name], quants[node.inputs[0]]
    parts = []
    for e, r in zip(node.attrs.experts, runs, strict=True):
        parts.append(_quants(e.graph, r, method, {e.graph.inputs[0]: entry}))
        entry = e.handed_on(entry, parts[-1][1])
    shared = _shared_output(node, runs, method, [quants for _, quants in parts])
    experts = []
    for expert, (nodes, inner) in zip(node.attrs.experts, parts, strict=True):
        _force(expert.graph, inner, shared)
        if expert.heads:
            inner[expert.heads] = shared
        experts.append(replace(expert, graph=_typed(expert.graph, nodes, inner)))
    return replace(node, attrs=replace(node.attrs, experts=tuple(experts))), shared


def _router_quants(
    graph: Graph, node: Node, run: FloatRun, method: str, entry: Quant
) -> tuple[Quant, ...]:
    """One a layer of the router; a dropped pass brings its input in coarser steps."""
    params, layers, scale_in = float_params(graph, node), list[Quant](), entry.per_tensor
    for i, values in enumerate(run.router_layers[node.name]):
        kept = 1.0 if i == 0 else 1.0 - node.attrs.router.dropout
        weight, bias = params[f"router.{i}.weight"], params[f"router.{i}.bias"]
        least = layer_least(weight, bias, scale_in / kept, 0)
        layers.append(no_finer(choose_quant(values, method), least))
        scale_in = layers[-1].per_tensor
    return tuple(layers)


def _shared_output(
    node: Node, runs: list[FloatRun], method: str, quants: Sequence[Mapping[str, Quant]]
) -> Quant:
    """One output quant for all experts, so that whoever reads them needs no branch."""
    graphs = [e.graph for e in node.attrs.experts]
    fixed = {p.op: q for g in graphs if (p := g.producer(g.outputs[0])) and (q := _fixed(g, p))}
    others = {p.op if (p := g.producer(g.outputs[0])) else "input" for g in graphs} - set(fixed)
    if fixed and (others or len(set(fixed.values())) > 1):
        raise UnsupportedOp(
            f"{node.op.lower()} {node.name!r}: some experts end in {', '.join(sorted(fixed))}, "
            f"others in {', '.join(sorted(others))}; end all of them alike, best without"
        )
    if fixed:
        return fixed.popitem()[1]
    values, least = [], []
    for expert, ran, own in zip(node.attrs.experts, runs, quants, strict=True):
        for end in filter(None, (expert.graph.outputs[0], expert.heads)):
            values.append(ran.values[end].reshape(-1))
            least.append(least_scale(expert.graph, end, own))
    return no_finer(choose_quant(np.concatenate(values), method), max(least))


def _fixed(graph: Graph, node: Node) -> Quant | None:
    """The scale that an op's output has whatever the data are."""
    scale = _scale(graph, node)
    return scale if isinstance(scale, Quant) else None
