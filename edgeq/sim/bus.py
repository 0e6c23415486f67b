"""Where a family's registers meet the board: their addresses, the clock, the marker, the wire."""

from collections.abc import Callable
from typing import Protocol

from edgeq.sim.address_names import not_modelled
from edgeq.sim.config import MachineConfig
from edgeq.sim.decode import Access
from edgeq.sim.emulator import PAGE, Emulator
from edgeq.sim.flash_setup import FlashSetup
from edgeq.sim.nvic import Nvic
from edgeq.sim.port import SerialPort
from edgeq.sim.sampling import Hearable, Sound
from edgeq.sim.timeline import Device, Timeline


class Registers(Protocol):
    """A peripheral as the firmware sees it. Offsets are those of the access, values unsigned."""

    def read(self, offset: int) -> int:
        """A register as the firmware reads it."""

    def write(self, offset: int, value: int) -> None:
        """A register as the firmware writes it."""


class ReadBlock(Protocol):
    """The running block, as far as `Bus.site` asks."""

    @property
    def start(self) -> int:
        """Its address."""

    @property
    def taken(self) -> str:
        """How it leaves: "t_bx" for a return."""


class BusClock(Protocol):
    """What the peripherals of a board want of its clock."""

    @property
    def cycles(self) -> int:
        """At the start of the running block."""

    @property
    def block(self) -> ReadBlock | None:
        """The running block."""

    def cycles_at(self, matches: Callable[[Access], bool]) -> int:
        """Just before the load or store that matches."""


class Bus:
    """What the peripherals of a board may use of it.

    `refuse(reason)` ends the run with a fault, `finish(reason)` without one. `marker_edges` holds
    (cycles, level) of every change of the marker pin, `core_hz` the clock the firmware has set.
    A family may set `boot`, which gives stack pointer and entry, and `execution_refused`, which
    says why the flash cannot be executed from now ("": it can); `baud` is the rate of its UART;
    `set_up_flash` is called with what the firmware makes of `flash_at_reset`. `sound` is what a
    microphone hears.
    """

    def __init__(
        self,
        config: MachineConfig,
        emulator: Emulator,
        clock: BusClock,
        port: SerialPort,
        refuse: Callable[[str], None],
        finish: Callable[[str], None],
    ) -> None:
        self.config, self.port = config, port
        self.refuse, self.finish = refuse, finish
        self.marker_edges: list[tuple[int, int]] = []
        self.on_marker: Callable[[int, int, int], None] = lambda _cycles, _level, _hz: None
        self.core_hz = config.clock_hz  # of a family without a clock controller
        self.vectors = config.flash_origin  # where the core finds its vector table at reset
        self.boot: Callable[[], tuple[int, int]] = self._vectors
        self.execution_refused: Callable[[], str] | None = None
        self.baud: Callable[[], float] = lambda: 0.0
        self.flash_at_reset: FlashSetup | None = None  # None: always as the board file says
        self.set_up_flash: Callable[[FlashSetup], None] = lambda _setup: None
        self._emulator, self._clock = emulator, clock
        self._pages: dict[int, _Page] = {}
        self.sound: Hearable = Sound()
        self._nvic, self._timeline = Nvic(set(), [], {}), Timeline()  # of a board without a core
        self.changed: Callable[[], None] = lambda: None

    def connect(self, nvic: Nvic, timeline: Timeline, changed: Callable[[], None]) -> None:
        """The core's interrupts and time; `changed()`: a device's next moment may be another."""
        self._nvic, self._timeline, self.changed = nvic, timeline, changed
        nvic.changed = changed

    def add_device(self, device: Device, line: int) -> None:
        """`device` goes on by itself and drives interrupt `line`."""
        self._timeline.add(device)
        self._nvic.add(line)

    def interrupt(self, line: int, high: bool) -> None:
        """The device's request on `line`."""
        self._nvic.drive(line, high)

    @property
    def lives(self) -> bool:
        """True while a device goes on by itself: then time passes though the firmware polls."""
        return self._timeline.due() is not None

    def map(self, base: int, registers: Registers, size: int = PAGE) -> None:
        """Answer `size` bytes at `base` by `registers`; several may share a page."""
        for start in range(base & -PAGE, base + size, PAGE):
            if start not in self._pages:
                self._pages[start] = _Page(start, self.config.family, self.refuse)
                page = self._pages[start]
                self._emulator.map_registers(start, page.read, page.write)
            self._pages[start].add(base, size, registers)

    def read(self, address: int, size: int) -> bytes:
        """The guest's memory."""
        return self._emulator.read(address, size)

    def write(self, address: int, data: bytes) -> None:
        """The guest's memory, as a boot ROM writes it."""
        self._emulator.write(address, data)

    def cycles(self) -> int:
        """Whole cycles at the start of the running block: cheap, for what is not exact."""
        return self._clock.cycles

    def now(self, is_load: bool, address: int) -> int:
        """Whole cycles just before the load or store that accesses `address` now."""

        def matches(access: Access) -> bool:
            return access.is_load == is_load and self._address_of(access) == address

        return self._clock.cycles_at(matches)

    def site(self) -> int:
        """Who asks: the running block, and its caller if the block only returns."""
        block = self._clock.block
        if block is None:
            return 0
        if block.taken in ("t_bx", "t_poppc"):
            return block.start | self._emulator.register("lr") << 32
        return block.start

    @property
    def marker(self) -> int:
        """The level of the marker pin."""
        return self.marker_edges[-1][1] if self.marker_edges else 0

    def set_marker(self, level: int, address: int) -> None:
        """The running store to `address` puts `level` on the marker pin."""
        if level != self.marker:
            cycles = self.now(False, address)
            self.marker_edges.append((cycles, level))
            self.on_marker(cycles, level, self.core_hz)

    def _vectors(self) -> tuple[int, int]:
        """Stack pointer and entry as a core reads them at reset."""
        words = self.read(self.vectors, 8)
        return int.from_bytes(words[:4], "little"), int.from_bytes(words[4:], "little")

    def _address_of(self, access: Access) -> int:
        """Where the access goes with the registers as they are now."""
        base = self._emulator.register(access.base)
        index = self._emulator.register(access.index) << access.shift if access.index else 0
        return (base + index + access.displacement) & 0xFFFFFFFF


class _Page:
    """The peripherals that share one page of addresses."""

    def __init__(self, start: int, family: str, refuse: Callable[[str], None]) -> None:
        self._start, self._family, self._refuse = start, family, refuse
        self._parts: list[tuple[int, int, Registers]] = []  # (base, end, registers)

    def add(self, base: int, size: int, registers: Registers) -> None:
        self._parts.append((base, base + size, registers))

    def read(self, offset: int) -> int:
        address = self._start + offset
        for base, end, registers in self._parts:
            if base <= address < end:
                return registers.read(address - base)
        self._refuse_access("read of", address)
        return 0

    def write(self, offset: int, value: int) -> None:
        address = self._start + offset
        for base, end, registers in self._parts:
            if base <= address < end:
                registers.write(address - base, value)
                return
        self._refuse_access("write to", address)

    def _refuse_access(self, access: str, address: int) -> None:
        name = not_modelled(self._family, address)
        self._refuse(f"{access} 0x{address:08x}, which no peripheral answers{name}")
