"""The budgets of a plan in a user's units, and what is said where none can meet them."""

import math
import re
from dataclasses import dataclass

from edgeq.board import Board
from edgeq.errors import BadInput
from edgeq.estimating import Budget
from edgeq.planning.program import Costs, Limits, binding, least

_BYTES = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*(B|KB|KiB|MB|MiB)\s*")
_UNITS = {"B": 1, "KB": 1024, "KiB": 1024, "MB": 1 << 20, "MiB": 1 << 20}  # as boards count them


def read_bytes(name: str, text: str) -> int:
    """ "128KB" in bytes, 1 KB being 1,024; BadInput on anything else."""
    found = _BYTES.fullmatch(text)
    value = float(found[1]) * _UNITS[found[2]] if found else 0.0
    if not 1 <= value < 2**40:
        raise BadInput(
            f"{name} {text!r} is no size; give a number above 0 with its unit, one of "
            f"{', '.join(_UNITS)}, such as 128KB"
        )
    return int(value)


@dataclass(frozen=True)
class Allowed:
    """What an inference may cost at worst, and the firmware's size; None: what the board has."""

    cost: Budget
    flash_bytes: int | None = None
    ram_bytes: int | None = None

    @classmethod
    def read(
        cls, latency: str | None, energy: str | None, flash: str | None, ram: str | None
    ) -> "Allowed":
        """From texts with units."""
        return cls(
            Budget.read(latency, energy),
            None if flash is None else read_bytes("--max-flash", flash),
            None if ram is None else read_bytes("--max-ram", ram),
        )

    @property
    def asked(self) -> dict[str, float]:
        """The limits that were given, by name."""
        sizes = {"max_flash_bytes": self.flash_bytes, "max_ram_bytes": self.ram_bytes}
        return self.cost.asked | {n: float(v) for n, v in sizes.items() if v is not None}

    def check(self, board: Board) -> None:
        """BadInput for energy on a board without figures of it."""
        self.cost.check_board(board)

    def limits(self, board: Board) -> Limits:
        """In cycles and bytes; energy counts at the upper end of its band, as at an export."""
        sizes = (self.flash_bytes or math.inf, self.ram_bytes or math.inf)
        flash, ram = min(sizes[0], board.flash.bytes), min(sizes[1], board.ram.bytes)
        return Limits(min(self._by_latency(board), self._by_energy(board)), flash, ram)

    def _by_latency(self, board: Board) -> float:
        most = self.cost.max_latency_s
        return math.inf if most is None else most * board.clock_hz * (1 + 1e-12)

    def _by_energy(self, board: Board) -> float:
        most = self.cost.max_energy_j
        if most is None or board.energy is None:
            return math.inf
        return most / (board.energy.nj_per_cycle_high * 1e-9) * (1 + 1e-12)

    def unmeetable(self, costs: Costs, limits: Limits, board: Board) -> str:
        """The binding budgets, and the least of each that would do."""
        found = binding(costs, limits)
        if not found:
            names = [name for name, limit in vars(limits).items() if limit < math.inf]
            found = {n: v for n in names if (v := least(costs, n, Limits())) is not None}
            said = "; ".join(self._said(n, v, board) for n, v in found.items())
            return f"no plan meets these budgets together, nor with any one of them lifted: {said}"
        alone = all((least(costs, n, Limits()) or 0) > getattr(limits, n) for n in found)
        said = "; ".join(self._said(name, value, board) for name, value in found.items())
        held = "" if alone or len(vars(limits)) < 2 else ", the other budgets held"
        return f"no plan meets the budget{held}: {said}. Allow that much, or add narrower --bits"

    def _said(self, name: str, value: float, board: Board) -> str:
        """ "--max-latency is 1 ms, the least that would do is 3.2 ms (384,000 cycles)"."""
        given, would = self._in_units(name, value, board)
        return f"{given}, the least that would do is {would}"

    def _in_units(self, name: str, value: float, board: Board) -> tuple[str, str]:
        if name == "cycles" and self._by_energy(board) < self._by_latency(board):
            assert board.energy is not None  # else nothing is limited by it
            assert self.cost.max_energy_j is not None
            joules = value * board.energy.nj_per_cycle_high * 1e-9
            return f"--max-energy is {_rounded(self.cost.max_energy_j * 1e3)} mJ", (
                f"{_up(joules * 1e3)} mJ ({value:,.0f} cycles, upper end of the band, modelled)"
            )
        if name == "cycles":
            most = self.cost.max_latency_s or 0.0
            would = f"{_up(value / board.clock_hz * 1e3)} ms ({value:,.0f} cycles, modelled)"
            return f"--max-latency is {_rounded(most * 1e3)} ms", would
        option, own, region = {
            "flash_bytes": ("--max-flash", self.flash_bytes, board.flash),
            "ram_bytes": ("--max-ram", self.ram_bytes, board.ram),
        }[name]
        given = region.bytes if own is None or own > region.bytes else own
        whose = f"{option} is" if given == own else f"{board.name} has"
        kind = "flash" if name == "flash_bytes" else "RAM"
        return f"{whose} {given:,} B of {kind}", f"{value:,.0f} B"


def _rounded(value: float) -> str:
    return f"{value:,.6g}"


def _up(value: float) -> str:
    """Rounded up in its fifth digit, so that what is said would indeed do."""
    digits = 4 - math.floor(math.log10(value)) if value > 0 else 0
    return f"{math.ceil(value * 10**digits - 1e-6) / 10**digits:,.6g}"
