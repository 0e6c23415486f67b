"""What the virtual board needs to know of a board, and nothing else of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from edgeq.errors import BadInput
from edgeq.sim.cores import CORES, RISCV_CORES
from edgeq.sim.flash_cache import CacheGeometry

if TYPE_CHECKING:
    from edgeq.board import Board


@dataclass(frozen=True)
class Memory:
    """Memory beside the main flash and RAM. Address and size in bytes."""

    name: str
    origin: int
    bytes: int
    writable: bool


@dataclass(frozen=True)
class MachineConfig:
    """Memory map, core and peripherals of a virtual board. Addresses and sizes in bytes.

    `port_config` is the board file's [port.config]; the family's model knows what it means. `stuck`
    names ready flags that never come, as on a broken board: for tests of a port's deadlines.
    `faults`: whether one ends the run with a report or reaches the firmware's own handler.
    """

    name: str
    core: str
    clock_hz: int
    flash_origin: int
    flash_bytes: int
    ram_origin: int
    ram_bytes: int
    family: str
    port_config: Mapping[str, int] = field(default_factory=dict)
    memories: tuple[Memory, ...] = ()
    fpu: bool = True
    dsp: bool = True
    first_load_extra: int = 0  # cycles, a constant of the board's RAM path
    stuck: frozenset[str] = frozenset()
    flash_cache: CacheGeometry | None = None  # None: flash has no wait states, or none are modelled
    flash_wait_states: int = 0  # at which the costs of flash_cache hold
    faults: Literal["report", "handler"] = "report"
    flash_from: Literal["firmware", "board"] = "firmware"  # who says what holds of the two

    @classmethod
    def of(cls, board: "Board") -> "MachineConfig":
        """The virtual twin of `board`; BadInput for a core without timing rules."""
        if board.core not in (*CORES, *RISCV_CORES):
            known = ", ".join((*CORES, *RISCV_CORES))
            raise BadInput(f"the virtual board models {known}; not {board.core}")
        return cls(
            name=board.name,
            core=board.core,
            clock_hz=board.clock_hz,
            flash_origin=board.flash.origin,
            flash_bytes=board.flash.bytes,
            ram_origin=board.ram.origin,
            ram_bytes=board.ram.bytes,
            family=board.port.family,
            port_config=board.port.config,
            memories=_memories(board),
            fpu=board.fpu,
            dsp=board.dsp,
            first_load_extra=board.first_load_extra,
            flash_cache=_geometry(board),
            flash_wait_states=board.flash.wait_states,
        )

    @property
    def regions(self) -> tuple[Memory, ...]:
        """Every memory: flash first, RAM second."""
        return (
            Memory("flash", self.flash_origin, self.flash_bytes, writable=False),
            Memory("RAM", self.ram_origin, self.ram_bytes, writable=True),
            *self.memories,
        )


def _memories(board: "Board") -> tuple[Memory, ...]:
    """Beside flash and RAM: what the board names, and the window that loads see the flash in."""
    named = (Memory(part.name, part.origin, part.bytes, part.writable) for part in board.memories)
    if board.flash.data_origin is None:
        return tuple(named)
    window = Memory("flash for loads", board.flash.data_origin, board.flash.bytes, writable=False)
    return (*named, window)


def _geometry(board: "Board") -> CacheGeometry | None:
    """Off at zero wait states, where the caches make no difference."""
    cache = board.flash.cache
    if not board.flash.wait_states or cache is None:
        return None
    return CacheGeometry(
        instruction_bytes=cache.instruction_bytes,
        data_bytes=cache.data_bytes,
        line_bytes=cache.line_bytes,
        miss_cycles=cache.miss_cycles,
        sequential_miss_cycles=cache.sequential_miss_cycles,
        ways=cache.ways,
        unified=cache.unified,
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
    family="mps2",
    port_config={
        "UART_BASE": 0x40004000,
        "UART_BAUDDIV": 868,
        "MARKER_REGISTER": 0x40028000,
        "RX_WINDOW_FRAMES": 4,
    },
)
