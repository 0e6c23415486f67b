"""Measured energy in a profile: a meter's windows, run over the link."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgeq.arrays import Array
from edgeq.board import Board
from edgeq.errors import BadInput, Meter, Mismatch
from edgeq.harness.link import BoardLink
from edgeq.harness.meters import METERS, CurrentMeter, MeterRequest, meter_port, open_meter
from edgeq.harness.power_trace import PowerTrace, write_current
from edgeq.harness.profile_summary import Summary
from edgeq.harness.record import SampleRecord
from edgeq.harness.window_figures import summarize_windows
from edgeq.harness.windows import (
    LEAST_WINDOW_S,
    WINDOWS,
    Ran,
    Window,
    check_plan,
    measure_window,
    reduce_window,
)

MODEL = "model"
FIRST_ID = 2**31  # sample ids of metered inferences: an id that was run before is not run again
FEW_SAMPLES = 20  # of an inference: below, its edges are more than a tenth of it
UsbSerial = Sequence[tuple[str, str]]
Tell = Callable[[int, int, str], None]  # windows done, windows in all, what comes


@dataclass(frozen=True)
class MeterPlan:
    """What is to be measured with. None: the meter's only port, its default rate and volts."""

    meter: str = MODEL
    port: str | None = None
    volts: float | None = None
    rate_hz: int | None = None
    windows: int = WINDOWS
    window_s: float = LEAST_WINDOW_S

    @property
    def measures(self) -> bool:
        """False for the model, whose figures need no windows."""
        return self.meter != MODEL


@contextlib.contextmanager
def powered(plan: MeterPlan, usb: Callable[[], UsbSerial]) -> Iterator[CurrentMeter | None]:
    """The open meter, which may be what supplies the board; None for the model.

    `usb` looks for the serial devices (port, USB id) when the plan names no port. Raises BadInput
    for a plan that proves nothing, Meter when the meter is not to be had.
    """
    if not plan.measures:
        if plan != MeterPlan():
            raise BadInput("--meter-port, --meter-rate, --volts and --windows need a --meter")
        yield None
        return
    check_plan(plan.windows, plan.window_s)
    port = meter_port(plan.meter, usb()) if plan.port is None else plan.port
    request = MeterRequest(port, plan.volts, plan.rate_hz)
    with contextlib.closing(open_meter(plan.meter, request)) as meter:
        yield meter


class Repeater:
    """Runs the data set over and over, each time under a new id, and checks every answer; a state
    is reset before its first row.
    """

    def __init__(self, link: BoardLink, rows: Array, records: Sequence[SampleRecord]) -> None:
        self._link, self._rows, self._records = link, rows, records
        self._next = 0

    def __call__(self) -> Ran:
        """The next sample. Raises Mismatch when the board answers otherwise than before."""
        index = self._next % len(self._records)
        if index == 0:
            self._link.reset()
        data = self._link.info().inputs.pack(self._rows[index])
        result = self._link.infer(FIRST_ID + self._next, data)
        self._next += 1
        before = self._records[index]
        if (tuple(result.output.tolist()), result.route) != (before.output, before.route):
            raise Mismatch(
                f"sample {index} gave another answer while its energy was measured; check the "
                "board's supply"
            )
        return Ran(result.route, result.cycles)


def measure(
    meter: CurrentMeter,
    plan: MeterPlan,
    run: Callable[[], Ran],
    samples: Path,
    tell: Tell | None = None,
    clock_hz: int | None = None,
) -> tuple[Window, ...]:
    """The windows of a plan; the raw samples go into the table `samples`, whatever happens.

    `clock_hz`, where it is given, is the board's: inferences must last as long as it makes them.
    Raises Meter for what the meter or its edges do, Link when the board is lost.
    """
    traces: list[PowerTrace] = []
    inferences: list[list[tuple[int, int]]] = []
    windows: list[Window] = []
    try:
        for number in range(plan.windows):
            if tell:
                tell(number, plan.windows, f"window {number + 1}: {plan.window_s:g} s or more")
            trace, ran = measure_window(meter, run, plan.window_s)
            traces.append(trace)
            inferences.append([(one.route, one.cycles) for one in ran])
            windows.append(reduce_window(trace, ran, plan.window_s, clock_hz))
    except Meter as error:
        kept = f"; raw samples are in {samples}" if traces else ""
        raise Meter(f"window {len(windows) + 1} of {plan.windows}: {error}{kept}") from error
    finally:
        if traces:
            write_current(traces, samples, inferences)
    return tuple(windows)


def source_of(board: Board | None, title: str) -> str:
    """Whose current it is: an emulated board has none, whatever a fake meter says."""
    emulated = board is not None and (board.probe.qemu_machine or "virtual" in board.probe.flashers)
    return f"{'emulated board' if emulated else 'silicon'} ({title})"


def with_energy(
    summary: Summary,
    windows: Sequence[Window],
    plan: MeterPlan,
    source: str,
) -> Summary:
    """The summary of a profile with measured figures in the place of the modelled ones."""
    before = summary.entry
    names = [expert.name for expert in summary.experts]
    shares = [expert.share for expert in summary.experts]
    measured = summarize_windows(windows, names, shares, source)
    by_name = {expert["name"]: expert for expert in measured["experts"]}
    total = sum(len(w.routes) for w in windows)
    title, rate = METERS[plan.meter].title, windows[0].rate_hz
    weighted = ", weighted by the routes of the data set" if measured["weighted"] else ""
    measured["figures"] = (
        f"{title} at {rate:g} samples/s and {measured['volts']:.3f} V: median of {len(windows)} "
        f"windows of at least {plan.window_s:g} s, {total} inferences between their marker edges"
        f"{weighted}; band: least and most of a window"
    )
    measured |= {"meter": plan.meter, "rate_hz": rate, "modelled": before["energy"]}
    experts = [
        expert | {"energy_joules_mean": by_name[expert["name"]]["joules_mean"]}
        for expert in before["experts"]
    ]
    missing = [name for name in names if not by_name[name]["inferences"]]
    notes = list(summary.notes)
    spans = [float(np.mean(w.seconds)) * w.rate_hz for w in windows]
    if min(spans) < FEW_SAMPLES:
        notes.append(
            f"an inference lasts {min(spans):.1f} samples of the meter: its edges are a sample "
            "uncertain each; raise --meter-rate"
        )
    if missing:
        notes.append(f"no energy of {', '.join(missing)}: no window ran them")
    return summary.but(energy=measured, experts=experts, notes=notes)
