"""From cycles to milliseconds and joules, and to the best, worst and expected case of a model."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil
from typing import Any

from edgeq.board import Board, Energy
from edgeq.estimating.routes import Experts, RouteCycles, taken
from edgeq.harness.energy import EnergyModel, modelled_energy
from edgeq.ops.op import Array


@dataclass(frozen=True)
class Shares:
    """How many of `rows` rows took each route; `of` names the set, such as "calibration"."""

    of: str
    rows: int
    counts: Mapping[Experts, int]

    @classmethod
    def of_rows(cls, of: str, chosen: Array) -> "Shares":
        """From the experts that ran each row, `Answered.chosen`."""
        counts = Counter(taken(row) for row in chosen.tolist())
        return cls(of, len(chosen), dict(sorted(counts.items())))

    def share(self, route: Experts) -> float:
        """Of the rows, the part that took `route`."""
        return self.counts.get(route, 0) / self.rows

    def expected(self, cycles: Mapping[Experts, float]) -> float:
        """Mean cycles over the rows."""
        total = sum(Fraction(cycles[route]) * count for route, count in self.counts.items())
        return float(total / self.rows)


def figures(cycles: float, board: Board, energy: Energy | None) -> dict[str, Any]:
    """cycles (a half one counts as a whole), latency_s, energy_j and its band; None unknown."""
    figured: dict[str, Any] = {
        "cycles": ceil(cycles),
        "latency_s": cycles / board.clock_hz,
        "energy_j": None,
        "energy_band_j": None,
    }
    if energy is not None:
        low, mean, high = (
            modelled_energy(1, EnergyModel(nj, band=0)).joules * cycles
            for nj in (energy.nj_per_cycle_low, energy.nj_per_cycle, energy.nj_per_cycle_high)
        )
        figured |= {"energy_j": mean, "energy_band_j": [low, high]}
    return figured


def cases(
    routes: Sequence[RouteCycles], shares: Shares | None, board: Board, energy: Energy | None
) -> dict[str, Any]:
    """`best` and `worst` route, and `expected` over the rows of `shares` (None without any)."""
    ordered = sorted(routes, key=lambda r: r.cycles)
    known = {r.experts: r.cycles for r in routes}
    expected = None
    if shares is not None:
        mean = figures(shares.expected(known), board, energy)
        expected = {**mean, "of": shares.of, "rows": shares.rows}
    return {
        "best": figures(ordered[0].cycles, board, energy),
        "worst": figures(ordered[-1].cycles, board, energy),
        "expected": expected,
    }
