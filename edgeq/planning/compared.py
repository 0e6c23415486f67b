"""Judged candidates side by side: intervals, tests against the most accurate, fronts, advice."""

from collections.abc import Mapping, Sequence
from typing import Any

from edgeq.board import Board
from edgeq.comparing.comparison import LEVEL, NO_DIFFERENCE
from edgeq.comparing.significance import mcnemar
from edgeq.estimating.cost import figures
from edgeq.planning.judged import Judged, Labelled
from edgeq.reporting.figures.pareto import front

COSTS = {"latency": "cycles", "energy": "cycles", "flash": "flash_bytes", "ram": "ram_bytes"}
MARGIN = 0.02  # so much less accuracy, at most, is no worse: the lower end of the interval
WORDS = {
    "latency": "cycles and energy",
    "energy": "energy and cycles",
    "flash": "bytes of flash",
    "ram": "bytes of RAM",
}


def compared(many: Sequence[Judged], on: Labelled, board: Board) -> list[dict[str, Any]]:
    """An entry a candidate, in the given order; all paired by row with the most accurate that fits.

    Raises nothing: where none fits the board all are held to the most accurate of them.
    """
    best = most_accurate(many, board)
    entries = [_entry(one, best, on, board) for one in many]
    for name, key in COSTS.items():
        if name == "energy" and board.energy is None:
            continue
        able = [e for e in entries if e["fits"]]
        edge = set(front([(e[key], e["accuracy"]) for e in able]))
        for entry in entries:
            on_edge = entry["fits"] and (entry[key], entry["accuracy"]) in edge
            entry["fronts"] += [name] if on_edge else []
    return entries


def most_accurate(many: Sequence[Judged], board: Board) -> Judged:
    """Of those that fit the one that is right most often; of equals the one of fewest cycles."""
    able = [one for one in many if fits(one, board)] or list(many)
    return max(able, key=lambda one: (int(one.right.sum()), -one.counted.cycles))


def fits(one: Judged, board: Board) -> bool:
    """Whether its firmware has room on the board."""
    counted = one.counted
    return counted.flash_bytes <= board.flash.bytes and counted.ram_bytes <= board.ram.bytes


def _entry(one: Judged, best: Judged, on: Labelled, board: Board) -> dict[str, Any]:
    counted, right = one.counted, one.right.astype(float)
    difference = right - best.right.astype(float)
    only_one = int((one.right & ~best.right).sum())
    test = mcnemar(int((best.right & ~one.right).sum()), only_one)
    ends = on.clusters.interval_of_difference(difference)
    apart = on.clusters.interval(one.losses - best.losses)
    return {
        "name": one.name,
        "widths": None if one.widths is None else dict(one.widths),
        "accuracy": float(right.mean()),
        "accuracy_interval": list(on.clusters.interval(right) or (0.0, 1.0)),
        "cross_entropy": float(one.losses.mean()),
        **figures(counted.cycles, board, board.energy),
        "cycles": counted.cycles,
        "flash_bytes": counted.flash_bytes,
        "ram_bytes": counted.ram_bytes,
        "weight_bytes": sum(layer.weight_bytes for layer in counted.layers),
        "fits": fits(one, board),
        "against": best.name,
        "difference": float(difference.mean()),
        "difference_interval": [0.0, 0.0] if one is best else list(ends),
        "loss_difference_interval": None if apart is None else list(apart),
        "p": test.p,
        "verdict": _verdict(one, best, float(difference.mean()), test.p),
        "fronts": [],
    }


def _verdict(one: Judged, best: Judged, difference: float, p: float) -> str:
    if one is best:
        return "the most accurate"
    if p >= LEVEL:
        return NO_DIFFERENCE
    return "less accurate" if difference < 0 else "more accurate"


def advice(
    entries: Sequence[Mapping[str, Any]], prefer: str, margin: float, rows: int, clusters: int
) -> dict[str, Any]:
    """Which one to ship: the cheapest by `prefer` that is no worse than the most accurate.

    No worse: the lower end of the paired interval is above -margin. Its sentence carries its
    evidence, and says so where no difference is shown.
    """
    key = COSTS[prefer]
    able = [e for e in entries if e["fits"]]
    if not able:
        said = "none of these fits the board: take narrower widths, or a smaller model"
        return {"ship": None, "against": None, "margin": margin, "prefer": prefer, "said": said}
    best = next(e for e in able if e["name"] == e["against"])
    enough = [e for e in able if e["difference_interval"][0] > -margin or e is best]
    chosen = min(enough, key=lambda e: (e[key], -e["accuracy"]))
    return {
        "ship": chosen["name"],
        "against": best["name"],
        "margin": margin,
        "prefer": prefer,
        "said": _said(chosen, best, able, prefer, margin, rows, clusters),
    }


def _said(
    chosen: Mapping[str, Any],
    best: Mapping[str, Any],
    able: Sequence[Mapping[str, Any]],
    prefer: str,
    margin: float,
    rows: int,
    clusters: int,
) -> str:
    key, of = COSTS[prefer], f"{rows} rows" + (f" of {clusters} groups" if clusters < rows else "")
    ends = _points(chosen["accuracy_interval"])
    head = f"ship {chosen['name']}: {chosen['accuracy']:.1%} {ends} right on {of}"
    if chosen is best:
        rest = sorted((e for e in able if e is not best), key=lambda e: float(e[key]))
        cheaper = [e for e in rest if e[key] < best[key]]
        why = "the most accurate, and nothing cheaper here is shown to be within "
        why += f"{100 * margin:g} points"
        if not cheaper:
            why = f"the most accurate, and of fewest {WORDS[prefer]}"
        return f"{head}; {why}{_rivals(cheaper or rest)}"
    saved = 1 - chosen[key] / best[key]
    against = f"{100 * chosen['difference']:+.1f} points {_points(chosen['difference_interval'])}"
    test = f"McNemar p = {chosen['p']:.2g}"
    if chosen["verdict"] == NO_DIFFERENCE:
        shown = f"no difference shown to {best['name']}, the most accurate ({against}, {test})"
    else:
        shown = f"{chosen['verdict']} than {best['name']} ({against}, {test}) but within the margin"
    return f"{head}; {shown}, at {saved:.0%} fewer {WORDS[prefer]} (modelled)"


def _rivals(entries: Sequence[Mapping[str, Any]]) -> str:
    """Up to two others with what is known of them."""
    told = [
        f"{e['name']} {100 * e['difference']:+.1f} points {_points(e['difference_interval'])}"
        + (f", {e['verdict']}" if e["verdict"] == NO_DIFFERENCE else "")
        for e in entries[:2]
    ]
    return f" ({'; '.join(told)})" if told else ""


def _points(ends: Sequence[float]) -> str:
    return f"[{100 * ends[0]:.1f}, {100 * ends[1]:.1f}]"
