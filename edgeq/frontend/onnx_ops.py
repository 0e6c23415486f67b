"""Readers of ONNX operators that work number by number; READERS is the table of all."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from edgeq.frontend.findings import Refused
from edgeq.frontend.float_graph import UNIT, Array, Value
from edgeq.frontend.onnx_convolutions import CONVOLUTION_READERS
from edgeq.frontend.onnx_file import INTEGERS, Operator
from edgeq.frontend.onnx_graph import Reader, Readers, Reading, constant_like, widened
from edgeq.frontend.onnx_layers import LAYER_READERS, channel_affine
from edgeq.frontend.onnx_places import PLACE_READERS
from edgeq.frontend.onnx_pools import POOL_READERS
from edgeq.frontend.onnx_products import PRODUCT_READERS
from edgeq.frontend.onnx_quantized import QUANTIZED_READERS, clip_codes
from edgeq.frontend.onnx_recurrent import RECURRENT_READERS
from edgeq.frontend.onnx_shapes import SHAPE_READERS, joined, sliced
from edgeq.ops import OPS
from edgeq.ops.add import Add
from edgeq.ops.broadcast import AddBroadcast, AddConstant, Maximum, Minimum, Mul, MulConstant, Sub
from edgeq.ops.functions import (
    SELU_ALPHA,
    SELU_GAIN,
    Abs,
    Affine,
    Clip,
    Elu,
    Erf,
    Exp,
    Gelu,
    HardSigmoid,
    Log,
    Mish,
    Neg,
    Power,
    Selu,
    Sigmoid,
    Silu,
    Softplus,
    Sqrt,
    Tanh,
)
from edgeq.ops.hard_swish import HardSwish
from edgeq.ops.prelu import PRelu
from edgeq.ops.relu import Relu

LARGEST = 3e38  # what float32 holds
MOST_TABLES = 16  # of one operator
FLOAT = 1  # TensorProto.FLOAT
Attributes = Callable[[Operator], object]


def _function(make: Attributes) -> Reader:
    """A function of one number, named as its attributes' class."""

    def read(g: Reading, op: Operator) -> None:
        attrs = make(op)
        g.like(op, g.value(op), type(attrs).__name__, attrs)

    return read


def _table_of(name: str, attrs: Callable[[Operator], dict[str, float]]) -> Reader:
    """A function of one number, by its row of OPS."""
    return _function(lambda op: OPS[name].attrs(**attrs(op)))


def _share(op: Operator) -> float:
    """`alpha`, from 0 to 1."""
    value = float(op.get("alpha", 0.01))
    if not 0 <= value <= 1:
        raise Refused(f"it has alpha {value:g}; 0 to 1 is taken")
    return value


def _clip(g: Reading, op: Operator) -> None:
    if op.inputs[0] in g.coded:
        return clip_codes(g, op)
    numbers = [
        float(np.clip(default if end is None else end, -LARGEST, LARGEST))
        for end, default in zip(g.clip_ends(op), (-LARGEST, LARGEST), strict=True)
    ]
    return _clipped(g, op, g.value(op), numbers[0], numbers[1])


def _clipped(g: Reading, op: Operator, value: Value, low: float, high: float) -> None:
    """ReLU and ReLU6 have ops of their own, which layers take in."""
    low = min(low, high)  # as ONNX says it of ends that cross
    if low == 0 and high in (6.0, LARGEST):
        return g.like(op, value, "Relu", Relu("relu6" if high == 6 else "relu"))
    if low == -LARGEST and high == LARGEST:
        return g.same(op, value)
    return g.like(op, value, "Clip", Clip(low, high))


def _same(g: Reading, op: Operator) -> None:
    g.same(op, g.value(op))


def _prelu(g: Reading, op: Operator) -> None:
    """Slopes along the tensor's last axes; in front of them they are all the same."""
    value = g.value(op)
    slope = constant_like(value, g.real(op, 1))
    if value.flat is None:
        wide = slope.reshape(*[1] * (len(g.shape_of(value.name)) - slope.ndim), *slope.shape)
        own = next((i for i, n in enumerate(wide.shape) if n > 1), wide.ndim - 1)
        shape = g.shape_of(value.name)[own:]
        slope = np.ascontiguousarray(np.broadcast_to(wide.reshape(wide.shape[own:]), shape))
    made = g.add("PRelu", PRelu(), (value.name,), {"slope": slope})
    g.give(op, made, value.shape, value.axes, flat=value.flat)


def _cast(g: Reading, op: Operator) -> None:
    to, name = int(op.get("to", 0)), op.inputs[0]
    if to != FLOAT and not (to in INTEGERS and name in g.file.whole):
        raise Refused("it casts to another type than float32")
    g.same(op, g.value(op))


def _binary(g: Reading, op: Operator) -> None:
    if g.is_constant(op, 0) or g.is_constant(op, 1):
        return _with_constant(g, op)
    return _two(g, op, g.value(op, 0), g.value(op, 1))


def _with_constant(g: Reading, op: Operator) -> None:
    first = g.is_constant(op, 0)
    value = g.value(op, int(first))
    given = g.numbers(op, 1) if op.op == "Pow" and not first else g.real(op, int(not first))
    if (
        given.size
        and (given == given.flat[0]).all()
        and value.shape == np.broadcast_shapes(value.shape, given.shape)
    ):
        given = given.reshape(-1)[:1]
    if given.size == 1 and given.ndim <= len(value.shape):
        return _with_number(g, op, value, float(given.reshape(-1)[0]), first)
    if op.op == "Div":
        if first or (given == 0).any():
            raise Refused("it divides a constant, or by zero")
        given = (1 / given).astype(np.float32)
    if op.op in ("Max", "Min", "Pow"):
        return _cell_by_cell(g, op, value, given)
    other = constant_like(value, given)
    axis = _only_axis(value, given)
    if axis is not None:
        return _along(g, op, value, given.reshape(-1), axis, first)
    if op.op in ("Mul", "Div"):
        made = g.add("MulConstant", MulConstant(), (value.name,), {"other": other})
    else:
        sign = (1, 1) if op.op in ("Add", "Sum") else (-1, 1) if first else (1, -1)
        made = g.add("AddConstant", AddConstant(sign), (value.name,), {"other": other})
    return g.give(op, made, value.shape, value.axes, flat=value.flat)


def _cell_by_cell(g: Reading, op: Operator, value: Value, given: Array) -> None:
    """A number for each cell of an axis: a table for each, side by side."""
    rank = len(value.shape)
    wide = [rank - given.ndim + i for i, n in enumerate(given.shape) if n > 1]
    cells = value.shape[wide[0]] if len(wide) == 1 and given.ndim <= rank else 0
    if cells != given.size or cells > MOST_TABLES:
        raise Refused(
            f"it has a constant {list(given.shape)} on {list(value.shape)}; one number is taken, "
            f"or up to {MOST_TABLES} along an axis"
        )
    parts = []
    for i, number in enumerate(given.reshape(-1)):
        part, name = sliced(g, value, {wide[0]: (i, 1, 1)}), f"{op.outputs[0]} at {i}"
        _with_number(g, replace(op, outputs=(name,)), part, float(number), first=False)
        parts.append(g.live[name])
    joined(g, op, parts, wide[0])


def _only_axis(value: Value, given: Array) -> int | None:
    """The axis along which the constant runs, where it is one, and the last of the tensor."""
    rank = len(value.shape)
    wide = [rank - given.ndim + i for i, n in enumerate(given.shape) if n > 1]
    if len(wide) != 1 or value.flat is not None:
        return wide[0] if len(wide) == 1 and value.flat is not None else None
    held = [a for a in value.axes if a != UNIT and value.shape[a] > 1]
    return wide[0] if held[-1:] == wide and value.axes[-1] == wide[0] else None


def _along(g: Reading, op: Operator, value: Value, given: Array, axis: int, first: bool) -> None:
    """A gain or an offset a channel, which the layer before it may take in."""
    ones, zeros = np.ones_like(given), np.zeros_like(given)
    if op.op in ("Mul", "Div"):
        return channel_affine(g, op, value, axis, given, zeros)
    if op.op in ("Add", "Sum"):
        return channel_affine(g, op, value, axis, ones, given)
    return channel_affine(g, op, value, axis, -ones if first else ones, given if first else -given)


def _with_number(g: Reading, op: Operator, value: Value, number: float, first: bool) -> None:
    if op.op in ("Max", "Min"):
        low, high = (number, LARGEST) if op.op == "Max" else (-LARGEST, number)
        return _clipped(g, op, value, low, high)
    if op.op == "Pow":
        if first:
            raise Refused("it raises a constant to a power")
        return g.like(op, value, "Power", Power(number))
    if op.op == "Div" and first:
        name = g.add("Power", Power(-1.0), (value.name,))
        return _scaled(g, op, Value(name, value.shape, value.axes, value.flat), number, 0.0)
    if op.op == "Div" and number == 0:
        raise Refused("it divides by zero")
    gain, offset = {
        "Add": (1.0, number),
        "Sum": (1.0, number),
        "Sub": (-1.0, number) if first else (1.0, -number),
        "Mul": (number, 0.0),
        "Div": (1 / number if number else 1.0, 0.0),
    }[op.op]
    return _scaled(g, op, value, gain, offset)


def _scaled(g: Reading, op: Operator, value: Value, gain: float, offset: float) -> None:
    if (gain, offset) == (1.0, 0.0):
        return g.same(op, value)
    return g.like(op, value, "Affine", Affine(gain, offset))


def _two(g: Reading, op: Operator, a: Value, b: Value) -> None:
    """Both in the order of the one with more axes in use."""
    try:
        made = np.broadcast_shapes(a.shape, b.shape)
    except ValueError as error:
        raise Refused(f"it broadcasts {list(a.shape)} and {list(b.shape)}") from error
    if op.op in ("Div", "Pow"):
        raise Refused("it divides, or raises to a power, by an activation")
    if a.flat is not None and a.flat == b.flat and a.shape == b.shape:
        return g.give(op, _joined(g, op, (a.name, b.name)), made, a.axes, flat=a.flat)
    both = [widened(g, v, len(made)) for v in (a, b)]
    lead = max(both, key=lambda v: (sum(n > 1 for n in v.shape), v is both[0]))
    order = [x for x in lead.axes if x == UNIT or made[x] >= 1]
    order = [x for x in range(len(made)) if made[x] > 1 and x not in order] + order
    same = both[0].axes == both[1].axes and both[0].shape == both[1].shape == made
    names = [v.name if same else g.ordered(v, order) for v in both]
    axes = both[0].axes if same else tuple(order)
    return g.give(op, _joined(g, op, (names[0], names[1])), made, axes)


def _joined(g: Reading, op: Operator, names: tuple[str, str]) -> str:
    alike = g.shape_of(names[0]) == g.shape_of(names[1])
    kinds: dict[str, object] = {
        "Add": Add() if alike else AddBroadcast(),
        "Sum": Add() if alike else AddBroadcast(),
        "Sub": Sub(),
        "Mul": Mul(),
        "Max": Maximum(),
        "Min": Minimum(),
    }
    attrs = kinds[op.op]
    return g.add(type(attrs).__name__, attrs, names)


def _variadic(g: Reading, op: Operator) -> None:
    """Two by two, from the front."""
    if len(op.inputs) == 1:
        return _same(g, op)
    left = op.inputs[0]
    for i, right in enumerate(op.inputs[1:], 1):
        last = i == len(op.inputs) - 1
        out = op.outputs[0] if last else f"{op.outputs[0]} of {i}"
        _binary(g, replace(op, inputs=(left, right), outputs=(out,)))
        left = out
    return None


READERS: Readers = {
    **CONVOLUTION_READERS,
    **LAYER_READERS,
    **PLACE_READERS,
    **POOL_READERS,
    **PRODUCT_READERS,
    **QUANTIZED_READERS,
    **RECURRENT_READERS,
    **SHAPE_READERS,
    **dict.fromkeys(("Add", "Sub", "Mul", "Div", "Pow"), _binary),
    **dict.fromkeys(("Max", "Min", "Sum"), _variadic),
    "Relu": _function(lambda _: Relu()),
    "Clip": _clip,
    "Sigmoid": _function(lambda _: Sigmoid()),
    "Tanh": _function(lambda _: Tanh()),
    "HardSigmoid": _function(
        lambda op: HardSigmoid(float(op.get("alpha", 0.2)), float(op.get("beta", 0.5)))
    ),
    "HardSwish": _function(lambda _: HardSwish()),
    "LeakyRelu": _table_of("LeakyRelu", lambda op: {"negative_slope": _share(op)}),
    "PRelu": _prelu,
    "Elu": _function(lambda op: Elu(float(op.get("alpha", 1.0)))),
    "Selu": _function(
        lambda op: Selu(float(op.get("alpha", SELU_ALPHA)), float(op.get("gamma", SELU_GAIN)))
    ),
    "Gelu": _function(lambda op: Gelu(op.get("approximate", "none"))),
    "Softplus": _function(lambda _: Softplus()),
    "Mish": _function(lambda _: Mish()),
    "Exp": _function(lambda _: Exp()),
    "Log": _function(lambda _: Log()),
    "Sqrt": _function(lambda _: Sqrt()),
    "Reciprocal": _function(lambda _: Power(-1.0)),
    "Erf": _function(lambda _: Erf()),
    "Abs": _function(lambda _: Abs()),
    "Neg": _function(lambda _: Neg()),
    "Swish": _function(lambda op: _swish(float(op.get("alpha", 1.0)))),
    "Identity": _same,
    "Dropout": _same,
    "Cast": _cast,
}


def _swish(alpha: float) -> Silu:
    if alpha != 1.0:
        raise Refused(f"it has alpha {alpha:g}; 1 is taken")
    return Silu()
