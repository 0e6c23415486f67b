"""Concat: tensors one behind the other along an axis. Its inputs take its scale.

ConcatInPlace is the same where nothing is left to do: what makes each input writes it where it lies
in the output (passes/concat_in_place.py).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from edgeq.ops.op import (
    ANY_NUMBER,
    INT8,
    NO_FUSION,
    NO_WIDENING,
    Absent,
    Array,
    Call,
    Fields,
    Io,
    Lowered,
    Op,
    Params,
    Pointer,
    Role,
    Scale,
    Site,
    each_cell,
    no_accumulators,
    no_constants,
    no_limit,
    no_macs,
    no_roles,
)


@dataclass(frozen=True)
class Concat:
    """`axis` counts without the batch."""

    axis: int = 0


@dataclass(frozen=True)
class ConcatInPlace(Concat):
    """Nothing lies in front of `axis`: each input is one run of the output's bytes."""


def _result_shape(
    attrs: Concat, inputs: tuple[tuple[int, ...], ...], params: Mapping[str, Any]
) -> tuple[int, ...]:
    first, axis = inputs[0], attrs.axis
    if not 0 <= axis < len(first):
        raise ValueError(f"{first} has no axis {axis}")
    for shape in inputs:
        if len(shape) != len(first) or shape[:axis] + shape[axis + 1 :] != (
            first[:axis] + first[axis + 1 :]
        ):
            raise ValueError(f"shapes {inputs} differ beside axis {axis}")
    return (*first[:axis], sum(shape[axis] for shape in inputs), *first[axis + 1 :])


def _in_place_shape(
    attrs: Concat, inputs: tuple[tuple[int, ...], ...], params: Mapping[str, Any]
) -> tuple[int, ...]:
    made = _result_shape(attrs, inputs, params)
    if math.prod(made[: attrs.axis]) != 1:
        raise ValueError(f"the parts of {made} along axis {attrs.axis} are no runs of its bytes")
    return made


def _joined(attrs: Concat, x: tuple[Array, ...]) -> Array:
    return np.concatenate(x, axis=attrs.axis + 1)


def _float_forward(attrs: Concat, x: tuple[Array, ...], params: Params) -> Array:
    return _joined(attrs, x)


def _reference(attrs: Concat, io: Io, x: tuple[Array, ...], params: Params) -> Array:
    return _joined(attrs, x)


def _lower(site: Site) -> Lowered:
    blocks = [math.prod(t.shape[site.node.attrs.axis :]) for t in site.io.inputs]
    return Lowered({"block": np.array(blocks, np.int32)}, {})


def _fields(site: Site) -> Fields:
    axis: int = site.node.attrs.axis
    return (
        ("block", Pointer("block")),
        ("inputs", len(site.node.inputs)),
        ("outer", math.prod(site.output_shape[:axis])),
        ("row", math.prod(site.output_shape[axis:])),
    )


OP = Op(
    name="Concat",
    attrs=Concat,
    arity=ANY_NUMBER,
    dtypes=INT8,
    result_shape=_result_shape,
    float_forward=_float_forward,
    reference=_reference,
    macs=no_macs,
    roles=lambda _: (Role("block", "int32"),),
    scale=lambda _attrs, _io: Scale.JOINED,
    finest=no_limit,
    fuses=NO_FUSION,
    weight_axis=None,
    widens=NO_WIDENING,
    lower=_lower,
    accumulators=no_accumulators,
    reach=each_cell,
    memory=None,
    code=Call("Concat", "edgeq_concat_params", _fields),
)

IN_PLACE = replace(
    OP,
    name="ConcatInPlace",
    attrs=ConcatInPlace,
    result_shape=_in_place_shape,
    roles=no_roles,
    lower=no_constants,
    code=Absent.PARTS,
)
