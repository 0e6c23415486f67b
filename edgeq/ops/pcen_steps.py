"""The integers of Pcen: a smoother that carries no rounding on, powers of 2, the gain.

Energies are counts of 64 bits (log_mel_steps.py), logarithms Q15, powers Q30.
"""

import numpy as np

from edgeq.ops.log_mel_steps import log2_q15
from edgeq.ops.op import Array

PLACES = 64
SMOOTH_BITS, POWER_BITS = 16, 30
MOST_LOG = 22  # every power is below 2 to that: Pcen.check's limits see to it
PARTS = 4  # int16 codes of a smoothed energy


def power_table() -> Array:
    """2^(i / 64) - 1 in Q15, i = 0 .. 64, uint16."""
    return np.round((2.0 ** (np.arange(PLACES + 1) / PLACES) - 1) * 2**15).astype(np.uint16)


def smoothed(before: Array, energy: Array, smooth: int) -> Array:
    """(1 - s) before + s energy, rounded once, s in 2^-16; the energy where there was none, 0."""
    begun = np.where(before == 0, energy, before)
    apart = energy - begun
    low = ((apart & 0xFFFF) * smooth + (1 << (SMOOTH_BITS - 1))) >> SMOOTH_BITS
    return np.asarray(begun + (apart >> SMOOTH_BITS) * smooth + low)


def share(log: Array, part: int) -> Array:
    """log part / 2^30, rounded."""
    return np.asarray((log * part + (1 << 29)) >> 30)


def power(log: Array, table: Array) -> Array:
    """2^(log / 2^15) in Q30: a line between 65 places, at most 2^-14 of it beside it."""
    entries, place, rest = table.astype(np.int64), (log >> 9) & 63, log & 511
    rise = entries[place + 1] - entries[place]
    mantissa = (1 << 15) + entries[place] + (rise * rest >> 9)
    down = np.minimum(MOST_LOG - (log >> 15), 63)
    return np.asarray((mantissa << (POWER_BITS - 15 + MOST_LOG)) >> down)


def normalised(
    energy: Array, kept: Array, numbers: dict[str, int], log_table: Array, table: Array
) -> Array:
    """(energy / kept^alpha + delta)^root - lift, 2^30 of it cut by `down` bits."""
    over = share(log2_q15(kept, log_table), numbers["alpha"])
    log = log2_q15(energy | 1, log_table) - over - numbers["offset"]
    raised = log2_q15(power(log, table) + numbers["delta"], log_table) - (POWER_BITS << 15)
    made = power(np.minimum(share(raised, numbers["root"]), numbers["most"]), table)
    return np.asarray((made - numbers["lift"]) >> numbers["down"])


def codes_of(kept: Array) -> Array:
    """Of smoothed energies (mels,): int16 (PARTS, mels), the low bits first."""
    parts = kept >> (16 * np.arange(PARTS)[:, None])
    return (parts & 0xFFFF).astype(np.uint16).view(np.int16)


def kept_of(codes: Array) -> Array:
    """The smoothed energies that codes stand for."""
    parts = np.ascontiguousarray(codes.astype(np.int16)).view(np.uint16).astype(np.int64)
    return np.asarray((parts << (16 * np.arange(PARTS)[:, None])).sum(axis=0))
