"""Seeded dropout masks for the Monte Carlo router: one table, the same in PyTorch, numpy and C.

The masks are drawn once, at export, and shipped as bits, so no generator runs on the device.
"""

import numpy as np
import numpy.typing as npt

_STREAM = 0x9E3779B9  # odd, so that neighbouring (seed, layer) pairs start far apart


def _xorshift32(state: int) -> int:
    """Marsaglia's xorshift32 (Journal of Statistical Software 8(14), 2003)."""
    state ^= (state << 13) & 0xFFFFFFFF
    state ^= state >> 17
    return state ^ ((state << 5) & 0xFFFFFFFF)


def dropout_masks(
    seed: int, passes: int, width: int, layer: int, p: float
) -> npt.NDArray[np.uint8]:
    """Keep masks of one dropout layer: uint8 0/1 of shape (passes, width); 1 keeps the unit.

    `layer` numbers the dropout layers of a router, so that each has masks of its own.
    Raises ValueError when passes < 2 (a variance needs two) or p is outside [0, 1).
    """
    if passes < 2:
        raise ValueError(f"Monte Carlo dropout needs at least 2 passes, got {passes}")
    if not 0.0 <= p < 1.0:
        raise ValueError(f"dropout probability must lie in [0, 1), got {p}")
    state = ((seed * _STREAM) ^ ((layer + 1) * 0x85EBCA6B)) & 0xFFFFFFFF or 1
    for _ in range(8):  # small seeds start in a poor part of the sequence
        state = _xorshift32(state)
    threshold = round((1.0 - p) * 2**32)
    masks = np.empty(passes * width, dtype=np.uint8)
    for i in range(masks.size):
        state = _xorshift32(state)
        masks[i] = state < threshold
    return masks.reshape(passes, width)
