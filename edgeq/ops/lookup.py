"""Ops that are a function of one number: one kernel for all looks up each input's answer.

An op states its function on real numbers, and on the 256 integers: by `rounded`, or as TensorFlow
Lite Micro computes it where that differs.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from edgeq.ir import Quant
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
    Pointer,
    Role,
    Site,
    each_cell,
    no_accumulators,
    no_macs,
    own_scale,
    same_shape,
)
from edgeq.ops.weighted import SUM_STEPS

Real = Callable[[Any, Array], Array]
"""(attributes, x) -> y, real numbers elementwise."""
Steps = Callable[[Any, Array, float, float], Array]
"""(attributes, input steps from zero, input scale, output scale) -> output steps from zero."""

KERNEL = "Lookup"
ROLES = (Role("table", "int8"),)


def rounded(real: Real) -> Steps:
    """The nearest output step, ties away from zero."""

    def steps(attrs: object, x: Array, scale_in: float, scale_out: float) -> Array:
        y = real(attrs, x * scale_in) / scale_out
        return np.asarray(np.trunc(y + np.copysign(0.5, y)))

    return steps


def rounded_in_float32(real: Real) -> Steps:
    """As TensorFlow Lite fills its own tables: every step of it in float32."""

    def steps(attrs: object, x: Array, scale_in: float, scale_out: float) -> Array:
        y = real(attrs, (np.float32(scale_in) * x.astype(np.float32)).astype(np.float32))
        y = y.astype(np.float32) * (np.float32(1) / np.float32(scale_out))
        return np.asarray(np.trunc(y + np.copysign(np.float32(0.5), y)))

    return steps


def table_of(steps: Steps, site: Site) -> Array:
    """int8 (256,): the answer to each input from -128 to 127."""
    given, made = site.input_quant(), site.output_quant
    x = np.arange(-128, 128, dtype=np.int64) - given.zero_point
    y = steps(site.node.attrs, x, given.per_tensor, made.per_tensor)
    return np.asarray(np.clip(y + made.zero_point, -128, 127), np.int8)


def _reference(attrs: object, io: Io, x: tuple[Array, ...], params: Params) -> Array:
    """params: table (256,) int8."""
    return np.asarray(params["table"][x[0].astype(np.int64) + 128])


def _fields(site: Site) -> Fields:
    return ("table", Pointer("table")), ("size", site.output_size)


def lookup(
    attrs: type,
    real: Real,
    steps: Steps,
    finest: float = 255 / SUM_STEPS,
    quant: Quant | None = None,
) -> Op:
    """The row of an op named as its attributes' class.

    finest: the least output scale that `steps` can carry, in input scales. quant: the scale that
    its output always has.
    """
    return Op(
        name=attrs.__name__,
        attrs=attrs,
        arity=1,
        dtypes=INT8,
        result_shape=same_shape,
        float_forward=lambda own, x, _params: real(own, x[0]),
        reference=_reference,
        macs=no_macs,
        roles=lambda _: ROLES,
        scale=own_scale if quant is None else (lambda _attrs, _io: quant),
        finest=lambda _attrs, scales, _params: finest * scales[0],
        fuses=NO_FUSION,
        weight_axis=None,
        widens=NO_WIDENING,
        lower=lambda site: Lowered({"table": table_of(steps, site)}, {}),
        accumulators=no_accumulators,
        reach=each_cell,
        memory=None,
        code=Call(KERNEL, "edgeq_lookup_params", _fields),
    )
