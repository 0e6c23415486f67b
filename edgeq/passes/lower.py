"""Real scales to integers: biases, multipliers and shifts, tables. Nothing float is left to run."""

from dataclasses import replace
from typing import Any

import numpy as np

from edgeq.ir import Graph, Node, Quant, TensorType
from edgeq.ops.add import LEFT_SHIFT
from edgeq.ops.fixed_point import exp_table, quantize_multipliers
from edgeq.ops.layer_norm import integer_params
from edgeq.ops.mc_dropout import dropout_masks
from edgeq.ops.mixture import Mixture
from edgeq.ops.op import Array, quant_of
from edgeq.passes.float_forward import dequantize

BIAS_LIMIT = 2**30
# an s16 row's sums stay below this, so that a 32-bit accumulator is enough (proven by `verify`)
S16_LIMIT = 2**31 - 2**24

ODD_FORMATS = ("b1", "s2")  # these cannot say 0

Values = dict[str, Array]
Types = dict[str, TensorType]


def lower(graph: Graph) -> Graph:
    """Adds each node's integer constants; a mixture's experts are lowered by `with_experts`."""
    for node in graph.nodes:
        if node.op in ("FullyConnected", "Conv2D", "DepthwiseConv2D"):
            graph = _with_roles(graph, node, *_layer(graph, node))
        elif node.op in SIMPLE:
            graph = _with_roles(graph, node, SIMPLE[node.op](graph, node), {})
        elif node.op == "Mixture":
            graph = _with_roles(graph, node, *_mixture(graph, node))
    return graph.pruned()


def _with_roles(graph: Graph, node: Node, values: Values, types: Types) -> Graph:
    """Constants by role become constants named "<node>.<role>"; quantised types are kept."""
    names = {role: f"{node.name}.{role}" for role in values}
    graph = graph.with_constants(
        {names[r]: v for r, v in values.items()}, {names[r]: t for r, t in types.items()}
    )
    lowered = replace(node, params={**node.params, **names})
    return graph.with_nodes(lowered if n.name == node.name else n for n in graph.nodes)


def _layer(graph: Graph, node: Node) -> tuple[Values, Types]:
    kind = graph.tensors[node.params["weight"]]
    return integer_layer(
        graph.param(node, "weight"),
        quant_of(kind),
        graph.param(node, "bias"),
        quant_of(graph.tensors[node.inputs[0]]).per_tensor,
        quant_of(graph.tensors[node.outputs[0]]).per_tensor,
        node.attrs.weight_format in ODD_FORMATS,
    )


def integer_layer(
    codes: Array, quant: Quant, bias: Array, scale_in: float, scale_out: float, odd: bool = False
) -> tuple[Values, Types]:
    """weight, bias, multiplier, shift of a layer; scales grow where a sum would leave 32 bits.

    `odd`: the format has odd codes only and keeps them. Its sums then count for more than they
    should, which beside such a bias is less than a step.
    """
    axis = quant.axis or 0
    scale = np.broadcast_to(np.asarray(quant.scale, np.float64), (codes.shape[axis],))
    per_tensor = len(quant.scale) == 1
    needed = np.abs(bias.astype(np.float64)) / (scale_in * BIAS_LIMIT)
    if (needed > scale).any():
        factor = np.maximum(needed / scale, 1.0)
        coarse, scale = _coarser(codes, scale, factor, axis)
        codes, per_tensor = codes if odd else coarse, False
    if codes.dtype == np.int16:
        codes, scale = _fit_s16(codes, scale, bias, scale_in, axis)
        per_tensor = False
    scale = scale.astype(np.float32).astype(np.float64)
    quant = Quant(tuple(float(s) for s in (scale[:1] if per_tensor else scale)), 0, axis)
    product = scale_in * scale
    if per_tensor:  # TensorFlow Lite multiplies a per-tensor pair in float32
        product = (np.float32(scale_in) * scale.astype(np.float32)).astype(np.float64)
    multiplier, shift = quantize_multipliers(product / scale_out)
    values = {
        "weight": codes,
        "bias": np.round(bias / (scale_in * scale)).astype(np.int32),
        "multiplier": multiplier,
        "shift": shift,
    }
    return values, {"weight": TensorType(codes.shape, str(codes.dtype), quant)}


def _coarser(codes: Array, scale: Any, factor: Any, axis: int) -> tuple[Array, Any]:
    """The same weights on a grid `factor` times as wide, a channel of `axis` each."""
    shape = [1] * codes.ndim
    shape[axis] = -1
    return np.round(codes / factor.reshape(shape)).astype(codes.dtype), scale * factor


def _fit_s16(
    codes: Array, scale: Any, bias: Array, scale_in: float, axis: int
) -> tuple[Array, Any]:
    """Rows whose sums could pass 32 bits get a coarser scale; at most a bit or two."""
    others = tuple(i for i in range(codes.ndim) if i != axis)
    flat = np.abs(codes.astype(np.int64)).sum(axis=others)
    reach = flat * 255 + np.abs(bias) / (scale_in * scale)
    return _coarser(codes, scale, np.maximum(reach / S16_LIMIT, 1.0), axis)


def _layer_norm(graph: Graph, node: Node) -> Values:
    return integer_params(
        dequantize(graph, node.params["gamma"]).astype(np.float64),
        dequantize(graph, node.params["beta"]).astype(np.float64),
        node.attrs.epsilon,
        quant_of(graph.tensors[node.inputs[0]]).per_tensor,
        quant_of(graph.tensors[node.outputs[0]]).per_tensor,
    )


def _add(graph: Graph, node: Node) -> Values:
    """TensorFlow Lite's Add: both inputs to twice the larger scale, 20 bits of headroom."""
    a, b = (quant_of(graph.tensors[n]).per_tensor for n in node.inputs)
    out = quant_of(graph.tensors[node.outputs[0]]).per_tensor
    twice = 2 * max(a, b)
    multiplier, shift = quantize_multipliers([a / twice, b / twice, twice / (2**LEFT_SHIFT * out)])
    return {"multiplier": multiplier, "shift": shift}


def _average_pool(graph: Graph, node: Node) -> Values:
    scale_in = quant_of(graph.tensors[node.inputs[0]]).per_tensor
    scale_out = quant_of(graph.tensors[node.outputs[0]]).per_tensor
    cells = node.attrs.kernel[0] * node.attrs.kernel[1]
    # a reciprocal that a file's float32 scale can hold
    multiplier, shift = quantize_multipliers([scale_in * float(np.float32(1 / cells)) / scale_out])
    return {"multiplier": multiplier, "shift": shift}


def _softmax(graph: Graph, node: Node) -> Values:
    return {"exp_table": exp_table(quant_of(graph.tensors[node.inputs[0]]).per_tensor)}


SIMPLE = {
    "LayerNorm": _layer_norm,
    "Add": _add,
    "AveragePool2D": _average_pool,
    "Softmax": _softmax,
}


def _mixture(graph: Graph, node: Node) -> tuple[Values, Types]:
    attrs: Mixture = node.attrs
    router, values, types = attrs.router, {}, {}
    scale_in = quant_of(graph.tensors[node.inputs[1]]).per_tensor
    for i in range(router.layers):
        layer, kinds = _router_layer(graph, node, i, scale_in)
        values.update(layer)
        types.update(kinds)
        scale_in = router.quants[i].per_tensor
    if router.kind == "bayesian" or attrs.gate == "probability":
        values["router.exp_table"] = exp_table(router.quants[-1].per_tensor)
    if attrs.gate == "probability":
        expert = attrs.experts[0].graph
        shared = quant_of(expert.tensors[expert.outputs[0]]).per_tensor
        out = quant_of(graph.tensors[node.outputs[0]]).per_tensor
        multiplier, shift = quantize_multipliers([shared / (out * 2**15)])
        values |= {"gate.multiplier": multiplier, "gate.shift": shift}
    return values, types


def _router_layer(graph: Graph, node: Node, i: int, scale_in: float) -> tuple[Values, Types]:
    """Constants of layer i; the dropped twin has the dropout factor 1 / (1 - p) in its input."""
    router = node.attrs.router
    role = f"router.{i}."
    codes = graph.param(node, role + "weight")
    quant = quant_of(graph.tensors[node.params[role + "weight"]])
    bias = graph.param(node, role + "bias")
    out = router.quants[i].per_tensor
    plain, kinds = integer_layer(codes, quant, bias, scale_in, out)
    values = {role + k: v for k, v in plain.items()}
    if router.kind == "bayesian" and i > 0:
        kept_scale = float(np.float32(scale_in / (1.0 - router.dropout)))
        dropped, _ = integer_layer(codes, quant_of(kinds["weight"]), bias, kept_scale, out)
        for key in ("bias", "multiplier", "shift"):
            values[f"{role}{key}.dropped"] = dropped[key]
        values[role + "mask"] = dropout_masks(
            router.seed, router.passes, codes.shape[1], i - 1, router.dropout
        )
    return values, {role + k: t for k, t in kinds.items()}
