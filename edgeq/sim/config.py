"""What the virtual board needs to know of a board, and nothing else of it."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgeq.errors import BadInput
from edgeq.sim.cores import CORES

if TYPE_CHECKING:
    from edgeq.board import Board

CMSDK_FAMILIES = ("mps2",)


@dataclass(frozen=True)
class MachineConfig:
    """Memory map, clock and serial port of a virtual board. Addresses and sizes in bytes."""

    name: str
    core: str
    clock_hz: int
    flash_origin: int
    flash_bytes: int
    ram_origin: int
    ram_bytes: int
    uart_base: int
    fpu: bool = True
    timer_base: int | None = None  # of a CMSDK timer at the core clock
    first_load_extra: int = 0  # cycles, a constant of the board's RAM path

    @classmethod
    def of(cls, board: "Board") -> "MachineConfig":
        """The virtual twin of `board`; BadInput for a core or port without a model here."""
        if board.core not in CORES or board.port.family not in CMSDK_FAMILIES:
            raise BadInput(
                f"the virtual board models {', '.join(CORES)} with the mps2 port; {board.name} is "
                f"{board.core} with the {board.port.family} port; use --board virtual_m4"
            )
        return cls(
            name=board.name,
            core=board.core,
            clock_hz=board.clock_hz,
            flash_origin=board.flash.origin,
            flash_bytes=board.flash.bytes,
            ram_origin=board.ram.origin,
            ram_bytes=board.ram.bytes,
            uart_base=board.port.config.get("UART_BASE", 0x40004000),
            fpu=board.fpu,
            timer_base=board.port.config.get("TIMER_BASE"),
            first_load_extra=board.first_load_extra,
        )


# The memory map of Arm's MPS2 board with image AN386 (Arm DAI 0386), which QEMU models too.
VIRTUAL_M4 = MachineConfig(
    name="virtual_m4",
    core="cortex-m4",
    clock_hz=100_000_000,
    flash_origin=0x00000000,
    flash_bytes=4 << 20,
    ram_origin=0x20000000,
    ram_bytes=4 << 20,
    uart_base=0x40004000,
)
