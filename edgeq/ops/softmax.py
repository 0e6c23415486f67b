"""Softmax over the last axis; output scale 1/256 and zero point -128, as TensorFlow Lite has it."""

from dataclasses import dataclass

import numpy as np

from edgeq.ir import Quant
from edgeq.ops.fixed_point import softmax_q15
from edgeq.ops.op import Array, Io, Op, Params, flat_shape, no_macs

OUTPUT_QUANT = Quant((1 / 256,), -128)


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


OP = Op("Softmax", Softmax, flat_shape, _float_forward, _reference, no_macs)
