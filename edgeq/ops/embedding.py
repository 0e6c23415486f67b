"""Embedding: a row of a table for each whole number of its input, which is no activation but an id.

Ids are int16 of scale 1. One below 0 reads the first row, one past the end the last: a board has
no other answer, and reads nothing beyond the table.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgeq.errors import UnsupportedOp
from edgeq.ir import Quant, TensorType
from edgeq.ops.op import (
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
    Scale,
    Site,
    no_accumulators,
    no_limit,
    no_macs,
    quant_of,
    whole_window,
)

IDS = Quant((1.0,), 0)
MOST_ROWS = 1 << 15  # an id is an int16
MOST_AXES = 2  # of the ids


@dataclass(frozen=True)
class Embedding:
    """Its constant `table` is (rows, width)."""


def _result_shape(
    attrs: Embedding, inputs: tuple[tuple[int, ...], ...], params: Mapping[str, Any]
) -> tuple[int, ...]:
    ids, table = inputs[0], params["table"].shape
    if len(table) != 2 or not 1 <= table[0] <= MOST_ROWS:
        raise ValueError(f"a table of shape {table}; up to {MOST_ROWS:,} rows are taken")
    if len(ids) > MOST_AXES:
        raise ValueError(f"ids of shape {ids}; at most {MOST_AXES} axes are taken")
    return (*ids, table[1])


def _taken(ids: Array, table: Array) -> Array:
    return np.asarray(table[np.clip(ids, 0, len(table) - 1)])


def _float_forward(attrs: Embedding, x: tuple[Array, ...], params: Params) -> Array:
    return _taken(np.round(x[0]).astype(np.int64), params["table"])


def _scale(attrs: Embedding, io: Io) -> Scale:
    """The output's own. Raises UnsupportedOp for an input that is no ids."""
    given = io.inputs[0]
    if given.dtype == "int8" or (given.dtype == "int16" and quant_of(given) != IDS):
        raise UnsupportedOp(
            f"Embedding takes ids, int16 of scale 1, not {given.dtype}: give it an input of its own"
        )
    return Scale.OWN


def _reference(attrs: Embedding, io: Io, x: tuple[Array, ...], params: Params) -> Array:
    """params: table (rows, width) int8, codes of the output."""
    return _taken(x[0].astype(np.int64), params["table"])


def _lower(site: Site) -> Lowered:
    """Codes of the output; those that a file settled stay."""
    table, quant = site.param("table"), site.output_quant
    if site.type_of_param("table").quant is None:
        codes = np.round(table.astype(np.float64) / quant.per_tensor) + quant.zero_point
        table = np.clip(codes, -128, 127).astype(np.int8)
    return Lowered({"table": table}, {"table": TensorType(table.shape, "int8", quant)})


def _fields(site: Site) -> Fields:
    rows, width = site.param("table").shape
    return (
        ("table", Pointer("table")),
        ("count", math.prod(site.input_shape)),
        ("last", rows - 1),
        ("width", width),
    )


OP = Op(
    name="Embedding",
    attrs=Embedding,
    arity=1,
    dtypes=frozenset({"int8", "int16"}),
    result_shape=_result_shape,
    float_forward=_float_forward,
    reference=_reference,
    macs=no_macs,
    roles=lambda _: (Role("table", "int8"),),
    scale=_scale,
    finest=no_limit,
    fuses=NO_FUSION,
    weight_axis=None,
    widens=NO_WIDENING,
    lower=_lower,
    accumulators=no_accumulators,
    reach=whole_window,
    memory=None,
    code=Call("Embedding", "edgeq_embedding_params", _fields),
)
