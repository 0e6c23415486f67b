"""What a run was about, and what its experts and paths cost: the rows of the honest table."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgeq.board import Energy
from edgeq.emit.firmware_layers import LayerInfo
from edgeq.harness.profile_summary import Summary
from edgeq.harness.record import SampleRecord
from edgeq.ir import Graph
from edgeq.ir.ports import outputs_of
from edgeq.ops.op import Array
from edgeq.ops.routed import beside, routed_node
from edgeq.reporting.profile import Profiled
from edgeq.thresholds.ranking import Clusters

CHOOSING = ("mixture", "cascade")  # layers that an expert alone does without


@dataclass(frozen=True)
class Rows:
    """What a run was about: int8 `rows`, `labels` (rows,), its records, and who came from where."""

    graph: Graph
    rows: Array
    labels: Array
    groups: Array | None
    records: Sequence[SampleRecord]

    @property
    def clusters(self) -> Clusters:
        return Clusters.read(self.groups, len(self.labels))

    @property
    def outputs(self) -> Array:
        """(rows, classes) of the board: of several output ports the first is the answer."""
        classes = outputs_of(self.graph).ports[0].size
        return np.array([r.output[:classes] for r in self.records])

    @property
    def answers(self) -> Array:
        """(rows,) of the board."""
        return np.asarray(self.outputs.argmax(axis=1))

    @property
    def cycles(self) -> Array:
        """(rows,) of the board."""
        return np.array([r.cycles for r in self.records], np.float64)


@dataclass(frozen=True)
class Costs:
    """Where cycles come from: the run's layers, and for experts that never ran the export's
    estimate of the same layers (cycles by layer, or None). No `counted`: nothing was counted.
    """

    layers: Sequence[LayerInfo]
    estimated: Sequence[float | None] | None
    clock_hz: int
    energy: Energy | None
    counted: bool

    def figures(self, cycles: float | None) -> dict[str, float | None]:
        """latency_ms and joules of that many cycles."""
        known = cycles is not None and self.energy is not None
        nj = self.energy.nj_per_cycle if known and self.energy else 0.0
        return {
            "cycles": cycles,
            "latency_ms": None if cycles is None else 1e3 * cycles / self.clock_hz,
            "joules": cycles * nj * 1e-9 if known and cycles is not None else None,
        }


def costs_of(subject: Profiled, summary: Summary, report: Mapping[str, Any]) -> Costs:
    """Of a run; the estimate in `report` (export.json) stands in where it is of the run's board."""
    same = (report.get("estimate") or {}).get("board") == subject.info.board
    estimated = [layer["cycles"] for layer in report.get("layers", ())] if same else None
    if estimated is not None and len(estimated) != len(subject.layers):
        estimated = None
    energy = subject.board.energy if subject.board else None
    counted = summary.latency.mean is not None
    return Costs(subject.layers, estimated, subject.info.clock_hz, energy, counted)


def cycles_alone(subject: Rows, costs: Costs, expert: int, name: str) -> float | None:
    """Of one expert without router, signal or heads: the shared layers, its own and what surrounds
    them, each in its mean. None where one is not known.
    """
    node = routed_node(subject.graph)
    assert node is not None  # as there is an expert
    exits = [e.name for e in node.attrs.experts[:expert] if e.carry]  # whose blocks lead to it
    return _cycles(subject, costs, expert, (*exits, name), alone=True)


def cycles_of_path(subject: Rows, costs: Costs, route: int, names: Sequence[str]) -> float | None:
    """When expert `route` answers and those of `names` ran: the rows that took the path, or the sum
    of its layers where none did. None where one of them is not known.
    """
    took = np.array([r.route == route for r in subject.records])
    if costs.counted and took.any():
        return float(subject.cycles[took].mean())
    return _cycles(subject, costs, route, names, alone=False)


def _cycles(
    subject: Rows, costs: Costs, route: int, names: Sequence[str], *, alone: bool
) -> float | None:
    if not costs.counted:
        return None
    counts = np.array([r.layer_cycles for r in subject.records], np.float64)
    around = subject.cycles - counts.sum(axis=1)
    answered = np.array([r.route == route for r in subject.records])
    total = float((around[answered] if answered.any() else around).mean())
    deciding = _deciding(subject.graph, names) if alone else set()
    for i, layer in enumerate(costs.layers):
        if alone and layer.expert is None and layer.op in CHOOSING:
            continue
        if (layer.expert, layer.name) in deciding:
            continue
        if layer.expert is not None and layer.expert not in names:
            continue
        ran = counts[counts[:, i] > 0, i]
        estimated = costs.estimated[i] if costs.estimated else None
        known = float(ran.mean()) if ran.size else estimated
        if known is None:
            return None
        total += known
    return total


def _deciding(graph: Graph, names: Sequence[str]) -> set[tuple[str | None, str]]:
    """(expert, node) of the layers that the last of these experts answers without: heads of a
    signal, and what exits before it answer by.
    """
    node = routed_node(graph)
    experts = node.attrs.experts if node is not None else ()
    found: set[tuple[str | None, str]] = set()
    for e in experts:
        ends = (e.carry,) if e.carry and e.name in names[:-1] else e.graph.outputs
        found |= {(e.name, name) for name in beside(e.graph, ends)}
    return found
