"""Random but valid quantised graphs for the tests of emitters: networks, mixtures, cascades.

A router's frozen constants fit what really flows through it.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from edgeq.ir import Graph, Node, Quant, TensorType
from edgeq.ops import OPS
from edgeq.ops.cascade import Cascade
from edgeq.ops.fixed_point import exp_table, quantize_multipliers
from edgeq.ops.fully_connected import FullyConnected
from edgeq.ops.mc_dropout import dropout_masks
from edgeq.ops.mixture import Expert, Mixture, precision_prior
from edgeq.ops.op import Array, Io, quant_of
from edgeq.ops.router import SCORE_BITS, Router, logits_of, monte_carlo_numerator
from edgeq.ops.signals import SIGNALS
from edgeq.reference import run
from tests.graph_builder import GraphBuilder, Rng, fitting_quant, input_rows, kernel_of

BITS = {"t2": 1.58, "b1": 1.0, "s2": 2.0, "s3": 3.0, "s4": 4.0, "s8": 8.0, "s16": 16.0}


def _builder(rng: Rng, name: str, shape: tuple[int, ...]) -> GraphBuilder:
    samples = rng.integers(-128, 128, (48, *shape), dtype=np.int8)
    return GraphBuilder(rng, name, samples, Quant((0.02,), int(rng.integers(-10, 11))))


def fc_graph(
    rng: Rng,
    formats: Sequence[str] = ("s8", "t2", "s4"),
    features: int = 13,
    hidden: int = 17,
    classes: int = 5,
    softmax: bool = False,
) -> Graph:
    """FullyConnected - LayerNorm - ReLU chain, one FullyConnected layer for each format."""
    build = _builder(rng, "fc_chain", (features,))
    for i, fmt in enumerate(formats[:-1]):
        build.fully_connected(hidden, fmt, ("none", "relu", "relu6")[i % 3])
        if i % 2 == 0:
            build.layer_norm("relu" if i else "none")
            build.relu()
    build.fully_connected(classes, formats[-1])
    if softmax:
        build.softmax()
    return build.graph()


def conv_graph(
    rng: Rng,
    formats: Sequence[str] = ("s8", "s4", "t2"),
    shape: tuple[int, int, int] = (9, 7, 3),
    channels: int = 6,
    classes: int = 4,
) -> Graph:
    """Convolutions with padding and stride, a residual Add, both pools, Reshape, FullyConnected."""
    build = _builder(rng, "conv_net", shape)
    _conv_body(build, formats, channels)
    build.flatten()
    build.fully_connected(classes, "s8")
    return build.graph()


def _conv_body(build: GraphBuilder, formats: Sequence[str], channels: int) -> None:
    pad = (1, 1, 1, 1)
    first = build.conv(channels, (3, 3), formats[0], "relu", padding=pad)
    build.depthwise((3, 3), "s4" if "s4" in formats else "s8", "relu6", padding=pad)
    build.conv(channels, (1, 1), formats[1 % len(formats)], "none")
    build.add(first, build.last, "relu")
    build.conv(channels, (3, 2), formats[2 % len(formats)], "relu", (2, 1), (0, 1, 1, 0))
    build.max_pool((2, 2), (1, 2), (0, 1, 0, 0))
    build.average_pool((2, 2), (1, 1))
    build.average_pool(build.tensors[build.last].shape[:2], (1, 1))


def _router_layer(
    rng: Rng, i: int, x: Array, quant: Quant, units: int, router: Router
) -> tuple[dict[str, Array], Quant]:
    """Constants and output quant of layer i on int8 rows x (rows, features)."""
    weight = rng.integers(-127, 128, (units, x.shape[1])).astype(np.int8)
    step = quant.per_tensor / 127
    y = (x.astype(float) - quant.zero_point) @ weight.T * step
    bias = rng.normal(0, y.std() / 4, units) - y.mean(axis=0)
    out = fitting_quant(rng, y + bias, i < router.layers - 1)
    params: dict[str, Array] = {f"router.{i}.weight": weight}
    dropped = [(".dropped", step / (1 - router.dropout))] if router.kind == "bayesian" and i else []
    for suffix, unit in [("", step), *dropped]:
        multiplier, shift = quantize_multipliers(np.full(units, unit / out.per_tensor))
        params[f"router.{i}.bias{suffix}"] = np.round(bias / unit).astype(np.int32)
        params[f"router.{i}.multiplier{suffix}"] = multiplier
        params[f"router.{i}.shift{suffix}"] = shift
    if dropped:
        masks = dropout_masks(router.seed, router.passes, x.shape[1], i - 1, router.dropout)
        params[f"router.{i}.mask"] = masks
    return params, out


def _router_params(
    rng: Rng, router: Router, x: Array, quant: Quant, hidden: int, bits: tuple[float, ...]
) -> tuple[Router, dict[str, Array]]:
    """The router with its quants, and its constants frozen on rows x (rows, features)."""
    params: dict[str, Array] = {}
    rows, quants = x, [quant]
    for i in range(router.layers):
        units = len(bits) if i == router.layers - 1 else hidden
        layer, out = _router_layer(rng, i, rows, quants[-1], units, router)
        params.update(layer)
        io = Io(
            (TensorType(rows.shape[1:], "int8", quants[-1]),), TensorType((units,), "int8", out)
        )
        attrs = FullyConnected("s8", "none" if i == router.layers - 1 else "relu")
        roles = {r: params[f"router.{i}.{r}"] for r in ("weight", "bias", "multiplier", "shift")}
        rows = OPS["FullyConnected"].reference(attrs, io, (rows,), roles)
        quants.append(out)
    params["router.exp_table"] = exp_table(quants[-1].per_tensor)
    router = replace(router, quants=tuple(quants[1:]))
    _, first = logits_of(router, x, quant.zero_point, params)
    numerator = monte_carlo_numerator(router, first, params)
    params.update(_rule_params(router, numerator, quants[-1].per_tensor, bits))
    return router, params


def _rule_params(
    router: Router, numerator: Array, scale: float, bits: tuple[float, ...]
) -> dict[str, Array]:
    if router.rule == "precision_prior":
        low, high = int(numerator.min()), max(int(numerator.max()), int(numerator.min()) + 1)
        steps = router.alpha * 2**SCORE_BITS / (scale * (high - low))
        prior = [round(beta * steps) for beta in precision_prior(bits)]
        named = {"prior": prior, "u_min": [low], "u_max": [high]}
        return {f"router.{k}": np.array(v, np.int64) for k, v in named.items()}
    if router.rule == "escalation":
        return {
            "router.threshold": np.array([np.quantile(numerator, router.quantile)], np.int64),
            "router.precise": np.array([bits.index(max(bits))], np.int32),
        }
    return {}


def _experts(
    rng: Rng,
    samples: Array,
    quant: Quant,
    formats: Sequence[str],
    hidden: int,
    classes: int,
    heads: int = 0,
) -> tuple[Expert, ...]:
    """Experts of one output quant; the first one's spread sets it. All but the last have heads."""
    experts: list[Expert] = []
    shared: Quant | None = None
    for i, fmt in enumerate(formats):
        build = GraphBuilder(rng, f"expert_{i}", samples, quant, f"expert_{i}.")
        build.fully_connected(hidden + 3 * i, fmt, "relu")
        if i % 2 == 0:
            build.layer_norm("relu")
        features = build.last
        build.fully_connected(classes, fmt, "none", shared)
        answer, shared, read = build.last, build.quant(), ""
        if heads and i < len(formats) - 1:
            build.last = features
            read = build.fully_connected(heads * classes, "s8", "none", shared)
            build.last = answer
        experts.append(Expert(f"{fmt}_{i}", fmt, BITS[fmt], build.graph(), read))
    return tuple(experts)


def mixture_graph(
    rng: Rng,
    kind: str = "bayesian",
    rule: str = "precision_prior",
    top_k: int = 1,
    gate: str = "none",
    formats: Sequence[str] = ("t2", "s4", "s8"),
    *,
    features: int = 11,
    hidden: int = 14,
    classes: int = 5,
    passes: int = 6,
    router_hidden: int = 9,
    router_layers: int = 3,
    trunk: str = "none",
) -> Graph:
    """A mixture of two-layer experts behind `trunk`: "none", "fc" or "conv" (a pooled map)."""
    build = _builder(rng, "mixture", (8, 6, 2) if trunk == "conv" else (features,))
    if trunk == "fc":
        build.fully_connected(features, "s8", "relu")
    if trunk == "conv":
        _conv_body(build, ("s8", "s4"), 5)
        pooled = build.last
        build.flatten()
    x, quant = build.values[build.last], build.quant()
    router = Router(kind, router_layers, passes, 0.25, 7, rule, quantile=0.6)
    bits = tuple(BITS[f] for f in formats)
    router, params = _router_params(rng, router, x, quant, router_hidden, bits)
    experts = _experts(rng, x, quant, formats, hidden, classes)
    out = experts[0].graph.tensors[experts[0].graph.outputs[0]].quant
    assert out is not None
    if gate == "probability":
        gated = Quant((out.per_tensor * 0.8,), 2)
        multiplier, shift = quantize_multipliers([out.per_tensor / 2**15 / gated.per_tensor])
        params.update({"gate.multiplier": multiplier, "gate.shift": shift})
        out = gated
    elif kind == "plain":
        del params["router.exp_table"]
    source = pooled if trunk == "conv" else build.last
    return _with_mixture(build, Mixture(experts, router, top_k, gate), params, out, source)


def _with_mixture(
    build: GraphBuilder, attrs: Mixture, params: dict[str, Array], quant: Quant, source: str
) -> Graph:
    """Appends the mixture node; the router reads `source` (any shape), the experts the last."""
    name = "mixture"
    roles = {r: build.constant(f"{name}.{r}", v) for r, v in params.items()}
    outputs = (f"{name}.out", f"{name}.route", f"{name}.uncertainty")
    expert = attrs.experts[0].graph
    build.tensors[outputs[0]] = TensorType(expert.tensors[expert.outputs[0]].shape, "int8", quant)
    for extra in outputs[1:]:
        build.tensors[extra] = TensorType((1,), "int32")
    build.nodes.append(
        Node(
            name, "Mixture", (build.last, source), outputs, attrs, roles, kernel_of("Mixture", None)
        )
    )
    return build.graph(outputs)


def cascade_graph(
    rng: Rng,
    formats: Sequence[str] = ("t2", "s8"),
    *,
    thresholds: Sequence[int] | None = None,
    signal: str = "gap",
    features: int = 11,
    hidden: int = 14,
    classes: int = 5,
    trunk: str = "none",
) -> Graph:
    """A cascade of two-layer experts, each wider than the one before, behind `trunk`: "none", "fc"
    or "conv"; without `thresholds` about half of the samples that reach a stage go on from it.
    """
    build = _builder(rng, "cascade", (8, 6, 2) if trunk == "conv" else (features,))
    if trunk == "fc":
        build.fully_connected(features, "s8", "relu")
    if trunk == "conv":
        _conv_body(build, ("s8", "s4"), 5)
        build.flatten()
    x, quant = build.values[build.last], build.quant()
    rule = SIGNALS[signal]
    heads = 4 if rule.heads else 0
    experts = _experts(rng, x, quant, formats, hidden, classes, heads)
    last = experts[0].graph
    scale = quant_of(last.tensors[last.outputs[0]]).per_tensor
    constants = dict(rule.lower(scale, heads))
    name, attrs = "cascade", Cascade(experts, signal, (), (0.5,) * (len(experts) - 1), heads)
    if thresholds is None:
        read = [attrs.read(e, run(e.graph, x).values) for e in experts[:-1]]
        thresholds = [rule.sending(rule.of(y, constants), 0.5) for y in read]
    constants["thresholds"] = np.array(thresholds, np.int32)
    params = {role: build.constant(f"{name}.{role}", value) for role, value in constants.items()}
    outputs = (f"{name}.out", f"{name}.route", f"{name}.uncertainty")
    build.tensors[outputs[0]] = last.tensors[last.outputs[0]]
    for extra in outputs[1:]:
        build.tensors[extra] = TensorType((1,), "int32")
    build.nodes.append(Node(name, "Cascade", (build.last,), outputs, attrs, params, rule.kernel))
    return build.graph(outputs)


def smallest_cascade() -> Graph:
    """Three experts behind a shared layer: what golden texts show."""
    return cascade_graph(
        np.random.default_rng(3), ("t2", "s8", "s8"), features=5, hidden=4, classes=3, trunk="fc"
    )


def smallest_mixture() -> Graph:
    """The smallest mixture of three formats: what golden texts show."""
    return mixture_graph(
        np.random.default_rng(3),
        features=5,
        hidden=4,
        classes=3,
        passes=2,
        router_hidden=3,
        router_layers=2,
    )


def check(graph: Graph, rows: int = 4) -> None:
    """Runs the reference on random rows: a graph that is not valid raises."""
    run(graph, input_rows(np.random.default_rng(0), graph, rows))
