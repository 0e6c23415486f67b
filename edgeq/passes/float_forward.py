"""Runs a graph in float32 on calibration rows, weights dequantised: the ranges come from here."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from edgeq.ir import Graph, Node
from edgeq.ir.ports import split
from edgeq.ops import OPS
from edgeq.ops.cascade import Cascade
from edgeq.ops.mc_dropout import dropout_masks
from edgeq.ops.mixture import Mixture, choose, precision_prior
from edgeq.ops.op import Array
from edgeq.ops.router import Router
from edgeq.ops.site import dequantize

LOW, HIGH = 0.05, 0.95  # robust ends of the uncertainty's range


@dataclass
class FloatRun:
    """`values`: every tensor (rows, *shape). `experts[node][e]`: each expert's own run on all rows.

    `router_layers[node][i]`: outputs of router layer i, all passes stacked on the row axis.
    """

    values: dict[str, Array]
    experts: dict[str, list["FloatRun"]] = field(default_factory=dict)
    router_layers: dict[str, list[Array]] = field(default_factory=dict)


def float_params(graph: Graph, node: Node) -> dict[str, Array]:
    """All constants of a node by role, dequantised."""
    return {role: dequantize(graph, name) for role, name in node.params.items()}


def run_float(graph: Graph, x: Array, curious: bool = False) -> FloatRun:
    """The graph on float rows x (rows, *row shape) in the graph's layout (ir/ports.py).

    `curious` lets the mixture's rule move routes, its constants frozen on these very rows: what
    stands behind the mixture must see the outputs of the experts that will answer.
    """
    run = FloatRun(split(graph, x.astype(np.float32)))
    for node in graph.nodes:
        params = float_params(graph, node)
        if node.op == "Mixture":
            _mixture(node, params, run, curious)
        elif node.op == "Cascade":
            _cascade(node, run)
        else:
            inputs = tuple(run.values[n] for n in node.inputs)
            run.values[node.outputs[0]] = OPS[node.op].float_forward(node.attrs, inputs, params)
    return run


def _mixture(node: Node, params: Mapping[str, Array], run: FloatRun, curious: bool) -> None:
    attrs: Mixture = node.attrs
    x, features = (run.values[n] for n in node.inputs)
    layers = router_layers(attrs.router, features.reshape(len(features), -1), params)
    run.router_layers[node.name] = layers
    run.experts[node.name] = [run_float(e.graph, x) for e in attrs.experts]
    outputs = np.stack(
        [
            r.values[e.graph.outputs[0]]
            for r, e in zip(run.experts[node.name], attrs.experts, strict=True)
        ]
    )
    logits = layers[-1][: len(x)]
    scores = _curious_scores(attrs, layers[-1], len(x)) if curious else logits
    chosen = choose(scores, attrs.top_k)
    run.values[node.outputs[0]] = _combine(attrs, outputs, logits, chosen)
    run.values[node.outputs[1]] = chosen[:, :1]


def _cascade(node: Node, run: FloatRun) -> None:
    """A stage hands on the rows that its threshold says, or the share that it was told to."""
    attrs: Cascade = node.attrs
    x = run.values[node.inputs[0]]
    run.experts[node.name] = []
    for expert in attrs.experts:
        run.experts[node.name].append(run_float(expert.graph, x))
        x = expert.handed_on(x, run.experts[node.name][-1].values)
    found = list(zip(attrs.experts, run.experts[node.name], strict=True))
    outputs = [each.values[expert.graph.outputs[0]] for expert, each in found]
    read = [attrs.read(e, each.values) for e, each in found[:-1]]
    y, route, left = outputs[0].copy(), np.zeros(len(x), np.int64), np.arange(len(x))
    for stage, following in enumerate(outputs[1:]):
        values = attrs.rule.real(read[stage][left])
        if attrs.thresholds:
            limit = attrs.thresholds[stage]
            left = left[values > limit if attrs.rule.doubt else values < limit]
        else:
            order = np.argsort(-values if attrs.rule.doubt else values, kind="stable")
            left = np.sort(left[order[: int(attrs.escalate[stage] * len(left))]])
        y[left], route[left] = following[left], stage + 1
    run.values[node.outputs[0]], run.values[node.outputs[1]] = y, route[:, None]


def _curious_scores(attrs: Mixture, passes: Array, rows: int) -> Array:
    """Scores (rows, E) under the rule; `passes` holds the plain logits, then M dropped passes."""
    router, bits = attrs.router, tuple(e.bits for e in attrs.experts)
    logits = passes[:rows].astype(np.float64)
    if router.kind == "plain" or router.rule == "off" or min(bits) == max(bits):
        return logits
    dropped = passes[rows:].reshape(router.passes, rows, -1).astype(np.float64)
    e = np.exp(dropped - dropped.max(axis=-1, keepdims=True))
    u = (e / e.sum(axis=-1, keepdims=True)).var(axis=0, ddof=1).sum(axis=-1)
    if router.rule == "escalation":
        logits[u > np.quantile(u, router.quantile), attrs.most_precise] = np.inf
        return logits
    low, high = np.quantile(u, LOW), np.quantile(u, HIGH)
    if high == low:
        return logits
    share = np.clip((u - low) / (high - low), 0, 1)
    return np.asarray(logits + router.alpha * share[:, None] * np.array(precision_prior(bits)))


def _combine(attrs: Mixture, outputs: Array, logits: Array, chosen: Array) -> Array:
    rows = np.arange(len(logits))
    if attrs.gate == "none":
        return np.asarray(outputs[chosen[:, 0], rows])
    e = np.exp(logits - logits.max(axis=1, keepdims=True))
    gates = e / e.sum(axis=1, keepdims=True)
    total: Array = np.zeros_like(outputs[0])
    for k in range(attrs.top_k):
        gate = gates[rows, chosen[:, k]].reshape(-1, *[1] * (outputs.ndim - 2))
        total += gate * outputs[chosen[:, k], rows]
    return total


def router_layers(router: Router, x: Array, params: Mapping[str, Array]) -> list[Array]:
    """Outputs of every layer: the pass without dropout first, then M dropped passes, stacked."""

    def layer(i: int, rows: Array) -> Array:
        y = rows @ params[f"router.{i}.weight"].T + params[f"router.{i}.bias"]
        return np.maximum(y, 0) if i < router.layers - 1 else y

    outputs = [layer(0, x)]
    passes = router.passes if router.kind == "bayesian" else 0
    current = [outputs[0]] * (passes + 1)
    for i in range(1, router.layers):
        width = outputs[-1].shape[1]
        if passes:
            masks = dropout_masks(router.seed, passes, width, i - 1, router.dropout)
            keep = masks / np.float32(1.0 - router.dropout)
            current = [current[0], *(c * keep[m] for m, c in enumerate(current[1:]))]
        current = [layer(i, c) for c in current]
        outputs.append(np.concatenate(current))
    return outputs
