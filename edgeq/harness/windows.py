"""Measurement windows: at least 10 s of marked inferences each, and what one inference costs.

A window begins with idle time, in which no byte is sent. Then inferences run, each between its own
marker edges, until the meter's clock says that the window is long enough. The total energy of an
inference is all that flowed between its edges; the net one is that minus idle power times its time.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from edgeq.errors import BadInput, Meter
from edgeq.harness.align import idle_watts, inference_spans, refuse_lost_blocks
from edgeq.harness.meters.meter import CurrentMeter, Session
from edgeq.harness.power_trace import Floats, PowerTrace

WINDOWS = 5
LEAST_WINDOW_S = 10.0
IDLE_S = 1.0
TAIL_S = 0.1  # the last edge must be in the capture
MARGIN_S = 0.3  # samples reach the host late, and not equally late at both ends of a window


@dataclass(frozen=True)
class Ran:
    """An inference of a window: the expert that ran (-1 without a mixture) and its cycles."""

    route: int
    cycles: int


@dataclass(frozen=True)
class Window:
    """One window, reduced: (inferences,) each. Total values; net needs `idle_w`."""

    routes: tuple[int, ...]
    joules: Floats
    coulombs: Floats
    seconds: Floats  # of each inference
    idle_w: float
    volts: float
    rate_hz: float
    length_s: float  # first begin to last end, by the meter's clock

    @property
    def net_joules(self) -> Floats:
        """Energy above idling."""
        return self.joules - self.idle_w * self.seconds


def check_plan(windows: int, window_s: float) -> None:
    """Raises BadInput for windows that prove nothing."""
    if windows < 1 or windows % 2 == 0:
        raise BadInput(f"--windows {windows}: give an odd number, so that a median exists")
    if not window_s >= LEAST_WINDOW_S:
        raise BadInput(f"--window-seconds {window_s:g}: windows last at least {LEAST_WINDOW_S:g} s")


def measure_window(
    meter: CurrentMeter, run: Callable[[], Ran], window_s: float = LEAST_WINDOW_S
) -> tuple[PowerTrace, tuple[Ran, ...]]:
    """A warm-up, then one capture of the inferences that fill `window_s` of the meter's time."""
    ran: list[Ran] = []

    def one(session: Session) -> None:
        ran.append(run())
        session.ran(ran[-1].cycles)

    def work(session: Session) -> None:
        session.wait(IDLE_S)
        one(session)
        until = session.seconds() + window_s + MARGIN_S
        while session.seconds() < until:
            one(session)
        session.wait(TAIL_S)

    run()
    return meter.capture(work), tuple(ran)


def reduce_window(
    trace: PowerTrace, ran: Sequence[Ran], window_s: float, clock_hz: int | None = None
) -> Window:
    """Energies between the marker edges; `clock_hz` is what the board says of its clock.

    Raises Meter for lost samples, missing or extra edges, inferences that last otherwise than their
    cycles, and a window that is too short.
    """
    trace.refuse_losses()
    starts, ends = inference_spans(trace, len(ran))
    last = int(ends[-1])
    if last > len(trace.current_a):
        raise Meter(f"{trace.meter}: the capture ends before the last marker edge")
    refuse_lost_blocks(trace, ends - starts, [one.cycles for one in ran], clock_hz)
    length = (last - int(starts[0])) / trace.rate_hz
    if length < window_s:
        raise Meter(
            f"{trace.meter}: the window lasted {length:.3f} s between its first and last edge, "
            f"{window_s:g} s are needed"
        )
    return Window(
        routes=tuple(r.route for r in ran),
        joules=trace.joules(starts, ends),
        coulombs=trace.coulombs(starts, ends),
        seconds=(ends - starts) / trace.rate_hz,
        idle_w=idle_watts(trace, IDLE_S, int(starts[0])),
        volts=float(np.mean(trace.voltage_v)),
        rate_hz=trace.rate_hz,
        length_s=length,
    )
