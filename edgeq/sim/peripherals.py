"""The registers of the virtual board: serial port, core peripherals, marker pin."""

from collections.abc import Callable

from edgeq.sim.clock import Clock
from edgeq.sim.config import MachineConfig
from edgeq.sim.cores import CORES
from edgeq.sim.decode import Access
from edgeq.sim.dwt import DWT_BASE, SCS_BASE, CorePeripherals
from edgeq.sim.emulator import Emulator
from edgeq.sim.port import SerialPort
from edgeq.sim.timer_cmsdk import CmsdkTimer
from edgeq.sim.uart_cmsdk import CmsdkUart

LED_PAGE = 0x40028000  # FPGAIO of AN386; register 0 is the marker


class Peripherals:
    """Maps the board's registers into `emulator` and answers them by `clock`.

    `refuse(reason)` ends the run with a fault, `finish(reason)` without one.
    """

    def __init__(
        self,
        config: MachineConfig,
        emulator: Emulator,
        clock: Clock,
        port: SerialPort,
        refuse: Callable[[str], None],
        finish: Callable[[str], None],
    ) -> None:
        self._emulator, self._clock = emulator, clock
        self.marker_edges: list[tuple[int, int]] = []  # (cycles, level)
        self.core = CorePeripherals(CORES[config.core], self._now, refuse, lambda: finish("exit"))
        self.uart = CmsdkUart(port, self._site, lambda: clock.cycles, lambda: finish("idle"))
        emulator.map_registers(config.uart_base, self.uart.read, self.uart.write)
        emulator.map_registers(DWT_BASE, self.core.read_dwt, self.core.write_dwt)
        emulator.map_registers(SCS_BASE, self.core.read_scs, self.core.write_scs)
        if config.timer_base is not None:
            timer = self._timer(config.timer_base, refuse)
            emulator.map_registers(config.timer_base, timer.read, timer.write)
        emulator.map_registers(LED_PAGE, self._read_marker, self._set_marker)

    def _timer(self, base: int, refuse: Callable[[str], None]) -> CmsdkTimer:
        return CmsdkTimer(lambda is_load, offset: self._now(is_load, base + offset), refuse)

    def _now(self, is_load: bool, address: int) -> int:
        """Whole cycles just before the load or store that accesses `address` now."""

        def matches(access: Access) -> bool:
            return access.is_load == is_load and self._address_of(access) == address

        return self._clock.cycles_at(matches)

    def _address_of(self, access: Access) -> int:
        """Where the access goes with the registers as they are now."""
        base = self._emulator.register(access.base)
        index = self._emulator.register(access.index) << access.shift if access.index else 0
        return (base + index + access.displacement) & 0xFFFFFFFF

    def _site(self) -> int:
        """Who asks the UART: the running block, and its caller if the block only returns."""
        block = self._clock.block
        if block is None:
            return 0
        if block.taken in ("t_bx", "t_poppc"):
            return block.start | self._emulator.register("lr") << 32
        return block.start

    def _read_marker(self, offset: int) -> int:
        return self.marker_edges[-1][1] if self.marker_edges and offset == 0 else 0

    def _set_marker(self, offset: int, value: int) -> None:
        if offset == 0 and value != self._read_marker(0):
            self.marker_edges.append((self._now(False, LED_PAGE), value))
