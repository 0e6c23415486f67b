"""Readers of ONNX norms and of Softmax."""

import numpy as np

from edgeq.frontend.findings import Refused
from edgeq.frontend.float_graph import UNIT, Array, Value
from edgeq.frontend.onnx_file import Operator
from edgeq.frontend.onnx_graph import Reader, Reading, axis_of
from edgeq.ops.batch_norm import BatchNorm
from edgeq.ops.layer_norm import LayerNorm
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
    value = g.value(op)
    rank = len(value.shape)
    if axis_of(int(op.get("axis", -1)), rank) != rank - 1 or len(op.outputs) > 1:
        raise Refused("it normalises more than the last axis, or gives its statistics")
    features = value.shape[-1]
    gamma = g.real(op, 1)
    beta = g.real(op, 2) if g.has(op, 2) else np.zeros(features, np.float32)
    kept = tuple(i for i in range(rank) if i == rank - 1 or value.shape[i] > 1)
    constants = {"gamma": gamma.reshape(-1), "beta": beta.reshape(-1)}
    attrs = LayerNorm(float(op.get("epsilon", 1e-5)))
    made = g.add("LayerNorm", attrs, (g.ordered(value, kept),), constants)
    g.give(op, made, value.shape, kept)


def _softmax(g: Reading, op: Operator) -> None:
    """Over an axis that becomes the last."""
    value = g.value(op)
    axis = axis_of(int(op.get("axis", -1)), len(value.shape))
    if value.flat is not None:
        value = g.unflattened(value)
    others = [a for a in value.axes if a not in (UNIT, axis) and value.shape[a] > 1]
    made = g.add("Softmax", Softmax(), (g.ordered(value, (*others, axis)),))
    g.give(op, made, value.shape, (*others, axis))


LAYER_READERS: dict[str, Reader] = {
    "BatchNormalization": _batch_norm,
    "LayerNormalization": _layer_norm,
    "Softmax": _softmax,
}
