"""How each TensorFlow Lite operator is read; READERS is the table. Integers are taken as they are.

A reader appends nodes to the graph that grows, or raises Refused with the reason.
"""

from collections.abc import Callable

import numpy as np

from edgeq.frontend.findings import Refused
from edgeq.frontend.tflite_batches import batch_to_space, space_to_batch
from edgeq.frontend.tflite_file import Operator
from edgeq.frontend.tflite_filters import FILTER_READERS, activation_of, window_of
from edgeq.frontend.tflite_gather_nd import gather_nd
from edgeq.frontend.tflite_graph import BOTH, INT8, Growing, quant_of_tensor
from edgeq.frontend.tflite_lstm import lstm
from edgeq.frontend.tflite_places import (
    PLACE_READERS,
    is_lookup,
    is_wide,
    looked_up,
    wide_bound,
    wide_shape,
    wide_sum,
)
from edgeq.frontend.tflite_prelu import prelu, rectified
from edgeq.frontend.tflite_reductions import REDUCTION_READERS
from edgeq.frontend.tflite_shapes import (
    SHAPE_READERS,
    Reader,
    amounts,
    elementwise,
    extreme,
    gather,
    pad,
)
from edgeq.frontend.tflite_svdf import svdf
from edgeq.frontend.tflite_tables import TABLE_READERS
from edgeq.frontend.tflite_wide import WIDE_READERS, either, quantize_either
from edgeq.ir import Quant
from edgeq.ops import OPS, l2_normalize, log_softmax
from edgeq.ops.add import Add
from edgeq.ops.fixed_point import quantize_multiplier
from edgeq.ops.functions import SIGMOID_QUANT, TANH_QUANT, Clip
from edgeq.ops.l2_normalize import L2Normalize
from edgeq.ops.log_softmax import LogSoftmax
from edgeq.ops.max_pool_2d import MaxPool2D
from edgeq.ops.mean_pool_2d import MeanPool2D
from edgeq.ops.relu import Relu
from edgeq.ops.softmax import OUTPUT_QUANT
from edgeq.ops.softmax_q31 import SoftmaxQ31


def _pool(g: Growing, op: Operator, average: bool) -> None:
    source, given = g.map(op)
    kernel = int(op.option(4, "i")), int(op.option(3, "i"))
    if min(kernel) < 1 or max(kernel) > 4096:
        raise Refused(f"it has filter {kernel}")
    stride, padding = window_of(op, kernel, given.size)
    g.same_scale(op)
    activation = activation_of(op, 5)
    if average:
        attrs = MeanPool2D(kernel, stride, padding, activation)
        return g.add(op, "MeanPool2D", attrs, (source,))
    pool = MaxPool2D(kernel, stride, padding)
    if activation == "none":
        return g.add(op, "MaxPool2D", pool, (source,))
    largest = g.between(op, "MaxPool2D", pool, source, "pool")
    return g.add(op, "Relu", Relu(activation), (largest,))


def _elementwise(g: Growing, op: Operator) -> None:
    """ADD of two activations of one shape has the shorter kernel."""
    if op.op == "ADD" and is_wide(g, op):
        return wide_sum(g, op)
    activation = activation_of(op, 0)
    tensors = [g.operand(op, i) for i in (0, 1)]
    plain = not any(g.file.is_constant(t) for t in tensors)
    if op.op != "ADD" or not plain or tensors[0].shape != tensors[1].shape:
        return elementwise(g, op, activation)
    return g.add(op, "Add", Add(activation), (g.value(op, 0), g.value(op, 1)))


def _add_n(g: Growing, op: Operator) -> None:
    """Of two it is ADD; three and more are rounded once, which no op does."""
    if len(op.inputs) != 2:
        raise Refused(
            f"it adds {len(op.inputs)} tensors, two are taken; an ADD of two at a time is"
        )
    if quant_of_tensor(g.operand(op, 0)) != quant_of_tensor(g.operand(op, 1)):
        raise Refused("its inputs have different scales, which an ADD may have")
    if quant_of_tensor(g.operand(op, 0)).zero_point:  # TensorFlow Lite Micro takes it once more
        raise Refused("its inputs' zero point is not 0, which an ADD may have")
    if any(g.file.is_constant(g.operand(op, i)) for i in (0, 1)):
        raise Refused("it adds a constant, which an ADD may")
    g.add(op, "Add", Add("none"), (g.value(op, 0), g.value(op, 1)))


def _relu(activation: str) -> Reader:
    def read(g: Growing, op: Operator) -> None:
        if activation == "relu" and quant_of_tensor(g.operand(op, 0)) != quant_of_tensor(
            g.output(op)
        ):
            return _rescaled_relu(g, op)
        g.same_scale(op)
        return g.add(op, "Relu", Relu(activation), (g.value(op, 0),))

    return read


def _rescaled_relu(g: Growing, op: Operator) -> None:
    """A table: a multiplier of a float32 quotient, held at zero, as in TensorFlow Lite Micro."""
    given, made = quant_of_tensor(g.operand(op, 0)), quant_of_tensor(g.output(op))
    ratio = float(np.float32(given.per_tensor) / np.float32(made.per_tensor))
    params = g.constants(op, rectified(given, made, quantize_multiplier(ratio)), {})
    most = max((127 - given.zero_point) * given.per_tensor, 0.0)
    g.add(op, "Clip", Clip(0.0, most), (g.value(op, 0),), params)


def _softmax(g: Growing, op: Operator) -> None:
    beta = op.option(0, "f", 0.0)
    if beta != 1.0:
        raise Refused(f"it has beta {beta:g}")
    _over_last(g, op, SoftmaxQ31(), OUTPUT_QUANT)


def _unit_norm(g: Growing, op: Operator) -> None:
    if activation_of(op, 0) != "none":
        raise Refused("it has a fused activation")
    _over_last(g, op, L2Normalize(), l2_normalize.OUTPUT_QUANT)


def _over_last(g: Growing, op: Operator, attrs: object, wanted: Quant) -> None:
    _check_output(g, op, wanted)
    given = g.operand(op, 0)
    if not given.shape:
        raise Refused("it is over a single value")
    source = g.value(op, 0)
    if given.size == given.shape[-1]:
        source = g.reshaped(op, source, (given.size,))
    g.add(op, type(attrs).__name__, attrs, (source,))


def _check_output(g: Growing, op: Operator, wanted: Quant) -> None:
    """Raises Refused for another output scale than the only one that TensorFlow Lite allows."""
    if quant_of_tensor(g.output(op)) != wanted:
        steps = round(1 / wanted.per_tensor)
        raise Refused(f"its output's scale is not 1/{steps} with zero point {wanted.zero_point}")


def _reshape(g: Growing, op: Operator) -> None:
    """The new shape is the output's own, whether options, a second input or nothing says it too."""
    if is_wide(g, op):
        return wide_shape(g, op)
    g.same_scale(op, dtypes=BOTH)
    return g.alias(op, BOTH)


def _extreme(g: Growing, op: Operator) -> None:
    return wide_bound(g, op) if is_wide(g, op) else extreme(g, op)


def _gather(g: Growing, op: Operator) -> None:
    """Constant places of an activation, or a table of every code."""
    return looked_up(g, op) if is_lookup(g, op) else gather(g, op)


def _pad(g: Growing, op: Operator) -> None:
    """Of a map it is left to the windows that read it."""
    by = amounts(g, op)
    if len(by) != 4 or by[3].any():
        return pad(g, op)
    dtypes = INT8 if op.outputs[0] in g.subgraph.outputs else BOTH
    g.same_scale(op, dtypes=dtypes)
    padding = (int(by[1, 0]), int(by[2, 0]), int(by[1, 1]), int(by[2, 1]))
    return g.pad(op, padding, dtypes)


def _nothing(_op: Operator) -> dict[str, float]:
    return {}


def _table_of(
    name: str, wanted: Quant | None = None, attrs: Callable[[Operator], dict[str, float]] = _nothing
) -> Reader:
    """A function of one number. `wanted`: the only output scale that TensorFlow Lite allows."""

    def read(g: Growing, op: Operator) -> None:
        if wanted is not None:
            _check_output(g, op, wanted)
        g.add(op, name, OPS[name].attrs(**attrs(op)), (g.value(op, 0),))

    return read


def _share(op: Operator) -> float:
    """The first option, from 0 to 1."""
    value = float(op.option(0, "f", 0.0))
    if not 0.0 <= value <= 1.0:
        raise Refused(f"it has alpha {value:g}; 0 to 1 is taken")
    return value


_READERS: dict[str, Reader] = {
    "SVDF": svdf,
    "UNIDIRECTIONAL_SEQUENCE_LSTM": lstm,
    **FILTER_READERS,
    "AVERAGE_POOL_2D": lambda g, op: _pool(g, op, average=True),
    "MAX_POOL_2D": lambda g, op: _pool(g, op, average=False),
    "ADD": _elementwise,
    "ADD_N": _add_n,
    "SUB": _elementwise,
    "MUL": _elementwise,
    "RELU": _relu("relu"),
    "RELU6": _relu("relu6"),
    "HARD_SWISH": _table_of("HardSwish"),
    "LEAKY_RELU": _table_of("LeakyRelu", attrs=lambda op: {"negative_slope": _share(op)}),
    "PRELU": prelu,
    "LOGISTIC": _table_of("Sigmoid", SIGMOID_QUANT),
    "TANH": _table_of("Tanh", TANH_QUANT),
    "ELU": _table_of("Elu"),
    "ABS": _table_of("Abs"),
    **TABLE_READERS,
    "SOFTMAX": _softmax,
    "L2_NORMALIZATION": _unit_norm,
    "LOG_SOFTMAX": lambda g, op: _over_last(g, op, LogSoftmax(), log_softmax.OUTPUT_QUANT),
    "RESHAPE": _reshape,
    "SQUEEZE": _reshape,
    "EXPAND_DIMS": _reshape,
    "PAD": _pad,
    "SPACE_TO_BATCH_ND": space_to_batch,
    "BATCH_TO_SPACE_ND": batch_to_space,
    **SHAPE_READERS,
    "QUANTIZE": quantize_either,
    "GATHER": _gather,
    "GATHER_ND": gather_nd,
    "MINIMUM": _extreme,
    "MAXIMUM": _extreme,
    **PLACE_READERS,
    **REDUCTION_READERS,
}
ON_INT16 = frozenset({*WIDE_READERS, "RESHAPE", "SQUEEZE", "EXPAND_DIMS", "PAD", "QUANTIZE"})
READERS = _READERS | {op: either(_READERS[op], wide) for op, wide in WIDE_READERS.items()}
