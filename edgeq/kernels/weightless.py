"""Rows of the kernel table for ops without weights."""

from collections.abc import Iterable

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


Row = tuple[str, str, Scratch, tuple[str, ...]]
"""Op, name in its sources' names, scratch, headers that both its kernels include."""


def on_both(
    rows: Iterable[Row], bits: str, dsp: tuple[str, ...], plain: tuple[str, ...]
) -> tuple[tuple[Kernel, ...], tuple[Kernel, ...]]:
    """For the DSP extension and in plain C, edgeq_<name>_<bits>; `dsp` and `plain`: headers of all
    rows.
    """
    fast, slow = list[Kernel](), list[Kernel]()
    for op, name, scratch, own in rows:
        stem = f"edgeq_{name}_{bits}"
        fast.append(weightless_dsp(f"{stem}_dsp", op, (*dsp, *own), scratch=scratch))
        slow.append(weightless(stem, op, (*plain, *own), scratch=scratch))
    return tuple(fast), tuple(slow)
