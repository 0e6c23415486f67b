"""Joulescope JS220 and JS110 through their maker's package, the extra `edgeq[joulescope]`.

The package buffers the samples; here they are fetched before the buffer wraps. What the USB host
dropped is NaN in its signals. The marker is on general-purpose input 0. The instrument measures
volts itself and supplies nothing. Nothing here has met a real Joulescope.
"""

import time
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from edgeq.arrays import Array
from edgeq.errors import BadInput, Meter
from edgeq.extras import install
from edgeq.harness.meters.meter import MeterRequest, Pump, Recording, Work, now
from edgeq.harness.power_trace import PowerTrace

TITLE = "Joulescope"
EXTRA = "joulescope"
USB_IDS = ("16d0:10ba", "16d0:0e88")  # JS220, JS110
RATES_HZ = (10_000, 20_000, 50_000, 100_000, 200_000, 500_000, 1_000_000)
DEFAULT_RATE_HZ = 100_000
BUFFER_S = 15  # the smallest buffer the package offers
MARKER = "current_lsb"  # the package's name of the bit that carries input 0
SIGNALS = ("current", "voltage", MARKER)
_CALM_S = 0.02


class _Buffer(Protocol):
    sample_id_range: tuple[int, int | None]

    def samples_get(self, start: int, stop: int, fields: list[str]) -> dict[str, Any]: ...


class _Device(Protocol):
    """What is used of an instrument of the package, which has no types."""

    stream_buffer: _Buffer

    def parameter_set(self, name: str, value: object) -> None: ...

    def open(self) -> None: ...

    def start(self) -> None: ...

    def stop(self) -> None: ...

    def close(self) -> None: ...


class _Package(Protocol):
    def scan(self, config: str) -> Sequence[_Device]: ...


def open_joulescope(request: MeterRequest) -> "Joulescope":
    """Opens the only Joulescope there is.

    Raises Meter without the package (naming the extra) or without an instrument, BadInput for
    volts, which it does not set, and for a rate it does not have.
    """
    if request.volts is not None:
        raise BadInput(f"{TITLE} supplies nothing, it measures the volts: leave --volts out")
    rate = request.rate_hz or DEFAULT_RATE_HZ
    if rate not in RATES_HZ:
        allowed = ", ".join(map(str, RATES_HZ))
        raise BadInput(f"{TITLE} is read at {allowed} Hz, not --meter-rate {rate}")
    device = _scan(_package())
    try:
        device.parameter_set("buffer_duration", BUFFER_S)
        device.parameter_set("sampling_frequency", rate)
        device.parameter_set(MARKER, "gpi0")
        device.open()
        device.parameter_set("i_range", "auto")
    except Exception as error:
        raise Meter(f"{TITLE} cannot be opened: {error}; is another program using it?") from (error)
    return Joulescope(device, rate)


def _package() -> _Package:
    try:
        import joulescope  # type: ignore[import-not-found, import-untyped, unused-ignore]
    except ImportError:
        raise Meter(
            f"{TITLE} needs its maker's package, which is not installed: run `{install(EXTRA)}`"
        ) from None
    package: _Package = joulescope
    return package


def _scan(package: _Package) -> _Device:
    try:
        found = package.scan(config="off")
    except Exception as error:
        raise Meter(f"{TITLE}: the search for instruments failed: {error}") from error
    if len(found) != 1:
        names = ", ".join(map(str, found))
        raise Meter(
            f"{len(found)} Joulescopes are attached ({names}); plug in one"
            if found
            else f"no {TITLE} is attached; plug it in, and see `edgeq doctor` for permissions"
        )
    return found[0]


class Joulescope:
    """An open instrument."""

    title = TITLE

    def __init__(self, device: _Device, rate_hz: int) -> None:
        self._device, self._rate = device, rate_hz

    def capture(self, work: Work) -> PowerTrace:
        """Records while `work` runs."""
        signals = Signals(self._rate)
        started = now()
        try:
            self._device.start()
        except Exception as error:
            raise Meter(f"{TITLE} did not start: {error}") from error
        pump = Pump(TITLE, signals, lambda: self._step(signals))
        try:
            work(pump)
        finally:
            pump.kill()
            self._device.stop()
        pump.seconds()
        return signals.trace(TITLE, started)

    def close(self) -> None:
        """Lets go of the instrument."""
        self._device.close()

    def _step(self, signals: "Signals") -> bool:
        start, end = self._device.stream_buffer.sample_id_range
        if end is None or end == 0 or end <= signals.next_id(start):
            time.sleep(_CALM_S)
            return False
        begin = signals.next_id(start)
        if begin < start:
            signals.lose(f"overrun: {start - begin} samples were not fetched in time")
            begin = start
        data = self._device.stream_buffer.samples_get(begin, end, fields=list(SIGNALS))
        current, voltage, level = (data["signals"][name]["value"] for name in SIGNALS)
        signals.feed(np.asarray(current), np.asarray(voltage), np.asarray(level), end)
        return True


class Signals(Recording):
    """Pieces of the package's buffer, joined."""

    def __init__(self, rate_hz: float) -> None:
        super().__init__(rate_hz, levels=True)
        self._next: int | None = None
        self._level: int | None = None

    def next_id(self, oldest: int) -> int:
        """The first sample that is not fetched yet, by the instrument's numbers."""
        return oldest if self._next is None else self._next

    def feed(self, current: Array, voltage: Array, level: Array, end: int) -> None:
        """Appends the samples up to number `end`."""
        if not len(current) == len(voltage) == len(level) > 0:
            raise Meter(
                f"{TITLE}: its package gave {len(current)} currents, {len(voltage)} voltages and "
                f"{len(level)} levels of the marker for the same samples"
            )
        self._next = end
        gaps = int(np.isnan(current).sum())
        if gaps:
            self.lose(f"{gaps} samples were dropped near sample {self.samples}")
            current, voltage = np.nan_to_num(current), np.nan_to_num(voltage)
        before = int(level[0]) if self._level is None else self._level
        changes = np.diff(np.concatenate(([before], level.astype(np.int64))))
        self._level = int(level[-1])
        assert self.rises is not None
        self.rises += (np.flatnonzero(changes > 0) + self.samples).tolist()
        self.falls += (np.flatnonzero(changes < 0) + self.samples).tolist()
        self.add(current, voltage)
