"""edgeq.nn modules -> a float Graph: a handler per class, channels last, codes as trained."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch

from edgeq import nn
from edgeq.errors import UnsupportedOp
from edgeq.frontend.builder import Builder, Cursor, channels_last_order
from edgeq.ir import Graph, Quant, TensorType
from edgeq.ir import Node as GraphNode
from edgeq.ops.add import Add
from edgeq.ops.average_pool_2d import AveragePool2D
from edgeq.ops.batch_norm import BatchNorm
from edgeq.ops.conv_2d import Conv2D
from edgeq.ops.depthwise_conv_2d import DepthwiseConv2D
from edgeq.ops.fully_connected import FullyConnected
from edgeq.ops.layer_norm import LayerNorm
from edgeq.ops.max_pool_2d import MaxPool2D
from edgeq.ops.mixture import Expert, Mixture
from edgeq.ops.op import Array
from edgeq.ops.relu import Relu
from edgeq.ops.reshape import Reshape
from edgeq.ops.router import MAX_PASSES, Router
from edgeq.ops.softmax import Softmax


def graph_of(model: torch.nn.Module) -> Graph:
    """The model's graph, weights as trained codes (or floats, for post-training quantisation).

    Raises UnsupportedOp listing every module without an op, by its path.
    """
    if not isinstance(model, nn.Model):
        raise UnsupportedOp(f"{type(model).__name__} is not an edgeq.nn.Model; wrap it in one")
    model.eval()
    builder = Builder()
    entry = builder.input("input", device_shape(model.input_shape))
    with torch.no_grad():
        last = _load(builder, model.body, "body", entry)
        _check_order(builder, last, "body")
    if builder.unsupported:
        raise UnsupportedOp("unsupported: " + "; ".join(builder.unsupported))
    outputs = (last.name, *_mixture_outputs(builder))
    return builder.graph(model.name, entry.name, outputs)


def device_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    """(C, H, W) -> (H, W, C); (C, L) -> (1, L, C); (F,) stays."""
    if len(shape) == 3:
        return (shape[1], shape[2], shape[0])
    if len(shape) == 2:
        return (1, shape[1], shape[0])
    if len(shape) != 1:
        raise UnsupportedOp(f"inputs of shape {shape}: at most three axes are supported")
    return shape


def _mixture_outputs(builder: Builder) -> tuple[str, ...]:
    node = next((n for n in builder.nodes if n.op == "Mixture"), None)
    return node.outputs[1:] if node else ()


def _load(b: Builder, module: Any, path: str, x: Cursor) -> Cursor:
    handler = HANDLERS.get(type(module))
    if handler is None:
        b.unsupported.append(f"{path} ({type(module).__name__})")
        return x
    try:
        return handler(b, module, path, x)
    except UnsupportedOp as error:
        b.unsupported.append(f"{path} ({type(module).__name__}: {error})")
    except ValueError as error:  # behind an unsupported module shapes are not to be trusted
        if not b.unsupported:
            b.unsupported.append(f"{path} ({type(module).__name__}: {error})")
    return x


def _check_order(b: Builder, x: Cursor, path: str) -> None:
    if x.order is not None and not b.unsupported:
        b.unsupported.append(
            f"{path} (ends in a flattened map, whose features the device holds channels-last; "
            "end in a Linear layer)"
        )


def _sequential(b: Builder, m: nn.Sequential, path: str, x: Cursor) -> Cursor:
    for i, child in enumerate(m):
        x = _load(b, child, f"{path}.{i}", x)
    return x


def _residual(b: Builder, m: nn.Residual, path: str, x: Cursor) -> Cursor:
    kept = x if m.shortcut is None else _load(b, m.shortcut, f"{path}.shortcut", x)
    out = _load(b, m.body, f"{path}.body", x)
    if not _same_order(kept.order, out.order):
        raise ValueError("its branches order their features differently; flatten inside both")
    return b.add("Add", path, Add(), (kept, out), order=kept.order)


def _same_order(a: Array | None, b: Array | None) -> bool:
    return (a is None) == (b is None) and (a is None or b is None or np.array_equal(a, b))


def _weight(b: Builder, m: nn.QuantLayer, path: str, place: Callable[[Array], Array]) -> str:
    """The weight constant; `place` brings PyTorch's axes into the op's order."""
    if m.kind == "ptq":
        return b.constant(f"{path}.weight", place(m.weight.numpy()))
    codes, scale = m.quantized()
    dtype = np.int16 if m.weight_format == "s16" else np.int8
    values = np.ascontiguousarray(place(codes.numpy()).astype(dtype))
    scales = np.maximum(scale.numpy().astype(np.float32), np.float32(1e-12))
    if m.per_tensor:
        scales = scales[:1]
    axis = 2 if getattr(m, "depthwise", False) else 0
    return b.constant(f"{path}.weight", values, Quant(tuple(float(s) for s in scales), 0, axis))


def _bias(b: Builder, m: nn.QuantLayer, path: str) -> str:
    size = m.weight.shape[0]
    value = np.zeros(size, np.float32) if m.bias is None else m.bias.numpy().astype(np.float32)
    return b.constant(f"{path}.bias", value)


def _ordered(order: Array | None) -> Callable[[Array], Array]:
    return (lambda w: w) if order is None else (lambda w: w[:, order])


def _linear(b: Builder, m: nn.Linear, path: str, x: Cursor) -> Cursor:
    if len(x.shape) != 1:
        raise ValueError(f"takes flat features, got a map {x.shape}; put Flatten before it")
    params = {"weight": _weight(b, m, path, _ordered(x.order)), "bias": _bias(b, m, path)}
    return b.add("FullyConnected", path, FullyConnected(m.weight_format), (x,), params)


def _convolution(
    b: Builder,
    m: nn.Conv1d | nn.Conv2d,
    path: str,
    x: Cursor,
    stride: tuple[int, int],
    padding: tuple[int, int],
) -> Cursor:
    if len(x.shape) != 3:
        raise ValueError(f"takes a feature map, got shape {x.shape}")
    if m.depthwise and m.out_channels != m.in_channels:
        raise UnsupportedOp("depthwise multipliers above 1 have no kernel; use groups=1 or repeat")

    def to_map(w: Array) -> Array:
        return w if w.ndim == 4 else w[:, :, None, :]

    place: Callable[[Array], Array] = (
        (lambda w: to_map(w)[:, 0].transpose(1, 2, 0))
        if m.depthwise
        else (lambda w: to_map(w).transpose(0, 2, 3, 1))
    )
    params = {"weight": _weight(b, m, path, place), "bias": _bias(b, m, path)}
    op, attrs = ("DepthwiseConv2D", DepthwiseConv2D) if m.depthwise else ("Conv2D", Conv2D)
    both = (*padding, *padding)
    return b.add(op, path, attrs(stride, both, m.weight_format), (x,), params)


def _conv2d(b: Builder, m: nn.Conv2d, path: str, x: Cursor) -> Cursor:
    return _convolution(b, m, path, x, _pair(m.stride), _pair(m.padding))


def _conv1d(b: Builder, m: nn.Conv1d, path: str, x: Cursor) -> Cursor:
    return _convolution(b, m, path, x, (1, m.stride[0]), (0, m.padding[0]))


def _pair(value: tuple[int, ...]) -> tuple[int, int]:
    return value[0], value[1]


def _layer_norm(b: Builder, m: nn.LayerNorm, path: str, x: Cursor) -> Cursor:
    params = {
        "gamma": b.constant(f"{path}.gamma", _channels(m.weight.numpy(), x)),
        "beta": b.constant(f"{path}.beta", _channels(m.bias.numpy(), x)),
    }
    return b.add("LayerNorm", path, LayerNorm(m.eps), (x,), params, order=x.order)


def _batch_norm(b: Builder, m: Any, path: str, x: Cursor) -> Cursor:
    gain = (m.weight / torch.sqrt(m.running_var + m.eps)).numpy()
    offset = m.bias.numpy() - m.running_mean.numpy() * gain
    params = {
        "gain": b.constant(f"{path}.gain", _channels(gain, x)),
        "offset": b.constant(f"{path}.offset", _channels(offset, x)),
    }
    return b.add("BatchNorm", path, BatchNorm(), (x,), params, order=x.order)


def _channels(value: Array, x: Cursor) -> Array:
    return value if x.order is None else value[x.order]


def _relu(b: Builder, m: Any, path: str, x: Cursor) -> Cursor:
    kind = "relu6" if isinstance(m, nn.ReLU6) else "relu"
    return b.add("Relu", path, Relu(kind), (x,), order=x.order)


def _max_pool(b: Builder, m: nn.MaxPool2d, path: str, x: Cursor) -> Cursor:
    pad = _pair(m.padding)
    attrs = MaxPool2D(_pair(m.kernel_size), _pair(m.stride), (*pad, *pad))
    return b.add("MaxPool2D", path, attrs, (x,))


def _avg_pool(b: Builder, m: nn.AvgPool2d, path: str, x: Cursor) -> Cursor:
    if any(m.padding):
        raise UnsupportedOp("average pools with padding have no kernel; use padding 0")
    attrs = AveragePool2D(_pair(m.kernel_size), _pair(m.stride))
    return b.add("AveragePool2D", path, attrs, (x,))


def _global_pool(b: Builder, m: Any, path: str, x: Cursor) -> Cursor:
    if len(x.shape) == 1:
        return x
    size = (x.shape[0], x.shape[1])
    pooled = b.add("AveragePool2D", f"{path}.pool", AveragePool2D(size, size), (x,))
    return b.add("Reshape", path, Reshape((x.shape[2],)), (pooled,))


def _flatten(b: Builder, m: Any, path: str, x: Cursor) -> Cursor:
    if len(x.shape) == 1:
        return x
    height, width, channels = x.shape
    order = channels_last_order(channels, height, width)
    return b.add("Reshape", path, Reshape((height * width * channels,)), (x,), order=order)


def _dropout(b: Builder, m: Any, path: str, x: Cursor) -> Cursor:
    return x


def _softmax(b: Builder, m: Any, path: str, x: Cursor) -> Cursor:
    return b.add("Softmax", path, Softmax(), (x,), order=x.order)


def _trunk_mixture(b: Builder, m: nn.TrunkMixture, path: str, x: Cursor) -> Cursor:
    shared = _load(b, m.trunk, f"{path}.trunk", x)
    seen = x if m.router_sees == "input" else shared
    return _mix(b, m.mixture, f"{path}.mixture", shared, seen)


def _mixture(b: Builder, m: nn.Mixture, path: str, x: Cursor) -> Cursor:
    return _mix(b, m, path, x, x)


def _mix(b: Builder, m: nn.Mixture, path: str, x: Cursor, seen: Cursor) -> Cursor:
    seen = _global_pool(b, None, f"{path}.router.features", seen)
    experts = tuple(_expert(b, m, i, f"{path}.experts.{i}", x) for i in range(len(m.kinds)))
    router, params = _router(b, m, f"{path}.router", seen)
    gate = "probability" if m.top_k > 1 else m.gate  # a sum of several is always weighted
    attrs = Mixture(experts, router, m.top_k, gate)
    outputs = (f"{path}.out", f"{path}.route", f"{path}.uncertainty")
    b.nodes.append(GraphNode(path, "Mixture", (x.name, seen.name), outputs, attrs, params))
    shape = experts[0].graph.tensors[experts[0].graph.outputs[0]].shape
    b.tensors[outputs[0]] = TensorType(shape)
    b.tensors[outputs[1]] = b.tensors[outputs[2]] = TensorType((1,), "int32")
    return Cursor(outputs[0], shape)


def _expert(b: Builder, m: nn.Mixture, i: int, path: str, x: Cursor) -> Expert:
    inner = Builder(unsupported=b.unsupported)
    entry = inner.input("input", x.shape, x.order)
    last = _load(inner, m.experts[i], path, entry)
    _check_order(inner, last, path)
    if any(n.op == "Mixture" for n in inner.nodes):
        inner.unsupported.append(f"{path} (a mixture inside an expert)")
    token = nn.weight_kind(m.kinds[i]).token
    name = m.kinds[i] if m.kinds.count(m.kinds[i]) == 1 else f"{m.kinds[i]}_{i}"
    return Expert(name, token, m.bits[i], inner.graph(name, entry.name, (last.name,)))


def _router(b: Builder, m: nn.Mixture, path: str, seen: Cursor) -> tuple[Router, dict[str, str]]:
    net = m.router
    bayesian = net if isinstance(net, nn.BayesianRouter) else None
    if bayesian and bayesian.passes > MAX_PASSES:
        raise UnsupportedOp(
            f"{bayesian.passes} Monte Carlo passes; the firmware takes {MAX_PASSES}"
        )
    params: dict[str, str] = {}
    for i, layer in enumerate((net.fc1, net.fc2, net.fc3)):
        place = _ordered(seen.order if i == 0 else None)
        params[f"router.{i}.weight"] = _weight(b, layer, f"{path}.{i}", place)
        params[f"router.{i}.bias"] = _bias(b, layer, f"{path}.{i}")
    router = Router(
        kind="bayesian" if bayesian else "plain",
        layers=3,
        passes=bayesian.passes if bayesian else 0,
        dropout=net.dropout,
        seed=bayesian.seed if bayesian else 0,
        rule=m.rule,
        alpha=m.alpha,
        quantile=m.quantile,
    )
    return router, params


Handler = Callable[[Builder, Any, str, Cursor], Cursor]

HANDLERS: Mapping[type, Handler] = {
    nn.Sequential: _sequential,
    nn.Residual: _residual,
    nn.Linear: _linear,
    nn.Conv1d: _conv1d,
    nn.Conv2d: _conv2d,
    nn.LayerNorm: _layer_norm,
    nn.BatchNorm1d: _batch_norm,
    nn.BatchNorm2d: _batch_norm,
    nn.ReLU: _relu,
    nn.ReLU6: _relu,
    nn.MaxPool2d: _max_pool,
    nn.AvgPool2d: _avg_pool,
    nn.GlobalAvgPool: _global_pool,
    nn.Flatten: _flatten,
    nn.Dropout: _dropout,
    nn.Softmax: _softmax,
    nn.TrunkMixture: _trunk_mixture,
    nn.Mixture: _mixture,
}
