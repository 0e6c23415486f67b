"""Ops of two tensors that broadcast, and of one and a constant: BROADCAST, a row each.

Rounded as TensorFlow Lite Micro's ADD, SUB, MUL, MINIMUM and MAXIMUM. Add of two tensors of one
shape is `ops/add.py`, whose kernel walks no strides; `ops/squared_difference.py` has more rows.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np

from edgeq.ir import Quant, TensorType
from edgeq.ops.add import LEFT_SHIFT
from edgeq.ops.fixed_point import (
    multiply_by_quantized_multiplier,
    quantize_multipliers,
    requantize,
)
from edgeq.ops.op import (
    CLAMP,
    INT8,
    NO_FUSION,
    NO_WIDENING,
    Accumulator,
    Array,
    Call,
    Fields,
    Io,
    Lowered,
    Op,
    Params,
    Place,
    Pointer,
    Role,
    Scale,
    Site,
    activation_bounds,
    apply_activation,
    clamp_fields,
    each_cell,
    each_cell_but,
    no_accumulators,
    no_constants,
    no_limit,
    no_macs,
    no_roles,
    own_scale,
    quant_of,
)
from edgeq.ops.strides import column, packed, steps_of, with_rank
from edgeq.ops.weighted import SUM_STEPS

AXES = 4
Shape = tuple[int, ...]
Signs = tuple[int, int]
OTHER = "other"


@dataclass(frozen=True)
class AddBroadcast:
    sign: ClassVar[Signs] = (1, 1)
    activation: str = "none"


@dataclass(frozen=True)
class Sub:
    sign: ClassVar[Signs] = (1, -1)
    activation: str = "none"


@dataclass(frozen=True)
class Mul:
    activation: str = "none"


@dataclass(frozen=True)
class Minimum:
    pass


@dataclass(frozen=True)
class Maximum:
    pass


@dataclass(frozen=True)
class AddConstant:
    """x + other; x - other or other - x with a sign of -1."""

    sign: Signs = (1, 1)
    activation: str = "none"


@dataclass(frozen=True)
class MulConstant:
    activation: str = "none"


class Summed(Protocol):
    """Attributes of a sum: what each operand is taken times."""

    @property
    def sign(self) -> Signs: ...

    @property
    def activation(self) -> str: ...


Product = Mul | MulConstant


@dataclass(frozen=True)
class Rule:
    """What rows of a kind compute. multipliers: real ones, of the scales of both operands and the
    output. finest: the least output scale that those of the operands allow.
    """

    forward: Callable[[Any, tuple[Array, ...], Params], Array]
    reference: Callable[[Any, Io, tuple[Array, ...], Params], Array]
    multipliers: Callable[[float, float, float], list[float]]
    accumulators: Callable[[Site], tuple[Accumulator, ...]]
    fields: Callable[[Site], Fields]
    finest: Callable[[float, float], float]
    fuses: frozenset[str] = CLAMP


def _shape(attrs: object, inputs: tuple[Shape, ...], params: Mapping[str, Any]) -> Shape:
    shapes = inputs if len(inputs) == 2 else (inputs[0], params[OTHER].shape)
    made = np.broadcast_shapes(*shapes)
    if len(inputs) == 1 and made != inputs[0]:
        raise ValueError(f"a constant of shape {shapes[1]} makes {made} of {inputs[0]}")
    if isinstance(attrs, AddConstant) and not {*attrs.sign} <= {1, -1}:
        raise ValueError(f"signs are 1 or -1, not {attrs.sign}")
    packed(made, _strides(made, shapes), AXES)
    return made


def _strides(made: Shape, shapes: tuple[Shape, ...]) -> list[Shape]:
    """Strides of each operand over the output's axes; 0 where it is repeated."""
    cells = (np.broadcast_to(np.empty(shape, np.int8), made) for shape in shapes)
    return [
        tuple(0 if n == 1 else s for s, n in zip(steps_of(view), made, strict=True))
        for view in cells
    ]


def operands(x: tuple[Array, ...], params: Params) -> tuple[Array, Array]:
    """Both with the batch axis in front and one rank."""
    a = x[0]
    b = x[1] if len(x) == 2 else params[OTHER][None]
    rank = max(a.ndim, b.ndim) - 1
    return with_rank(a, rank), with_rank(b, rank)


def _sum_forward(attrs: Summed, x: tuple[Array, ...], params: Params) -> Array:
    a, b = operands(x, params)
    first, second = attrs.sign
    return apply_activation(attrs.activation, (first * a + second * b).astype(a.dtype))


def signed_sum(sign: Signs, x: tuple[Array, ...], params: Params, headroom: int) -> Array:
    """Both centred, raised by `headroom` bits, scaled alike and added: int64.

    params: multiplier, shift of shape (3,), zero_point (3,): first operand, second, output.
    """
    m, s, zero = params["multiplier"], params["shift"], params["zero_point"]
    total: Array = np.zeros((), np.int64)
    for i, operand in enumerate(operands(x, params)):
        centred = (operand.astype(np.int64) - zero[i]) << headroom
        total = total + sign[i] * multiply_by_quantized_multiplier(centred, m[i], s[i])
    return total


def _sum_reference(attrs: Summed, io: Io, x: tuple[Array, ...], params: Params) -> Array:
    total = signed_sum(attrs.sign, x, params, LEFT_SHIFT)
    m, s, zero = (params[name][2] for name in ("multiplier", "shift", "zero_point"))
    low, high = activation_bounds(attrs.activation, quant_of(io.output))
    return requantize(total, m, s, int(zero), low, high)


def _mul_forward(attrs: Product, x: tuple[Array, ...], params: Params) -> Array:
    a, b = operands(x, params)
    return apply_activation(attrs.activation, (a * b).astype(a.dtype))


def _mul_reference(attrs: Product, io: Io, x: tuple[Array, ...], params: Params) -> Array:
    zero = params["zero_point"]
    a, b = (v.astype(np.int64) - zero[i] for i, v in enumerate(operands(x, params)))
    low, high = activation_bounds(attrs.activation, quant_of(io.output))
    return requantize(a * b, params["multiplier"][0], params["shift"][0], int(zero[2]), low, high)


def constant_quant(values: Array) -> Quant:
    """int8 that covers a constant, zero included."""
    low, high = min(float(values.min()), 0.0), max(float(values.max()), 0.0)
    scale = float(np.float32(max(high - low, 1e-18) / 255))
    return Quant((scale,), int(np.clip(round(-128 - low / scale), -128, 127)))


def _constant(site: Site) -> tuple[dict[str, Array], dict[str, TensorType], Quant]:
    """(values, types, quant) of the second operand: codes, where it is one."""
    if len(site.node.inputs) == 2:
        return {}, {}, site.input_quant(1)
    given, kind = site.param(OTHER), site.type_of_param(OTHER)
    if kind.quant is not None:
        return {OTHER: given}, {OTHER: kind}, kind.quant
    quant = constant_quant(given)
    codes = np.round(given / quant.per_tensor) + quant.zero_point
    codes = np.clip(codes, -128, 127).astype(np.int8)
    return {OTHER: codes}, {OTHER: TensorType(codes.shape, "int8", quant)}, quant


def _lowered(site: Site, multipliers: Callable[[float, float, float], list[float]]) -> Lowered:
    values, types, other = _constant(site)
    quants = (site.input_quant(), other, site.output_quant)
    multiplier, shift = quantize_multipliers(multipliers(*(q.per_tensor for q in quants)))
    zero_point = np.array([q.zero_point for q in quants], np.int32)
    numbers = {"multiplier": multiplier, "shift": shift, "zero_point": zero_point}
    return Lowered({**values, **numbers}, types)


def _sum_multipliers(a: float, b: float, out: float) -> list[float]:
    twice = 2 * max(a, b)
    return [a / twice, b / twice, twice / (2**LEFT_SHIFT * out)]


def _sum_reach(site: Site) -> tuple[Accumulator, ...]:
    """The sum alone: both operands arrive at half their 255 << 20."""
    multiplier, shift = site.param("multiplier")[2:], site.param("shift")[2:]
    return (Accumulator(np.array([255 << LEFT_SHIFT]), multiplier, shift),)


def _mul_reach(site: Site) -> tuple[Accumulator, ...]:
    return (Accumulator(np.array([255 * 255]), site.param("multiplier"), site.param("shift")),)


def _walk(site: Site, prefix: str) -> Fields:
    constant = len(site.node.inputs) == 1
    second = site.param(OTHER).shape if constant else site.io.inputs[1].shape
    shapes = (site.input_shape, second)
    axes = packed(site.output_shape, _strides(site.output_shape, shapes), AXES)
    named = ("size", "a_stride", "b_stride")
    return tuple((prefix + name, column(axes, i)) for i, name in enumerate(named))


def _prefixed(site: Site) -> tuple[Fields, str]:
    """The pointer at the constant, and where the other members are."""
    if len(site.node.inputs) == 2:
        return (), ""
    return ((OTHER, Pointer(OTHER)),), "operands."


def _clamped(site: Site, prefix: str) -> Fields:
    return tuple((prefix + name, value) for name, value in clamp_fields(site))


def sum_fields(site: Site) -> Fields:
    pointer, prefix = _prefixed(site)
    numbers = [(prefix + n, site.param(n)) for n in ("zero_point", "multiplier", "shift")]
    sign = np.array(site.node.attrs.sign, np.int32)
    tail = _clamped(site, prefix)
    return (*pointer, *_walk(site, prefix), *numbers, (prefix + "sign", sign), *tail)


def _mul_fields(site: Site) -> Fields:
    pointer, prefix = _prefixed(site)
    numbers: Fields = (
        (prefix + "zero_point", site.param("zero_point")),
        (prefix + "multiplier", int(site.number("multiplier"))),
        (prefix + "shift", int(site.number("shift"))),
    )
    return (*pointer, *_walk(site, prefix), *numbers, *_clamped(site, prefix))


NUMBERS = tuple(Role(n, "int32", Place.INLINE) for n in ("multiplier", "shift", "zero_point"))


SUMS = Rule(
    forward=_sum_forward,
    reference=_sum_reference,
    multipliers=_sum_multipliers,
    accumulators=_sum_reach,
    fields=sum_fields,
    finest=lambda a, b: 4 * max(a, b) / 2**LEFT_SHIFT,
)
PRODUCTS = Rule(
    forward=_mul_forward,
    reference=_mul_reference,
    multipliers=lambda a, b, out: [a * b / out],
    accumulators=_mul_reach,
    fields=_mul_fields,
    finest=lambda a, b: 255.0 * 255.0 / SUM_STEPS * a * b,
)


def row(attrs: type, kernel: str, struct: str, rule: Rule, *, constant: bool) -> Op:
    """Of two activations, or of one and a constant."""
    roles = ((Role(OTHER, "int8"),) if constant else ()) + NUMBERS

    def finest(_attrs: object, scales: tuple[float, ...], params: Params) -> float:
        other = constant_quant(params[OTHER]).per_tensor if constant else scales[1]
        return float(rule.finest(scales[0], other))

    return Op(
        name=attrs.__name__,
        attrs=attrs,
        arity=1 if constant else 2,
        dtypes=INT8,
        result_shape=_shape,
        float_forward=rule.forward,
        reference=rule.reference,
        macs=no_macs,
        roles=lambda _: roles,
        scale=own_scale,
        finest=finest,
        fuses=rule.fuses,
        weight_axis=None,
        widens=NO_WIDENING,
        lower=lambda site: _lowered(site, rule.multipliers),
        accumulators=rule.accumulators,
        reach=each_cell_but(OTHER),
        memory=None,
        code=Call(kernel, struct, rule.fields),
    )


def _extreme(attrs: type, sign: int) -> Op:
    def forward(_attrs: object, x: tuple[Array, ...], params: Params) -> Array:
        a, b = operands(x, params)
        return np.maximum(a, b) if sign > 0 else np.minimum(a, b)

    return Op(
        name=attrs.__name__,
        attrs=attrs,
        arity=2,
        dtypes=INT8,
        result_shape=_shape,
        float_forward=forward,
        reference=lambda own, _io, x, params: forward(own, x, params),
        macs=no_macs,
        roles=no_roles,
        scale=lambda _attrs, _io: Scale.JOINED,
        finest=no_limit,
        fuses=NO_FUSION,
        weight_axis=None,
        widens=NO_WIDENING,
        lower=no_constants,
        accumulators=no_accumulators,
        reach=each_cell,
        memory=None,
        code=Call(
            "Extreme", "edgeq_extreme_params", lambda site: (*_walk(site, ""), ("sign", sign))
        ),
    )


SUM, PRODUCT = "edgeq_sum_params", "edgeq_multiply_params"
SUM_CONSTANT = "edgeq_sum_constant_params"
BROADCAST: tuple[Op, ...] = (
    row(AddBroadcast, "Sum", SUM, SUMS, constant=False),
    row(Sub, "Sum", SUM, SUMS, constant=False),
    row(Mul, "Multiply", PRODUCT, PRODUCTS, constant=False),
    row(AddConstant, "SumConstant", SUM_CONSTANT, SUMS, constant=True),
    row(
        MulConstant,
        "MultiplyConstant",
        "edgeq_multiply_constant_params",
        PRODUCTS,
        constant=True,
    ),
    _extreme(Minimum, -1),
    _extreme(Maximum, 1),
)
