"""SoftmaxQ31: softmax as TensorFlow Lite Micro computes it, byte for byte: exponentials in Q0.31.

For files that come from there. Softmax has half the table and no limit of classes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgeq.ops import softmax
from edgeq.ops.gemmlowp import MOST_CLASSES, exp_q31_table, softmax_q31
from edgeq.ops.op import (
    INT8,
    NO_FUSION,
    NO_WIDENING,
    Array,
    Call,
    Io,
    Lowered,
    Op,
    Params,
    Role,
    Site,
    each_cell,
    no_accumulators,
    no_limit,
    no_macs,
)
from edgeq.ops.softmax import softmax_fields


@dataclass(frozen=True)
class SoftmaxQ31:
    pass


def _result_shape(
    attrs: SoftmaxQ31, inputs: tuple[tuple[int, ...], ...], params: Mapping[str, Any]
) -> tuple[int, ...]:
    classes = inputs[0][-1]
    if classes > MOST_CLASSES:
        raise ValueError(f"softmax over {classes:,} classes; {MOST_CLASSES:,} are the most")
    return inputs[0]


def _float_forward(attrs: SoftmaxQ31, x: tuple[Array, ...], params: Params) -> Array:
    return softmax.OP.float_forward(attrs, x, params)


def _reference(attrs: SoftmaxQ31, io: Io, x: tuple[Array, ...], params: Params) -> Array:
    """params: exp_q31 (256,) int32 of the input's scale."""
    return np.asarray(np.clip(softmax_q31(x[0], params["exp_q31"]) - 128, -128, 127), np.int8)


ROLES = (Role("exp_q31", "int32"),)


def _lower(site: Site) -> Lowered:
    return Lowered({"exp_q31": exp_q31_table(site.input_quant().per_tensor)}, {})


OP = Op(
    name="SoftmaxQ31",
    attrs=SoftmaxQ31,
    arity=1,
    dtypes=INT8,
    result_shape=_result_shape,
    float_forward=_float_forward,
    reference=_reference,
    macs=no_macs,
    roles=lambda _: ROLES,
    scale=lambda _attrs, _io: softmax.OUTPUT_QUANT,
    finest=no_limit,
    fuses=NO_FUSION,
    weight_axis=None,
    widens=NO_WIDENING,
    lower=_lower,
    accumulators=no_accumulators,  # gemmlowp.softmax_q31 states its own limits
    reach=each_cell,
    memory=None,
    code=Call("SoftmaxQ31", "edgeq_softmax_q31_params", softmax_fields("exp_q31")),
)
