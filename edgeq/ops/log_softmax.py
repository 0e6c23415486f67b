"""LogSoftmax over the last axis as TensorFlow Lite Micro computes it, byte for byte; output scale
1/16, zero point 127.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgeq.ir import Quant
from edgeq.ops.fixed_point import rdp, srdhm
from edgeq.ops.gemmlowp import SUM_BITS, difference_q26, exp_q31_table, log_q26
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
    each_cell,
    no_accumulators,
    no_limit,
    no_macs,
)
from edgeq.ops.softmax import softmax_fields

OUTPUT_QUANT = Quant((1 / 16,), 127)
MOST_CLASSES = 4095  # with more, the sum in Q12.19 may pass 2^31
STEP_BITS = 22  # of an output step in Q5.26
FAR = -16 << 26  # from here on the answer is the least code, whatever the sum


@dataclass(frozen=True)
class LogSoftmax:
    pass


def _float_forward(attrs: LogSoftmax, x: tuple[Array, ...], params: Params) -> Array:
    apart = x[0] - x[0].max(axis=-1, keepdims=True)
    return np.asarray(apart - np.log(np.exp(apart).sum(axis=-1, keepdims=True)))


def _result_shape(
    attrs: LogSoftmax, inputs: tuple[tuple[int, ...], ...], params: Mapping[str, Any]
) -> tuple[int, ...]:
    classes = inputs[0][-1]
    if classes > MOST_CLASSES:
        raise ValueError(f"log softmax over {classes:,} classes; {MOST_CLASSES:,} are the most")
    return inputs[0]


def _reference(attrs: LogSoftmax, io: Io, x: tuple[Array, ...], params: Params) -> Array:
    """params: exp_q31 (256,) int32 of the input's scale; multiplier, shift and most (1,) int32."""
    q = x[0].astype(np.int64)
    apart = q.max(axis=-1, keepdims=True) - q
    exponentials = rdp(params["exp_q31"].astype(np.int64), np.array(SUM_BITS))
    log = log_q26(exponentials[apart].sum(axis=-1, keepdims=True))
    multiplier, shift, most = (int(params[n][0]) for n in ("multiplier", "shift", "most"))
    near = -(np.minimum(apart, most) << shift)
    below = np.where(apart > most, FAR, srdhm(near, np.array(multiplier)))
    steps = rdp(below - log, np.array(STEP_BITS))
    return np.asarray(np.clip(127 + steps, -128, 127), np.int8)


ROLES = (
    Role("exp_q31", "int32"),
    *(Role(name, "int32", Place.INLINE) for name in ("multiplier", "shift", "most")),
)


def params_of(scale: float) -> dict[str, Array]:
    """exp_q31 (256,), multiplier, shift and most (1,), int32, of logits in steps of `scale`."""
    multiplier, shift = difference_q26(scale)
    scaled = [(-d * (multiplier << shift) + (1 << 30)) >> 31 for d in range(256)]
    most = sum(1 for y in scaled if y > FAR) - 1
    numbers = {"multiplier": multiplier, "shift": shift, "most": most}
    inline = {name: np.array([n], np.int32) for name, n in numbers.items()}
    return {"exp_q31": exp_q31_table(scale), **inline}


def _fields(site: Site) -> Fields:
    numbers = ((name, int(site.number(name))) for name in ("multiplier", "shift", "most"))
    return (*softmax_fields("exp_q31")(site), *numbers)


OP = Op(
    name="LogSoftmax",
    attrs=LogSoftmax,
    arity=1,
    dtypes=INT8,
    result_shape=_result_shape,
    float_forward=_float_forward,
    reference=_reference,
    macs=no_macs,
    roles=lambda _: ROLES,
    scale=lambda _attrs, _io: OUTPUT_QUANT,
    finest=no_limit,
    fuses=NO_FUSION,
    weight_axis=None,
    widens=NO_WIDENING,
    lower=lambda site: Lowered(params_of(site.input_quant().per_tensor), {}),
    accumulators=no_accumulators,  # gemmlowp.log_q26 and MOST_CLASSES state the limits
    reach=each_cell,
    memory=None,
    code=Call("LogSoftmax", "edgeq_log_softmax_params", _fields),
)
