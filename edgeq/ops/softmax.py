"""Softmax over the last axis; output scale 1/256 and zero point -128, as TensorFlow Lite has it."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from edgeq.ir import Graph, Quant
from edgeq.ops.fixed_point import exp_table, softmax_q15
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
    no_limit,
    no_macs,
    same_shape,
)

OUTPUT_QUANT = Quant((1 / 256,), -128)
FORMS = ("Softmax", "SoftmaxQ31")


@dataclass(frozen=True)
class Softmax:
    pass


def _float_forward(attrs: Softmax, x: tuple[Array, ...], params: Params) -> Array:
    e = np.exp(x[0] - x[0].max(axis=-1, keepdims=True))
    return np.asarray(e / e.sum(axis=-1, keepdims=True))


def _reference(attrs: Softmax, io: Io, x: tuple[Array, ...], params: Params) -> Array:
    """params: exp_table (256,) uint16 of the input's scale."""
    p = softmax_q15(x[0], params["exp_table"].astype(np.uint16))
    return np.asarray(np.minimum(((p + 64) >> 7) - 128, 127), np.int8)


ROLES = (Role("exp_table", "uint16"),)


def _lower(site: Site) -> Lowered:
    return Lowered({"exp_table": exp_table(site.input_quant().per_tensor)}, {})


def softmax_fields(table: str) -> Callable[[Site], Fields]:
    """Of the C struct: the table of exponentials, rows and classes."""

    def fields(site: Site) -> Fields:
        *rows, classes = site.input_shape
        return ((table, Pointer(table)), ("rows", math.prod(rows)), ("classes", classes))

    return fields


OP = Op(
    name="Softmax",
    attrs=Softmax,
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
    accumulators=no_accumulators,  # fixed_point.softmax_q15 states its own limits
    reach=each_cell,
    memory=None,
    code=Call("Softmax", "edgeq_softmax_params", softmax_fields("exp_table")),
)


def ends_in_probabilities(graph: Graph) -> bool:
    """Whether the graph's output is a softmax's: its values are confidences already."""
    producer = graph.producer(graph.outputs[0])
    return producer is not None and producer.op in FORMS
