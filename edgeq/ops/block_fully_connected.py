"""FullyConnected with a scale for each block of a row: y = (W * S) x + b along the last axis.

Weight (out, in) codes; block_scale uint8 (out, blocks of `block` inputs), the last one perhaps
shorter: a weight counts for code * block_scale * the row's scale, so that sums of integers stay
sums of integers. On a map it is a 1x1 convolution. After k-bit scaling laws (Dettmers and
Zettlemoyer, arXiv 2212.09720), where small blocks are what lets 4 bits keep up.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgeq.ops import weighted
from edgeq.ops.fixed_point import requantize
from edgeq.ops.fully_connected import accumulate
from edgeq.ops.op import (
    INT8,
    NO_WIDENING,
    Accumulator,
    Array,
    Call,
    Fields,
    Io,
    Lowered,
    Op,
    Params,
    Pointer,
    Role,
    Site,
    activation_bounds,
    apply_activation,
    clamp_fields,
    each_cell,
    own_scale,
    quant_of,
    zero_point_fields,
)

BLOCKS = (32, 64, 128)
MOST_SCALE = 255


@dataclass(frozen=True)
class BlockFullyConnected:
    """`weight_format` is s4 or t2, `block` one of BLOCKS."""

    weight_format: str = "s4"
    block: int = 64
    activation: str = "none"


def times_blocks(weight: Array, block_scale: Array, block: int) -> Array:
    """What each weight counts for in steps of its row: (out, in), int64 or float."""
    spread = np.repeat(block_scale, block, axis=1)[:, : weight.shape[1]]
    return np.asarray(weight * spread.astype(np.float32 if weight.dtype.kind == "f" else np.int64))


def _result_shape(
    attrs: BlockFullyConnected, inputs: tuple[tuple[int, ...], ...], params: Mapping[str, Any]
) -> tuple[int, ...]:
    (out, features), scales = params["weight"].shape, params["block_scale"].shape
    if attrs.block not in BLOCKS:
        raise ValueError(f"blocks of {attrs.block} inputs; there are {BLOCKS}")
    if inputs[0][-1:] != (features,):
        raise ValueError(f"input {inputs[0]} does not end in the {features} inputs of its weight")
    if scales != (out, -(-features // attrs.block)):
        raise ValueError(f"block scales {scales} do not fit weight {(out, features)}")
    return (*inputs[0][:-1], out)


def _float_forward(attrs: BlockFullyConnected, x: tuple[Array, ...], params: Params) -> Array:
    weight = times_blocks(params["weight"], params["block_scale"], attrs.block)
    return apply_activation(attrs.activation, x[0] @ weight.T + params["bias"])


def _reference(attrs: BlockFullyConnected, io: Io, x: tuple[Array, ...], params: Params) -> Array:
    out = quant_of(io.output)
    weight = times_blocks(params["weight"], params["block_scale"], attrs.block)
    acc = accumulate(x[0], quant_of(io.inputs[0]).zero_point, weight, params["bias"])
    low, high = activation_bounds(attrs.activation, out)
    return requantize(acc, params["multiplier"], params["shift"], out.zero_point, low, high)


def _macs(attrs: BlockFullyConnected, io: Io, params: Mapping[str, Any]) -> int:
    return math.prod(io.output.shape[:-1]) * int(np.prod(params["weight"].shape))


def counted(site: Site) -> Array:
    """`times_blocks` of a lowered node."""
    return times_blocks(site.param("weight"), site.param("block_scale"), site.node.attrs.block)


def _lower(site: Site) -> Lowered:
    made = weighted.lower(site)
    return Lowered({**made.values, "block_scale": site.param("block_scale")}, made.types)


def _accumulators(site: Site) -> tuple[Accumulator, ...]:
    return (weighted.accumulator(site, counted(site), 0),)


def _finest(attrs: BlockFullyConnected, scales: tuple[float, ...], params: Params) -> float:
    weight = times_blocks(params["weight"], params["block_scale"], attrs.block)
    return weighted.layer_finest(weight, params["bias"], scales[0], 0)


def _fields(site: Site) -> Fields:
    outputs, inputs = site.param("weight").shape
    sizes: Fields = (("inputs", inputs), ("outputs", outputs))
    layer = weighted.POINTERS + sizes + zero_point_fields(site) + clamp_fields(site)
    return (
        *((f"layer.{name}", value) for name, value in layer),
        ("block_scale", Pointer("block_scale")),
        ("block", site.node.attrs.block),
        ("cells", math.prod(site.output_shape[:-1])),
    )


ROLES = (*weighted.ROLES, Role("block_scale", "uint8"))

OP = Op(
    name="BlockFullyConnected",
    attrs=BlockFullyConnected,
    arity=1,
    dtypes=INT8,
    result_shape=_result_shape,
    float_forward=_float_forward,
    reference=_reference,
    macs=_macs,
    roles=lambda _: ROLES,
    scale=own_scale,
    finest=_finest,
    fuses=weighted.FUSES,
    weight_axis=0,
    widens=NO_WIDENING,
    lower=_lower,
    accumulators=_accumulators,
    memory=None,
    reach=each_cell,
    code=Call("BlockFullyConnected", "edgeq_block_fully_connected_params", _fields),
)
