"""Readers of ONNX norms and of Softmax."""

import math

import numpy as np

from edgeq.frontend.findings import Refused
from edgeq.frontend.float_graph import UNIT, Array, Value
from edgeq.frontend.onnx_file import Operator
from edgeq.frontend.onnx_graph import Reader, Reading, axis_of
from edgeq.ops.arg_max import ArgMax
from edgeq.ops.batch_norm import BatchNorm
from edgeq.ops.group_norm import GroupNorm
from edgeq.ops.l2_normalize import L2Normalize
from edgeq.ops.layer_norm import LayerNorm
from edgeq.ops.log_softmax import LogSoftmax
from edgeq.ops.softmax import Softmax


def _batch_norm(g: Reading, op: Operator) -> None:
    value = g.value(op)
    scale, offset, mean, variance = (g.real(op, i) for i in (1, 2, 3, 4))
    if op.get("training_mode", 0) or scale.shape != (value.shape[1],):
        raise Refused("it is in training mode, or does not count the channels")
    epsilon = float(op.get("epsilon", 1e-5))
    if (variance + epsilon <= 0).any():
        raise Refused("its variance is not positive")
    gain = (scale / np.sqrt(variance + np.float32(epsilon))).astype(np.float32)
    channel_affine(g, op, value, 1, gain, offset - mean * gain)


def channel_affine(
    g: Reading, op: Operator, value: Value, axis: int, gain: Array, offset: Array
) -> None:
    """x * gain + offset along an axis of the file's, which becomes the last of the tensor."""
    if value.flat is not None:
        index = value.index
        name, axes = value.name, value.axes
        gain, offset = gain[index], offset[index]
    else:
        held = [a for a in value.axes if a != UNIT]
        others = [a for a in held if a != axis]
        name = g.ordered(value, (*others, axis)) if held[-1:] != [axis] else value.name
        axes = (*others, axis) if name != value.name else value.axes
    constants = {"gain": gain.astype(np.float32), "offset": offset.astype(np.float32)}
    made = g.add("BatchNorm", BatchNorm(), (name,), constants)
    g.give(op, made, value.shape, axes, flat=value.flat)


def _layer_norm(g: Reading, op: Operator) -> None:
    """Over the last axes, which lie together; RMSNormalization is not centred."""
    value = g.value(op)
    rank = len(value.shape)
    axis = axis_of(int(op.get("axis", -1)), rank)
    if len([n for n in op.outputs if n]) > 1:
        raise Refused("it gives its statistics")
    features = math.prod(value.shape[axis:])
    epsilon = float(op.get("epsilon", 1e-5))
    constants = {"gamma": _along(g, op, 1, value.shape[axis:])}
    has_beta = op.op == "LayerNormalization" and g.has(op, 2)
    zeros = np.zeros(features, np.float32)
    constants["beta"] = _along(g, op, 2, value.shape[axis:]) if has_beta else zeros
    kept = tuple(i for i in range(rank) if i >= axis or value.shape[i] > 1)
    name = g.ordered(value, kept)
    shape = g.shape_of(name)
    rows = tuple(value.shape[i] for i in kept if i < axis)
    name = g.reshaped(name, (*rows, features))
    if op.op == "LayerNormalization":
        made = g.add("LayerNorm", LayerNorm(epsilon), (name,), constants)
    else:
        attrs = GroupNorm(1, len(rows), centred=False, epsilon=epsilon)
        made = g.add("GroupNorm", attrs, (name,), constants)
    g.give(op, g.reshaped(made, shape), value.shape, kept)


def _along(g: Reading, op: Operator, place: int, shape: tuple[int, ...]) -> Array:
    """A constant of the axes that are normalised, flat."""
    given = g.real(op, place)
    try:
        return np.ascontiguousarray(np.broadcast_to(given, shape).reshape(-1))
    except ValueError as error:
        raise Refused(f"its constant {list(given.shape)} is not of {list(shape)}") from error


def _group_norm(g: Reading, op: Operator) -> None:
    """Of maps of any size; InstanceNormalization has a group a channel."""
    value = g.value(op)
    rank = len(value.shape)
    if rank < 2:
        raise Refused(f"it takes channels, got {list(value.shape)}")
    channels = value.shape[1]
    groups = channels if op.op == "InstanceNormalization" else int(op.get("num_groups", 0))
    if groups < 1 or channels % groups:
        raise Refused(f"it has {groups} groups of {channels} channels")
    both = [g.real(op, i).reshape(-1) for i in (1, 2)]
    if op.op == "GroupNormalization" and channels != groups == both[0].size:  # before opset 21
        both = [np.repeat(values, channels // groups) for values in both]
    front = (0,) if value.shape[0] > 1 else ()
    kept = (*front, *(i for i in range(2, rank) if value.shape[i] > 1), 1)
    constants = dict(zip(("gamma", "beta"), both, strict=True))
    attrs = GroupNorm(groups, len(front), epsilon=float(op.get("epsilon", 1e-5)))
    made = g.add("GroupNorm", attrs, (g.ordered(value, kept),), constants)
    g.give(op, made, value.shape, kept)


def _over_last(g: Reading, op: Operator, attrs: object) -> None:
    """Over an axis that becomes the last."""
    value = g.value(op)
    axis = axis_of(int(op.get("axis", -1)), len(value.shape))
    if value.flat is not None:
        value = g.unflattened(value)
    others = [a for a in value.axes if a not in (UNIT, axis) and value.shape[a] > 1]
    made = g.add(type(attrs).__name__, attrs, (g.ordered(value, (*others, axis)),))
    g.give(op, made, value.shape, (*others, axis))


def _unit_norm(g: Reading, op: Operator) -> None:
    if (p := int(op.get("p", 2))) != 2:
        raise Refused(f"its norm is of order {p}; 2 is taken")
    _over_last(g, op, L2Normalize())


def _arg_max(g: Reading, op: Operator) -> None:
    """Over an axis that becomes the last."""
    value = g.value(op)
    rank = len(value.shape)
    axis, keep = axis_of(int(op.get("axis", 0)), rank), bool(op.get("keepdims", 1))
    if value.flat is not None:
        value = g.unflattened(value)
    others = [a for a in value.axes if a not in (UNIT, axis) and value.shape[a] > 1]
    attrs = ArgMax(bool(op.get("select_last_index", 0)))
    made = g.add("ArgMax", attrs, (g.ordered(value, (*others, axis)),))
    made = g.reshaped(made, g.shape_of(made)[:-1] or (1,))
    kept = [a for a in range(rank) if keep or a != axis]
    shape = [1 if a == axis else value.shape[a] for a in kept]
    g.give(op, made, shape, [kept.index(a) for a in others] or [UNIT])


LAYER_READERS: dict[str, Reader] = {
    "BatchNormalization": _batch_norm,
    "LayerNormalization": _layer_norm,
    "RMSNormalization": _layer_norm,
    "GroupNormalization": _group_norm,
    "InstanceNormalization": _group_norm,
    "Softmax": lambda g, op: _over_last(g, op, Softmax()),
    "LogSoftmax": lambda g, op: _over_last(g, op, LogSoftmax()),
    "LpNormalization": _unit_norm,
    "ArgMax": _arg_max,
}
