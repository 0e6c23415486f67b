"""edgeq.nn layers -> a float Graph: a handler per class, channels last, codes as trained."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch

from edgeq.errors import UnsupportedOp
from edgeq.ir import Graph, TensorType
from edgeq.ir import Node as GraphNode
from edgeq.nn import activations, layers, mixture, norms, pooling, structure
from edgeq.nn.foreign import advice
from edgeq.nn.graph_body import GraphBody
from edgeq.nn.graph_constants import Loading, bias, ordered, weight
from edgeq.nn.graph_plan import device_shape
from edgeq.nn.router import BayesianRouter
from edgeq.nn.weight_kinds import weight_kind
from edgeq.ops import OPS
from edgeq.ops.add import Add
from edgeq.ops.average_pool_2d import AveragePool2D
from edgeq.ops.batch_norm import BatchNorm
from edgeq.ops.conv_2d import Conv2D
from edgeq.ops.delay import Delay
from edgeq.ops.depthwise_conv_2d import DepthwiseConv2D
from edgeq.ops.fully_connected import FullyConnected
from edgeq.ops.graph_builder import Cursor, channels_last_order
from edgeq.ops.layer_norm import LayerNorm
from edgeq.ops.max_pool_2d import MaxPool2D
from edgeq.ops.mixture import Expert, Mixture
from edgeq.ops.op import Array
from edgeq.ops.relu import Relu
from edgeq.ops.reshape import Reshape
from edgeq.ops.router import MAX_PASSES, Router
from edgeq.ops.softmax import Softmax


def graph_of_body(
    body: torch.nn.Module,
    input_shape: tuple[int, ...],
    name: str = "model",
    *,
    shapes_only: bool = False,
) -> Graph:
    """The graph of a model's body, which is in evaluation mode; see frontend.torch_loader.

    With `shapes_only` every constant is zero: quick, and good enough to find what has no op.
    Raises UnsupportedOp listing every module without an op, by its path.
    """
    if isinstance(body, GraphBody):
        return body.graph(name, shapes_only=shapes_only)
    builder = Loading(shapes_only=shapes_only)
    entry = builder.input("input", device_shape(input_shape))
    with torch.no_grad():
        last = _load(builder, body, "body", entry)
        _check_end(builder, last, "body")
    if builder.unsupported:
        tail = known_layers() if builder.strangers else ""
        raise UnsupportedOp(f"unsupported: {'; '.join(builder.unsupported)}{tail}")
    outputs = (last.name, *_mixture_outputs(builder))
    return builder.graph(name, entry.name, outputs)


def known_layers() -> str:
    """The tail of a refusal of unknown modules."""
    known = ", ".join(sorted({cls.__name__ for cls in HANDLERS}))
    return f". The layers of edgeq.nn are {known}"


def _mixture_outputs(builder: Loading) -> tuple[str, ...]:
    node = next((n for n in builder.nodes if n.op == "Mixture"), None)
    return node.outputs[1:] if node else ()


def _load(b: Loading, module: torch.nn.Module, path: str, x: Cursor) -> Cursor:
    handler = HANDLERS.get(type(module))
    if handler is None:
        why = advice(module)
        b.strangers.append(path)
        b.unsupported.append(f"{path} ({type(module).__name__}{f': {why}' if why else ''})")
        return x
    try:
        return handler(b, module, path, x)
    except UnsupportedOp as error:
        b.unsupported.append(f"{path} ({type(module).__name__}: {error})")
    except ValueError as error:  # behind an unsupported module shapes are not to be trusted
        if not b.unsupported:
            b.unsupported.append(f"{path} ({type(module).__name__}: {error})")
    return x


def _check_end(b: Loading, x: Cursor, path: str) -> None:
    """What a graph ends in, the model's or an expert's, must have a layout and be computed."""
    if b.unsupported:
        return
    if x.order is not None:
        b.unsupported.append(
            f"{path} (ends in a flattened map, whose features the device holds channels-last; "
            "end in a Linear layer)"
        )
    if all(node.op == "Reshape" for node in b.nodes):
        b.unsupported.append(f"{path} (computes nothing: it hands on its input)")


def _sequential(b: Loading, m: structure.Sequential, path: str, x: Cursor) -> Cursor:
    for i, child in enumerate(m):
        x = _load(b, child, f"{path}.{i}", x)
    return x


def _residual(b: Loading, m: structure.Residual, path: str, x: Cursor) -> Cursor:
    kept = x if m.shortcut is None else _load(b, m.shortcut, f"{path}.shortcut", x)
    out = _load(b, m.body, f"{path}.body", x)
    if not _same_order(kept.order, out.order):
        raise ValueError("its branches order their features differently; flatten inside both")
    if kept.shape != out.shape:
        raise ValueError(f"its branches give {kept.shape} and {out.shape}; both need one shape")
    return b.add("Add", path, Add(), (kept, out), order=kept.order)


def _same_order(a: Array | None, b: Array | None) -> bool:
    return (a is None) == (b is None) and (a is None or b is None or np.array_equal(a, b))


def _linear(b: Loading, m: layers.Linear, path: str, x: Cursor) -> Cursor:
    if len(x.shape) != 1:
        raise ValueError(f"takes flat features, got a map {_shown(x)}; put Flatten before it")
    _same_size("features", m.in_features, x.shape[0])
    params = {"weight": weight(b, m, path, ordered(x.order)), "bias": bias(b, m, path)}
    return b.add("FullyConnected", path, FullyConnected(m.weight_format), (x,), params)


def _convolution(
    b: Loading,
    m: layers.Conv1d | layers.Conv2d,
    path: str,
    x: Cursor,
    stride: tuple[int, int],
    padding: tuple[int, int],
) -> Cursor:
    if len(x.shape) != 3:
        raise ValueError(f"takes a feature map, got {x.shape[0]} flat features")
    if m.depthwise and m.out_channels != m.in_channels:
        raise UnsupportedOp("depthwise multipliers above 1 have no kernel; use groups=1 or repeat")
    _same_size("channels", m.in_channels, x.shape[2])

    def to_map(w: Array) -> Array:
        return w if w.ndim == 4 else w[:, :, None, :]

    place: Callable[[Array], Array] = (
        (lambda w: to_map(w)[:, 0].transpose(1, 2, 0))
        if m.depthwise
        else (lambda w: to_map(w).transpose(0, 2, 3, 1))
    )
    params = {"weight": weight(b, m, path, place), "bias": bias(b, m, path)}
    op, attrs = ("DepthwiseConv2D", DepthwiseConv2D) if m.depthwise else ("Conv2D", Conv2D)
    both = (*padding, *padding)
    return b.add(op, path, attrs(stride, both, m.weight_format), (x,), params)


def _conv2d(b: Loading, m: layers.Conv2d, path: str, x: Cursor) -> Cursor:
    return _convolution(b, m, path, x, _pair(m.stride), _pair(m.padding))


def _conv1d(b: Loading, m: layers.Conv1d, path: str, x: Cursor) -> Cursor:
    return _convolution(b, m, path, x, (1, m.stride[0]), (0, m.padding[0]))


def _same_size(what: str, wanted: int, given: int) -> None:
    if wanted != given:
        raise ValueError(f"takes {wanted} {what}, what is before it gives {given}")


def _shown(x: Cursor) -> str:
    """A map's shape as PyTorch has it."""
    height, width, channels = x.shape
    return f"({channels}, {height}, {width})"


def _pair(value: tuple[int, ...]) -> tuple[int, int]:
    return value[0], value[1]


def _layer_norm(b: Loading, m: norms.LayerNorm, path: str, x: Cursor) -> Cursor:
    _same_size("features", m.features, x.shape[-1])
    params = {
        "gamma": b.constant(f"{path}.gamma", _channels(b.values(m.weight), x)),
        "beta": b.constant(f"{path}.beta", _channels(b.values(m.bias), x)),
    }
    return b.add("LayerNorm", path, LayerNorm(m.eps), (x,), params, order=x.order)


def _batch_norm(
    b: Loading, m: norms.BatchNorm1d | norms.BatchNorm2d, path: str, x: Cursor
) -> Cursor:
    _same_size("features", m.features, x.shape[-1])
    mean, variance = m.get_buffer("running_mean"), m.get_buffer("running_var")
    gain = b.values(m.weight / torch.sqrt(variance + m.eps))
    offset = b.values(m.bias) - b.values(mean) * gain
    params = {
        "gain": b.constant(f"{path}.gain", _channels(gain, x)),
        "offset": b.constant(f"{path}.offset", _channels(offset, x)),
    }
    return b.add("BatchNorm", path, BatchNorm(), (x,), params, order=x.order)


def _channels(value: Array, x: Cursor) -> Array:
    return value if x.order is None else value[x.order]


def _relu(b: Loading, m: object, path: str, x: Cursor) -> Cursor:
    kind = "relu6" if isinstance(m, structure.ReLU6) else "relu"
    return b.add("Relu", path, Relu(kind), (x,), order=x.order)


def _activation(b: Loading, m: activations.Activation, path: str, x: Cursor) -> Cursor:
    attrs = OPS[m.op].attrs(**{name: getattr(m, name) for name in m.fields})
    return b.add(m.op, path, attrs, (x,), order=x.order)


def _max_pool(b: Loading, m: pooling.MaxPool2d, path: str, x: Cursor) -> Cursor:
    pad = _pair(m.padding)
    attrs = MaxPool2D(_pair(m.kernel_size), _pair(m.stride), (*pad, *pad))
    return b.add("MaxPool2D", path, attrs, (x,))


def _avg_pool(b: Loading, m: pooling.AvgPool2d, path: str, x: Cursor) -> Cursor:
    if any(m.padding):
        raise UnsupportedOp("average pools with padding have no kernel; use padding 0")
    attrs = AveragePool2D(_pair(m.kernel_size), _pair(m.stride))
    return b.add("AveragePool2D", path, attrs, (x,))


def _global_pool(b: Loading, m: object, path: str, x: Cursor) -> Cursor:
    if len(x.shape) == 1:
        return x
    size = (x.shape[0], x.shape[1])
    pooled = b.add("AveragePool2D", f"{path}.pool", AveragePool2D(size, size), (x,))
    return b.add("Reshape", path, Reshape((x.shape[2],)), (pooled,))


def _flatten(b: Loading, m: object, path: str, x: Cursor) -> Cursor:
    if len(x.shape) == 1:
        return x
    height, width, channels = x.shape
    order = channels_last_order(channels, height, width)
    return b.add("Reshape", path, Reshape((height * width * channels,)), (x,), order=order)


def _dropout(b: Loading, m: object, path: str, x: Cursor) -> Cursor:
    return x


def _delay(b: Loading, m: object, path: str, x: Cursor) -> Cursor:
    return b.add("Delay", path, Delay(), (x,), order=x.order)


def _softmax(b: Loading, m: object, path: str, x: Cursor) -> Cursor:
    return b.add("Softmax", path, Softmax(), (x,), order=x.order)


def _trunk_mixture(b: Loading, m: mixture.TrunkMixture, path: str, x: Cursor) -> Cursor:
    shared = _load(b, m.trunk, f"{path}.trunk", x)
    seen = x if m.router_sees == "input" else shared
    return _mix(b, m.mixture, f"{path}.mixture", shared, seen)


def _mixture(b: Loading, m: mixture.Mixture, path: str, x: Cursor) -> Cursor:
    return _mix(b, m, path, x, x)


def _mix(b: Loading, m: mixture.Mixture, path: str, x: Cursor, seen: Cursor) -> Cursor:
    if any(n.op == "Mixture" for n in b.nodes):
        raise UnsupportedOp("a second mixture; a model holds one")
    seen = _global_pool(b, None, f"{path}.router.features", seen)
    experts = tuple(_expert(b, m, i, f"{path}.experts.{i}", x) for i in range(len(m.kinds)))
    _check_ends(experts)
    router, params = _router(b, m, f"{path}.router", seen)
    gate = "probability" if m.top_k > 1 else m.gate  # a sum of several is always weighted
    attrs = Mixture(experts, router, m.top_k, gate)
    outputs = (f"{path}.out", f"{path}.route", f"{path}.uncertainty")
    b.nodes.append(GraphNode(path, "Mixture", (x.name, seen.name), outputs, attrs, params))
    shape = experts[0].graph.tensors[experts[0].graph.outputs[0]].shape
    b.tensors[outputs[0]] = TensorType(shape)
    b.tensors[outputs[1]] = b.tensors[outputs[2]] = TensorType((1,), "int32")
    return Cursor(outputs[0], shape)


def _check_ends(experts: tuple[Expert, ...]) -> None:
    """One output scale serves all experts, and a softmax has a fixed one."""
    graphs = [e.graph for e in experts]
    ends = {p.op if (p := g.producer(g.outputs[0])) else "nothing" for g in graphs}
    if "Softmax" in ends and len(ends) > 1:
        raise UnsupportedOp(
            f"some experts end in Softmax, others in {', '.join(sorted(ends - {'Softmax'}))}; "
            "end all of them alike, best without Softmax"
        )
    shapes = {g.tensors[g.outputs[0]].shape for g in graphs}
    if len(shapes) > 1:
        raise UnsupportedOp(f"its experts give different shapes: {sorted(shapes)}")


def _expert(b: Loading, m: mixture.Mixture, i: int, path: str, x: Cursor) -> Expert:
    inner = Loading(unsupported=b.unsupported, shapes_only=b.shapes_only, strangers=b.strangers)
    entry = inner.input("input", x.shape, x.order)
    last = _load(inner, m.experts[i], path, entry)
    _check_end(inner, last, path)
    if any(n.op == "Mixture" for n in inner.nodes):
        inner.unsupported.append(f"{path} (a mixture inside an expert)")
    token = weight_kind(m.kinds[i]).token
    name = m.kinds[i] if m.kinds.count(m.kinds[i]) == 1 else f"{m.kinds[i]}_{i}"
    return Expert(name, token, m.bits[i], inner.graph(name, entry.name, (last.name,)))


def _router(
    b: Loading, m: mixture.Mixture, path: str, seen: Cursor
) -> tuple[Router, dict[str, str]]:
    net = m.router
    bayesian = net if isinstance(net, BayesianRouter) else None
    if bayesian and bayesian.passes > MAX_PASSES:
        raise UnsupportedOp(
            f"{bayesian.passes} Monte Carlo passes; the firmware takes {MAX_PASSES}"
        )
    _same_size("features", net.in_features, seen.shape[0])
    params: dict[str, str] = {}
    for i, layer in enumerate(net.linears):
        place = ordered(seen.order if i == 0 else None)
        params[f"router.{i}.weight"] = weight(b, layer, f"{path}.{i}", place)
        params[f"router.{i}.bias"] = bias(b, layer, f"{path}.{i}")
    attrs = Router(
        kind="bayesian" if bayesian else "plain",
        layers=len(net.linears),
        passes=bayesian.passes if bayesian else 0,
        dropout=net.dropout,
        seed=bayesian.seed if bayesian else 0,
        rule=m.rule,
        alpha=m.alpha,
        quantile=m.quantile,
    )
    return attrs, params


Handler = Callable[[Loading, Any, str, Cursor], Cursor]

HANDLERS: Mapping[type, Handler] = {
    structure.Sequential: _sequential,
    structure.Residual: _residual,
    layers.Linear: _linear,
    layers.Conv1d: _conv1d,
    layers.Conv2d: _conv2d,
    norms.LayerNorm: _layer_norm,
    **dict.fromkeys((norms.BatchNorm1d, norms.BatchNorm2d), _batch_norm),
    **dict.fromkeys((structure.ReLU, structure.ReLU6), _relu),
    **dict.fromkeys(activations.ACTIVATIONS, _activation),
    pooling.MaxPool2d: _max_pool,
    pooling.AvgPool2d: _avg_pool,
    pooling.GlobalAvgPool: _global_pool,
    structure.Flatten: _flatten,
    structure.Dropout: _dropout,
    structure.Softmax: _softmax,
    structure.Delay: _delay,
    mixture.TrunkMixture: _trunk_mixture,
    mixture.Mixture: _mixture,
}
