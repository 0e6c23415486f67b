"""The power of a stream: awake for a hop's cycles, asleep (WFI) until the next. Modelled."""

from collections.abc import Sequence
from typing import Any

from edgeq.board import Energy
from edgeq.reporting import statistics

NOTHING: dict[str, Any] = {"joules_a_second": None, "joules_band": None, "idle_counted": False}


def power(
    cycles: Sequence[int], hop_s: float | None, clock_hz: int, figures: Energy | None, source: str
) -> dict[str, Any]:
    """Joules a second (watts on average) of a core that gets a hop every `hop_s` seconds and is
    busy with each for `cycles`; [low, high]; whether the sleep between them is in it, which takes
    an idle power in the board file. None without times, counted cycles or figures.

    A core that takes longer than a hop never sleeps: its seconds are those that it takes.

    >>> figures = Energy(volts=3, nj_per_cycle=1, nj_per_cycle_low=0.5, nj_per_cycle_high=2,
    ...                  idle_w=0.001, source="by hand")
    >>> half = power([250, 750], 0.001, 1_000_000, figures, "modelled")  # of a millisecond
    >>> round(half["joules_a_second"], 6), half["joules_band"], half["idle_counted"]
    (0.001, [0.00075, 0.0015], True)
    >>> round(power([4000], 0.001, 1_000_000, figures, "modelled")["joules_a_second"], 6)
    0.001
    """
    energy = statistics.energy(cycles, figures, source)
    if hop_s is None or energy["joules_mean"] is None or figures is None:
        return dict(NOTHING)
    busy_s = sum(cycles) / len(cycles) / clock_hz
    mean, *band = (
        figures.mean_w(joules, busy_s, hop_s) for joules in (energy["joules_mean"], *energy["band"])
    )
    return {
        "joules_a_second": mean,
        "joules_band": band,
        "idle_counted": figures.idle_w is not None,
    }


def power_words(joules_a_second: float, band: Sequence[float], idle_counted: bool) -> str:
    """Milliwatts with their band, and what they rest on.

    >>> power_words(0.001, [0.00075, 0.0015], False)
    '1 mW mean [0.75, 1.5] (modelled), asleep between hops, idling not counted'
    """
    low, high = (1e3 * value for value in band)
    idle = "" if idle_counted else ", idling not counted"
    return (
        f"{1e3 * joules_a_second:.4g} mW mean [{low:.4g}, {high:.4g}] (modelled), asleep between "
        f"hops{idle}"
    )
