"""The mean power of rows that come one after another: each one's energy, and idling in between."""

import math
from collections.abc import Mapping
from typing import Any

from edgeq.board import Board, Energy


def mean_power(cycles: float, hop_s: float, board: Board, energy: Energy) -> float:
    """Watts of `cycles` in the mean every `hop_s` seconds; idling where the board file knows it.

    Modelled: cycles x nJ a cycle, then `idle_w` until the next row; rows that take longer than a
    hop come as fast as they are done.
    """
    return energy.mean_w(cycles * energy.nj_per_cycle * 1e-9, cycles / board.clock_hz, hop_s)


def cycles_at(watts: float, hop_s: float, board: Board, energy: Energy) -> float:
    """The most mean cycles a row within that mean power; below 0 where idling takes more."""
    idle_w, busy_w = energy.idle_w or 0.0, energy.nj_per_cycle * 1e-9 * board.clock_hz
    if watts >= busy_w or busy_w <= idle_w:
        return math.inf
    a_cycle = (busy_w - idle_w) / board.clock_hz  # more than idling would take
    return (watts - idle_w) * hop_s / a_cycle


def power_entry(
    expected: Mapping[str, Any], hop_s: float, board: Board, energy: Energy, hold: int
) -> dict[str, Any]:
    """`power` of export.json: the expected case of an estimate's entry, a row every `hop_s`."""
    cycles = expected["latency_s"] * board.clock_hz
    return {
        "hop_s": hop_s,
        "mean_w": mean_power(cycles, hop_s, board, energy),
        "idle_w": energy.idle_w,
        "busy": expected["latency_s"] / hop_s,
        "hold": hold,
        "of": expected["of"],
        "rows": expected["rows"],
    }
