"""AveragePool2D without padding. The mean is a requantisation by scale_in / (scale_out * cells),
so that nothing divides and the output may have a finer scale than the input.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgeq.ops.fixed_point import requantize
from edgeq.ops.op import Array, Io, Op, Params, no_macs, quant_of
from edgeq.ops.window import output_size, windows


@dataclass(frozen=True)
class AveragePool2D:
    kernel: tuple[int, int]
    stride: tuple[int, int]


NO_PADDING = (0, 0, 0, 0)


def _result_shape(
    attrs: AveragePool2D, inputs: tuple[tuple[int, ...], ...], params: Mapping[str, Any]
) -> tuple[int, ...]:
    height, width, channels = inputs[0]
    return (*output_size((height, width), attrs.kernel, attrs.stride, NO_PADDING), channels)


def _float_forward(attrs: AveragePool2D, x: tuple[Array, ...], params: Params) -> Array:
    return np.asarray(windows(x[0], attrs.kernel, attrs.stride, NO_PADDING, 0).mean(axis=(4, 5)))


def _reference(attrs: AveragePool2D, io: Io, x: tuple[Array, ...], params: Params) -> Array:
    out, zero_point = quant_of(io.output), quant_of(io.inputs[0]).zero_point
    view = windows(x[0].astype(np.int64) - zero_point, attrs.kernel, attrs.stride, NO_PADDING, 0)
    acc = view.sum(axis=(4, 5))
    return requantize(acc, params["multiplier"], params["shift"], out.zero_point, -128, 127)


OP = Op("AveragePool2D", AveragePool2D, _result_shape, _float_forward, _reference, no_macs)
