"""SVDF, as TensorFlow Lite Micro takes it: a frame an invocation, a state of int16 or int8.

A state of int16 makes an SvdfFeature and an SvdfTime, one of int8 two convolutions; between them a
History is the variable.
"""

from typing import NamedTuple

import numpy as np

from edgeq.frontend.findings import Refused
from edgeq.frontend.tflite_file import Operator, Tensor
from edgeq.frontend.tflite_graph import BOTH, Array, Growing, quant_of_tensor
from edgeq.ir import Quant, TensorType
from edgeq.ops import svdf_feature
from edgeq.ops.conv_2d import Conv2D
from edgeq.ops.history import History
from edgeq.ops.svdf_feature import SvdfFeature
from edgeq.ops.svdf_time import SvdfTime

FEATURE, TIME, BIAS, STATE = 1, 2, 3, 4
ACTIVATIONS = (0, 1)  # none and ReLU: both are int8's own ends


class _Parts(NamedTuple):
    """feature (filters, features), time (filters, memory), bias (units,)."""

    rank: int
    feature: Array
    time: Array
    bias: Array
    scales: tuple[float, float]
    state: Quant
    dtype: str


def svdf(g: Growing, op: Operator) -> None:
    """The nodes. Raises Refused for forms that TensorFlow Lite Micro has no integer kernel for."""
    parts, given = _parts(g, op), g.operand(op, 0)
    if len(given.shape) != 2 or given.shape != (1, parts.feature.shape[1]):
        raise Refused(f"it takes one frame of features, not {list(given.shape)}")
    made = quant_of_tensor(g.output(op))
    ends = quant_of_tensor(given).per_tensor, parts.state.per_tensor, made.per_tensor
    first = svdf_feature.integer_params(ends[0], parts.scales[0], ends[1])
    second = svdf_feature.integer_params(ends[1], parts.scales[1], ends[2])
    if second["shift"][0] > 0:
        raise Refused("its output's steps are finer than its sums")
    frame = g.reshaped(op, g.value(op, 0), (1, 1, given.size), "frame")
    build = _wide if parts.dtype == "int16" else _narrow
    build(g, op, frame, parts, first, second)


def _wide(
    g: Growing,
    op: Operator,
    x: str,
    parts: _Parts,
    first: dict[str, Array],
    second: dict[str, Array],
) -> None:
    values = {svdf_feature.WEIGHT: parts.feature, **first}
    types = {svdf_feature.WEIGHT: _typed(parts.feature, parts.scales[0])}
    params = g.constants(op, values, types, "_filters")
    state = parts.state
    x = g.between(op, "SvdfFeature", SvdfFeature(), x, "filters", state, params, "int16")
    x = _kept(g, op, x, parts, "int16")
    taps = np.ascontiguousarray(parts.time.T)
    values = {"taps": taps, "bias": parts.bias, **second}
    params = g.constants(op, values, {"taps": _typed(taps, parts.scales[1])})
    g.add(op, "SvdfTime", SvdfTime(parts.rank), (x,), params)


def _narrow(
    g: Growing,
    op: Operator,
    x: str,
    parts: _Parts,
    first: dict[str, Array],
    second: dict[str, Array],
) -> None:
    filters, memory = parts.time.shape
    nothing = np.zeros(filters, np.int32)
    weight = parts.feature[:, None, None]
    params = _convolution(g, op, weight, nothing, parts.scales[0], first, "_filters")
    x = g.between(op, "Conv2D", Conv2D(), x, "filters", parts.state, params)
    x = _kept(g, op, x, parts, "int8")
    units = filters // parts.rank
    taps = parts.time.reshape(units, parts.rank, memory).transpose(0, 2, 1)[:, None]
    params = _convolution(g, op, taps, parts.bias, parts.scales[1], second, "")
    g.add(op, "Conv2D", Conv2D(groups=units), (x,), params)


def _convolution(
    g: Growing,
    op: Operator,
    weight: Array,
    bias: Array,
    scale: float,
    numbers: dict[str, Array],
    part: str,
) -> dict[str, str]:
    """A multiplier a channel, all alike."""
    each = {name: np.repeat(value, len(weight)) for name, value in numbers.items()}
    weight = np.ascontiguousarray(weight)
    values = {"weight": weight, "bias": bias, **each}
    return g.constants(op, values, {"weight": _typed(weight, scale)}, part)


def _kept(g: Growing, op: Operator, x: str, parts: _Parts, dtype: str) -> str:
    """The filters of all frames in memory."""
    memory = parts.time.shape[1]
    if memory == 1:
        return x
    return g.between(op, "History", History(1, memory), x, "state", parts.state, None, dtype)


def _typed(codes: Array, scale: float) -> TensorType:
    return TensorType(codes.shape, str(codes.dtype), Quant((scale,), 0, 0))


def _parts(g: Growing, op: Operator) -> _Parts:
    rank = int(op.option(0, "i", 1))
    if op.option(1, "b") not in ACTIVATIONS:
        raise Refused("it has another activation than none or ReLU")
    feature, time, bias = (g.operand(op, place) for place in (FEATURE, TIME, BIAS))
    state = _state(g, op)
    for tensor, types in ((feature, ("int8",)), (time, (state.dtype,))):
        plain = len(tensor.scale) == 1 and not any(tensor.zero_point)
        if not plain or tensor.dtype not in types or len(tensor.shape) != 2:
            raise Refused(f"its weights {tensor.name!r} are not {types[0]} with one scale")
    filters, memory = time.shape
    if rank < 1 or filters % rank or feature.shape[0] != filters:
        raise Refused(f"it has {feature.shape[0]} filters, {filters} over time, of rank {rank}")
    if bias.dtype != "int32" or bias.size != filters // rank:
        raise Refused("its bias is not int32, one a unit")
    if state.shape != (1, memory * filters):
        raise Refused(f"its state is {list(state.shape)} for {filters} filters of {memory} frames")
    return _Parts(
        rank,
        g.constant(feature),
        g.constant(time),
        g.constant(bias).reshape(-1),
        (feature.scale[0], time.scale[0]),
        quant_of_tensor(state, BOTH),
        state.dtype,
    )


def _state(g: Growing, op: Operator) -> Tensor:
    """A variable of its own, which begins at zero."""
    index = op.inputs[STATE] if len(op.inputs) > STATE else -1
    if index < 0 or g.subgraph.tensors[index].special != "a variable":
        raise Refused(f"its input {STATE} is no state of its own")
    if sum(index in other.inputs for other in g.subgraph.operators) > 1:
        raise Refused("other operators have its state too; a file of one frame is taken")
    state = g.subgraph.tensors[index]
    if state.dtype not in BOTH or any(state.zero_point):
        raise Refused(f"its state is {state.dtype} with zero point {state.zero_point}, not 0")
    return state
