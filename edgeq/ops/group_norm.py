"""GroupNorm over the cells and channels of each group (Wu and He, arXiv 1803.08494), in integers.

InstanceNorm is a group a channel; RMSNorm (Zhang and Sennrich, arXiv 1910.07467) one group of one
cell that is not centred. The arithmetic is that of LayerNorm (`ops/layer_norm.py`), on inputs less
their zero point, which a norm that is not centred needs.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgeq.ops.layer_norm import (
    MAX_FEATURES,
    ROLES,
    finest_of_norm,
    lowered_norm,
    normalized_q11,
    scaled_q11,
)
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
    Pointer,
    Site,
    activation_bounds,
    apply_activation,
    clamp_fields,
    no_accumulators,
    no_macs,
    own_scale,
    quant_of,
    whole_window,
)


@dataclass(frozen=True)
class GroupNorm:
    """`rows`: axes in front that are normalised each by itself. `centred`: less the mean."""

    groups: int = 1
    rows: int = 0
    centred: bool = True
    epsilon: float = 1e-5
    activation: str = "none"


def _split(attrs: GroupNorm, shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    """(rows, cells, groups, channels of a group) of a shape without the batch."""
    rows, cells = math.prod(shape[: attrs.rows]), math.prod(shape[attrs.rows : -1])
    return rows, cells, attrs.groups, shape[-1] // attrs.groups


def _result_shape(
    attrs: GroupNorm, inputs: tuple[tuple[int, ...], ...], params: Mapping[str, Any]
) -> tuple[int, ...]:
    shape, gamma = inputs[0], params["gamma"].shape
    if not 0 <= attrs.rows < len(shape) or attrs.groups < 1 or shape[-1] % attrs.groups:
        raise ValueError(f"{shape} has no {attrs.rows} rows' axes and {attrs.groups} groups")
    if gamma != shape[-1:] or params["beta"].shape != shape[-1:]:
        raise ValueError(f"input {shape} does not match gamma {gamma}")
    _, cells, _, width = _split(attrs, shape)
    if cells * width > MAX_FEATURES:
        raise ValueError(f"GroupNorm over {cells * width} values; at most {MAX_FEATURES}")
    return shape


def _float_forward(attrs: GroupNorm, x: tuple[Array, ...], params: Params) -> Array:
    shape = x[0].shape
    wide = x[0].reshape(-1, *_split(attrs, shape[1:]))
    if attrs.centred:
        wide = wide - wide.mean(axis=(2, 4), keepdims=True)
    y = wide / np.sqrt((wide * wide).mean(axis=(2, 4), keepdims=True) + attrs.epsilon)
    y = y.reshape(shape) * params["gamma"] + params["beta"]
    return apply_activation(attrs.activation, y)


def _reference(attrs: GroupNorm, io: Io, x: tuple[Array, ...], params: Params) -> Array:
    """params: gamma (n,) int16, beta (n,) int32, epsilon (1,) int64, shift (1,) int32."""
    out, shape = quant_of(io.output), x[0].shape
    wide = x[0].astype(np.int64) - quant_of(io.inputs[0]).zero_point
    wide = wide.reshape(-1, *_split(attrs, shape[1:]))
    epsilon = int(params["epsilon"][0])
    z = normalized_q11(wide, epsilon, (2, 4), attrs.centred).reshape(shape)
    return scaled_q11(z, params, out.zero_point, activation_bounds(attrs.activation, out))


def _lower(site: Site) -> Lowered:
    _, cells, _, width = _split(site.node.attrs, site.input_shape)
    return lowered_norm(site, cells * width)


def _fields(site: Site) -> Fields:
    rows, cells, groups, width = _split(site.node.attrs, site.input_shape)
    return (
        ("gamma", Pointer("gamma")),
        ("beta", Pointer("beta")),
        ("epsilon", site.number("epsilon")),
        ("rows", rows),
        ("cells", cells),
        ("groups", groups),
        ("width", width),
        ("centred", int(site.node.attrs.centred)),
        ("input_zero_point", site.input_quant().zero_point),
        ("shift", site.number("shift")),
        ("output_zero_point", site.output_quant.zero_point),
        *clamp_fields(site),
    )


OP = Op(
    name="GroupNorm",
    attrs=GroupNorm,
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
    lower=_lower,
    accumulators=no_accumulators,  # integer_params keeps them inside int32
    reach=whole_window,
    memory=None,
    code=Call("GroupNorm", "edgeq_group_norm_params", _fields),
)
