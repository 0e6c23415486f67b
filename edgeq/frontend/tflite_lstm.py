"""UNIDIRECTIONAL_SEQUENCE_LSTM, as TensorFlow Lite Micro takes it: int8, an int16 cell."""

import math

import numpy as np

from edgeq.frontend.findings import Refused
from edgeq.frontend.tflite_file import Operator, Tensor
from edgeq.frontend.tflite_graph import Array, Growing, quant_of_tensor
from edgeq.ops.gates import weight_types
from edgeq.ops.lstm import GATES, Lstm, integer_params

# places of the operator's inputs, in the order of the kernel's gates
INPUT_WEIGHTS, RECURRENT_WEIGHTS, BIASES = (1, 2, 3, 4), (5, 6, 7, 8), (12, 13, 14, 15)
HIDDEN, CELL = 18, 19
UNTAKEN = {
    9: "peepholes",
    10: "peepholes",
    11: "peepholes",
    16: "a projection",
    17: "a projection",
    20: "layer normalisation",
    21: "layer normalisation",
    22: "layer normalisation",
    23: "layer normalisation",
}
TANH = 4


def lstm(g: Growing, op: Operator) -> None:
    """The node. Raises Refused for forms that TensorFlow Lite Micro has no int8 kernel for."""
    for place, what in UNTAKEN.items():
        if place < len(op.inputs) and op.inputs[place] >= 0:
            raise Refused(f"it has {what}")
    if op.option(0, "b") != TANH or op.option(2, "f", 0.0):
        raise Refused("it has another activation than tanh, or clips a projection")
    if op.option(5, "b"):
        raise Refused("its recurrent weights are diagonal")
    given, made = g.operand(op, 0), g.output(op)
    if len(given.shape) != 3 or given.shape[1 if op.option(3, "b") else 0] != 1:
        raise Refused(f"it takes a sequence of one row, not {list(given.shape)}")
    steps, features = given.size // given.shape[2], given.shape[2]
    source = g.reshaped(op, g.value(op, 0), (steps, features))
    quant, power = quant_of_tensor(made), _power(_state(g, op, CELL))
    if quant_of_tensor(_state(g, op, HIDDEN)) != quant:
        raise Refused("its hidden state and its output have different scales")
    values, scales = _constants(g, op)
    attrs = Lstm(power, _clip(op.option(1, "f", 0.0), power))
    values |= integer_params(attrs, quant_of_tensor(given), quant, *scales)
    params = g.constants(op, values, weight_types(values, *scales))
    g.add(op, "Lstm", attrs, (source,), params)


def _state(g: Growing, op: Operator, place: int) -> Tensor:
    """A variable, which begins at zero; Refused for anything else."""
    index = op.inputs[place] if place < len(op.inputs) else -1
    if index < 0 or g.subgraph.tensors[index].special != "a variable":
        raise Refused(f"its input {place} is no state of its own")
    return g.subgraph.tensors[index]


def _power(cell: Tensor) -> int:
    """The cell's steps are 2^power."""
    scale = cell.scale[0] if len(cell.scale) == 1 else 0.0
    power = round(math.log2(scale)) if scale > 0 else 0
    if cell.dtype != "int16" or any(cell.zero_point) or scale != 2.0**power:
        raise Refused(f"its cell is {cell.dtype}, not int16 in steps of a power of two")
    return power


def _clip(limit: float, power: int) -> int:
    """In steps of the cell; 0 for none."""
    if not 0 <= limit < math.inf:
        raise Refused(f"it clips its cell at {limit}")
    return min(round(limit / 2.0**power), 32767)


def _constants(g: Growing, op: Operator) -> tuple[dict[str, Array], tuple[Array, Array]]:
    """Weights and biases of all gates, one block behind another, and the scales of the weights."""
    values, scales = {}, []
    for name, places in (("input_weight", INPUT_WEIGHTS), ("recurrent_weight", RECURRENT_WEIGHTS)):
        tensors = [g.operand(op, place) for place in places]
        for tensor in tensors:
            plain = tensor.dtype == "int8" and len(tensor.scale) == 1 and not any(tensor.zero_point)
            if not plain or len(tensor.shape) != 2 or tensor.shape != tensors[0].shape:
                raise Refused(f"its weights {tensor.name!r} are not int8 with one scale")
        values[name] = np.concatenate([g.constant(tensor) for tensor in tensors])
        scales.append(np.array([tensor.scale[0] for tensor in tensors], np.float64))
    biases = [g.operand(op, place) for place in BIASES]
    units = len(values["input_weight"]) // GATES
    if any(b.dtype != "int32" or b.size != units for b in biases):
        raise Refused("its biases are not int32, one a unit")
    values["bias"] = np.concatenate([g.constant(b).reshape(-1) for b in biases])
    return values, (scales[0], scales[1])
