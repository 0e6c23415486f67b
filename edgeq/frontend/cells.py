"""Which cells of an axis an operator reads: padding that goes on, and resizing, of every format."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from edgeq.frontend.findings import Refused
from edgeq.ops.resize_linear import ONE

MOST_REPEATS = 4096
Cells = npt.NDArray[np.float64]


def step_of(places: Sequence[int]) -> int:
    """How far apart places are, evenly; 0 for others, which no slice takes."""
    step = places[1] - places[0] if len(places) > 1 else 1
    return step if all(b - a == step for a, b in pairwise(places)) else 0


def continued(size: int, pair: tuple[int, int], mode: str) -> list[int]:
    """The cells of an axis with `pair` more before and behind, as numpy's `mode` pads."""
    if mode not in ("reflect", "symmetric", "edge", "wrap"):
        raise Refused(f"it has mode {mode[:20]!r}")
    if max(pair) > MOST_REPEATS or (mode == "reflect" and size == 1 and max(pair)):
        raise Refused(f"it pads {size} cells by {pair}")
    return [int(p) for p in np.pad(np.arange(size), pair, mode=mode)]  # type: ignore[call-overload]


def coordinates(how: str, given: int, made: int, scale: float) -> Cells:
    """Where each cell of the output lies in the input, in cells; `how` as ONNX calls it."""
    at = np.arange(made, dtype=np.float64)
    if how == "asymmetric":
        return at / scale
    if how == "align_corners":
        return at * (given - 1) / (given * scale - 1) if made > 1 else at * 0
    if how == "pytorch_half_pixel" and made == 1:
        return at * 0
    if how in ("half_pixel", "pytorch_half_pixel"):
        return (at + 0.5) / scale - 0.5
    if how == "half_pixel_symmetric":
        offset = given / 2 * (1 - made / (given * scale))
        return offset + (at + 0.5) / scale - 0.5
    raise Refused(f"it counts coordinates by {how[:30]!r}")


def between(at: Cells, size: int) -> tuple[int, ...]:
    """Coordinates as ResizeLinear counts them, held inside an axis."""
    return tuple(int(n) for n in np.clip(np.round(at * ONE), 0, (size - 1) * ONE))


def nearest(how: str, at: Cells, size: int) -> list[int]:
    """The cell next to each coordinate; `how` as ONNX calls it."""
    rounded = {
        "round_prefer_floor": np.ceil(at - 0.5),
        "round_prefer_ceil": np.floor(at + 0.5),
        "floor": np.floor(at),
        "ceil": np.ceil(at),
    }
    if how not in rounded:
        raise Refused(f"it rounds by {how[:30]!r}")
    return [int(n) for n in np.clip(rounded[how], 0, size - 1)]
