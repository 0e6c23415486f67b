"""LayerNorm over the last axis of flat features, in integers (Ba et al., arXiv 1607.06450).

With S1 = sum x and S2 = sum x^2 the normalised value is t / sqrt(D), t = n x - S1 and
D = n S2 - S1^2 + eps n^2 / scale^2: scale and zero point of the input cancel out.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgeq.ops.fixed_point import leading_zeros, rsqrt_q30
from edgeq.ops.op import (
    CLAMP,
    INT8,
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
    Role,
    Site,
    activation_bounds,
    apply_activation,
    clamp_fields,
    each_cell,
    no_accumulators,
    no_macs,
    own_scale,
    quant_of,
)

FRACTION_BITS = 11  # the normalised value is int16 in Q11: +-16 standard deviations
MAX_FEATURES = 65536
GAMMA_STEPS = 2.0**24  # gamma is int16 and keeps its ten fraction bits
BETA_STEPS = 2.0**28  # beta is below 2^30 and keeps a bit of fraction


@dataclass(frozen=True)
class LayerNorm:
    epsilon: float = 1e-5
    activation: str = "none"


def _result_shape(
    attrs: LayerNorm, inputs: tuple[tuple[int, ...], ...], params: Mapping[str, Any]
) -> tuple[int, ...]:
    shape, gamma = inputs[0], params["gamma"].shape
    if gamma != shape[-1:] or params["beta"].shape != shape[-1:]:
        raise ValueError(f"input {shape} does not match gamma {gamma}")
    if shape[-1] > MAX_FEATURES:
        raise ValueError(f"LayerNorm over {shape[-1]} features; at most {MAX_FEATURES}")
    return shape


def _float_forward(attrs: LayerNorm, x: tuple[Array, ...], params: Params) -> Array:
    mean = x[0].mean(axis=-1, keepdims=True)
    variance = x[0].var(axis=-1, keepdims=True)
    y = (x[0] - mean) / np.sqrt(variance + attrs.epsilon) * params["gamma"] + params["beta"]
    return apply_activation(attrs.activation, y)


def normalize_q11(x: Array, epsilon: int) -> Array:
    """(x - mean) / sqrt(variance + eps) of int8 rows as int16 in Q11, saturating."""
    return normalized_q11(x.astype(np.int64), epsilon, (-1,), centred=True)


def normalized_q11(x: Array, epsilon: int, axes: tuple[int, ...], centred: bool) -> Array:
    """As `normalize_q11` over some axes of int64; not centred: x / sqrt(mean square + eps)."""
    n = math.prod(x.shape[a] for a in axes)
    s1 = x.sum(axis=axes, keepdims=True) * int(centred)
    d = n * (x * x).sum(axis=axes, keepdims=True) - s1 * s1 + epsilon
    lz = leading_zeros(d, 64) & ~np.int64(1)
    r = rsqrt_q30((d.astype(np.uint64) << lz.astype(np.uint64)) >> np.uint64(32))
    shift = 62 - FRACTION_BITS - lz // 2
    z = ((n * x - s1) * r.astype(np.int64) + (np.int64(1) << (shift - 1))) >> shift
    return np.asarray(np.clip(z, -32768, 32767))


def _reference(attrs: LayerNorm, io: Io, x: tuple[Array, ...], params: Params) -> Array:
    """params: gamma (n,) int16, beta (n,) int32, epsilon (1,) int64, shift (1,) int32."""
    out = quant_of(io.output)
    z = normalize_q11(x[0], int(params["epsilon"][0]))
    return scaled_q11(z, params, out.zero_point, activation_bounds(attrs.activation, out))


def scaled_q11(z: Array, params: Params, zero_point: int, bounds: tuple[int, int]) -> Array:
    """gamma z + beta of normalised values, channels last, as int8."""
    shift = int(params["shift"][0])
    acc = z * params["gamma"].astype(np.int64) + params["beta"].astype(np.int64)
    y = ((acc + (1 << (shift - 1))) >> shift) + zero_point
    return np.asarray(np.clip(y, *bounds), np.int8)


def integer_params(
    gamma: Array,
    beta: Array,
    epsilon: float,
    scale_in: float,
    scale_out: float,
    count: int | None = None,
) -> dict[str, Array]:
    """gamma and beta in units of 2^-shift output steps; every accumulator stays inside int32.

    `count`: values that are normalised together; those of gamma where it is None.

    Raises ValueError for more than 65,536 features (the sums would leave their types).
    """
    if gamma.size > MAX_FEATURES:
        raise ValueError(f"LayerNorm over {gamma.size} features; at most {MAX_FEATURES}")
    largest = max(float(np.abs(gamma).max()) / scale_out, 2.0**-20)
    offset = max(float(np.abs(beta).max()) / scale_out, 2.0**-20)
    shift = min(
        FRACTION_BITS + math.floor(math.log2(32767 / largest)),
        math.floor(math.log2((2**30 - 2**15) / offset)),
        30,
    )
    if shift < 1:
        raise ValueError(f"LayerNorm gamma is {largest:.3g} output steps; at most {2**25}")
    steps = 2.0**shift / scale_out
    # a nearly constant input has a tiny scale: epsilon then rules, and must stay inside int64
    scaled = min(epsilon * ((count or gamma.size) / scale_in) ** 2, 2.0**62)
    return {
        "gamma": np.round(gamma * steps / 2**FRACTION_BITS).astype(np.int16),
        "beta": np.round(beta * steps).astype(np.int32),
        "epsilon": np.array([max(1, round(scaled))], np.int64),
        "shift": np.array([shift], np.int32),
    }


ROLES = (
    Role("gamma", "int16"),
    Role("beta", "int32"),
    Role("epsilon", "int64", Place.INLINE),
    Role("shift", "int32", Place.INLINE),
)


def lowered_norm(site: Site, count: int | None = None) -> Lowered:
    """The constants of a norm; `count` as `integer_params` has it."""
    values = integer_params(
        site.real("gamma").astype(np.float64),
        site.real("beta").astype(np.float64),
        site.node.attrs.epsilon,
        site.input_quant().per_tensor,
        site.output_quant.per_tensor,
        count,
    )
    return Lowered(values, {})


def finest_of_norm(attrs: object, scales: tuple[float, ...], params: Params) -> float:
    """The least output scale of a norm, by its gamma and beta."""
    gamma, beta = (float(np.abs(params[role]).max(initial=0)) for role in ("gamma", "beta"))
    return max(gamma / GAMMA_STEPS, beta / BETA_STEPS)


def _fields(site: Site) -> Fields:
    *rows, features = site.input_shape
    return (
        ("gamma", Pointer("gamma")),
        ("beta", Pointer("beta")),
        ("epsilon", site.number("epsilon")),
        ("rows", math.prod(rows)),
        ("features", features),
        ("shift", site.number("shift")),
        ("output_zero_point", site.output_quant.zero_point),
        *clamp_fields(site),
    )


OP = Op(
    name="LayerNorm",
    attrs=LayerNorm,
    arity=1,
    dtypes=INT8,
    result_shape=_result_shape,
    float_forward=_float_forward,
    reference=_reference,
    macs=no_macs,
    roles=lambda _: ROLES,
    scale=own_scale,
    finest=finest_of_norm,
    fuses=CLAMP,
    weight_axis=None,
    widens=NO_WIDENING,
    lower=lowered_norm,
    accumulators=no_accumulators,  # integer_params keeps them inside int32
    reach=each_cell,
    memory=None,
    code=Call("LayerNorm", "edgeq_layer_norm_params", _fields),
)
