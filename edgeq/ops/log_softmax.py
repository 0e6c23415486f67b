"""LogSoftmax over the last axis; output scale 1/16, zero point 127, as TensorFlow Lite has it."""

import math
from dataclasses import dataclass

import numpy as np

from edgeq.ir import Quant
from edgeq.ops.fixed_point import exp_table, leading_zeros
from edgeq.ops.op import (
    INT8,
    NO_FUSION,
    NO_WIDENING,
    Array,
    Call,
    Fields,
    Io,
    Lowered,
    Op,
    Params,
    Place,
    Role,
    Site,
    no_accumulators,
    no_limit,
    no_macs,
    same_shape,
)
from edgeq.ops.softmax import softmax_fields

OUTPUT_QUANT = Quant((1 / 16,), 127)
STEPS = 16  # of the output in 1
FRACTION_BITS = 14
MOST_FACTOR = 256 << FRACTION_BITS  # a step apart is then as far as the output reaches
# 16 ln(1 + i / 32) in Q14; the kernel holds the same numbers
LOG_TABLE = tuple(round(STEPS * math.log1p(i / 32) * 2**FRACTION_BITS) for i in range(33))
LOG_OF_2 = round(STEPS * math.log(2) * 2**FRACTION_BITS)


@dataclass(frozen=True)
class LogSoftmax:
    pass


def _float_forward(attrs: LogSoftmax, x: tuple[Array, ...], params: Params) -> Array:
    apart = x[0] - x[0].max(axis=-1, keepdims=True)
    return np.asarray(apart - np.log(np.exp(apart).sum(axis=-1, keepdims=True)))


def log_q14(total: Array) -> Array:
    """16 ln(total / 2^15) in Q14 for total in [2^15, 2^32): a line between 33 places."""
    zeros = leading_zeros(total, 32)
    mantissa = total.astype(np.int64) << zeros
    place, share = (mantissa >> 26) & 31, (mantissa >> 10) & 0xFFFF
    table = np.array(LOG_TABLE, np.int64)
    low = table[place]
    return np.asarray(
        (16 - zeros) * LOG_OF_2 + low + (((table[place + 1] - low) * share) >> 16), np.int64
    )


def _reference(attrs: LogSoftmax, io: Io, x: tuple[Array, ...], params: Params) -> Array:
    """params: exp_table (256,) uint16 of the input's scale, factor (1,) int32: its step in Q14."""
    q = x[0].astype(np.int64)
    apart = q.max(axis=-1, keepdims=True) - q
    total = params["exp_table"].astype(np.int64)[apart].sum(axis=-1, keepdims=True)
    below = apart * int(params["factor"][0]) + log_q14(total)
    steps = (below + (1 << (FRACTION_BITS - 1))) >> FRACTION_BITS
    return np.asarray(np.maximum(127 - steps, -128), np.int8)


ROLES = (Role("exp_table", "uint16"), Role("factor", "int32", Place.INLINE))


def _lower(site: Site) -> Lowered:
    scale = site.input_quant().per_tensor
    factor = min(round(min(scale, 2.0**20) * STEPS * 2**FRACTION_BITS), MOST_FACTOR)
    table, number = exp_table(scale), np.array([factor], np.int32)
    return Lowered({"exp_table": table, "factor": number}, {})


def _fields(site: Site) -> Fields:
    return (*softmax_fields("exp_table")(site), ("factor", int(site.number("factor"))))


OP = Op(
    name="LogSoftmax",
    attrs=LogSoftmax,
    arity=1,
    dtypes=INT8,
    result_shape=same_shape,
    float_forward=_float_forward,
    reference=_reference,
    macs=no_macs,
    roles=lambda _: ROLES,
    scale=lambda _attrs, _io: OUTPUT_QUANT,
    finest=no_limit,
    fuses=NO_FUSION,
    weight_axis=None,
    widens=NO_WIDENING,
    lower=_lower,
    accumulators=no_accumulators,  # 255 * factor + 17 ln 2 stays below 2^31
    memory=None,
    code=Call("LogSoftmax", "edgeq_log_softmax_params", _fields),
)
