"""What an op is: one row of OPS, every column filled. The passes and emitters loop over them.

Activations carry a leading row axis in numpy: shape (rows, *type.shape).
"""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, NamedTuple, Protocol

import numpy as np

from edgeq.ir import Quant, TensorType
from edgeq.ir.ports import limits
from edgeq.ops.site import Array, Io, Site, quant_of

__all__ = ["Array", "Io", "Site", "quant_of"]

Params = Mapping[str, Array]
Shapes = tuple[tuple[int, ...], ...]

# Packing tokens -> (lowest, highest) integer weight. s2 has the four odd levels -3, -1, 1, 3.
WEIGHT_RANGE: Mapping[str, tuple[int, int]] = {
    "s16": (-32767, 32767),
    "s8": (-127, 127),
    "s4": (-7, 7),
    "s3": (-3, 3),
    "s2": (-3, 3),
    "t2": (-1, 1),
    "b1": (-1, 1),
}
# What a packing can hold beyond that, for files that others quantised: plain kernels take it.
STORED_RANGE: Mapping[str, tuple[int, int]] = {**WEIGHT_RANGE, "s8": (-128, 127)}


class Place(Enum):
    """Where a kernel finds a constant."""

    PACKED = "an array of words, packed in the role's format"
    ARRAY = "an array that the parameter struct points at"
    BITS = "an array of keep bits, eight a byte"
    INLINE = "the parameter struct itself"
    GONE = "nowhere: a pass takes it away before anything is emitted"


@dataclass(frozen=True)
class Role:
    """A constant of an op. dtype: of an element on the device; of a PACKED one its packing token,
    "" where the node's attribute `weight_format` names it.
    """

    name: str
    dtype: str
    place: Place = Place.ARRAY


class Scale(Enum):
    """What the output's scale and zero point come from, where they are no constant of the op."""

    OWN = "calibration"
    WIDE = "calibration, for an int16 of zero point 0"
    KEPT = "the input, though the kernel could rescale"
    SHARED = "the input: the kernel does not rescale"
    JOINED = "calibration, and every input is given in it"


class Absent(Enum):
    """Why an op has no kernel."""

    ALIAS = "its output is its input's bytes"
    PARTS = "its inputs are parts of its output's bytes"
    FOLDED = "a pass folds it into the layer before it"


@dataclass(frozen=True)
class Pointer:
    """A struct's field that points at the packed array of a role; NULL where there is none."""

    role: str


@dataclass(frozen=True)
class Name:
    """A struct's field that holds a C identifier as it is."""

    text: str


Fields = tuple[tuple[str, "int | Array | Pointer | Name"], ...]
"""(member, value) in the struct's order: an int is an int32_t, a numpy scalar (or an array without
axes) a number of its own type."""


@dataclass(frozen=True)
class Call:
    """The C form. `kernel` is the `op` of the rows of the kernel table that compute it; several
    ops may share it. `struct` is those kernels' parameter struct in edgeq_kernels.h.
    """

    kernel: str
    struct: str
    fields: Callable[[Site], Fields]


@dataclass(frozen=True)
class Accumulator:
    """A sum that is requantised: its largest magnitude, and by what; a channel each."""

    reach: Array
    multiplier: Array
    shift: Array


@dataclass(frozen=True)
class Memory:
    """What an op keeps from one row to the next. `kind`: its type, with a scale; after a reset it
    is all zero points. `run` gives the outputs of rows that follow on one another, and what is kept
    after the last of them. `keeps`: by its attributes, whether a node keeps anything.
    """

    kind: Callable[[Any, Io], TensorType]
    run: Callable[[Any, Io, tuple[Array, ...], Params, Array], tuple[Array, Array]]
    keeps: Callable[[Any], bool] = lambda _: True


@dataclass(frozen=True)
class Reach:
    """What an op reads along an axis: its output's cell u is made of `kernel` cells of each input,
    from cell `stride` * u - `before` on; cells beyond an input are padding.

    `alone` gives the attributes for that many cells without padding along the axis. `anew`: some
    constants depend on the shape, and are lowered again.
    """

    alone: Callable[[int], Any]
    kernel: int = 1
    stride: int = 1
    before: int = 0
    anew: bool = False


class Lowered(NamedTuple):
    """Integer constants by role, and the types of those that are quantised."""

    values: Mapping[str, Array]
    types: Mapping[str, TensorType]


@dataclass(frozen=True, kw_only=True)
class Op:
    """One row of OPS. No column has a default: nothing about an op is true by omission.

    arity: how many activations it reads; ANY_NUMBER: one or more, which its kernel takes as an
    array. dtypes: the types that those and its output may have once quantised. result_shape raises
    ValueError for what it cannot take.
    macs: multiply-accumulates, padding included. roles: of its constants once lowered, in the
    order of the struct's pointers. fuses: ops behind it that a pass may take into it.
    weight_axis: the axis of "weight" that counts outputs, along which scales and biases run.
    finest: the least output scale that its integers can carry, from its inputs' scales and its real
    constants; 0 is no limit, and ops of a SHARED scale are as fine as what they read.
    widens: weight formats without a kernel -> the format that their codes travel in.
    reach: of an axis, what a cell of the output reads; None where that may be all cells.
    memory: what it keeps from one row to the next, None for nothing. Where there is one,
    `reference` and `float_forward` take their rows for a sequence that begins after a reset.
    """

    name: str
    attrs: type
    arity: int
    dtypes: frozenset[str]
    result_shape: Callable[[Any, Shapes, Mapping[str, Any]], tuple[int, ...]]
    float_forward: Callable[[Any, tuple[Array, ...], Params], Array]
    reference: Callable[[Any, Io, tuple[Array, ...], Params], Array]
    macs: Callable[[Any, Io, Mapping[str, Any]], int]
    roles: Callable[[Any], tuple[Role, ...]]
    scale: Callable[[Any, Io], Scale | Quant]
    finest: Callable[[Any, tuple[float, ...], Params], float]
    fuses: frozenset[str]
    weight_axis: int | None
    widens: Mapping[str, str]
    lower: Callable[[Site], Lowered]
    accumulators: Callable[[Site], tuple[Accumulator, ...]]
    reach: Callable[[Any, Io, Params, int], Reach | None]
    memory: Memory | None
    code: Call | Absent


def snake_case(op: str) -> str:
    """FullyConnected -> fully_connected, Conv2D -> conv_2d."""
    return re.sub(r"(?<=[a-z])(?=[A-Z0-9])", "_", op).lower()


def activation_bounds(
    activation: str, quant: Quant, low: int = -128, high: int = 127
) -> tuple[int, int]:
    """Clamp of a fused activation ("none", "relu", "relu6") in codes from `low` to `high`, int8's
    by default; 6 rounds as TensorFlow Lite's.
    """
    if activation in ("relu", "relu6"):
        low = max(low, quant.zero_point)
    if activation == "relu6":
        steps = min(float(np.float32(6) / np.float32(quant.per_tensor)), 4.0 * (high + 1))
        high = min(high, quant.zero_point + math.floor(steps + 0.5))
    return low, high


def apply_activation(activation: str, x: Array) -> Array:
    """The float side of a fused activation."""
    if activation == "relu":
        return np.maximum(x, 0)
    if activation == "relu6":
        return np.clip(x, 0, 6)
    return x


# Columns that several ops fill alike.
ANY_NUMBER = 0
INT8: frozenset[str] = frozenset({"int8"})
NO_FUSION: frozenset[str] = frozenset()
CLAMP: frozenset[str] = frozenset({"Relu"})  # the kernel's clamp does it
NO_WIDENING: Mapping[str, str] = {}


def whole_window(attrs: object, io: Io, params: Params, axis: int) -> None:
    """Any cell may read every cell."""
    return


def each_cell(attrs: object, io: Io, params: Params, axis: int) -> Reach | None:
    """A cell of an axis in front of the last one reads that cell alone."""
    shape = io.output.shape
    alike = all(kind.shape[: axis + 1] == shape[: axis + 1] for kind in io.inputs)
    return Reach(lambda _: attrs) if alike and axis < len(shape) - 1 else None


def each_cell_but(role: str) -> Callable[[Any, Io, Params, int], Reach | None]:
    """As `each_cell`, where the constant of that role, which has an input's last axes, is the same
    along the axis.
    """

    def reach(attrs: object, io: Io, params: Params, axis: int) -> Reach | None:
        shape = params[role].shape if role in params else ()
        at = axis - len(io.output.shape) + len(shape)
        varies = at >= 0 and shape[at] > 1
        return None if varies else each_cell(attrs, io, params, axis)

    return reach


def with_entry(values: tuple[int, ...], axis: int, value: int) -> tuple[int, ...]:
    """`values` with another one at `axis`."""
    return (*values[:axis], value, *values[axis + 1 :])


def no_macs(attrs: object, io: Io, params: Mapping[str, Any]) -> int:
    return 0


def no_roles(attrs: object) -> tuple[Role, ...]:
    return ()


def no_constants(site: Site) -> Lowered:
    return Lowered({}, {})


def no_accumulators(site: Site) -> tuple[Accumulator, ...]:
    return ()


def own_scale(attrs: object, io: Io) -> Scale:
    return Scale.OWN


def no_limit(attrs: object, scales: tuple[float, ...], params: Params) -> float:
    return 0.0


def shared_scale(attrs: object, io: Io) -> Scale:
    return Scale.SHARED


def same_shape(attrs: object, inputs: Shapes, params: Mapping[str, Any]) -> tuple[int, ...]:
    return inputs[0]


def flat_shape(attrs: object, inputs: Shapes, params: Mapping[str, Any]) -> tuple[int, ...]:
    """The input's shape, which has one axis."""
    if len(inputs[0]) != 1:
        raise ValueError(f"takes flat features, got shape {inputs[0]}; put Flatten before it")
    return inputs[0]


class Clamped(Protocol):
    """Attributes of an op that may have an activation fused into it."""

    activation: str


def clamp_fields(site: Site) -> Fields:
    """The members of a fused activation, in codes of the output's type."""
    attrs: Clamped = site.node.attrs
    ends = limits(site.io.output)
    low, high = activation_bounds(attrs.activation, site.output_quant, *ends)
    return ("activation_min", low), ("activation_max", high)


def zero_point_fields(site: Site) -> Fields:
    """The members that centre an input and an output."""
    return (
        ("input_zero_point", site.input_quant().zero_point),
        ("output_zero_point", site.output_quant.zero_point),
    )
