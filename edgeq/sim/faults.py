"""How a firmware ends that cannot go on: one clear report instead of a hang."""

from dataclasses import dataclass

from edgeq.errors import EdgeqError


@dataclass(frozen=True)
class FaultReport:
    """Where the firmware stood. `serial_tail` is the last output on its serial port."""

    reason: str
    pc: int
    function: str
    registers: dict[str, int]
    serial_tail: bytes

    def text(self) -> str:
        """The report as lines for a reader."""
        names = list(self.registers)
        rows = [
            "  ".join(f"{name:>4} {self.registers[name]:08x}" for name in names[start : start + 4])
            for start in range(0, len(names), 4)
        ]
        lines = [f"firmware stopped: {self.reason}", f"at 0x{self.pc:08x} in {self.function}"]
        tail = self.serial_tail.decode("ascii", "backslashreplace")
        return "\n".join([*lines, *rows, f"last serial output: {tail!r}"])


class GuestFault(EdgeqError):
    """The firmware on the virtual board faulted, looped for ever or met its deadline."""

    exit_code = 5

    def __init__(self, report: FaultReport) -> None:
        super().__init__(report.text())
        self.report = report
