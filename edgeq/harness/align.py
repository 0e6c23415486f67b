"""Marker edges to inferences: which samples belong to which. Nothing is ever interpolated.

The firmware marks each inference in one of two ways. Levels: the pin is high while it runs.
Pulses (EDGEQ_ENERGY_MODE): the pin falls for a microsecond before and after, as the energy runner
of MLPerf Tiny wants it. A meter that reports falling edges only, the LPM01A, needs pulses.
"""

import numpy as np

from edgeq.errors import Meter as MeterError
from edgeq.harness.power_trace import Indices, PowerTrace


def inference_spans(trace: PowerTrace, inferences: int) -> tuple[Indices, Indices]:
    """First sample of each inference and first sample after it, (inferences,) each.

    Raises Meter unless there are exactly as many edges as the inferences made.
    """
    falls, rises = trace.falls, trace.rises
    if rises is None:
        if len(falls) == inferences > 0:
            raise MeterError(
                f"{trace.meter} saw {len(falls)} falling edges for {inferences} inferences: the "
                "firmware marks with levels, and this meter sees falling edges only; build it with "
                "`edgeq flash --marker pulses`"
            )
        return _pairs(trace, inferences)
    if len(falls) == len(rises) == 2 * inferences > 0 and falls[0] < rises[0]:
        return _pairs(trace, inferences)  # the pin rests high: pulses
    if len(rises) != inferences or len(falls) != inferences:
        raise _miscounted(trace, inferences, inferences)
    if (rises > falls).any() or (rises[1:] < falls[:-1]).any():
        raise MeterError(
            f"{trace.meter}: rising and falling edges do not alternate; check the marker wire and "
            "its ground"
        )
    return rises, falls


def _pairs(trace: PowerTrace, inferences: int) -> tuple[Indices, Indices]:
    if len(trace.falls) != 2 * inferences:
        raise _miscounted(trace, inferences, 2 * inferences)
    return trace.falls[0::2], trace.falls[1::2]


def _miscounted(trace: PowerTrace, inferences: int, wanted: int) -> MeterError:
    seen = f"{len(trace.falls)} falling"
    worst = len(trace.falls)
    if trace.rises is not None:
        seen += f" and {len(trace.rises)} rising"
        if len(trace.rises) != wanted:
            worst = len(trace.rises)
    kind = "missing" if worst < wanted else "extra"
    return MeterError(
        f"{trace.meter}: {kind} marker edge: {seen} edges for {inferences} inferences, which make "
        f"{wanted} of each kind; check the marker wire and its ground; no edge is interpolated, "
        "measure again"
    )


def idle_watts(trace: PowerTrace, idle_s: float, first: int) -> float:
    """Mean power of the first `idle_s` seconds, in which the board only waited for its host.

    `first` is the first sample of an inference. Raises Meter when the idle time is not idle.
    """
    samples = int(idle_s * trace.rate_hz)
    if samples < 1 or first < samples:
        raise MeterError(
            f"{trace.meter}: the first marker edge comes after {first / trace.rate_hz:.3f} s, "
            f"within the {idle_s:g} s that measure idle power; an edge is extra, or the board was "
            "not idle"
        )
    return float(np.mean(trace.current_a[:samples] * trace.voltage_v[:samples]))
