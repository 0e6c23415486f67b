"""Checks a graph between passes, so that a fault is found where it is made.

Stages: "float" (structure and shapes), "quantized" (every activation of a type that its op takes,
int8 or int16, with a scale),
"lowered" (integer constants present, and a proof that no accumulator leaves int32).
"""

import math

import numpy as np

from edgeq.errors import EdgeqError, UnsupportedOp
from edgeq.ir import Graph, Node, Quant, TensorType
from edgeq.ops import OPS
from edgeq.ops.cascade import THRESHOLDS, Cascade
from edgeq.ops.fixed_point import INT32_MAX
from edgeq.ops.heads import MOST_HEADS
from edgeq.ops.hold import MOST_HOLD
from edgeq.ops.kept import memory_of
from edgeq.ops.op import (
    STORED_RANGE,
    WEIGHT_RANGE,
    Absent,
    Accumulator,
    Array,
    Place,
    Scale,
    Site,
)
from edgeq.ops.routed import ROUTED
from edgeq.ops.router import MAX_PASSES, RULES
from edgeq.ops.signals import SIGNALS
from edgeq.passes.check_ports import check_ports
from edgeq.passes.concat_in_place import why_apart

STAGES = ("float", "quantized", "lowered")


def verify(graph: Graph, stage: str) -> Graph:
    """The graph itself when it is sound.

    Raises UnsupportedOp listing every op edgeq does not know or for an accumulator too wide for
    int32, EdgeqError for an inconsistency.
    """
    unknown = unsupported_ops(graph)
    if unknown:
        raise UnsupportedOp("unsupported ops: " + ", ".join(unknown) + known_ops())
    defined = {*graph.inputs, *graph.constants}
    for node in graph.nodes:
        _check_node(graph, node, defined, stage)
        again = [name for name in node.outputs if name in defined]
        if again:
            raise EdgeqError(f"node {node.name!r} ({node.op}): {again} is computed twice")
        defined.update(node.outputs)
    missing = [name for name in graph.outputs if name not in defined]
    if missing:
        raise EdgeqError(f"graph {graph.name!r}: outputs {missing} are never computed")
    check_ports(graph, stage)
    _check_memory(graph)
    if sum(n.op in ROUTED for n in graph.nodes) > 1:
        names = ", ".join(repr(n.name) for n in graph.nodes if n.op in ROUTED)
        raise UnsupportedOp(
            f"graph {graph.name!r} holds several mixtures or cascades ({names}); one is "
            "supported, as a record has one route and one uncertainty. Make the others plain layers"
        )
    return graph


def _check_memory(graph: Graph) -> None:
    """What an expert kept would be of the rows that it was asked for: nothing is kept in one."""
    for expert in (e for n in graph.nodes for e in getattr(n.attrs, "experts", ())):
        keeps = [n.name for n in expert.graph.nodes if memory_of(n) is not None]
        if keeps:
            raise UnsupportedOp(
                f"graph {graph.name!r}: expert {expert.name!r} keeps a state "
                f"({', '.join(map(repr, keeps))}), which would be stale after rows that others "
                "answer; put those layers before the experts, where they see every row"
            )
    for node in (n for n in graph.nodes if n.op in ROUTED):
        if not 0 <= node.attrs.hold <= MOST_HOLD:
            raise UnsupportedOp(
                f"node {node.name!r} ({node.op}): a hold of {node.attrs.hold} rows; give 0 to "
                f"{MOST_HOLD:,}"
            )


def unsupported_ops(graph: Graph) -> list[str]:
    """ "op (node name)" of every op without a place in OPS, experts included."""
    found = [f"{n.op} ({n.name})" for n in graph.nodes if n.op not in OPS]
    for node in graph.nodes:
        for expert in getattr(node.attrs, "experts", ()):
            found += [f"{expert.name}: {name}" for name in unsupported_ops(expert.graph)]
    return found


def known_ops() -> str:
    """The tail of an UnsupportedOp message."""
    return f"; supported: {', '.join(sorted(OPS))}"


def _check_node(graph: Graph, node: Node, defined: set[str], stage: str) -> None:
    where = f"node {node.name!r} ({node.op})"
    undefined = [n for n in (*node.inputs, *node.params.values()) if n not in defined]
    if undefined:
        raise EdgeqError(f"{where} reads {undefined}, which nothing before it computes")
    arity = OPS[node.op].arity or max(len(node.inputs), 1)
    if len(node.inputs) != arity:
        raise EdgeqError(f"{where} reads {len(node.inputs)} tensors, not {arity}")
    _check_shape(graph, node, where)
    if OPS[node.op].code is Absent.PARTS and (why := why_apart(graph, node)):
        raise UnsupportedOp(f"{where}: its inputs cannot be parts of its output: {why}")
    if node.op == "Mixture":
        _check_mixture(graph, node, where)
    if node.op == "Cascade":
        _check_cascade(graph, node, where, stage)
    if node.op in ROUTED:
        _check_experts(graph, node, where)
        for expert in node.attrs.experts:
            verify(expert.graph, stage)
    if stage != "float":
        for name in (*node.inputs, node.outputs[0]):
            kind = graph.tensors[name]
            if kind.dtype not in OPS[node.op].dtypes or kind.quant is None:
                taken = " or ".join(sorted(OPS[node.op].dtypes))
                raise EdgeqError(f"{where}: tensor {name!r} is {kind}, not a quantised {taken} one")
        _check_scale(graph, node, where)
        for name in (*node.inputs, node.outputs[0]):
            kind = graph.tensors[name]
            if kind.dtype == "int16" and kind.quant and kind.quant.zero_point:
                raise EdgeqError(f"{where}: int16 tensor {name!r} has a zero point that is not 0")
    if stage == "lowered":
        _check_lowered(graph, node, where)


def _check_shape(graph: Graph, node: Node, where: str) -> None:
    shapes = tuple(graph.tensors[n].shape for n in node.inputs)
    try:
        shape = OPS[node.op].result_shape(node.attrs, shapes, graph.params(node))
    except ValueError as error:
        raise EdgeqError(f"{where}: {error}") from None
    if shape != graph.tensors[node.outputs[0]].shape:
        given = graph.tensors[node.outputs[0]].shape
        raise EdgeqError(f"{where} computes shape {shape}, its output is typed {given}")


def _check_lowered(graph: Graph, node: Node, where: str) -> None:
    op, site = OPS[node.op], Site(graph, node)
    roles = op.roles(node.attrs)
    missing = [role.name for role in roles if role.name not in node.params]
    if missing:
        raise EdgeqError(f"{where} lacks {missing}; it was not lowered")
    if op.code is Absent.FOLDED:
        raise EdgeqError(f"{where} has no integer form; a pass should have folded it away")
    for role in roles:
        if role.place is Place.PACKED:
            weight_format = role.dtype or node.attrs.weight_format
            limits = (WEIGHT_RANGE if role.dtype else STORED_RANGE)[weight_format]
            _check_range(weight_format, limits, site.param(role.name), where)
    for accumulator in op.accumulators(site):
        _check_reach(accumulator, where)


def _check_mixture(graph: Graph, node: Node, where: str) -> None:
    attrs, router = node.attrs, node.attrs.router
    experts = len(attrs.experts)
    if experts < 2 or not 1 <= attrs.top_k <= experts:
        raise EdgeqError(f"{where}: top_k {attrs.top_k} of {experts} experts; two are the least")
    if attrs.top_k > 1 and attrs.gate != "probability":
        raise EdgeqError(f"{where}: gate {attrs.gate!r} takes one expert, not several")
    if router.kind == "bayesian" and not 2 <= router.passes <= MAX_PASSES:
        raise EdgeqError(f"{where}: {router.passes} passes; a variance needs 2 to {MAX_PASSES}")
    if router.rule not in RULES:
        raise EdgeqError(f"{where}: unknown rule {router.rule!r}; choose from {', '.join(RULES)}")
    last = graph.param(node, f"router.{router.layers - 1}.weight").shape[0]
    features = graph.param(node, "router.0.weight").shape[1]
    seen = graph.tensors[node.inputs[1]].size
    if last != experts or features != seen:
        raise EdgeqError(
            f"{where}: the router maps {features} features to {last} experts; "
            f"there are {seen} and {experts}"
        )


def _check_cascade(graph: Graph, node: Node, where: str, stage: str) -> None:
    attrs, stages = node.attrs, len(node.attrs.experts)
    if stages < 2:
        raise EdgeqError(f"{where}: {stages} experts; a cascade has two or more")
    if attrs.signal not in SIGNALS:
        known = ", ".join(SIGNALS)
        raise EdgeqError(f"{where}: unknown signal {attrs.signal!r}; choose from {known}")
    _check_heads(attrs, where, stage)
    given = attrs.thresholds or attrs.escalate
    if len(given) != stages - 1 or not all(math.isfinite(t) for t in given):
        raise EdgeqError(f"{where}: thresholds {given}; {stages} experts want {stages - 1} numbers")
    if not attrs.thresholds and not all(0 <= share <= 1 for share in given):
        raise EdgeqError(f"{where}: shares {given} of rows that go on must lie in [0, 1]")
    if stage != "lowered":
        return
    name = node.params.get(THRESHOLDS)
    values = None if name is None else graph.constants[name]
    low, high = attrs.rule.least, attrs.rule.most
    if values is None or values.shape != (stages - 1,) or values.dtype != np.int32:
        raise EdgeqError(f"{where} lacks {stages - 1} thresholds, int32")
    if values.min() < low or values.max() > high:
        raise EdgeqError(f"{where}: thresholds {values.tolist()} leave [{low}, {high}]")


def _check_heads(attrs: Cascade, where: str, stage: str) -> None:
    """What the signal reads beside the outputs: as many heads in every expert but the last."""
    wanted = attrs.rule.heads
    if wanted and not 2 <= attrs.heads <= MOST_HEADS:
        raise EdgeqError(f"{where}: {attrs.heads} heads; {attrs.signal} takes 2 to {MOST_HEADS}")
    sizes = set()
    for at, expert in enumerate(attrs.experts):
        kind = _made(expert.graph, expert.heads)
        if not bool(expert.heads) == (kind is not None) == (wanted and at < len(attrs.experts) - 1):
            raise EdgeqError(f"{where}: expert {expert.name!r} has heads {expert.heads!r}")
        if kind is None:
            continue
        sizes.add(kind.size)
        end = expert.graph.tensors[expert.graph.outputs[0]]
        if kind.size % attrs.heads or kind.size // attrs.heads < 2 or kind.shape != (kind.size,):
            raise EdgeqError(f"{where}: {attrs.heads} heads cannot share shape {kind.shape}")
        if stage != "float" and (kind.dtype, kind.quant) != (end.dtype, end.quant):
            raise EdgeqError(f"{where}: the heads of {expert.name!r} have not its output's scale")
    if len(sizes) > 1:
        raise EdgeqError(f"{where}: the heads of its experts differ in size: {sorted(sizes)}")


def _made(graph: Graph, name: str) -> TensorType | None:
    """The type of a tensor that is some node's own bytes and not the answer; None for others."""
    node = graph.producer(name)
    if node is None or OPS[node.op].code is Absent.ALIAS or name in graph.outputs:
        return None
    if any(OPS[reader.op].code is Absent.PARTS for reader in graph.consumers(name)):
        return None
    return graph.tensors.get(name)


def _check_experts(graph: Graph, node: Node, where: str) -> None:
    if any(n.op in ROUTED for e in node.attrs.experts for n in e.graph.nodes):
        raise UnsupportedOp(f"{where}: a mixture or cascade inside an expert is not supported")
    wanted = graph.tensors[node.inputs[0]].shape
    for at, e in enumerate(node.attrs.experts):
        if e.graph.tensors[e.graph.inputs[0]].shape != wanted:
            raise EdgeqError(f"{where}: the input of expert {e.name!r} does not match {wanted}")
        chained = bool(node.attrs.experts[0].carry) and at < len(node.attrs.experts) - 1
        carried = _made(e.graph, e.carry)
        if bool(e.carry) != chained or (chained and carried is None):
            raise EdgeqError(f"{where}: expert {e.name!r} carries {e.carry!r} to the next")
        wanted = carried.shape if carried else wanted


def _check_scale(graph: Graph, node: Node, where: str) -> None:
    """The output's scale is one that the op's kernel can give."""
    site = Site(graph, node)
    given, made = site.input_quant(), site.output_quant
    scale = OPS[node.op].scale(node.attrs, site.io)
    source, result = site.io.inputs[0], site.io.output
    if scale is Scale.SHARED and (given, source.dtype) != (made, result.dtype):
        raise EdgeqError(f"{where}: input and output must share one scale: {source}, {result}")
    if scale is Scale.JOINED and any(t.quant != made for t in site.io.inputs):
        raise EdgeqError(f"{where}: inputs and output must share one scale")
    if isinstance(scale, Quant) and made != scale:
        steps = round(1 / scale.per_tensor)
        raise EdgeqError(f"{where}: the output scale is always 1/{steps}: {scale}, not {made}")
    if node.op in ROUTED:
        ends = {e.graph.tensors[e.graph.outputs[0]].quant for e in node.attrs.experts}
        starts = [e.graph.tensors[e.graph.inputs[0]].quant for e in node.attrs.experts]
        carried = [e.graph.tensors[e.carry].quant for e in node.attrs.experts if e.carry]
        wanted = [given, *carried] if carried else [given] * len(starts)
        if len(ends) > 1 or starts != wanted:
            raise EdgeqError(f"{where}: experts must share the scales of input and output")


def _check_range(weight_format: str, limits: tuple[int, int], codes: Array, where: str) -> None:
    low, high = limits
    if codes.size and (codes.min() < low or codes.max() > high):
        raise EdgeqError(f"{where}: weights leave [{low}, {high}] of format {weight_format}")


def _check_reach(accumulator: Accumulator, where: str) -> None:
    """The largest sum, shifted left as requantisation will, stays in int32."""
    left = np.maximum(accumulator.shift.astype(np.int64), 0)
    worst = int((accumulator.reach << left).max(initial=0))
    if worst > INT32_MAX:
        raise UnsupportedOp(
            f"{where}: an accumulator can reach {worst:,}, int32 holds {INT32_MAX:,}; "
            "the layer is too wide for its scales. Split it or normalise its input."
        )
