"""The integer program (HAWQ-V3, arXiv 2011.10680): a width a layer, least loss within the budgets.

A layer's cycles, bytes of weights and loss add up over the layers. Code does not: a kernel is
linked once, however many layers run on it, so each of its files is a variable of its own. The
arena is as large as the fullest step, so a budget of RAM rules choices out one by one.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from edgeq.ops.op import Array

MOST_CUTS = 100  # solutions that a rounding of the solver let through, each ruled out in turn
TIE = 1e-9  # relative: so near two plans lose the same, and the one of fewer cycles is taken


@dataclass(frozen=True)
class Choice:
    """A layer at a width. `ram_bytes`: of the whole firmware, were this its fullest step; `code`:
    files of its kernel.
    """

    cycles: float
    weight_bytes: int
    ram_bytes: int
    loss: float
    code: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Costs:
    """All choices, layer -> width -> choice, and what is there whatever is chosen.

    `code_bytes`: of each file that a choice names.
    """

    layers: Mapping[str, Mapping[str, Choice]]
    cycles: float = 0.0
    flash_bytes: int = 0
    ram_bytes: int = 0
    code_bytes: Mapping[str, int] = field(default_factory=dict)

    def of(self, widths: Mapping[str, str]) -> "Total":
        """What a plan costs by this table."""
        chosen = [self.layers[name][kind] for name, kind in widths.items()]
        code = {file for choice in chosen for file in choice.code}
        return Total(
            self.cycles + sum(c.cycles for c in chosen),
            self.flash_bytes
            + sum(c.weight_bytes for c in chosen)
            + sum(self.code_bytes[file] for file in code),
            max([self.ram_bytes, *(c.ram_bytes for c in chosen)]),
            sum(c.loss for c in chosen),
        )


@dataclass(frozen=True)
class Total:
    """A plan's cost by the table."""

    cycles: float
    flash_bytes: int
    ram_bytes: int
    loss: float


@dataclass(frozen=True)
class Limits:
    """The most that a plan may cost; infinite: anything."""

    cycles: float = math.inf
    flash_bytes: float = math.inf
    ram_bytes: float = math.inf

    def met_by(self, total: Total) -> bool:
        """Whether every limit holds."""
        return all(getattr(total, name) <= limit for name, limit in vars(self).items())

    def without(self, name: str) -> "Limits":
        """The same with one of them lifted."""
        return Limits(**{**vars(self), name: math.inf})


class _Program:
    """The variables: one a choice, one a file of code; x = 1 means chosen, or linked."""

    def __init__(self, costs: Costs) -> None:
        self.costs = costs
        self.choices = [(n, k, c) for n, ks in costs.layers.items() for k, c in ks.items()]
        self.files = sorted({file for _, _, c in self.choices for file in c.code})
        self.size = len(self.choices) + len(self.files)
        self.rows: list[tuple[Array, float, float]] = [*self._one_each(), *self._linked()]

    def row(self, values: Mapping[int, float]) -> Array:
        made = np.zeros(self.size)
        for at, value in values.items():
            made[at] = value
        return made

    def _one_each(self) -> Iterator[tuple[Array, float, float]]:
        for name in self.costs.layers:
            own = {i: 1.0 for i, (n, _, _) in enumerate(self.choices) if n == name}
            yield self.row(own), 1, 1

    def _linked(self) -> Iterator[tuple[Array, float, float]]:
        """A choice is no more than each file of its kernel."""
        for at, file in enumerate(self.files, len(self.choices)):
            for i, (_, _, choice) in enumerate(self.choices):
                if file in choice.code:
                    yield self.row({i: 1.0, at: -1.0}), -np.inf, 0

    def objective(self, metric: str) -> Array:
        """Coefficients of one of "loss", "cycles", "flash_bytes"."""
        name = "weight_bytes" if metric == "flash_bytes" else metric
        made = [float(getattr(c, name)) for _, _, c in self.choices]
        code = self.costs.code_bytes if metric == "flash_bytes" else {}
        return np.array([*made, *(float(code.get(file, 0)) for file in self.files)])

    def solved(
        self, metric: str, limits: Limits, most_loss: float = math.inf
    ) -> dict[str, str] | None:
        """The plan that costs least of `metric` within the limits; None where there is none.

        Exact: a solution that holds only within the solver's tolerance is ruled out by itself.
        """
        rows = [*self.rows, *self._budgets(limits, most_loss)]
        upper = np.array(
            [float(c.ram_bytes <= limits.ram_bytes) for _, _, c in self.choices]
            + [1.0] * len(self.files)
        )
        for _ in range(MOST_CUTS):
            plan = self._once(self.objective(metric), rows, upper)
            if plan is None or limits.met_by(self.costs.of(plan)):
                return plan
            taken = {i: 1.0 for i, (n, k, _) in enumerate(self.choices) if plan[n] == k}
            rows.append((self.row(taken), -np.inf, len(plan) - 1))
        return None

    def _budgets(self, limits: Limits, most_loss: float) -> Iterator[tuple[Array, float, float]]:
        fixed = {"cycles": self.costs.cycles, "flash_bytes": self.costs.flash_bytes}
        for name, base in fixed.items():
            limit = getattr(limits, name)
            if limit < math.inf:
                yield self.objective(name), -np.inf, limit - base
        if most_loss < math.inf:
            yield self.objective("loss"), -np.inf, most_loss

    def _once(
        self, objective: Array, rows: list[tuple[Array, float, float]], upper: Array
    ) -> dict[str, str] | None:
        from scipy.optimize import Bounds, LinearConstraint, milp

        matrix, low, high = (np.array(part) for part in zip(*rows, strict=True))
        scale = float(np.abs(objective).max()) or 1.0
        found = milp(
            objective / scale,
            constraints=LinearConstraint(matrix, low, high),
            integrality=np.ones(self.size),
            bounds=Bounds(0, upper),
            options={"mip_rel_gap": 0.0},
        )
        if found.x is None:
            return None
        chosen = [(n, k, x) for (n, k, _), x in zip(self.choices, found.x, strict=False)]
        return {n: k for n, k, x in chosen if x > 0.5}


def solve(costs: Costs, limits: Limits) -> dict[str, str] | None:
    """The width of each layer: the least loss within the limits, of equal ones the fewest cycles.

    None where no plan is within them; `binding` then tells why.
    """
    program = _Program(costs)
    plan = program.solved("loss", limits)
    if plan is None:
        return None
    loss = costs.of(plan).loss
    spread = max(abs(c.loss) for _, _, c in program.choices)
    cheaper = program.solved("cycles", limits, loss + TIE * spread)
    if cheaper is None:
        return plan
    same = costs.of(cheaper).loss <= loss + 2 * TIE * spread
    return cheaper if same and costs.of(cheaper).cycles <= costs.of(plan).cycles else plan


def least(costs: Costs, metric: str, limits: Limits) -> float | None:
    """The least cycles, flash_bytes or ram_bytes of any plan within the other limits."""
    program, others = _Program(costs), limits.without(metric)
    if metric != "ram_bytes":
        plan = program.solved(metric, others)
        return None if plan is None else float(getattr(costs.of(plan), metric))
    for most in sorted({c.ram_bytes for _, _, c in program.choices} | {costs.ram_bytes}):
        plan = program.solved("loss", Limits(others.cycles, others.flash_bytes, most))
        if plan is not None:
            return float(costs.of(plan).ram_bytes)
    return None


def binding(costs: Costs, limits: Limits) -> dict[str, float]:
    """Limits that no plan meets, with the least that would do: those that none meets alone, else
    each that, lifted by itself, leaves a plan within the others.
    """
    asked = [name for name, limit in vars(limits).items() if limit < math.inf]
    alone = {name: least(costs, name, Limits()) for name in asked}
    out = {n: v for n, v in alone.items() if v is not None and v > getattr(limits, n)}
    if out:
        return out
    lifted = {name: least(costs, name, limits) for name in asked}
    return {name: value for name, value in lifted.items() if value is not None}
