"""The Monte Carlo router as ONNX nodes: logits, uncertainty, scores and chosen experts.

Layers and Softmax are float between QDQ pairs. From the Q15 probabilities on everything is int64
with the graph's own constants, so that uncertainty, score and tie are the contract's exact ones.
"""

from dataclasses import dataclass

import numpy as np
from onnx import TensorProto

from edgeq.emit.onnx_builder import OnnxBuilder
from edgeq.ir import Graph, Node
from edgeq.ops.op import Array, quant_of
from edgeq.ops.router import SCORE_BITS, Router


@dataclass(frozen=True)
class Routes:
    """Names of ONNX tensors. logits: float (1, E); chosen: int64 (1, top_k), the route first;
    uncertainty: float (1,).
    """

    logits: str
    chosen: str
    uncertainty: str


class _Layers:
    """The router's linear layers; each weight is dequantised once and serves every pass.

    Real scales come from the integer multipliers: they are what the contract applies.
    """

    def __init__(self, b: OnnxBuilder, graph: Graph, node: Node) -> None:
        self.b, self.node = b, node
        self.router: Router = node.attrs.router
        self.params = graph.params(node)
        scale_in = quant_of(graph.tensors[node.inputs[1]]).per_tensor
        scales = [scale_in, *(q.per_tensor for q in self.router.quants)]
        self.weights = [self._weight(i, scales[i]) for i in range(self.router.layers)]

    def _step(self, i: int, suffix: str) -> Array:
        """Real value of one accumulator step of layer i: float64 (out,)."""
        multiplier = self.params[f"router.{i}.multiplier{suffix}"].astype(np.float64)
        shift = self.params[f"router.{i}.shift{suffix}"].astype(np.float64)
        return np.asarray(multiplier * 2.0 ** (shift - 31) * self.router.quants[i].per_tensor)

    def _weight(self, i: int, scale_in: float) -> str:
        role = f"router.{i}.weight"
        scale = list(self._step(i, "") / scale_in)
        return self.b.integers(
            f"{self.node.name}.{role}", self.params[role], TensorProto.INT8, scale
        )

    def layer(self, i: int, x: str, dropped: bool) -> tuple[str, str]:
        """(int8, float) output of layer i. A dropped pass has a bias of its own, in units that
        hold the factor 1 / (1 - p).
        """
        suffix = ".dropped" if dropped else ""
        name = f"{self.node.name}.router.{i}{suffix}"
        codes, step = self.params[f"router.{i}.bias{suffix}"], list(self._step(i, suffix))
        bias = self.b.integers(f"{name}.bias", codes, TensorProto.INT32, step)
        y = self.b.node("Gemm", [x, self.weights[i], bias], f"{name}.gemm", transB=1)
        y = self.b.activation("relu" if i < self.router.layers - 1 else "none", y, name)
        return self.b.requantize(y, name, self.router.quants[i])

    def mask(self, i: int, x: str) -> str:
        """x times the masks before layer i: the passes become the batch."""
        name = f"{self.node.name}.router.{i}.mask"
        mask = self.params[f"router.{i}.mask"] / (1.0 - self.router.dropout)
        return self.b.node("Mul", [x, self.b.constant(name, mask, np.float32)], f"{name}.mul")

    def tail(self, first: tuple[str, str], dropped: bool) -> tuple[str, str]:
        """Layers 1.. on the first layer's output: (int8, float) logits."""
        result = first
        for i in range(1, self.router.layers):
            x = self.mask(i, result[1]) if dropped else result[1]
            result = self.layer(i, x, dropped)
        return result


def emit_router(b: OnnxBuilder, graph: Graph, node: Node) -> Routes:
    """Appends the router of a Mixture node, for a batch of one."""
    router_input = graph.tensors[node.inputs[1]]
    x = b.values[node.inputs[1]]
    name = f"{node.name}.router"
    if len(router_input.shape) > 1:
        x = b.reshape(x, router_input.shape, (router_input.size,), f"{name}.flat")
    layers = _Layers(b, graph, node)
    first = layers.layer(0, x, dropped=False)
    steps, logits = layers.tail(first, dropped=False)
    numerator, uncertainty = None, b.constant(f"{name}.no_uncertainty", [0.0], np.float32)
    if layers.router.kind == "bayesian":
        _, dropped = layers.tail(first, dropped=True)
        numerator = numerator_of(b, name, dropped, layers.router.passes)
        uncertainty = _uncertainty(b, name, numerator, layers.router.passes)
    score = _scores(b, graph, node, steps, numerator)
    return Routes(logits, b.best(score, node.attrs.top_k, name), uncertainty)


def numerator_of(b: OnnxBuilder, name: str, logits: str, passes: int) -> str:
    """U = sum_e (M sum_m p^2 - (sum_m p)^2) of Q15 probabilities, exact int64 of shape (1, 1)."""
    p = b.node("Softmax", [logits], f"{name}.probabilities", axis=-1)
    one = b.constant(f"{name}.q15", 2.0**15, np.float32)
    p = b.node("Mul", [p, one], f"{name}.probabilities.scaled")
    p = b.node("Round", [p], f"{name}.probabilities.rounded")
    p = b.node("Cast", [p], f"{name}.probabilities.q15", to=TensorProto.INT64)
    over_passes = b.constant(f"{name}.over_passes", [0], np.int64)
    total = b.node("ReduceSum", [p, over_passes], f"{name}.sum")
    squares = b.node("Mul", [p, p], f"{name}.squares")
    squares = b.node("ReduceSum", [squares, over_passes], f"{name}.sum_of_squares")
    count = b.constant(f"{name}.passes", passes, np.int64)
    spread = b.node(
        "Sub",
        [
            b.node("Mul", [squares, count], f"{name}.sum_of_squares.scaled"),
            b.node("Mul", [total, total], f"{name}.sum_squared"),
        ],
        f"{name}.spread",
    )
    over_experts = b.constant(f"{name}.over_experts", [1], np.int64)
    return b.node("ReduceSum", [spread, over_experts], f"{name}.numerator")


def _uncertainty(b: OnnxBuilder, name: str, numerator: str, passes: int) -> str:
    """u = U / (M (M - 1) 2^30): the unbiased variance over passes, summed over experts."""
    u = b.node("Cast", [numerator], f"{name}.numerator.float", to=TensorProto.FLOAT)
    unit = b.constant(f"{name}.unit", 1.0 / (passes * (passes - 1) * 2.0**30), np.float32)
    u = b.node("Mul", [u, unit], f"{name}.variance")
    shape = b.constant(f"{name}.variance.shape", [1], np.int64)
    return b.node("Reshape", [u, shape], f"{name}.uncertainty")


def _scores(b: OnnxBuilder, graph: Graph, node: Node, steps: str, numerator: str | None) -> str:
    """int64 scores (1, E): router.scores with the same constants."""
    name, rule = f"{node.name}.router", node.attrs.router.rule
    q = b.node("Cast", [steps], f"{name}.steps", to=TensorProto.INT64)
    unit = b.constant(f"{name}.score_unit", 1 << SCORE_BITS, np.int64)
    score = b.node("Mul", [q, unit], f"{name}.score")
    if numerator is None or rule == "off":
        return score
    if rule == "precision_prior":
        return _precision_prior(b, graph, node, score, numerator)
    return _escalation(b, graph, node, score, numerator)


def _precision_prior(b: OnnxBuilder, graph: Graph, node: Node, score: str, numerator: str) -> str:
    """score + clamp(U - u_min, 0, u_max - u_min) * prior: the logit plus alpha * u_n * beta."""
    name = f"{node.name}.router"
    u_min, u_max = (int(graph.param(node, f"router.{r}")[0]) for r in ("u_min", "u_max"))
    low = b.constant(f"{name}.u_min", u_min, np.int64)
    zero = b.constant(f"{name}.zero", 0, np.int64)
    span = b.constant(f"{name}.u_span", u_max - u_min, np.int64)
    above = b.node("Sub", [numerator, low], f"{name}.above")
    clamped = b.node("Clip", [above, zero, span], f"{name}.clamped")
    prior = b.constant(f"{name}.prior", graph.param(node, "router.prior")[None], np.int64)
    bonus = b.node("Mul", [clamped, prior], f"{name}.bonus")
    return b.node("Add", [score, bonus], f"{name}.adjusted")


def _escalation(b: OnnxBuilder, graph: Graph, node: Node, score: str, numerator: str) -> str:
    """U > threshold puts the most precise expert ahead of all."""
    name = f"{node.name}.router"
    threshold = int(graph.param(node, "router.threshold")[0])
    precise = np.arange(len(node.attrs.experts)) == int(graph.param(node, "router.precise")[0])
    limit = b.constant(f"{name}.threshold", threshold, np.int64)
    escalated = b.node("Greater", [numerator, limit], f"{name}.escalated")
    selected = b.constant(f"{name}.precise", precise[None], np.bool_)
    first = b.node("And", [escalated, selected], f"{name}.ahead")
    top = b.constant(f"{name}.top_score", 1 << (SCORE_BITS + 9), np.int64)
    return b.node("Where", [first, top, score], f"{name}.adjusted")
