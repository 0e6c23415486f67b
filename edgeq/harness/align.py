"""Marker edges to inferences: which samples belong to which. Nothing is ever interpolated.

The firmware marks each inference in one of two ways. Levels: the pin is high while it runs.
Pulses (EDGEQ_ENERGY_MODE): the pin falls for a microsecond before and after, as the energy runner
of MLPerf Tiny wants it. A meter that reports falling edges only, the LPM01A, needs pulses.
"""

from collections.abc import Sequence

import numpy as np

from edgeq.errors import Meter
from edgeq.harness.power_trace import Indices, PowerTrace

EDGE_SAMPLES = 2  # each edge of the marker is a sample uncertain
CLOCK_JITTER = 1 / 2000  # of the meter's clock against the board's, within a window
MARK_CYCLES = 1000  # between the marker's edges, but not in the count: 16 us at 64 MHz
CLOCK_TOLERANCE = 0.05  # of a board's clock against what it says of it


def inference_spans(trace: PowerTrace, inferences: int) -> tuple[Indices, Indices]:
    """First sample of each inference and first sample after it, (inferences,) each.

    Raises Meter unless there are exactly as many edges as the inferences made.
    """
    falls, rises = trace.falls, trace.rises
    if rises is None:
        if len(falls) == inferences > 0:
            raise Meter(
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
        raise Meter(
            f"{trace.meter}: rising and falling edges do not alternate; check the marker wire and "
            "its ground"
        )
    return rises, falls


def refuse_lost_blocks(
    trace: PowerTrace, samples: Indices, cycles: Sequence[int], clock_hz: int | None = None
) -> None:
    """Holds each inference's length, (inferences,) samples, against the board's own cycles.

    A stream can lose whole blocks unseen: the PPK2 counts its words modulo 64. Both clocks are
    steady within a window, so the lengths must be in the ratio of the cycles: to two samples and
    the marker's own cycles, for the edges, and a part in two thousand, for the clocks. With
    `clock_hz` the ratio must be the board's, too, to 5 %, for its RC oscillator. Raises Meter.
    Nothing is checked where no cycles are counted.
    """
    counted = np.asarray(cycles, np.float64)
    if not counted.all():
        return
    ratio = float(samples.sum() / counted.sum())
    due = counted * ratio
    excess = np.abs(samples - due) - EDGE_SAMPLES - CLOCK_JITTER * due - MARK_CYCLES * ratio
    worst = int(excess.argmax())
    if excess[worst] > 0:
        raise Meter(
            f"{trace.meter} lost samples: inference {worst + 1} lasted {samples[worst]:,} of them "
            f"where the board's {cycles[worst]:,} cycles make {due[worst]:,.0f}; use another USB "
            "port, or lower --meter-rate, and measure again"
        )
    if clock_hz is not None:
        mean = float(samples.mean())
        clock = trace.rate_hz / ratio
        if (
            abs(clock / clock_hz - 1)
            > CLOCK_TOLERANCE + (EDGE_SAMPLES + MARK_CYCLES * ratio) / mean
        ):
            raise Meter(
                f"{trace.meter} and the board disagree on time: inferences last as if its clock "
                f"ran at {clock / 1e6:.4g} MHz, it says {clock_hz / 1e6:g} MHz; samples were lost, "
                "or the marker is another pin's"
            )


def _pairs(trace: PowerTrace, inferences: int) -> tuple[Indices, Indices]:
    if len(trace.falls) != 2 * inferences:
        raise _miscounted(trace, inferences, 2 * inferences)
    return trace.falls[0::2], trace.falls[1::2]


def _miscounted(trace: PowerTrace, inferences: int, wanted: int) -> Meter:
    seen = f"{len(trace.falls)} falling"
    worst = len(trace.falls)
    if trace.rises is not None:
        seen += f" and {len(trace.rises)} rising"
        if len(trace.rises) != wanted:
            worst = len(trace.rises)
    kind = "missing" if worst < wanted else "extra"
    return Meter(
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
        raise Meter(
            f"{trace.meter}: the first marker edge comes after {first / trace.rate_hz:.3f} s, "
            f"within the {idle_s:g} s that measure idle power; an edge is extra, or the board was "
            "not idle"
        )
    return float(np.mean(trace.current_a[:samples] * trace.voltage_v[:samples]))
