"""The second half of an SVDF: int16 filters of frames (1, T, filters) to int8 (1, T', units), each
the sum over `rank` filters of `memory` frames, the newest its own, weighted by taps.

To the byte TensorFlow Lite Micro's SVDF, whose sums are modulo 2^32. `taps` (memory, filters) are
int16, the oldest frame's first; the layers of edgeq.nn have taps whose sums never leave int32.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from edgeq.errors import UnsupportedOp
from edgeq.ops.fixed_point import requantize
from edgeq.ops.gates import weight_types_of
from edgeq.ops.op import (
    CLAMP,
    NO_WIDENING,
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
    Scale,
    Shapes,
    Site,
    activation_bounds,
    apply_activation,
    clamp_fields,
    no_accumulators,
    quant_of,
)
from edgeq.ops.svdf_feature import frames_of, integer_params
from edgeq.ops.weighted import SUM_STEPS

STATE_REACH, MOST_TAP, MOST_BIAS = 1 << 15, 32767, (1 << 30) - 1
ROLES = (
    Role("taps", "int16"),
    Role("bias", "int32"),
    Role("multiplier", "int32", Place.INLINE),
    Role("shift", "int32", Place.INLINE),
)


@dataclass(frozen=True)
class SvdfTime:
    """`before`: frames of zeros in front of the first."""

    rank: int = 1
    before: int = 0
    activation: str = "none"


def _result_shape(attrs: SvdfTime, inputs: Shapes, params: Mapping[str, Any]) -> tuple[int, ...]:
    memory, filters = params["taps"].shape
    frames = frames_of(inputs[0])
    if attrs.rank < 1 or filters % attrs.rank or inputs[0][2] != filters:
        raise ValueError(f"{filters} taps of rank {attrs.rank} do not fit filters {inputs[0]}")
    if params["bias"].shape != (filters // attrs.rank,):
        raise ValueError(f"{filters // attrs.rank} units have a bias {params['bias'].shape}")
    if not 0 <= attrs.before < memory or frames + attrs.before < memory:
        raise ValueError(
            f"{frames} frames behind {attrs.before} of zeros are no memory of {memory}"
        )
    return 1, frames + attrs.before - memory + 1, filters // attrs.rank


def _sums(attrs: SvdfTime, x: Array, taps: Array) -> Array:
    """(rows, 1, T', units) of x (rows, 1, T, filters), without a bias."""
    memory = len(taps)
    cells = np.pad(x[:, 0], ((0, 0), (attrs.before, 0), (0, 0)))
    view = np.lib.stride_tricks.sliding_window_view(cells, memory, axis=1)
    each = np.einsum("ntfm,mf->ntf", view, taps)
    return np.asarray(each.reshape(*each.shape[:2], -1, attrs.rank).sum(axis=-1)[:, None])


def _float_forward(attrs: SvdfTime, x: tuple[Array, ...], params: Params) -> Array:
    made = _sums(attrs, x[0], params["taps"]) + params["bias"]
    return apply_activation(attrs.activation, made)


def _reference(attrs: SvdfTime, io: Io, x: tuple[Array, ...], params: Params) -> Array:
    whole = _sums(attrs, x[0].astype(np.int64), params["taps"].astype(np.int64)) + params["bias"]
    wrapped = (whole + (1 << 31)) % (1 << 32) - (1 << 31)
    out = quant_of(io.output)
    ends = activation_bounds(attrs.activation, out)
    numbers = params["multiplier"][0], params["shift"][0]
    return requantize(wrapped, *numbers, out.zero_point, *ends)


def _scale(attrs: SvdfTime, io: Io) -> Scale:
    """Raises UnsupportedOp for other types than int16 to int8."""
    types = io.inputs[0].dtype, io.output.dtype
    if types not in (("int16", "int8"), ("float32", "float32"), ("int16", "float32")):
        raise UnsupportedOp(f"SvdfTime takes int16 to int8, not {types[0]} to {types[1]}")
    return Scale.OWN


def _lower(site: Site) -> Lowered:
    attrs: SvdfTime = site.node.attrs
    codes, step = _codes(site)
    given, made = site.input_quant().per_tensor, site.output_quant.per_tensor
    real, bias = codes * step, site.real("bias").astype(np.float64)
    widest = float(_unit_norms(np.abs(codes), attrs.rank).max()) * STATE_REACH
    coarser = 2 * widest / MOST_BIAS if widest > MOST_BIAS else 1.0
    coarser = max(coarser, float(np.abs(bias).max()) / (given * step * MOST_BIAS))
    step = float(np.float32(step * coarser))
    taps = np.clip(np.round(real / step), -MOST_TAP, MOST_TAP).astype(np.int16)
    sums = np.clip(np.round(bias / (given * step)), -MOST_BIAS, MOST_BIAS).astype(np.int32)
    values: dict[str, Array] = {"taps": taps, "bias": sums}
    values |= integer_params(given, step, made)
    return Lowered(values, weight_types_of("taps", taps, step))


def _codes(site: Site) -> tuple[Array, float]:
    """(taps as whole float64, their step): trained codes, else as fine as sums in int32 allow."""
    quant = site.type_of_param("taps").quant
    if quant is not None:
        return site.param("taps").astype(np.float64), quant.per_tensor
    real = site.real("taps").astype(np.float64)
    most = max(float(np.abs(real).max()), 1e-12)
    norm = max(float(_unit_norms(np.abs(real), site.node.attrs.rank).max()), most)
    finest = norm * STATE_REACH / (MOST_BIAS / 2)
    step = float(np.float32(max(most / MOST_TAP, finest)))
    return np.round(real / step), step


def _unit_norms(taps: Array, rank: int) -> Array:
    """(units,) sums of taps (memory, filters)."""
    return np.asarray(taps.sum(axis=0).reshape(-1, rank).sum(axis=1))


def _macs(attrs: SvdfTime, io: Io, params: Mapping[str, Any]) -> int:
    return int(io.output.shape[1] * params["taps"].size)


def _finest(attrs: SvdfTime, scales: tuple[float, ...], params: Params) -> float:
    sums = _unit_norms(np.abs(params["taps"]), attrs.rank) * scales[0] * STATE_REACH
    return float((sums + np.abs(params["bias"])).max()) / SUM_STEPS


def _reach(attrs: SvdfTime, io: Io, params: Params, axis: int) -> Reach | None:
    if axis != 1:
        return None
    inside = replace(attrs, before=0)
    return Reach(lambda _: inside, len(params["taps"]), 1, attrs.before)


def _fields(site: Site) -> Fields:
    attrs: SvdfTime = site.node.attrs
    memory, filters = site.param("taps").shape
    return (
        ("taps", Pointer("taps")),
        ("bias", Pointer("bias")),
        ("frames", site.output_shape[1]),
        ("before", attrs.before),
        ("memory", memory),
        ("filters", filters),
        ("rank", attrs.rank),
        ("multiplier", int(site.number("multiplier"))),
        ("shift", int(site.number("shift"))),
        ("output_zero_point", site.output_quant.zero_point),
        *clamp_fields(site),
    )


OP = Op(
    name="SvdfTime",
    attrs=SvdfTime,
    arity=1,
    dtypes=frozenset({"int8", "int16"}),
    result_shape=_result_shape,
    float_forward=_float_forward,
    reference=_reference,
    macs=_macs,
    roles=lambda _: ROLES,
    scale=_scale,
    finest=_finest,
    fuses=CLAMP,
    weight_axis=None,
    widens=NO_WIDENING,
    lower=_lower,
    accumulators=no_accumulators,  # modulo 2^32; `_lower` keeps those of edgeq.nn inside
    reach=_reach,
    memory=None,
    code=Call("SvdfTime", "edgeq_svdf_time_params", _fields),
)
