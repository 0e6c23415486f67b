"""The honest table: each expert alone on the rows of a run, the best one, the oracle, the gain.

An expert alone is what the reference answers and what its layers cost: no router, no signal.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from edgeq.ops.op import Array
from edgeq.ops.routed import routed_node
from edgeq.passes.experts_alone import Alone, experts_alone, real_logits
from edgeq.passes.freeze_router import observe
from edgeq.reporting.run_rows import Costs, Rows, cycles_alone
from edgeq.reporting.threshold_curve import all_stages, curve_entry
from edgeq.thresholds.ranking import DOUBTS, Clusters, auroc, auroc_interval, doubts_of

MARGIN = 0.015  # so much accuracy less, at most, is "no worse" where cost is what is gained


def alone_entries(subject: Rows, costs: Costs) -> dict[str, Any]:
    """`alone` (None without experts) and `signals` of the object of `edgeq profile --json`.

    Of a classifier's labelled rows; the answers of other models are neither right nor wrong.
    """
    alone = experts_alone(subject.graph, subject.rows)
    signals = _signals(subject, alone)
    if not alone:
        return {"alone": None, "signals": signals}
    right = np.stack([a.answers == subject.labels for a in alone], axis=1)
    cycles = [cycles_alone(subject, costs, e, a.name) for e, a in enumerate(alone)]
    experts = [
        {"name": a.name, "accuracy": float(r.mean()), **costs.figures(c)}
        for a, r, c in zip(alone, right.T, cycles, strict=True)
    ]
    best = max(range(len(alone)), key=lambda e: (right[:, e].sum(), -(cycles[e] or 0), -e))
    mixed = subject.answers == subject.labels
    mean = float(subject.cycles.mean()) if costs.counted else None
    return {
        "alone": {
            "rows": len(mixed),
            "clusters": subject.clusters.count,
            "experts": experts,
            "mixture": {"accuracy": float(mixed.mean()), **costs.figures(mean)},
            "best": alone[best].name,
            "oracle": _oracle(right, cycles, costs),
            "gain": _gain(subject, mixed, right, cycles, best, [a.name for a in alone]),
            "curve": curve_entry(subject, costs, alone),
        },
        "signals": signals,
    }


def _oracle(right: Array, cycles: Sequence[float | None], costs: Costs) -> dict[str, Any]:
    """Of each row the cheapest expert that is right, of rows that none knows the cheapest."""
    known = [c for c in cycles if c is not None]
    mean = None
    if len(known) == len(cycles):
        cost = np.where(right, np.array(known), np.inf).min(axis=1)
        mean = float(np.where(np.isinf(cost), min(known), cost).mean())
    return {"accuracy": float(right.any(axis=1).mean()), **costs.figures(mean)}


def _gain(
    subject: Rows,
    mixed: Array,
    right: Array,
    cycles: Sequence[float | None],
    best: int,
    names: Sequence[str],
) -> dict[str, Any]:
    """Against the best single expert, paired by row: points and cost, each with its interval."""
    clusters = subject.clusters
    difference = mixed.astype(float) - right[:, best]
    change, ends = float(difference.mean()), clusters.interval_of_difference(difference)
    cost, cost_ends, single = None, None, cycles[best]
    if single:
        cost = float(subject.cycles.mean()) / single - 1
        found = clusters.interval(subject.cycles / single - 1)
        cost_ends = list(found) if found else None
    beaten = _beaten_by(subject, mixed, right, cycles, names)
    gained = _gained(ends, cost_ends)
    gain = {
        "against": names[best],
        "accuracy": change,
        "accuracy_interval": list(ends),
        "cost": cost,
        "cost_interval": cost_ends,
        "beaten_by": beaten,
        "shown": gained and beaten is None,
    }
    return {**gain, "said": gain_words(gain)}


def _gained(ends: tuple[float, float], cost_ends: Sequence[float] | None) -> bool:
    cheaper = cost_ends is not None and cost_ends[1] < 0 and ends[0] > -MARGIN
    return ends[0] > 0 or cheaper


def _beaten_by(
    subject: Rows, mixed: Array, right: Array, cycles: Sequence[float | None], names: Sequence[str]
) -> str | None:
    """An expert that answers no fewer rows right alone, and costs no more."""
    mean = float(subject.cycles.mean())
    for e, single in enumerate(cycles):
        if single and single <= mean and right[:, e].sum() >= mixed.sum():
            return names[e]
    return None


def gain_words(gain: Mapping[str, Any]) -> str:
    """The gain in one sentence, or that none is shown."""
    head = "a gain" if gain["shown"] else "no gain shown"
    points = f"{100 * gain['accuracy']:+.1f} points of accuracy{_ends(gain['accuracy_interval'])}"
    parts = [points]
    if gain["cost"] is not None:
        parts.append(f"{100 * gain['cost']:+.1f} % energy{_ends(gain['cost_interval'])}")
    said = f"{head} against {gain['against']} alone, the best single model: {', '.join(parts)}"
    if gain["beaten_by"]:
        said += f"; {gain['beaten_by']} alone answers no fewer rows right and costs no more"
    return said


def _ends(interval: Sequence[float] | None) -> str:
    return "" if interval is None else f" [{100 * interval[0]:+.1f}, {100 * interval[1]:+.1f}]"


def _signals(subject: Rows, alone: Sequence[Alone]) -> list[dict[str, Any]]:
    """AUROC of each signal against the errors of the answer that it doubts."""
    made = subject.answers
    found = [
        ("answer", made != subject.labels, doubts_of(_logits(subject, subject.outputs))),
        *((a.name, a.answers != subject.labels, doubts_of(a.logits)) for a in alone),
    ]
    found.append(("answer", made != subject.labels, _router_doubts(subject)))
    found += _deciding(subject, alone)
    return [
        _signal(of, name, doubt, wrong, subject.clusters)
        for of, wrong, doubts in found
        for name, doubt in doubts.items()
    ]


def _logits(subject: Rows, outputs: Array) -> Array:
    """Of the board's answers. A mixture's last layer is its experts'."""
    graph = subject.graph
    node = routed_node(graph)
    if node is not None and node.outputs[0] == graph.outputs[0] and node.attrs.gate == "none":
        graph = node.attrs.experts[0].graph
    return real_logits(graph, outputs)


def _deciding(subject: Rows, alone: Sequence[Alone]) -> list[tuple[str, Array, dict[str, Array]]]:
    """The integers by which a cascade goes on, where they are none of the answer's own doubts."""
    node = routed_node(subject.graph)
    if node is None or node.op != "Cascade" or node.attrs.signal in DOUBTS:
        return []
    rule = node.attrs.rule
    doubts = rule.doubts(all_stages(subject.graph, subject.rows).signals)
    return [
        (a.name, a.answers != subject.labels, {rule.name: doubts[:, stage]})
        for stage, a in enumerate(alone[:-1])
    ]


def _router_doubts(subject: Rows) -> dict[str, Array]:
    """What the router says of a row, whatever its rule; nothing without one."""
    seen = observe(subject.graph, subject.rows)
    if seen is None:
        return {}
    node = next(n for n in subject.graph.nodes if n.name == seen.name)
    logits = seen.logits * node.attrs.router.quants[-1].per_tensor
    doubts = {f"router's {name}": doubt for name, doubt in doubts_of(logits).items()}
    return {**({"router's uncertainty": seen.numerator} if seen.numerator.any() else {}), **doubts}


def _signal(of: str, name: str, doubt: Array, wrong: Array, clusters: Clusters) -> dict[str, Any]:
    value, ends = float(auroc(doubt, wrong)[0]), auroc_interval(doubt, wrong, clusters)
    return {
        "of": of,
        "signal": name,
        "errors": int(wrong.sum()),
        "auroc": value if np.isfinite(value) else None,
        "interval": list(ends) if ends else None,
    }
