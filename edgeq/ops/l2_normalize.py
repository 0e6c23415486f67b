"""Rows over the last axis divided by the root of their sum of squares, as TensorFlow Lite Micro's
L2_NORMALIZATION; output scale 1/128, zero point 0.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgeq.ir import Quant
from edgeq.ops.fixed_point import multiply_by_quantized_multiplier
from edgeq.ops.gemmlowp import inverse_root
from edgeq.ops.op import (
    INT8,
    NO_FUSION,
    NO_WIDENING,
    Array,
    Call,
    Fields,
    Io,
    Op,
    Params,
    Site,
    each_cell,
    no_accumulators,
    no_constants,
    no_limit,
    no_macs,
    no_roles,
    quant_of,
)

OUTPUT_QUANT = Quant((1 / 128,), 0)
OUTPUT_BITS = 7
MOST_FEATURES = (2**31 - 1) // 255**2  # with more, the sum of squares may pass 2^31
LEAST = 1e-24  # of a sum of squares in real numbers: a row of zeros stays one


@dataclass(frozen=True)
class L2Normalize:
    pass


def _result_shape(
    attrs: L2Normalize, inputs: tuple[tuple[int, ...], ...], params: Mapping[str, Any]
) -> tuple[int, ...]:
    features = inputs[0][-1]
    if features > MOST_FEATURES:
        raise ValueError(f"a norm of {features:,} features; {MOST_FEATURES:,} are the most")
    return inputs[0]


def _float_forward(attrs: L2Normalize, x: tuple[Array, ...], params: Params) -> Array:
    squares = (x[0].astype(np.float64) ** 2).sum(axis=-1, keepdims=True)
    return np.asarray((x[0] / np.sqrt(np.maximum(squares, LEAST))).astype(x[0].dtype))


def _reference(attrs: L2Normalize, io: Io, x: tuple[Array, ...], params: Params) -> Array:
    """A sum of 1 is its own case in TensorFlow Lite Micro, and answers alike; all of a row whose
    sum is 0 are 0.
    """
    centred = x[0].astype(np.int64) - quant_of(io.inputs[0]).zero_point
    multiplier, shift = inverse_root(np.maximum((centred**2).sum(axis=-1, keepdims=True), 1))
    steps = multiply_by_quantized_multiplier(centred, multiplier, shift + OUTPUT_BITS)
    return np.asarray(np.clip(steps, -128, 127), np.int8)


def _fields(site: Site) -> Fields:
    features = site.input_shape[-1]
    return (
        ("rows", site.output_size // features),
        ("features", features),
        ("input_zero_point", site.input_quant().zero_point),
    )


OP = Op(
    name="L2Normalize",
    attrs=L2Normalize,
    arity=1,
    dtypes=INT8,
    result_shape=_result_shape,
    float_forward=_float_forward,
    reference=_reference,
    macs=no_macs,
    roles=no_roles,
    scale=lambda _attrs, _io: OUTPUT_QUANT,
    finest=no_limit,
    fuses=NO_FUSION,
    weight_axis=None,
    widens=NO_WIDENING,
    lower=no_constants,
    accumulators=no_accumulators,  # MOST_FEATURES states the limit
    reach=each_cell,
    memory=None,
    code=Call("L2Normalize", "edgeq_l2_normalize_params", _fields),
)
