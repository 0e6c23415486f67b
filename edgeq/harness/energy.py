"""Modelled energy: cycles times a board's energy per cycle, quoted with its band.

First order only: submitters of MLPerf Tiny measured an energy per cycle that is nearly constant
over the networks of one build and differs between builds; the band of the board file says how much.
"""

from dataclasses import dataclass

from edgeq.errors import BadInput

SOURCE = "modelled"


@dataclass(frozen=True)
class EnergyModel:
    """Numbers of a board file. `band` is relative: 0.25 means plus or minus 25 %."""

    nj_per_cycle: float
    band: float
    idle_w: float = 0.0

    def __post_init__(self) -> None:
        if not self.nj_per_cycle > 0 or not 0 <= self.band < 1 or not self.idle_w >= 0:
            raise BadInput(
                f"energy model of {self.nj_per_cycle} nJ per cycle, band {self.band}, idle "
                f"{self.idle_w} W: needs a positive energy, a band in 0..1 and idle power >= 0"
            )


@dataclass(frozen=True)
class Energy:
    """Joules with their bounds; `source` is always "modelled" here."""

    joules: float
    low_j: float
    high_j: float
    source: str = SOURCE


def modelled_energy(cycles: int, model: EnergyModel, idle_s: float = 0.0) -> Energy:
    """Energy of `cycles` active cycles and `idle_s` seconds of idling.

    >>> modelled_energy(1_000_000, EnergyModel(nj_per_cycle=0.4, band=0.25))
    Energy(joules=0.0004, low_j=0.00030000000000000003, high_j=0.0005, source='modelled')
    """
    if cycles < 0 or idle_s < 0:
        raise BadInput(f"energy of {cycles} cycles and {idle_s} s: neither may be negative")
    active = cycles * model.nj_per_cycle * 1e-9
    idle = idle_s * model.idle_w
    return Energy(
        joules=active + idle,
        low_j=active * (1 - model.band) + idle,
        high_j=active * (1 + model.band) + idle,
    )
