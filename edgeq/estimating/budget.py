"""Budgets of latency and energy: read with their units, held against the modelled cost."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

from edgeq.board import Board
from edgeq.errors import BadInput, CostBudget
from edgeq.estimating.power import cycles_at, mean_power
from edgeq.estimating.routes import Experts
from edgeq.ops.mixture import Mixture
from edgeq.ops.router import Router
from edgeq.passes.choose_strength import mean_cycles, weaker_routers
from edgeq.passes.freeze_router import Observed

_MICRO, _MILLI, _ONE = Fraction(1, 10**6), Fraction(1, 10**3), Fraction(1)
SECONDS = {"us": _MICRO, "ms": _MILLI, "s": _ONE}
JOULES = {"uJ": _MICRO, "mJ": _MILLI, "J": _ONE}
WATTS = {"uW": _MICRO, "mW": _MILLI, "W": _ONE}
ROUNDING = 1e-9  # relative: floating-point rounding is no excess
_QUANTITY = re.compile(r"\s*([0-9]+(?:\.[0-9]*)?|\.[0-9]+)\s*([A-Za-z]+)\s*")


def read_quantity(name: str, text: str, units: Mapping[str, Fraction]) -> float:
    """A number with its unit, such as "20ms", in the unit of SI; BadInput on anything else."""
    found = _QUANTITY.fullmatch(text)
    scale = units.get(found[2]) if found else None
    value = float(Fraction(found[1]) * scale) if found and scale else 0.0
    if not 0 < value < math.inf:
        raise BadInput(
            f"{name} {text!r} is no budget; give a number above 0 with its unit, one of "
            f"{', '.join(units)}, such as 20{next(iter(units))}"
        )
    return value


@dataclass(frozen=True)
class Budget:
    """What an inference may cost: at worst, and in the mean of the calibration rows. None: any.

    `max_mean_power_w`: of the rows as a stream, one every `hop_s` seconds, idling included.
    """

    max_latency_s: float | None = None
    max_energy_j: float | None = None
    max_mean_latency_s: float | None = None
    max_mean_energy_j: float | None = None
    max_mean_power_w: float | None = None
    hop_s: float | None = None

    @classmethod
    def read(
        cls,
        max_latency: str | None = None,
        max_energy: str | None = None,
        max_mean_latency: str | None = None,
        max_mean_energy: str | None = None,
        max_mean_power: str | None = None,
    ) -> "Budget":
        """From texts with units; BadInput for one that is not a quantity."""

        def read(name: str, text: str | None, units: Mapping[str, Fraction]) -> float | None:
            return None if text is None else read_quantity(name, text, units)

        return cls(
            read("--max-latency", max_latency, SECONDS),
            read("--max-energy", max_energy, JOULES),
            read("--max-mean-latency", max_mean_latency, SECONDS),
            read("--max-mean-energy", max_mean_energy, JOULES),
            read("--max-mean-power", max_mean_power, WATTS),
        )

    def every(self, hop_s: float | None) -> "Budget":
        """Of a row every `hop_s` seconds. BadInput where power is limited and nobody says that."""
        if self.max_mean_power_w is not None and hop_s is None:
            raise BadInput(
                "--max-mean-power is over time: say with --hop 20ms how often a row comes, or "
                "export a stream whose model says it (frame_s)"
            )
        return replace(self, hop_s=hop_s)

    @property
    def asked(self) -> dict[str, float]:
        """The limits that were given, by name."""
        given = {name: value for name, value in vars(self).items() if name != "hop_s"}
        return {name: value for name, value in given.items() if value is not None}

    def check_board(self, board: Board) -> None:
        """BadInput when energy is limited on a board without energy figures."""
        limits_energy = {"max_energy_j", "max_mean_energy_j", "max_mean_power_w"} & set(self.asked)
        if limits_energy and board.energy is None:
            raise BadInput(
                f"the board file of {board.name} has no energy figures, so energy cannot be "
                "limited; limit the latency, or add [energy] to the board file"
            )

    def check_worst(self, entry: Mapping[str, Any]) -> None:
        """CostBudget, with the numbers, when the worst route of a board's entry costs too much.

        Energy counts at the upper end of its band.
        """
        worst, name = entry["worst"], _costliest(entry)
        if self.max_latency_s and _over(worst["latency_s"], self.max_latency_s):
            raise CostBudget(
                f"the worst case on {entry['board']} takes {_ms(worst['latency_s'])} "
                f"({worst['cycles']:,} cycles, answered by {name}; modelled), --max-latency is "
                f"{_ms(self.max_latency_s)}; {_ADVICE}"
            )
        if self.max_energy_j and _over(worst["energy_band_j"][1], self.max_energy_j):
            raise CostBudget(
                f"the worst case on {entry['board']} takes up to {_mj(worst['energy_band_j'][1])} "
                f"({_mj(worst['energy_j'])} modelled, answered by {name}), --max-energy is "
                f"{_mj(self.max_energy_j)}; {_ADVICE}"
            )

    def most_mean_cycles(self, board: Board) -> float:
        """Cycles that a mean inference may take; infinite without a limit."""
        limits = [math.inf]
        if self.max_mean_latency_s is not None:
            limits.append(self.max_mean_latency_s * board.clock_hz)
        if self.max_mean_energy_j is not None and board.energy is not None:
            limits.append(self.max_mean_energy_j / (board.energy.nj_per_cycle * 1e-9))
        if self.max_mean_power_w is not None and board.energy is not None and self.hop_s:
            limits.append(cycles_at(self.max_mean_power_w, self.hop_s, board, board.energy))
        return min(limits)


def _over(value: float, limit: float) -> bool:
    return value > limit * (1 + ROUNDING)


_ADVICE = "use narrower weights, a smaller model or a faster board, or allow more"


def strongest_router(
    attrs: Mixture,
    seen: Observed,
    cycles: Mapping[Experts, float],
    budget: Budget,
    board: Board,
) -> Router:
    """The strongest curiosity, up to the model's own, whose expected case meets the mean budget.

    CostBudget, with what is reachable, when none does.
    """
    most = budget.most_mean_cycles(board)
    least = math.inf
    for router in weaker_routers(attrs.router):
        mean = mean_cycles(attrs, seen, router, cycles)
        if mean <= most:
            return router
        least = min(least, mean)
    raise unreachable(budget, board, least)


def unreachable(
    budget: Budget,
    board: Board,
    least: float,
    at: str = "at no strength of curiosity",
    rows: str = "calibration",
) -> CostBudget:
    """The error of a mean budget below `least` cycles, the least that there is `at` something."""
    reached = [_ms(least / board.clock_hz)]
    if board.energy is not None:
        reached.append(_mj(least * board.energy.nj_per_cycle * 1e-9))
    wanted = []
    if budget.max_mean_latency_s is not None:
        wanted.append(f"--max-mean-latency is {_ms(budget.max_mean_latency_s)}")
    if budget.max_mean_energy_j is not None:
        wanted.append(f"--max-mean-energy is {_mj(budget.max_mean_energy_j)}")
    if budget.max_mean_power_w is not None and board.energy is not None and budget.hop_s:
        reached.append(_mw(mean_power(least, budget.hop_s, board, board.energy)))
        wanted.append(f"--max-mean-power is {_mw(budget.max_mean_power_w)}")
    return CostBudget(
        f"{at} does the expected case on {board.name} cost less than "
        f"{', '.join(reached)} (modelled, over the {rows} rows); {', '.join(wanted)}; "
        f"{_ADVICE}"
    )


def _costliest(entry: Mapping[str, Any]) -> str:
    return str(max(entry["routes"], key=lambda route: route["latency_s"])["name"])


def _ms(seconds: float) -> str:
    return f"{seconds * 1e3:,.6g} ms"


def _mw(watts: float) -> str:
    return f"{watts * 1e3:,.6g} mW"


def _mj(joules: float) -> str:
    return f"{joules * 1e3:,.6g} mJ"
