"""The float ops of a graph in PyTorch, channels last, with their gradients.

An op without a row runs as its own `float_forward` in numpy: an importer needs no row here. One
that is a function of one number then has the slope of a chord for its gradient; for another,
training is refused by name.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from edgeq.errors import UnsupportedOp
from edgeq.nn import recurrence
from edgeq.nn.graph_shape_ops import SHAPE_FORWARDS, Forward, Tensors, clamped
from edgeq.ops import OPS
from edgeq.ops.add import Add
from edgeq.ops.arg_max import ArgMax
from edgeq.ops.average_pool_2d import AveragePool2D
from edgeq.ops.conv_2d import Conv2D
from edgeq.ops.depthwise_conv_2d import DepthwiseConv2D
from edgeq.ops.fully_connected import FullyConnected
from edgeq.ops.group_norm import GroupNorm
from edgeq.ops.layer_norm import LayerNorm
from edgeq.ops.max_pool_2d import MaxPool2D
from edgeq.ops.mean_pool_2d import MeanPool2D
from edgeq.ops.op import Call, Op
from edgeq.ops.svdf_time import SvdfTime

CHORD = 1e-3  # half the width of the chord whose slope stands for a derivative
LOOKUP = "Lookup"


def run_op(name: str, attrs: object, x: Sequence[Tensor], constants: Tensors) -> Tensor:
    """One op on float activations. Raises UnsupportedOp where a gradient is asked that none has."""
    forward = FORWARDS.get(name)
    if forward is not None:
        return forward(attrs, x, constants)
    op, wanted = OPS[name], torch.is_grad_enabled()
    if wanted and isinstance(op.code, Call) and op.code.kernel == LOOKUP:
        result: Tensor = _Chord.apply(x[0], op, attrs)  # type: ignore[no-untyped-call]
        return result
    if wanted and any(t.requires_grad for t in (*x, *constants.values())):
        raise UnsupportedOp(f"{name} has no gradient here: quantise the model, do not train it")
    return _in_numpy(op, attrs, x, constants)


def _in_numpy(op: Op, attrs: object, x: Sequence[Tensor], constants: Tensors) -> Tensor:
    params = {role: t.detach().numpy() for role, t in constants.items()}
    made = op.float_forward(attrs, tuple(t.detach().numpy() for t in x), params)
    return torch.from_numpy(np.ascontiguousarray(made, dtype=np.float32))


class _Kept(torch.autograd.function.FunctionCtx):
    """What the way back needs of the way there."""

    saved_tensors: tuple[Tensor, ...]
    op: Op
    attrs: object


class _Chord(torch.autograd.Function):
    """A function of one number that is known in numpy only."""

    @staticmethod
    def forward(ctx: "_Kept", x: Tensor, op: Op, attrs: object) -> Tensor:
        ctx.save_for_backward(x)
        ctx.op, ctx.attrs = op, attrs
        return _in_numpy(op, attrs, [x], {})

    @staticmethod
    def backward(ctx: "_Kept", *grads: Tensor) -> tuple[Tensor, None, None]:
        (x,) = ctx.saved_tensors
        after, before = (_in_numpy(ctx.op, ctx.attrs, [x + d], {}) for d in (CHORD, -CHORD))
        return grads[0] * (after - before) / (2 * CHORD), None, None


def _first(x: Tensor) -> Tensor:
    """(N, H, W, C) seen as (N, C, H, W)."""
    return x.permute(0, 3, 1, 2)


def _last(x: Tensor) -> Tensor:
    return x.permute(0, 2, 3, 1)


def _padded(x: Tensor, padding: Sequence[int], value: float = 0.0) -> Tensor:
    """(N, C, H, W) with `padding` (top, left, bottom, right)."""
    top, left, bottom, right = padding
    return F.pad(x, (left, right, top, bottom), value=value) if any(padding) else x


def _fully_connected(a: FullyConnected, x: Sequence[Tensor], c: Tensors) -> Tensor:
    return clamped(a.activation, F.linear(x[0], c["weight"], c["bias"]))


def _convolved(
    a: Conv2D | DepthwiseConv2D, x: Tensor, weight: Tensor, bias: Tensor, groups: int
) -> Tensor:
    """`weight` is (out, in / groups, kernel_h, kernel_w)."""
    top, left, bottom, right = a.padding
    given, padding = _first(x), (top, left)
    if (top, left) != (bottom, right):
        given, padding = _padded(given, a.padding), (0, 0)
    made = F.conv2d(given, weight, bias, a.stride, padding, a.dilation, groups)
    return clamped(a.activation, _last(made))


def _conv_2d(a: Conv2D, x: Sequence[Tensor], c: Tensors) -> Tensor:
    weight = c["weight"].permute(0, 3, 1, 2)
    return _convolved(a, x[0], weight, c["bias"], a.groups)


def _depthwise_conv_2d(a: DepthwiseConv2D, x: Sequence[Tensor], c: Tensors) -> Tensor:
    weight = c["weight"].permute(2, 0, 1)[:, None]
    return _convolved(a, x[0], weight, c["bias"], x[0].shape[3])


def _average_pool(a: AveragePool2D, x: Sequence[Tensor], _: Tensors) -> Tensor:
    return _last(F.avg_pool2d(_first(x[0]), a.kernel, a.stride))


def _mean_pool(a: MeanPool2D, x: Sequence[Tensor], _: Tensors) -> Tensor:
    """Only cells inside the map count."""
    ones = torch.ones(1, 1, *x[0].shape[1:3])
    total, inside = (
        F.avg_pool2d(_padded(t, a.padding), a.kernel, a.stride) for t in (_first(x[0]), ones)
    )
    return clamped(a.activation, _last(total / inside))


def _max_pool(a: MaxPool2D, x: Sequence[Tensor], _: Tensors) -> Tensor:
    given = _padded(_first(x[0]), a.padding, -torch.inf)
    return _last(F.max_pool2d(given, a.kernel, a.stride))


def _add(a: Add, x: Sequence[Tensor], _: Tensors) -> Tensor:
    return clamped(a.activation, x[0] + x[1])


def _layer_norm(a: LayerNorm, x: Sequence[Tensor], c: Tensors) -> Tensor:
    made = F.layer_norm(x[0], x[0].shape[-1:], c["gamma"], c["beta"], a.epsilon)
    return clamped(a.activation, made)


def _arg_max(a: ArgMax, x: Sequence[Tensor], _: Tensors) -> Tensor:
    if not a.last:
        return x[0].argmax(-1, keepdim=True).float()
    return (x[0].shape[-1] - 1 - x[0].flip(-1).argmax(-1, keepdim=True)).float()


def _embedding(_: object, x: Sequence[Tensor], c: Tensors) -> Tensor:
    ids = x[0].round().long().clamp(0, len(c["table"]) - 1)
    return F.embedding(ids, c["table"])


def _group_norm(a: GroupNorm, x: Sequence[Tensor], c: Tensors) -> Tensor:
    shape = x[0].shape
    cells = x[0].reshape(len(x[0]), *shape[1 : a.rows + 1], -1, a.groups, shape[-1] // a.groups)
    if a.centred:
        cells = cells - cells.mean((-3, -1), keepdim=True)
    made = cells / torch.sqrt(cells.square().mean((-3, -1), keepdim=True) + a.epsilon)
    return clamped(a.activation, made.reshape(shape) * c["gamma"] + c["beta"])


def _lstm(_: object, x: Sequence[Tensor], c: Tensors) -> Tensor:
    given = F.linear(x[0], c["input_weight"], c["bias"])
    return recurrence.lstm(given, c["recurrent_weight"])


def _gru(_: object, x: Sequence[Tensor], c: Tensors) -> Tensor:
    given = F.linear(x[0], c["input_weight"], c["bias"])
    return recurrence.gru(given, c["recurrent_weight"], c["recurrent_bias"])


def _mgu(_: object, x: Sequence[Tensor], c: Tensors) -> Tensor:
    given = F.linear(x[0], c["input_weight"], c["bias"])
    return recurrence.mgu(given, c["recurrent_weight"], c["recurrent_bias"])


def _svdf_feature(_: object, x: Sequence[Tensor], c: Tensors) -> Tensor:
    return F.linear(x[0], c["feature_weight"])


def _svdf_time(a: SvdfTime, x: Sequence[Tensor], c: Tensors) -> Tensor:
    made = recurrence.svdf(x[0][:, 0], c["taps"], a.rank, a.before) + c["bias"]
    return clamped(a.activation, made[:, None])


FORWARDS: Mapping[str, Forward] = {
    **SHAPE_FORWARDS,
    "FullyConnected": _fully_connected,
    "Conv2D": _conv_2d,
    "DepthwiseConv2D": _depthwise_conv_2d,
    "AveragePool2D": _average_pool,
    "MeanPool2D": _mean_pool,
    "MaxPool2D": _max_pool,
    "Add": _add,
    "Relu": lambda a, x, _: clamped(a.activation, x[0]),
    "HardSwish": lambda _, x, __: F.hardswish(x[0]),
    "LayerNorm": _layer_norm,
    "Lstm": _lstm,
    "Gru": _gru,
    "Mgu": _mgu,
    "SvdfFeature": _svdf_feature,
    "SvdfTime": _svdf_time,
    "PRelu": lambda _, x, c: torch.where(x[0] < 0, x[0] * c["slope"], x[0]),
    "BatchMatMul": lambda a, x, _: x[0] @ (x[1].transpose(-1, -2) if a.transpose else x[1]),
    "ArgMax": _arg_max,
    "Embedding": _embedding,
    "LogSoftmax": lambda _, x, __: F.log_softmax(x[0], dim=-1),
    "GroupNorm": _group_norm,
    "BatchNorm": lambda _, x, c: x[0] * c["gain"] + c["offset"],
    "Softmax": lambda _, x, __: F.softmax(x[0], dim=-1),
    "Reshape": lambda a, x, _: x[0].reshape(len(x[0]), *a.shape),
}
