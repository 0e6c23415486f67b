"""edgeq_conv_2d_band: the windows of bands beside what kernels/bands.py says of them."""

from collections.abc import Iterator

import numpy as np

from edgeq.kernels.bands import Band, Sliding
from tests.kernels.differential.case import (
    Address,
    Call,
    Case,
    Const,
    Pointer,
    Result,
    Struct,
)
from tests.kernels.differential.convolutions import CONV_SHAPES, DEPTHWISE_SHAPES, SHAPES, Geometry


def sliding_of(g: Geometry, outputs: int) -> Sliding:
    """Of an input whose cells are one byte."""
    whole = g.size == g.out
    if g.kernel == (1, 1) and g.stride == (1, 1) and whole:
        pixels = g.size[0] * g.size[1]
        return Sliding(pixels, pixels, 1, 1, 0, g.channels, outputs, True)
    row_bytes = g.size[1] * g.channels, g.out[1] * outputs
    top = g.padding[0]
    return Sliding(g.size[0], g.out[0], g.kernel[0], g.stride[0], top, *row_bytes, False)


def window_of(g: Geometry, band: Band, pixels: bool) -> tuple[int, ...]:
    """The members of an edgeq_window."""
    rows, behind = band.end - band.begin, (*g.kernel, *g.stride)
    if pixels:
        return (1, rows, g.channels, 1, band.rows, *behind, *g.padding[:2])
    sizes = rows, g.size[1], g.channels, band.rows, g.out[1]
    return (*sizes, *behind, band.top, g.padding[1])


def cases() -> Iterator[Case]:
    for g in (*SHAPES, *CONV_SHAPES, *DEPTHWISE_SHAPES):
        slide = sliding_of(g, 4)
        for rows in {1, 2, 3, slide.output_rows, slide.output_rows + 1}:
            for band in slide.bands(rows):
                if band.begin < band.end:
                    yield _case(g, band, rows, slide.pixels)


def _case(g: Geometry, band: Band, rows: int, pixels: bool) -> Case:
    """Its arrays are nobody's: they are handed on."""
    arrays = [Const(np.zeros(1, np.int32)) for _ in range(4)]
    ends = (5, 3, -7, -100, 101)
    given = Pointer((Struct((*arrays, Struct(g.window.fields), *ends)),))
    window = Struct(tuple(Result(value) for value in window_of(g, band, pixels)))
    made = Struct((*(Address(array) for array in arrays), window, *(Result(n) for n in ends)))
    call = Call("edgeq_conv_2d_band", (given, band.row, rows, Pointer((made,))), band.begin)
    return Case(f"edgeq_conv_2d_band {g}, {rows} rows from {band.row}", (call,))
