"""edgeq.nn layers -> a float Graph: a handler per class, channels last, codes as trained."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from edgeq.arrays import Shapes
from edgeq.errors import UnsupportedOp
from edgeq.ir import Graph
from edgeq.ir.ports import INPUT
from edgeq.nn import activations, audio, cascade, layers, mixture, norms, pooling, structure
from edgeq.nn.foreign import advice
from edgeq.nn.graph_body import GraphBody
from edgeq.nn.graph_constants import Loading, bias, in_blocks, ordered, pair, same_size, weight
from edgeq.nn.graph_ends import (
    Several,
    check_one,
    ends,
    entered,
    finished,
    merged,
    same_order,
    several,
)
from edgeq.nn.graph_front import avg_pool, log_mel, max_pool, repeated
from edgeq.nn.graph_heads import add_heads, carried
from edgeq.nn.graph_recurrent import RECURRENT
from edgeq.nn.graph_routed import (
    check_ends,
    check_logits,
    routed,
    routed_outputs,
    router,
)
from edgeq.nn.weight_kinds import WeightKind, weight_kind
from edgeq.ops import OPS
from edgeq.ops.add import Add
from edgeq.ops.average_pool_2d import AveragePool2D
from edgeq.ops.batch_norm import BatchNorm
from edgeq.ops.cascade import Cascade
from edgeq.ops.conv_2d import Conv2D
from edgeq.ops.depthwise_conv_2d import DepthwiseConv2D
from edgeq.ops.fully_connected import FullyConnected
from edgeq.ops.graph_builder import Cursor, channels_last_order
from edgeq.ops.layer_norm import LayerNorm
from edgeq.ops.mixture import Expert, Mixture
from edgeq.ops.op import Array
from edgeq.ops.relu import Relu
from edgeq.ops.reshape import Reshape
from edgeq.ops.softmax import Softmax


def graph_of_body(
    body: torch.nn.Module,
    shapes: Shapes | tuple[int, ...],
    name: str = "model",
    *,
    shapes_only: bool = False,
) -> Graph:
    """The graph of a model's body, which is in evaluation mode; see frontend.torch_loader.

    `shapes`: of the only input in PyTorch's order of axes, or of each by name.
    With `shapes_only` every constant is zero: quick, and good enough to find what has no op.
    Raises UnsupportedOp listing every module without an op, by its path.
    """
    if isinstance(body, GraphBody):
        return body.graph(name, shapes_only=shapes_only)
    inputs = shapes if isinstance(shapes, Mapping) else {INPUT: shapes}
    builder = Loading(shapes_only=shapes_only)
    with torch.no_grad():
        last = _load(builder, body, "body", entered(builder, inputs))
        for end in ends(last).values():
            _check_end(builder, end, "body")
    if builder.unsupported:
        tail = known_layers() if builder.strangers else ""
        raise UnsupportedOp(f"unsupported: {'; '.join(builder.unsupported)}{tail}")
    return finished(builder, name, inputs, last, routed_outputs(builder))


def known_layers() -> str:
    """The tail of a refusal of unknown modules."""
    known = ", ".join(sorted({cls.__name__ for cls in HANDLERS}))
    return f". The layers of edgeq.nn are {known}"


def _load(b: Loading, module: torch.nn.Module, path: str, x: Cursor) -> Cursor:
    handler = HANDLERS.get(type(module))
    if handler is None:
        why = advice(module)
        b.strangers.append(path)
        b.unsupported.append(f"{path} ({type(module).__name__}{f': {why}' if why else ''})")
        return x
    try:
        if type(module) not in (structure.Sequential, structure.Inputs):
            check_one(x)
        return handler(b, module, path, x)
    except UnsupportedOp as error:
        b.unsupported.append(f"{path} ({type(module).__name__}: {error})")
    except ValueError as error:  # behind an unsupported module shapes are not to be trusted
        if not b.unsupported:
            b.unsupported.append(f"{path} ({type(module).__name__}: {error})")
    return x


def _load_one(b: Loading, module: torch.nn.Module, path: str, x: Cursor) -> Cursor:
    """As `_load` for a part that must end in one tensor."""
    made = _load(b, module, path, x)
    check_one(made)
    return made


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
    kept = x if m.shortcut is None else _load_one(b, m.shortcut, f"{path}.shortcut", x)
    out = _load_one(b, m.body, f"{path}.body", x)
    if not same_order(kept.order, out.order):
        raise ValueError("its branches order their features differently; flatten inside both")
    if kept.shape != out.shape:
        raise ValueError(f"its branches give {kept.shape} and {out.shape}; both need one shape")
    return b.add("Add", path, Add(), (kept, out), order=kept.order)


def _inputs(b: Loading, m: structure.Inputs, path: str, x: Cursor) -> Cursor:
    given = x.parts if isinstance(x, Several) else {}
    if set(given) != set(m.names) or any(n != c.name for n, c in given.items()):
        raise ValueError(
            f"has branches for {', '.join(m.names)}; it stands first in a model whose input_shape "
            "is a dict of these names"
        )
    pairs = enumerate(zip(m.names, m.branches, strict=True))
    made = [_load_one(b, layers, f"{path}.branches.{i}", given[n]) for i, (n, layers) in pairs]
    return merged(b, path, m.merge, made)


def _outputs(b: Loading, m: structure.Outputs, path: str, x: Cursor) -> Cursor:
    pairs = enumerate(zip(m.names, m.heads, strict=True))
    made = {name: _load_one(b, head, f"{path}.heads.{i}", x) for i, (name, head) in pairs}
    return several(made)


def _flat(x: Cursor) -> Cursor:
    """Raises ValueError for a map: its last axis is another in PyTorch than on the device."""
    if len(x.shape) != 1:
        raise ValueError(f"takes flat features, got a map {_shown(x)}; put Flatten before it")
    return x


def _linear(b: Loading, m: layers.Linear, path: str, x: Cursor) -> Cursor:
    _flat(x)
    same_size("features", m.in_features, x.shape[0])
    if m.block is not None:
        return in_blocks(b, m, path, x)
    params = {"weight": weight(b, m, path, ordered(x.order)), "bias": bias(b, m, path)}
    return b.add("FullyConnected", path, FullyConnected(m.weight_format), (x,), params)


def _convolution(b: Loading, m: layers.Conv1d | layers.Conv2d, path: str, x: Cursor) -> Cursor:
    if len(x.shape) != 3:
        raise ValueError(f"takes a feature map, got {x.shape[0]} flat features")
    same_size("channels", m.in_channels, x.shape[2])
    if m.block is not None:
        return in_blocks(b, m, path, x)

    def to_map(w: Array) -> Array:
        return w if w.ndim == 4 else w[:, :, None, :]

    def by_axis(alone: int, numbers: tuple[int, ...]) -> tuple[int, int]:
        """(height, width); one row is `alone` of a Conv1d."""
        return pair((alone, *numbers)[-2:])

    place: Callable[[Array], Array] = (
        (lambda w: to_map(w)[:, 0].transpose(1, 2, 0))
        if m.depthwise
        else (lambda w: to_map(w).transpose(0, 2, 3, 1))
    )
    params = {"weight": weight(b, m, path, place), "bias": bias(b, m, path)}
    stride, dilation = by_axis(1, m.stride), by_axis(1, m.dilation)
    padding = (*by_axis(0, m.before), *by_axis(0, m.behind))
    if m.depthwise:
        alone = DepthwiseConv2D(stride, padding, m.weight_format, dilation=dilation)
        given = repeated(b, path, x, m.out_channels // m.in_channels)
        return b.add("DepthwiseConv2D", path, alone, (given,), params)
    attrs = Conv2D(stride, padding, m.weight_format, dilation=dilation, groups=m.groups)
    return b.add("Conv2D", path, attrs, (x,), params)


def _shown(x: Cursor) -> str:
    """A map's shape as PyTorch has it."""
    height, width, channels = x.shape
    return f"({channels}, {height}, {width})"


def _layer_norm(b: Loading, m: norms.LayerNorm, path: str, x: Cursor) -> Cursor:
    same_size("features", m.features, _flat(x).shape[0])
    params = {
        "gamma": b.constant(f"{path}.gamma", _channels(b.values(m.weight), x)),
        "beta": b.constant(f"{path}.beta", _channels(b.values(m.bias), x)),
    }
    return b.add("LayerNorm", path, LayerNorm(m.eps), (x,), params, order=x.order)


def _batch_norm(
    b: Loading, m: norms.BatchNorm1d | norms.BatchNorm2d, path: str, x: Cursor
) -> Cursor:
    same_size("features", m.features, x.shape[-1])
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


def _softmax(b: Loading, m: object, path: str, x: Cursor) -> Cursor:
    return b.add("Softmax", path, Softmax(), (_flat(x),), order=x.order)


def _trunk_mixture(b: Loading, m: mixture.TrunkMixture, path: str, x: Cursor) -> Cursor:
    shared = _load_one(b, m.trunk, f"{path}.trunk", x)
    seen = x if m.router_sees == "input" else shared
    return _mix(b, m.mixture, f"{path}.mixture", shared, seen)


def _mixture(b: Loading, m: mixture.Mixture, path: str, x: Cursor) -> Cursor:
    return _mix(b, m, path, x, x)


def _mix(b: Loading, m: mixture.Mixture, path: str, x: Cursor, seen: Cursor) -> Cursor:
    seen = _global_pool(b, None, f"{path}.router.features", seen)
    experts = _experts(b, m, cascade.numbered(m.kinds), path, x)
    attrs_of_router, params = router(b, m, f"{path}.router", seen)
    gate = "probability" if m.top_k > 1 else m.gate  # a sum of several is always weighted
    attrs = Mixture(experts, attrs_of_router, m.top_k, gate)
    return routed(b, path, "Mixture", (x, seen), attrs, params)


def _cascade(b: Loading, m: cascade.Cascade, path: str, x: Cursor) -> Cursor:
    shared = x if m.trunk is None else _load_one(b, m.trunk, f"{path}.trunk", x)
    experts = _experts(b, m, m.names, path, shared)
    check_logits(experts)
    shares = () if m.thresholds else m.escalate
    attrs = Cascade(experts, m.signal, m.thresholds, shares, m.members, m.hold)
    return routed(b, path, "Cascade", (shared,), attrs, {})


def _experts(
    b: Loading,
    m: mixture.Mixture | cascade.Cascade,
    names: Sequence[str],
    path: str,
    x: Cursor,
) -> tuple[Expert, ...]:
    experts = list[Expert]()
    for i, (module, name, kind) in enumerate(zip(m.experts, names, m.kinds, strict=True)):
        expert, x = _expert(b, m, module, name, (path, i), x, weight_kind(kind))
        experts.append(expert)
    check_ends(tuple(experts))
    return tuple(experts)


def _expert(
    b: Loading,
    m: mixture.Mixture | cascade.Cascade,
    module: torch.nn.Module,
    name: str,
    place: tuple[str, int],
    x: Cursor,
    kind: WeightKind,
) -> tuple[Expert, Cursor]:
    """The expert, and what the next one reads."""
    path = f"{place[0]}.experts.{place[1]}"
    inner = Loading(unsupported=b.unsupported, shapes_only=b.shapes_only, strangers=b.strangers)
    entry = inner.input("input", x.shape, x.order)
    last = _load_one(inner, module, path, entry)
    _check_end(inner, last, path)
    heads, carry = "", None
    if isinstance(m, cascade.Cascade) and place[1] < len(m.experts) - 1:
        carry = carried(inner)
        if m.members:
            seen = entry
            if m.signal == "router":
                seen = _global_pool(inner, None, f"{place[0]}.heads.{place[1]}.features", entry)
            heads = add_heads(inner, m, place, last, seen)
    graph, to_next = inner.graph(name, entry.name, (last.name,)), carry.name if carry else ""
    return Expert(name, kind.token, kind.bits, graph, heads, to_next), carry or x


def _exit(b: Loading, m: structure.Exit, path: str, x: Cursor) -> Cursor:
    x = _load_one(b, m.block, f"{path}.block", x)
    last, b.carried = _load_one(b, m.head, f"{path}.head", x), x
    return last


Handler = Callable[[Loading, Any, str, Cursor], Cursor]

HANDLERS: Mapping[type, Handler] = {
    structure.Sequential: _sequential,
    structure.Inputs: _inputs,
    structure.Outputs: _outputs,
    structure.Residual: _residual,
    structure.Exit: _exit,
    layers.Linear: _linear,
    layers.Conv1d: _convolution,
    layers.Conv2d: _convolution,
    **RECURRENT,
    norms.LayerNorm: _layer_norm,
    **dict.fromkeys((norms.BatchNorm1d, norms.BatchNorm2d), _batch_norm),
    **dict.fromkeys((structure.ReLU, structure.ReLU6), _relu),
    **dict.fromkeys(activations.ACTIVATIONS, _activation),
    pooling.MaxPool2d: max_pool,
    pooling.AvgPool2d: avg_pool,
    pooling.GlobalAvgPool: _global_pool,
    structure.Flatten: _flatten,
    structure.Dropout: _dropout,
    structure.Softmax: _softmax,
    audio.LogMel: log_mel,
    audio.MFCC: log_mel,
    audio.PCEN: log_mel,
    mixture.TrunkMixture: _trunk_mixture,
    mixture.Mixture: _mixture,
    cascade.Cascade: _cascade,
}
