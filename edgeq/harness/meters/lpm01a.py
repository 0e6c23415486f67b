"""ST X-NUCLEO-LPM01A ("PowerShield") on its virtual COM port, spoken with plain pyserial.

Commands end CR LF, the answer is `PowerShield > ack <command>` or a line with `error` (ST UM2269).
The meter supplies the board and reports falling edges of its pin D7 inside the sample stream.
Nothing here has met the real meter: it is tested against a fake that speaks as the manual says.
"""

import contextlib
import re
import time

from edgeq.errors import BadInput, Meter
from edgeq.harness.meters.lpm01a_stream import BinaryStream, TextStream
from edgeq.harness.meters.meter import MeterRequest, Pump, Work, now
from edgeq.harness.meters.serial_meter import MeterPort
from edgeq.harness.power_trace import PowerTrace

TITLE = "LPM01A"
USB_IDS = ("0483:5740",)
BAUD = 3_686_400
RATES_HZ = (100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 50_000, 100_000)
TEXT_MOST_HZ = 5000  # text is unlimited in time up to here (UM2269, table of acquisition times)
LEAST_VOLTS, MOST_VOLTS = 1.8, 3.3
DEFAULT_VOLTS = 3.3
ANSWER_S = 5.0
CALIBRATION_S = 20.0  # `volt` and `pwr` recalibrate the meter
_VOLTS = re.compile(r"(\d{4})([+-]\d{2})")


def open_lpm01a(request: MeterRequest) -> "Lpm01a":
    """Opens the meter, sets it up and switches the supply on.

    Raises BadInput for volts or a rate it cannot do, Meter when it is absent, silent or refuses.
    """
    volts = DEFAULT_VOLTS if request.volts is None else request.volts
    if not LEAST_VOLTS <= volts <= MOST_VOLTS:
        raise BadInput(f"{TITLE} supplies {LEAST_VOLTS} to {MOST_VOLTS} V, not --volts {volts}")
    rate = request.rate_hz or TEXT_MOST_HZ
    if rate not in RATES_HZ:
        allowed = ", ".join(map(str, RATES_HZ))
        raise BadInput(f"{TITLE} samples at {allowed} Hz, not --meter-rate {rate}")
    meter = Lpm01a(MeterPort(TITLE, request.port, BAUD), rate)
    try:
        meter.set_up(volts)
    except BaseException:
        meter.close()
        raise
    return meter


class Lpm01a:
    """An open meter; the board has its supply from it until `close`."""

    title = TITLE

    def __init__(self, port: MeterPort, rate_hz: int) -> None:
        self._port, self._rate = port, rate_hz
        self._volts = 0.0
        self._heard = b""  # beyond the last answer
        self._controlled = False

    def set_up(self, volts: float) -> None:
        """Takes control, sets everything and switches the supply on."""
        binary = self._rate > TEXT_MOST_HZ
        self._take_control()
        for command in (
            f"volt {round(volts * 1000)}m",
            f"freq {self._rate}",
            "acqtime inf",
            "trigdelay 0",
            "trigsrc sw",
            "eventsrc d7 fal",
            "output current",
            f"format {'bin_hexa' if binary else 'ascii_dec'}",
            "funcmode optim",
            "pwr on",
        ):
            self._command(command)
        self._volts = self._measured_volts(volts)

    def capture(self, work: Work) -> PowerTrace:
        """Records while `work` runs."""
        kind = BinaryStream if self._rate > TEXT_MOST_HZ else TextStream
        stream: TextStream | BinaryStream = kind(self._rate, self._volts)
        started = now()
        self._command("start")
        pump = Pump(TITLE, stream, lambda: self._step(stream))
        try:
            work(pump)
            self._write("stop")
            pump.end(ANSWER_S)
        except BaseException:
            pump.kill()
            self._try_to_stop()
            raise
        self._drain()
        return stream.trace(TITLE, started)

    def close(self) -> None:
        """Supply off, control back to the meter's buttons, port closed; a vanished one too."""
        with contextlib.suppress(Meter):  # gone or deaf: who closes knows, or need not
            if self._controlled:
                self._command("pwr off")
                self._command("hrc")
        self._port.close()

    def _step(self, stream: TextStream | BinaryStream) -> bool:
        data = self._heard or self._port.read()
        self._heard = b""
        stream.feed(data)
        return bool(data)

    def _take_control(self) -> None:
        if self._port.read():  # a capture goes on that a killed host began
            self._write("stop")
            self._drain()
        try:
            self._command("htc")
        except Meter as error:
            if "refused" not in str(error):
                raise
            self._command("htc")  # it refuses the first one when its buffer held half a line
        self._controlled = True

    def _measured_volts(self, asked: float) -> float:
        """What the meter says it supplies, else what it was told to."""
        try:
            found = _VOLTS.search(self._command("volt get"))
        except Meter as error:
            if "refused" not in str(error):
                raise
            return asked  # a firmware without that question
        return int(found[1]) * 10.0 ** int(found[2]) if found else asked

    def _command(self, command: str) -> str:
        """Sends a command; the rest of the line that acknowledges it."""
        self._write(command)
        slow = command.startswith(("volt ", "pwr "))
        seconds = CALIBRATION_S if slow else ANSWER_S
        deadline = time.monotonic() + seconds
        acknowledged = f"ack {command}".encode()
        while True:
            line, found, rest = self._heard.partition(b"\n")
            if found:
                self._heard = rest
                if acknowledged in line:
                    return line.partition(acknowledged)[2].decode("ascii", "replace").strip()
                if b"error" in line.lower():
                    raise Meter(
                        f"{TITLE} refused {command!r}: {line.decode('ascii', 'replace').strip()!r}"
                        "; reset it (its RESET button) and try again"
                    )
                continue
            left = deadline - time.monotonic()
            if left <= 0:
                raise Meter(self._why_no_answer(command, seconds))
            self._heard += self._port.read(left)

    def _why_no_answer(self, command: str, seconds: float) -> str:
        heard = f"it sent {self._heard[-40:]!r}" if self._heard else "it is silent"
        return (
            f"{TITLE} on {self._port.name} did not acknowledge {command!r} within {seconds:g} s: "
            f"{heard}; is this the meter's port, and is its mode switch on USB?"
        )

    def _write(self, command: str) -> None:
        self._port.write(f"{command}\r\n".encode())

    def _try_to_stop(self) -> None:
        with contextlib.suppress(Meter):  # the reason why we are here is told already
            self._write("stop")
            self._drain()

    def _drain(self) -> None:
        """Reads the summary that follows a capture."""
        self._port.drain()
        self._heard = b""
