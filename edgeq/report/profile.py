"""From the board's answers to a summary: accuracy, routes, latency, energy, mismatches."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from edgeq.board import load_board
from edgeq.emit.firmware import layer_table
from edgeq.errors import BadInput
from edgeq.harness.messages import InferResult, Info
from edgeq.ir import Graph
from edgeq.ops.op import Array
from edgeq.reference import run


def summarize(
    graph: Graph, rows: Array, labels: Array, results: Sequence[InferResult], info: Info
) -> dict[str, Any]:
    """The JSON object of `edgeq profile`."""
    reference = run(graph, rows)
    outputs = np.stack([r.output for r in results])
    routes = np.array([r.route for r in results])
    cycles = np.array([r.cycles for r in results], np.float64)
    wrong = (outputs != reference.output).any(axis=1) | (routes != reference.route)
    predicted = outputs.argmax(axis=1)
    names = [e.name for n in graph.nodes if n.op == "Mixture" for e in n.attrs.experts]
    try:
        energy = load_board(info.board).energy
        source = "silicon" if load_board(info.board).evidence == "silicon" else "modelled"
    except BadInput:
        energy, source = None, "modelled"
    layers = np.array([r.layer_cycles for r in results], np.float64)
    return {
        "samples": len(results),
        "accuracy": float((predicted == labels).mean()),
        "macro_f1": macro_f1(labels, predicted),
        "mismatches": int(wrong.sum()),
        "latency": latency(cycles, info.clock_hz, source),
        "experts": [
            {
                "name": name,
                "count": int((routes == e).sum()),
                "latency": latency(cycles[routes == e], info.clock_hz, source),
            }
            for e, name in enumerate(names)
        ],
        "layers": [
            {"name": i.name if i.expert is None else f"{i.expert}/{i.name}", "cycles": _mean(c)}
            for i, c in zip(layer_table(graph), layers.T, strict=True)
        ],
        "energy": {
            "source": "modelled",
            "joules_mean": float(cycles.mean()) * energy.nj_per_cycle * 1e-9 if energy else None,
            "band": [energy.nj_per_cycle_low, energy.nj_per_cycle_high] if energy else None,
        },
        "board": info.board,
        "firmware_digest": info.firmware_digest,
    }


def _mean(cycles: Array) -> float:
    """Mean over the inferences in which the layer ran."""
    ran = cycles[cycles > 0]
    return float(ran.mean()) if ran.size else 0.0


def latency(cycles: Array, clock_hz: int, source: str) -> dict[str, Any]:
    """Milliseconds at the board's clock; None where nothing ran."""
    ms = np.asarray(cycles, np.float64) / clock_hz * 1e3
    if ms.size == 0:
        return {"unit": "ms", "source": source, "mean": None}
    p50, p95, p99 = np.percentile(ms, [50, 95, 99])
    return {
        "unit": "ms",
        "source": source,
        "mean": float(ms.mean()),
        "std": float(ms.std()),
        "p50": float(p50),
        "p95": float(p95),
        "p99": float(p99),
        "max": float(ms.max()),
    }


def macro_f1(labels: Array, predicted: Array) -> float:
    """Mean F1 over the classes that occur in labels or predictions."""
    scores = []
    for c in np.union1d(labels, predicted):
        hit = int(((labels == c) & (predicted == c)).sum())
        scores.append(2 * hit / (int((labels == c).sum()) + int((predicted == c).sum())))
    return float(np.mean(scores))
