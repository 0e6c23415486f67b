"""edgeq_conv_2d_staged: every word in its place, none behind, the layer otherwise whole."""

from collections.abc import Iterator

import numpy as np

from tests.kernels.differential import bands
from tests.kernels.differential.bands import sliding_of, window_of
from tests.kernels.differential.case import Address, Call, Case, Const, Out, Pointer, Result, Struct
from tests.kernels.differential.convolutions import CONV_SHAPES, Geometry

NAME = "edgeq_conv_2d_staged"
COUNTS = (4, 7, 8, 9, 15, 16, 17, 31, 100)  # of words: eights and every rest


def cases() -> Iterator[Case]:
    """Those of bands too: the row's files hold edgeq_conv_2d_band."""
    yield from bands.cases()
    rng = np.random.default_rng(5)
    for i, g in enumerate(CONV_SHAPES):
        words = COUNTS[i % len(COUNTS)]
        yield _case(g, rng.integers(0, 1 << 32, words, np.uint32))
    for words in COUNTS:
        yield _case(CONV_SHAPES[0], rng.integers(0, 1 << 32, words, np.uint32))


def _case(g: Geometry, words: np.ndarray) -> Case:
    slide = sliding_of(g, 4)
    (whole,) = slide.bands(slide.output_rows)
    vectors = [Const(np.zeros(1, np.int32)) for _ in range(3)]
    ends = (5, 3, -7, -100, 101)
    given = Struct((Const(words), *vectors, Struct(g.window.fields), *ends))
    copied = Out(words)
    window = Struct(tuple(Result(value) for value in window_of(g, whole, slide.pixels)))
    pointers = (Address(copied), *(Address(vector) for vector in vectors))
    made = Struct((*pointers, window, *(Result(n) for n in ends)))
    call = Call(NAME, (Pointer((given,)), len(words), copied, Pointer((made,))))
    return Case(f"{NAME} {g}, {len(words)} words", (call,))
