"""What the layers with weights share: their constants as integers, and how far their sums reach."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import numpy as np

from edgeq.ir import Quant, TensorType
from edgeq.ops.fixed_point import quantize_multipliers
from edgeq.ops.op import (
    INT8,
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
    Reach,
    Role,
    Shapes,
    Site,
    own_scale,
    quant_of,
)

BIAS_LIMIT = 2**30
SILENT_BIAS = 2**20  # the bias of a channel without weights, in its accumulator's steps
# an s16 row's sums stay below this, so that a 32-bit accumulator is enough (proven by `verify`)
S16_LIMIT = 2**31 - 2**24
SUM_STEPS = 2.0**29  # reach << left stays below 2^31, with a factor of two for rounded weights
# Below one unit's (input step times largest weight) 2^-17 a step says nothing, and LiteRT refuses a
# bias whose float32 scale is off by 2 % of it (kernel_util.cc, GetQuantizedConvolutionMultipler).
UNIT_STEPS = 2.0**17
ODD_FORMATS = ("b1", "s2")  # these cannot say 0
FUSES = frozenset({"BatchNorm", "Relu"})

ROLES = (
    Role("weight", "", Place.PACKED),
    Role("bias", "int32"),
    Role("multiplier", "int32"),
    Role("shift", "int8"),
)
POINTERS: Fields = tuple((role.name, Pointer(role.name)) for role in ROLES)


def roles(attrs: object) -> tuple[Role, ...]:
    return ROLES


def lower(site: Site) -> Lowered:
    """weight, bias, multiplier and shift of the layer at `site`."""
    attrs: Weighted = site.node.attrs
    return integer_layer(
        site.param("weight"),
        quant_of(site.type_of_param("weight")),
        site.param("bias"),
        site.input_quant().per_tensor,
        site.output_quant.per_tensor,
        attrs.weight_format in ODD_FORMATS,
    )


def accumulators_along(axis: int) -> Callable[[Site], tuple[Accumulator, ...]]:
    """The column of a layer whose outputs lie on `axis` of its weight."""
    return lambda site: (accumulator(site, site.param("weight"), axis),)


def accumulator(
    site: Site, weight: Array, axis: int, stem: str = "", suffix: str = ""
) -> Accumulator:
    """The sums whose constants are "<stem>bias<suffix>" and so on."""
    return Accumulator(
        accumulator_bound(weight, axis, site.param(f"{stem}bias{suffix}")),
        site.param(f"{stem}multiplier{suffix}"),
        site.param(f"{stem}shift{suffix}"),
    )


class Weighted(Protocol):
    """Attributes of a layer with weights."""

    weight_format: str


def integer_layer(
    codes: Array, quant: Quant, bias: Array, scale_in: float, scale_out: float, odd: bool = False
) -> Lowered:
    """weight, bias, multiplier, shift of a layer; scales grow where a sum would leave 32 bits.

    `odd`: the format has odd codes only and keeps them. Its sums then count for more than they
    should, which beside such a bias is less than a step.
    """
    axis = quant.axis or 0
    scale = np.broadcast_to(np.asarray(quant.scale, np.float64), (codes.shape[axis],))
    per_tensor = len(quant.scale) == 1
    silent = ~codes.any(axis=tuple(i for i in range(codes.ndim) if i != axis))
    size = np.abs(bias.astype(np.float64))
    spoken = np.where(size > 0, size / SILENT_BIAS, scale_out * UNIT_STEPS)
    finer = np.where(silent, spoken / scale_in, np.inf)
    if (finer < scale).any():  # no weight wants its scale, so bias or output may have it
        scale, per_tensor = np.minimum(scale, finer), False
    needed = size / (scale_in * BIAS_LIMIT)
    if (needed > scale).any():
        factor = np.maximum(needed / scale, 1.0)
        coarse, scale = _coarser(codes, scale, factor, axis)
        codes, per_tensor = codes if odd else coarse, False
    if codes.dtype == np.int16:
        codes, scale = _fit_s16(codes, scale, bias, scale_in, axis)
        per_tensor = False
    scale = scale.astype(np.float32).astype(np.float64)
    quant = Quant(tuple(float(s) for s in (scale[:1] if per_tensor else scale)), 0, axis)
    product = scale_in * scale
    if per_tensor:  # TensorFlow Lite multiplies a per-tensor pair in float32
        product = (np.float32(scale_in) * scale.astype(np.float32)).astype(np.float64)
    multiplier, shift = quantize_multipliers(product / scale_out)
    values = {
        "weight": codes,
        "bias": np.round(bias / (scale_in * scale)).astype(np.int32),
        "multiplier": multiplier,
        "shift": shift,
    }
    return Lowered(values, {"weight": TensorType(codes.shape, str(codes.dtype), quant)})


def _coarser(codes: Array, scale: Array, factor: Array, axis: int) -> tuple[Array, Array]:
    """The same weights on a grid `factor` times as wide, a channel of `axis` each."""
    shape = [1] * codes.ndim
    shape[axis] = -1
    return np.round(codes / factor.reshape(shape)).astype(codes.dtype), scale * factor


def _fit_s16(
    codes: Array, scale: Array, bias: Array, scale_in: float, axis: int
) -> tuple[Array, Array]:
    """Rows whose sums could pass 32 bits get a coarser scale; at most a bit or two."""
    others = tuple(i for i in range(codes.ndim) if i != axis)
    flat = np.abs(codes.astype(np.int64)).sum(axis=others)
    reach = flat * 255 + np.abs(bias) / (scale_in * scale)
    return _coarser(codes, scale, np.maximum(reach / S16_LIMIT, 1.0), axis)


def finest_along(axis: int) -> Callable[[Any, tuple[float, ...], Params], float]:
    """The column of a layer whose outputs lie on `axis` of its weight."""
    return lambda _attrs, scales, real: layer_finest(real["weight"], real["bias"], scales[0], axis)


def layer_finest(weight: Array, bias: Array, scale_in: float, axis: int) -> float:
    """`layer_least`, or a fraction of what one input step times the largest weight is worth."""
    unit = scale_in * float(np.abs(weight).max(initial=0))
    return max(layer_least(weight, bias, scale_in, axis), unit / UNIT_STEPS)


def layer_least(weight: Array, bias: Array, scale_in: float, axis: int) -> float:
    """Of a layer's real weights and biases: its largest sum in `SUM_STEPS` steps."""
    rows = np.moveaxis(np.abs(weight.astype(np.float64)), axis, 0)
    reach = 255 * scale_in * rows.reshape(len(rows), -1).sum(axis=1)
    return float((reach + np.abs(bias.astype(np.float64))).max(initial=0)) / SUM_STEPS


def accumulator_bound(codes: Array, axis: int, bias: Array) -> Array:
    """Largest |accumulator| per output channel: int64 (out,). |x - zero_point| is at most 255."""
    rows = np.moveaxis(np.abs(codes.astype(np.int64)), axis, 0).reshape(codes.shape[axis], -1)
    bound: Array = rows.sum(axis=1) * 255 + np.abs(bias.astype(np.int64))
    return bound


def layer(
    attrs: type,
    axis: int,
    *,
    result_shape: Callable[[Any, Shapes, Mapping[str, Any]], tuple[int, ...]],
    float_forward: Callable[[Any, tuple[Array, ...], Params], Array],
    reference: Callable[[Any, Io, tuple[Array, ...], Params], Array],
    macs: Callable[[Any, Io, Mapping[str, Any]], int],
    widens: Mapping[str, str],
    struct: str,
    fields: Callable[[Site], Fields],
    reach: Callable[[Any, Io, Params, int], Reach | None],
) -> Op:
    """The row of a layer named as its attributes' class, its outputs on `axis` of its weight."""
    return Op(
        name=attrs.__name__,
        attrs=attrs,
        arity=1,
        dtypes=INT8,
        result_shape=result_shape,
        float_forward=float_forward,
        reference=reference,
        macs=macs,
        roles=roles,
        scale=own_scale,
        finest=finest_along(axis),
        fuses=FUSES,
        weight_axis=axis,
        widens=widens,
        lower=lower,
        accumulators=accumulators_along(axis),
        reach=reach,
        memory=None,
        code=Call(attrs.__name__, struct, fields),
    )
