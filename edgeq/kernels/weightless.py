"""Rows of the kernel table for ops without weights."""

from edgeq.kernels import headers
from edgeq.kernels.in_place import InPlace, nowhere
from edgeq.kernels.kernel import DSP, Kernel
from edgeq.kernels.layer_needs import Scratch, Suits, any_shape, no_scratch


def weightless(
    name: str,
    op: str,
    own: tuple[str, ...] = (),
    more_sources: tuple[str, ...] = (),
    scratch: Scratch = no_scratch,
    in_place: InPlace = nowhere,
) -> Kernel:
    """Plain C; `own`: its headers beside those of all that requantise."""
    files = (f"{name}.c", *more_sources), (*headers.ALL, headers.REQUANTIZE, *own)
    return Kernel(name, op, None, *files, scratch, in_place=in_place)


def weightless_dsp(
    name: str,
    op: str,
    own: tuple[str, ...] = (),
    suits: Suits = any_shape,
    scratch: Scratch = no_scratch,
    in_place: InPlace = nowhere,
) -> Kernel:
    """For the DSP extension."""
    files = (f"{name}.c",), (*headers.ALL, headers.PUBLIC_DSP, *headers.DSP, *own)
    needs = frozenset({DSP})
    return Kernel(name, op, None, *files, scratch, DSP, needs, suits=suits, in_place=in_place)
