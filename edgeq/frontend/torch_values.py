"""PyTorch's operators on values and shapes as ops of a graph. ATEN_VALUES is the table."""

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from torch import Tensor

from edgeq.frontend.findings import Refused
from edgeq.frontend.placed import Placed, Placing, Shape, permuted
from edgeq.frontend.torch_layers import Arguments, Reader, activation, affine, array, numbers
from edgeq.ops import OPS
from edgeq.ops.add import Add
from edgeq.ops.average_pool_2d import AveragePool2D
from edgeq.ops.broadcast import AddBroadcast, Maximum, Minimum, Mul, Sub
from edgeq.ops.graph_builder import Cursor
from edgeq.ops.op import Array
from edgeq.ops.relu import Relu

ONE, NOTHING = np.ones((), np.float32), np.zeros((), np.float32)


def _unary(b: Placing, name: str, x: Placed, op: str, attrs: object) -> Placed:
    made = b.add(op, name, attrs, (Cursor(x.name, x.memory),))
    return Placed(made.name, x.shape, x.axes, x.order)


def _of_one(op: str, **fields: object) -> Reader:
    """A reader of a function of one number; `fields`: attributes, or names of arguments."""

    def read(b: Placing, name: str, a: Arguments) -> Placed:
        given = {k: a[v] if isinstance(v, str) and v in a else v for k, v in fields.items()}
        attrs = OPS[op].attrs(**given)
        return _unary(b, name, activation(a["self"]), op, attrs)

    return read


def _elu(b: Placing, name: str, a: Arguments) -> Placed:
    if (a["scale"], a["input_scale"]) != (1, 1):
        raise Refused("an ELU with scales")
    return _unary(b, name, activation(a["self"]), "Elu", OPS["Elu"].attrs(float(a["alpha"])))


def _softplus(b: Placing, name: str, a: Arguments) -> Placed:
    if a["beta"] != 1:
        raise Refused(f"a softplus with beta {a['beta']}")
    return _unary(b, name, activation(a["self"]), "Softplus", OPS["Softplus"].attrs())


def _clamp(b: Placing, name: str, a: Arguments) -> Placed:
    x = activation(a["self"])
    low = a.get("min", a.get("min_val"))
    high = a.get("max", a.get("max_val"))
    low, high = (-math.inf if low is None else low), (math.inf if high is None else high)
    if low == 0 and high in (6, math.inf):
        return _unary(b, name, x, "Relu", Relu("relu6" if high == 6 else "relu"))
    if not (math.isfinite(low) and math.isfinite(high)):
        far = 1e9
        low, high = max(low, -far), min(high, far)
    return _unary(b, name, x, "Clip", OPS["Clip"].attrs(float(low), float(high)))


def _add(b: Placing, name: str, a: Arguments, sign: float = 1.0) -> Placed:
    first, second, alpha = a["self"], a["other"], float(a.get("alpha", 1)) * sign
    if isinstance(first, Placed) and isinstance(second, Placed):
        if alpha == -1.0:
            return _both(b, name, first, second, "Sub", Sub())
        if alpha != 1.0:
            second = affine(
                b, b.fresh(f"{name}.factor"), second, np.array(alpha, np.float32), NOTHING
            )
        return _both(b, name, first, second, "Add", Add())
    x, other = (first, second) if isinstance(first, Placed) else (second, first)
    if isinstance(first, Placed):
        return affine(b, name, activation(x), ONE, _factors(x, other) * alpha)
    return affine(b, name, activation(x), np.array(alpha, np.float32), _factors(x, other))


def _subtract(b: Placing, name: str, a: Arguments) -> Placed:
    return _add(b, name, a, -1.0)


def _multiply(b: Placing, name: str, a: Arguments) -> Placed:
    first, second = a["self"], a["other"]
    if isinstance(first, Placed) and isinstance(second, Placed):
        return _both(b, name, first, second, "Mul", Mul())
    x, other = (first, second) if isinstance(first, Placed) else (second, first)
    return affine(b, name, activation(x), _factors(x, other), NOTHING)


def _extreme(op: str, attrs: object) -> Reader:
    def read(b: Placing, name: str, a: Arguments) -> Placed:
        return _both(b, name, activation(a["self"]), activation(a["other"]), op, attrs)

    return read


def _divide(b: Placing, name: str, a: Arguments) -> Placed:
    if isinstance(a["other"], Placed) or a.get("rounding_mode"):
        raise Refused("a division by an activation has no op here")
    x = activation(a["self"])
    return affine(b, name, x, 1 / _factors(x, a["other"]), NOTHING)


def _factors(x: Placed, value: object) -> Array:
    """A constant that is one number, or one a channel."""
    if isinstance(value, int | float):
        return np.array(value, np.float32)
    held = array(value) if isinstance(value, Tensor) else np.zeros((0,))
    if held.size == 1:
        return held.reshape(())
    axes = (1,) * max(0, x.rank - held.ndim + (held.ndim > x.rank)) + held.shape[-x.rank :]
    if held.size != x.shape[0] or axes[0] != x.shape[0]:
        raise Refused(f"a constant of shape {held.shape} beside {('N', *x.shape)}")
    return held.reshape(-1)


def _both(b: Placing, name: str, x: Placed, y: Placed, op: str, attrs: object) -> Placed:
    """An op of two activations, the second arranged as the first; axes of 1 are repeated."""
    shape = tuple(np.broadcast_shapes(x.shape, y.shape))
    if x.order is not None and y.order is not None and np.array_equal(x.order, y.order):
        second = Cursor(y.name, y.memory)
        made = b.add(op, name, attrs, (Cursor(x.name, x.memory), second))
        return Placed(made.name, x.shape, x.axes, x.order)
    whole = x if x.shape == shape else y
    if whole.shape != shape or whole.order is not None:
        raise Refused(f"it broadcasts {('N', *x.shape)} and {('N', *y.shape)}")
    given = tuple(
        Cursor(t.name, t.memory) if t is whole else b.arranged(_ranked(b, t, whole.rank, name),
                                                              whole.axes, name)
        for t in (x, y)
    )  # fmt: skip
    if x.shape != y.shape and op == "Add":
        op, attrs = "AddBroadcast", AddBroadcast()
    made = b.add(op, name, attrs, given)
    return Placed(made.name, shape, whole.axes)


def _ranked(b: Placing, x: Placed, rank: int, name: str) -> Placed:
    """With axes of 1 put in front."""
    return b.reshaped(x, (*(1,) * (rank - x.rank), *x.shape), name)


def _mean(b: Placing, name: str, a: Arguments) -> Placed:
    x = activation(a["self"])
    dims = {axis_of(x, d) for d in numbers(a["dim"], 1)} if a["dim"] else set(range(x.rank))
    kept = tuple(1 if i in dims else n for i, n in enumerate(x.shape))
    shape = kept if a["keepdim"] else tuple(n for i, n in enumerate(x.shape) if i not in dims)
    gone = [i for i in x.long_axes if i in dims]
    rest = [i for i in x.long_axes if i not in dims]
    if x.order is not None:
        raise Refused(f"a mean over axes {sorted(d + 1 for d in dims)} of {('N', *x.shape)}")
    if list(x.long_axes) != gone + rest:
        axes = (*(i for i in range(x.rank) if x.shape[i] == 1), *gone, *rest)
        x = Placed(b.arranged(x, axes, name).name, x.shape, axes)
    sizes = [x.shape[i] for i in gone]
    plane = (sizes[0], sizes[1]) if len(sizes) == 2 else (1, math.prod(sizes))
    given = b._in_shape(x, (*plane, math.prod(x.shape[i] for i in rest)), name)
    made = b.add("AveragePool2D", name, AveragePool2D(plane, plane), (given,))
    axes = (*(i for i in range(x.rank) if i not in rest), *rest)
    whole = Placed(made.name, kept, axes)
    cursor = b._in_shape(Placed(made.name, made.shape, (0, 1, 2)), whole.memory, name)
    return b.reshaped(Placed(cursor.name, kept, axes), shape, name)


def axis_of(x: Placed, dim: int) -> int:
    """An axis of ATen, which counts the batch, as one of the shape. Refused: the batch itself."""
    place = dim - 1 if dim >= 0 else dim + x.rank
    if not 0 <= place < x.rank:
        raise Refused("it works along the batch")
    return place


def _viewed(shape_of: Callable[[Placed, Arguments], Sequence[int]]) -> Reader:
    def read(b: Placing, name: str, a: Arguments) -> Placed:
        x = activation(a.get("self", a.get("input")))
        return b.reshaped(x, tuple(shape_of(x, a)), name)

    return read


def _reshape(x: Placed, a: Arguments) -> Shape:
    wanted = [int(n) for n in a.get("shape", a.get("size"))]
    if not wanted or wanted[0] not in (1, -1):
        raise Refused(f"it reshapes the batch: {wanted}")
    size, known = math.prod(x.shape), math.prod(n for n in wanted[1:] if n != -1)
    return tuple(size // max(known, 1) if n == -1 else n for n in wanted[1:])


def _flatten(x: Placed, a: Arguments) -> Shape:
    first, last = axis_of(x, a["start_dim"]), axis_of(x, a["end_dim"])
    return (*x.shape[:first], math.prod(x.shape[first : last + 1]), *x.shape[last + 1 :])


def _unflatten(x: Placed, a: Arguments) -> Shape:
    axis, sizes = axis_of(x, a["dim"]), [int(n) for n in a["sizes"]]
    known = math.prod(n for n in sizes if n != -1)
    made = [x.shape[axis] // max(known, 1) if n == -1 else n for n in sizes]
    return (*x.shape[:axis], *made, *x.shape[axis + 1 :])


def _squeeze(x: Placed, a: Arguments) -> Shape:
    if a.get("dim") is None:
        return tuple(n for n in x.shape if n != 1)
    dims = {axis_of(x, d) for d in numbers(a["dim"], 1)}
    return tuple(n for i, n in enumerate(x.shape) if i not in dims or n != 1)


def _unsqueeze(x: Placed, a: Arguments) -> Shape:
    place = a["dim"] - 1 if a["dim"] >= 0 else a["dim"] + x.rank + 1
    if place < 0:
        raise Refused("it adds an axis before the batch")
    return (*x.shape[:place], 1, *x.shape[place:])


def _permute(b: Placing, name: str, a: Arguments) -> Placed:
    x = activation(a["self"])
    if a["dims"][0] != 0:
        raise Refused("it moves the batch")
    return permuted(x, [axis_of(x, d) for d in a["dims"][1:]])


def _transpose(b: Placing, name: str, a: Arguments) -> Placed:
    x = activation(a["self"])
    places = list(range(x.rank))
    i, j = axis_of(x, a["dim0"]), axis_of(x, a["dim1"])
    places[i], places[j] = places[j], places[i]
    return permuted(x, places)


def _last_two(b: Placing, name: str, a: Arguments) -> Placed:
    x = activation(a["self"])
    if x.rank < 2:
        raise Refused("it exchanges the batch with another axis")
    return permuted(x, (*range(x.rank - 2), x.rank - 1, x.rank - 2))


def _same(b: Placing, name: str, a: Arguments) -> Placed:
    if a.get("train") or a.get("training"):
        raise Refused("it drops at random, as in training; call module.eval()")
    return activation(a.get("self", a.get("input")))


ATEN_VALUES: Mapping[str, Reader] = {
    "relu": _of_one("Relu"),
    "relu6": _of_one("Relu", activation="relu6"),
    **dict.fromkeys(("hardtanh", "clamp", "clip", "clamp_min", "clamp_max"), _clamp),
    "hardswish": _of_one("HardSwish"),
    "leaky_relu": _of_one("LeakyRelu", negative_slope="negative_slope"),
    "sigmoid": _of_one("Sigmoid"),
    "tanh": _of_one("Tanh"),
    "hardsigmoid": _of_one("HardSigmoid"),
    "silu": _of_one("Silu"),
    "gelu": _of_one("Gelu", approximate="approximate"),
    "selu": _of_one("Selu"),
    "mish": _of_one("Mish"),
    "elu": _elu,
    "softplus": _softplus,
    "exp": _of_one("Exp"),
    "log": _of_one("Log"),
    "sqrt": _of_one("Sqrt"),
    "rsqrt": _of_one("Rsqrt"),
    "abs": _of_one("Abs"),
    "neg": _of_one("Neg"),
    "add": _add,
    "sub": _subtract,
    "mul": _multiply,
    "div": _divide,
    "minimum": _extreme("Minimum", Minimum()),
    "maximum": _extreme("Maximum", Maximum()),
    "mean": _mean,
    "flatten": _viewed(_flatten),
    **dict.fromkeys(("view", "reshape", "_unsafe_view"), _viewed(_reshape)),
    "unflatten": _viewed(_unflatten),
    "squeeze": _viewed(_squeeze),
    "unsqueeze": _viewed(_unsqueeze),
    "permute": _permute,
    "transpose": _transpose,
    "mT": _last_two,
    **dict.fromkeys(
        ("dropout", "feature_dropout", "alpha_dropout", "contiguous", "clone", "detach", "alias",
         "to", "_to_copy", "identity"),
        _same,
    ),
}  # fmt: skip
