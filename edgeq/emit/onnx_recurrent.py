"""Lstm, Gru and Mgu -> ONNX's, in floats; the hidden state is rounded behind the layer alone.
The halves of an SVDF are convolutions.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from onnx import TensorProto

from edgeq.emit.onnx_builder import OnnxBuilder
from edgeq.ir import Graph, Node
from edgeq.ops import gru as gru_op
from edgeq.ops import lstm as lstm_op
from edgeq.ops import mgu as mgu_op
from edgeq.ops.op import Array, quant_of

ENDS = {"LSTM": (".hidden", ".cell"), "GRU": (".hidden",)}  # the names of what stands at the end


def lstm(b: OnnxBuilder, graph: Graph, node: Node, x: list[str]) -> str:
    """(N, T, features) -> (N, T, units)"""
    bias = _bias(graph, node, "bias", "input", quant_of(graph.tensors[node.inputs[0]]).per_tensor)
    both = _joined(bias, bias * 0, lstm_op.ONNX_GATES)
    return _layer(b, graph, node, x, "LSTM", lstm_op.ONNX_GATES, both)


def gru(b: OnnxBuilder, graph: Graph, node: Node, x: list[str]) -> str:
    """As `lstm`, of a Gru or an Mgu."""
    given, made = (quant_of(graph.tensors[n]).per_tensor for n in (node.inputs[0], node.outputs[0]))
    own = _bias(graph, node, "bias", "input", given)
    kept = _bias(graph, node, "recurrent_bias", "recurrent", made)
    both = _joined(own, kept, gru_op.ONNX_GATES)
    return _layer(b, graph, node, x, "GRU", gru_op.ONNX_GATES, both, linear_before_reset=1)


def _gates(node: Node, rows: Array, sign: int = -1) -> Array:
    """Rows of a node's gates; of an Mgu those of the Gru that it is, f its reset and -f its update:
    1 - sigmoid(f) is sigmoid(-f).
    """
    if not node.op.startswith("Mgu"):
        return rows
    forget, new = np.split(rows, mgu_op.GATES)
    return np.concatenate([forget, sign * forget, new])


def _layer(
    b: OnnxBuilder,
    graph: Graph,
    node: Node,
    x: list[str],
    op: str,
    order: Sequence[int],
    biases: Array,
    **attributes: Any,
) -> str:
    """`x`: the rows, and the states that a step begins with."""
    units = graph.tensors[node.outputs[0]].shape[1]
    given, kept = (_weights(b, graph, node, f"{n}_weight", order) for n in ("input", "recurrent"))
    both = b.constant(f"{node.name}.bias", biases, np.float32)
    turned = b.node("Transpose", [x[0]], f"{node.name}.time_first", perm=[1, 0, 2])
    name, begun = f"{node.name}.{op.lower()}", ["", *x[1:]] if x[1:] else []
    inputs = [turned, given, kept, both, *begun]
    ends = ENDS[op] if begun else ()  # a whole sequence leaves nothing behind
    made = b.several(op, inputs, name, ends, hidden_size=units, **attributes)
    axis = b.constant(f"{node.name}.directions", [1], np.int64)
    flat = b.node("Squeeze", [made, axis], f"{node.name}.one_direction")
    return b.node("Transpose", [flat], f"{node.name}.batch_first", perm=[1, 0, 2])


def _bias(graph: Graph, node: Node, role: str, name: str, scale: float) -> Array:
    """Real numbers."""
    rows = np.array(quant_of(graph.tensors[node.params[f"{name}_weight"]]).scale)
    return _gates(node, np.asarray(graph.param(node, role) * rows * scale))


def _joined(own: Array, kept: Array, order: Sequence[int]) -> Array:
    return np.concatenate([_ordered(own, order), _ordered(kept, order)])[None]


def _weights(b: OnnxBuilder, graph: Graph, node: Node, role: str, order: Sequence[int]) -> str:
    codes, scales = graph.param(node, role), quant_of(graph.tensors[node.params[role]]).scale
    scale = _ordered(_gates(node, np.array(scales), 1), order).tolist()
    codes = _ordered(_gates(node, codes), order)
    rows = b.integers(f"{node.name}.{role}", codes, TensorProto.INT8, scale)
    axis = b.constant(f"{node.name}.{role}.direction", [0], np.int64)
    return b.node("Unsqueeze", [rows, axis], f"{node.name}.{role}.of_one_direction")


def _ordered(rows: Array, order: Sequence[int]) -> Array:
    """Blocks of gates in ONNX's order."""
    blocks = np.split(rows, len(order))
    return np.concatenate([blocks[gate] for gate in order])


def svdf_feature(b: OnnxBuilder, graph: Graph, node: Node, x: list[str]) -> str:
    """A 1x1 Conv of the frames, (N, features, 1, T) -> (N, filters, 1, T)."""
    codes, quant = graph.param(node, "feature_weight"), _one_scale(graph, node, "feature_weight")
    weight = b.integers(f"{node.name}.weight", codes[:, :, None, None], TensorProto.INT8, quant)
    return b.node("Conv", [x[0], weight], f"{node.name}.conv", kernel_shape=[1, 1])


def svdf_time(b: OnnxBuilder, graph: Graph, node: Node, x: list[str]) -> str:
    """A Conv along time, a group a unit."""
    attrs, taps = node.attrs, graph.param(node, "taps")
    memory, filters = taps.shape
    codes = taps.T.reshape(filters // attrs.rank, attrs.rank, 1, memory)
    scale = _one_scale(graph, node, "taps")
    weight = b.integers(f"{node.name}.taps", codes, TensorProto.INT16, scale)
    given = quant_of(graph.tensors[node.inputs[0]]).per_tensor
    bias = b.constant(f"{node.name}.bias", graph.param(node, "bias") * given * scale[0], np.float32)
    options = {"kernel_shape": [1, memory], "pads": [0, attrs.before, 0, 0]}
    inputs, groups = [x[0], weight, bias], filters // attrs.rank
    return b.node("Conv", inputs, f"{node.name}.conv", group=groups, **options)


def _one_scale(graph: Graph, node: Node, role: str) -> tuple[float, ...]:
    return (quant_of(graph.tensors[node.params[role]]).per_tensor,)
