"""Mixture: a router, a choice, and a table of experts that differ in precision.

Inputs: (expert input, router input); they may be one tensor. Outputs: (y, route, uncertainty).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn, TypeVar

import numpy as np

from edgeq.ir import Graph
from edgeq.ops import router_constants
from edgeq.ops.fixed_point import requantize, softmax_q15
from edgeq.ops.hold import counts
from edgeq.ops.op import (
    INT8,
    NO_FUSION,
    NO_WIDENING,
    Array,
    Call,
    Io,
    Memory,
    Op,
    Params,
    Role,
    Shapes,
    no_limit,
    own_scale,
    quant_of,
    whole_window,
)
from edgeq.ops.router import Router, Routing, route_rows

T = TypeVar("T")


@dataclass(frozen=True)
class Expert:
    """`bits` orders experts by precision: ternary 1.58, ptq 8, else the width. `heads`: the tensor
    of its graph that a cascade's signal reads beside the output; `carry`: the one that the next
    expert of a cascade takes for its input; "" for none.
    """

    name: str
    weight_format: str
    bits: float
    graph: Graph
    heads: str = ""
    carry: str = ""

    def handed_on(self, given: T, values: Mapping[str, T]) -> T:
        """What the next expert takes: an exit's carried features, or what this one was given."""
        return values[self.carry] if self.carry else given

    @property
    def kept(self) -> tuple[str, ...]:
        """Tensors that are read behind the expert's last node."""
        return tuple(filter(None, (self.heads, self.carry)))


@dataclass(frozen=True)
class Mixture:
    """`gate` "none": the routed expert's output as it is; "probability": weighted by the router's
    probability, not renormalised, as published. `top_k` > 1 sums the gated outputs.
    """

    experts: tuple[Expert, ...]
    router: Router
    top_k: int = 1
    gate: str = "none"

    @property
    def hold(self) -> int:
        """Rows that escalate behind one that does; only the rule "escalation" knows such."""
        return self.router.hold if self.router.rule == "escalation" else 0

    @property
    def most_precise(self) -> int:
        """Index of the expert with most bits; the lower index on a tie."""
        bits = [e.bits for e in self.experts]
        return bits.index(max(bits))


@dataclass(frozen=True)
class MixtureResult:
    """output (rows, ...) int8; chosen (rows, top_k) expert indices, the route first."""

    output: Array
    chosen: Array
    routing: Routing


RunGraph = Callable[[Graph, Array], Array]


def result_shape(attrs: Mixture) -> tuple[int, ...]:
    """Shape of y; ValueError when the experts disagree."""
    return experts_shape(attrs.experts)


def experts_shape(experts: tuple[Expert, ...]) -> tuple[int, ...]:
    """Shape of what each expert gives; ValueError when they disagree."""
    shapes = {e.graph.tensors[e.graph.outputs[0]].shape for e in experts}
    if len(shapes) != 1:
        raise ValueError(f"experts give outputs of different shapes: {sorted(shapes)}")
    return shapes.pop()


def precision_prior(bits: tuple[float, ...]) -> tuple[float, ...]:
    """beta_e = (bits_e - min) / (max - min); all zero when every expert has the same bits."""
    low, high = min(bits), max(bits)
    return tuple((b - low) / (high - low) if high > low else 0.0 for b in bits)


def choose(score: Array, top_k: int) -> Array:
    """Indices (rows, top_k) of the best scores in order, ties to the lower index."""
    return np.argsort(-score, axis=1, kind="stable")[:, :top_k]


def reference(
    attrs: Mixture,
    io: Io,
    x: tuple[Array, ...],
    params: Params,
    run: RunGraph,
    left: int = 0,
) -> MixtureResult:
    """Integer semantics; `run` evaluates one expert's graph on int8 rows. `left`: how many of the
    rows the rows before still escalate.
    """
    router_zero = quant_of(io.inputs[1]).zero_point
    routing = route_rows(attrs.router, x[1].reshape(len(x[1]), -1), router_zero, params, left)
    chosen = choose(routing.scores, attrs.top_k)
    if attrs.gate == "none":
        return MixtureResult(_routed(attrs, x[0], chosen[:, 0], run), chosen, routing)
    return MixtureResult(_gated(attrs, io, x[0], chosen, routing, params, run), chosen, routing)


def _routed(attrs: Mixture, x: Array, route: Array, run: RunGraph) -> Array:
    y = np.zeros((len(x), *result_shape(attrs)), dtype=np.int8)
    for e, expert in enumerate(attrs.experts):
        rows = route == e
        if rows.any():
            y[rows] = run(expert.graph, x[rows])
    return y


def _gated(
    attrs: Mixture, io: Io, x: Array, chosen: Array, routing: Routing, params: Params, run: RunGraph
) -> Array:
    """params: gate.exp_table, and gate.multiplier, gate.shift from expert scale / 2^15."""
    gates = softmax_q15(routing.logits, params["router.exp_table"].astype(np.uint16))
    shape = result_shape(attrs)
    acc = np.zeros((len(x), *shape), dtype=np.int64)
    for e, expert in enumerate(attrs.experts):
        rows = (chosen == e).any(axis=1)
        if rows.any():
            out = quant_of(expert.graph.tensors[expert.graph.outputs[0]])
            centred = run(expert.graph, x[rows]).astype(np.int64) - out.zero_point
            acc[rows] += gates[rows, e].reshape(-1, *[1] * len(shape)) * centred
    out_quant = quant_of(io.output)
    multiplier, shift = params["gate.multiplier"], params["gate.shift"]
    return requantize(acc, multiplier, shift, out_quant.zero_point, -128, 127)


def macs(attrs: Mixture, params: Mapping[str, Any]) -> int:
    """Multiply-accumulates of the router: first layer once, the rest passes + 1 times."""
    router = attrs.router
    first, *rest = (int(np.prod(params[f"router.{i}.weight"].shape)) for i in range(router.layers))
    repeats = 1 + (router.passes if router.kind == "bayesian" else 0)
    return first + repeats * sum(rest)


def _result_shape(attrs: Mixture, inputs: Shapes, params: Mapping[str, Any]) -> tuple[int, ...]:
    return result_shape(attrs)


def _roles(attrs: Mixture) -> tuple[Role, ...]:
    return router_constants.roles(attrs.router, attrs.gate)


def _by_graphs(*_: object) -> NoReturn:
    raise NotImplementedError("a mixture runs graphs: `reference` above, passes/float_forward.py")


OP = Op(
    name="Mixture",
    attrs=Mixture,
    arity=2,
    dtypes=INT8,
    result_shape=_result_shape,
    float_forward=_by_graphs,
    reference=_by_graphs,
    macs=lambda attrs, _io, params: macs(attrs, params),
    roles=_roles,
    scale=own_scale,
    finest=no_limit,
    fuses=NO_FUSION,
    weight_axis=None,
    widens=NO_WIDENING,
    lower=router_constants.lower,
    accumulators=router_constants.accumulators,
    reach=whole_window,
    memory=Memory(lambda _attrs, _io: counts(1), _by_graphs, lambda attrs: attrs.hold > 0),
    code=Call("Mixture", "edgeq_router_params", router_constants.router_fields),
)
