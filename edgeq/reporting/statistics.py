"""Figures of a list of samples: latency, scores and energy. Pure functions of numbers."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from edgeq.board import Board, Energy
from edgeq.harness.energy import EnergyModel, modelled_energy
from edgeq.harness.profile_summary import LATENCY_KEYS, NO_COUNTER
from edgeq.ops.op import Array


def latency_source(board: Board | None, cycles: Sequence[int], virtual: bool = False) -> str:
    """Where cycle counts come from: "silicon", "modelled", "unverified" or "none".

    `virtual`: the board's virtual twin was asked, whatever the board file says of the board.
    "none": the core counts nothing, or an emulator without a clock model counts noise.
    "unverified": the board file records no run of this board on silicon.
    """
    if virtual and any(cycles):
        return "modelled"
    if not any(cycles) or (board is not None and board.probe.qemu_machine):
        return NO_COUNTER
    if board is None:
        return "unverified"
    if board.evidence == "silicon":
        return "silicon"
    return "modelled" if "virtual" in board.probe.flashers else "unverified"


def latency(cycles: Sequence[int], clock_hz: int, source: str) -> dict[str, Any]:
    """Milliseconds at the board's clock; None where nothing ran or nothing was counted."""
    head: dict[str, Any] = {"unit": "ms", "source": source}
    if not len(cycles) or source == NO_COUNTER:
        return head | dict.fromkeys(LATENCY_KEYS)
    counts = np.asarray(cycles, np.float64)  # whole numbers: equal counts have no deviation
    p50, p95, p99 = np.percentile(counts, [50, 95, 99])
    values = (counts.mean(), counts.std(), p50, p95, p99, counts.max())
    return head | {k: float(v) * 1e3 / clock_hz for k, v in zip(LATENCY_KEYS, values, strict=True)}


def accuracy(labels: Array, predicted: Array) -> float | None:
    """Share of right answers; None without samples."""
    return float((labels == predicted).mean()) if labels.size else None


def macro_f1(labels: Array, predicted: Array) -> float | None:
    """Mean F1 over the classes that occur in labels or predictions; None without samples."""
    scores = []
    for c in np.union1d(labels, predicted):
        hit = int(((labels == c) & (predicted == c)).sum())
        scores.append(2 * hit / (int((labels == c).sum()) + int((predicted == c).sum())))
    return float(np.mean(scores)) if scores else None


def confusion(labels: Array, predicted: Array, classes: int) -> list[list[int]]:
    """Counts (label, predicted)."""
    matrix = np.zeros((classes, classes), np.int64)
    np.add.at(matrix, (labels, predicted), 1)
    counts: list[list[int]] = matrix.tolist()
    return counts


def uncertainty(values: Array, confidence: Array, right: Array | None) -> dict[str, float | None]:
    """How uncertain the router was, where the answer was right and where it was wrong."""
    p50, p95 = np.percentile(values, [50, 95])
    return {
        "mean": _mean(values),
        "p50": float(p50),
        "p95": float(p95),
        "max": float(values.max()),
        "mean_when_right": None if right is None else _mean(values[right]),
        "mean_when_wrong": None if right is None else _mean(values[~right]),
        "confidence_mean": _mean(confidence),
    }


def _mean(values: Array) -> float | None:
    return float(values.mean()) if values.size else None


def energy(cycles: Sequence[int], figures: Energy | None, source: str) -> dict[str, Any]:
    """Modelled joules of a mean inference, idling not counted; `band`: [low, high] in joules.

    `coulombs_mean` is the charge at the `volts` that the figures hold at. Every value is None
    without figures, without samples, or without counted cycles. `kind`: as in the board file.
    """
    if figures is None or not len(cycles) or source == NO_COUNTER:
        unknown = ("kind", "joules_mean", "band", "coulombs_mean", "volts", "figures")
        return {"source": NO_COUNTER, **dict.fromkeys(unknown)}
    low, mean, high = (
        modelled_energy(sum(cycles), EnergyModel(nj, band=0)).joules / len(cycles)
        for nj in (figures.nj_per_cycle_low, figures.nj_per_cycle, figures.nj_per_cycle_high)
    )
    return {
        "source": "modelled",
        "kind": figures.kind,
        "joules_mean": mean,
        "band": [low, high],
        "coulombs_mean": mean / figures.volts,
        "volts": figures.volts,
        "figures": figures.source,
    }
