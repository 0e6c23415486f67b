"""What the readers of ONNX operators are given: the growing graph, activations and constants."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from edgeq.frontend.findings import FollowsRefused, Refused
from edgeq.frontend.float_graph import UNIT, Array, FloatGraph, Value
from edgeq.frontend.onnx_file import OnnxFile, Operator, Shape
from edgeq.ir import Quant

MAP_AXES = {3: (UNIT, 2, 1), 4: (2, 3, 1)}  # of (N, C, L) and (N, C, H, W), channels last


@dataclass(frozen=True)
class Coded:
    """An activation between QuantizeLinear and DequantizeLinear. `shift`: from the file's codes to
    the graph's int8; `low`, `high`: the ends of its codes there.
    """

    value: Value
    quant: Quant
    shift: int
    low: int = -128
    high: int = 127


@dataclass
class Reading(FloatGraph):
    """`live`: activations by the file's names; `constants`: what is known without an input.

    Of a quantised file `coded` are activations as codes, `weight_scales` (scales, whether 4 bits
    hold the codes) of dequantised constants, `narrow` constants that a Clip brought to 4 bits.
    """

    file: OnnxFile = field(kw_only=True)
    constants: dict[str, Array] = field(default_factory=dict)
    live: dict[str, Value] = field(default_factory=dict)
    refused: set[str] = field(default_factory=set)
    coded: dict[str, Coded] = field(default_factory=dict)
    weight_scales: dict[str, tuple[Array, bool]] = field(default_factory=dict)
    narrow: set[str] = field(default_factory=set)

    def has(self, op: Operator, place: int) -> bool:
        """Whether the operator has that input."""
        return place < len(op.inputs) and op.inputs[place] != ""

    def is_constant(self, op: Operator, place: int) -> bool:
        """Whether that input is known without an input of the model."""
        return self.has(op, place) and op.inputs[place] in self.constants

    def value(self, op: Operator, place: int = 0) -> Value:
        """The activation that it reads there."""
        if not self.has(op, place):
            raise Refused(f"it has no input {place}")
        name = op.inputs[place]
        if name in self.refused:
            raise FollowsRefused
        if name in self.constants:
            raise Refused(f"its input {place} is a constant")
        if name in self.coded:
            raise Refused(f"its input {place} is codes; files with float operators are taken")
        if name not in self.live:
            raise Refused(f"nothing computes its input {name[:80]!r}")
        return self.live[name]

    def constant(self, op: Operator, place: int) -> Array:
        """A constant that it needs."""
        if not self.has(op, place):
            raise Refused(f"it has no input {place}")
        name = op.inputs[place]
        if name in self.refused:
            raise FollowsRefused
        if name not in self.constants:
            raise Refused(f"its input {place} is computed; a constant is taken there")
        return self.constants[name]

    def optional(self, op: Operator, place: int) -> Array | None:
        """A constant that may be absent."""
        return self.constant(op, place) if self.has(op, place) else None

    def real(self, op: Operator, place: int) -> Array:
        """A constant of finite float32 numbers."""
        value = self.constant(op, place)
        if value.dtype.kind != "f":
            raise Refused(f"its input {place} is {value.dtype}, not float32")
        value = value.astype(np.float32)
        if not np.isfinite(value).all():
            raise Refused(f"its input {place} holds values that are not finite")
        return value

    def numbers(self, op: Operator, place: int) -> Array:
        """A constant of finite numbers of any type, as float32."""
        value = self.constant(op, place)
        if value.dtype.kind not in "iuf" or not np.isfinite(value).all():
            raise Refused(f"its input {place} holds no finite numbers")
        return value.astype(np.float32)

    def clip_ends(self, op: Operator) -> list[float | None]:
        """The two ends of a Clip, None for one that it leaves open."""
        ends = [self.optional(op, i) for i in (1, 2)]
        if any(end is not None and end.size != 1 for end in ends):
            raise Refused("its ends are no numbers")
        return [None if end is None else end.reshape(-1)[0].item() for end in ends]

    def whole(self, op: Operator, place: int) -> list[int]:
        """A constant list of whole numbers."""
        value = self.constant(op, place)
        if value.dtype.kind not in "iu" or value.ndim > 1:
            raise Refused(f"its input {place} is {value.dtype}{list(value.shape)}")
        return [int(n) for n in value.reshape(-1)]

    def give(
        self,
        op: Operator,
        name: str,
        shape: Sequence[int],
        axes: Sequence[int],
        *,
        flat: tuple[Shape, tuple[int, ...]] | None = None,
        place: int = 0,
    ) -> None:
        """What the operator makes; its shape must be what onnx infers."""
        made, output = tuple(shape), op.outputs[place]
        said = self.file.shapes.get(output)
        if said is not None and said != made:
            raise Refused(f"it computes {list(made)}, onnx infers {list(said)}")
        self.live[output] = Value(name, made, tuple(axes), flat)

    def give_plain(self, op: Operator, name: str, shape: Sequence[int], place: int = 0) -> None:
        """An output whose tensor lies in the file's order, without the batch or with all axes."""
        rank = len(self.shape_of(name))
        axes = range(len(shape) - rank, len(shape))
        self.give(op, name, shape, tuple(axes), place=place)

    def map(self, op: Operator, place: int = 0) -> tuple[str, Value]:
        """(tensor (H, W, C), value) of an input (1, C, H, W) or (1, C, L)."""
        value = self.value(op, place)
        if len(value.shape) not in MAP_AXES:
            raise Refused(f"it takes maps of one or two dimensions, got {list(value.shape)}")
        if value.shape[0] != 1:
            raise Refused(f"it has a batch of {value.shape[0]}")
        return self.ordered(value, MAP_AXES[len(value.shape)]), value

    def give_map(self, op: Operator, name: str, rank: int) -> None:
        """An output whose tensor is a map (H, W, C)."""
        height, width, channels = self.shape_of(name)
        shape = (1, channels, width) if rank == 3 else (1, channels, height, width)
        self.give(op, name, shape, MAP_AXES[rank])

    def like(self, op: Operator, value: Value, kind: str, attrs: object) -> None:
        """A function of one number: the output lies as its input does."""
        name = self.add(kind, attrs, (value.name,))
        self.give(op, name, value.shape, value.axes, flat=value.flat)

    def same(self, op: Operator, value: Value) -> None:
        """The output is the input."""
        self.give(op, value.name, value.shape, value.axes, flat=value.flat)


Reader = Callable[[Reading, Operator], None]
Readers = Mapping[str, Reader]


def axis_of(axis: int, rank: int) -> int:
    """An axis counted from the front. Raises Refused for one that is not there."""
    found = axis + rank if axis < 0 else axis
    if not 0 <= found < rank:
        raise Refused(f"it has axis {axis} of {rank}")
    return found


def widened(g: FloatGraph, value: Value, rank: int) -> Value:
    """With axes of 1 in front."""
    if value.flat is not None:
        value = g.unflattened(value)
    more = rank - len(value.shape)
    axes = tuple(UNIT if a == UNIT else a + more for a in value.axes)
    return Value(value.name, (1,) * more + value.shape, axes)


def constant_like(value: Value, given: Array) -> Array:
    """A constant that broadcasts to the value, with the axes of its tensor. Raises Refused."""
    rank = len(value.shape)
    if given.ndim > rank or np.broadcast_shapes(given.shape, value.shape) != value.shape:
        raise Refused(f"a constant {list(given.shape)} enlarges {list(value.shape)}")
    wide = given.reshape(*[1] * (rank - given.ndim), *given.shape)
    if value.flat is not None:
        row = np.broadcast_to(wide, value.shape).reshape(-1)
        return np.ascontiguousarray(row[value.index], np.float32)
    held = [a for a in value.axes if a != UNIT]
    moved = wide.transpose(*(i for i in range(rank) if i not in held), *held)
    shape = [1 if a == UNIT else wide.shape[a] for a in value.axes]
    return np.ascontiguousarray(moved.reshape(shape), np.float32)
