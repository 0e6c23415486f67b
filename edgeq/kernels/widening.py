"""Weights that stand in flash wider than they are, where a kernel of a wider format is faster."""

from collections.abc import Iterable, Iterator

from edgeq.kernels.table import KERNELS, Kernel

# Each format fits the next: a code keeps its value, only its width in flash changes.
WIDER = {"b1": ("s4",), "s2": ("s4",), "s3": ("s4",), "s4": ("s8",)}
# A wider kernel in place of the format's own fast one: with so few weights the narrow kernel's end
# of a row costs more than its words save, and the flash it takes is at most as many bytes.
FEW_WEIGHTS = 2304
_OPS = ("Conv2D", "DepthwiseConv2D")


def wider_formats(op: str, weight_format: str | None) -> tuple[str, ...]:
    """The formats that weights of this one may be stored as, besides it."""
    return WIDER.get(str(weight_format), ()) if op in _OPS else ()


def wider_kernels(
    op: str, weight_format: str | None, features: Iterable[str], weights: int
) -> Iterator[Kernel]:
    """Faster rows for a layer of that many weights, its own fast one left out; best first."""
    has = frozenset(features)
    fast = [k for k in KERNELS if k.op == op and k.isa and k.needs <= has]
    own = any(k.weight == weight_format for k in fast)
    if own and (weights > FEW_WEIGHTS or "dsp" not in has):
        return
    for token in wider_formats(op, weight_format):
        yield from (k for k in fast if k.weight == token)
