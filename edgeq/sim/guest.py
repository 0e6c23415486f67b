"""What virtual boards share, whichever their instruction set."""

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING

from unicorn import UcError  # type: ignore[attr-defined]

from edgeq.errors import BadInput
from edgeq.sim.address_names import not_modelled
from edgeq.sim.bus import Bus
from edgeq.sim.config import MachineConfig
from edgeq.sim.elf import Image
from edgeq.sim.emulator import PAGE, Emulator
from edgeq.sim.port import BufferPort, SerialPort

if TYPE_CHECKING:
    from edgeq.board import Board

RETURN_PAGE = 0x1FFE0000  # executable address space that no board here uses, not next to RAM


class Guest:
    """A firmware's memory and symbols, the board's port and marker, and why a run ends."""

    _bus: Bus

    def __init__(
        self,
        board: "Board | MachineConfig",
        port: SerialPort | None,
        on_trap: Callable[[int], None],
    ) -> None:
        self.config = board if isinstance(board, MachineConfig) else MachineConfig.of(board)
        self.port: SerialPort = port if port is not None else BufferPort()
        self.image: Image | None = None
        self._emulator = Emulator(self.config.core, on_trap)
        self._emulator.why_unanswered = partial(not_modelled, self.config.family)
        self._reason = ""
        self._fault: str | None = None
        self._model_error: BaseException | None = None
        self._stopped = False
        self._pc = -1  # where run() goes on; -1 before reset

    def _map(self, on_block: Callable[[int, int, int], None]) -> None:
        """The board's memories, and the page that a call returns to."""
        emulator = self._emulator
        for memory in self.config.regions:
            if memory.writable:
                emulator.map_memory(memory.origin, memory.bytes, writable=True)
            else:
                emulator.map_erased(memory.origin, memory.bytes)
        emulator.map_memory(RETURN_PAGE, PAGE, writable=False)
        emulator.on_block(on_block)

    def _loaded(self) -> Image:
        if self.image is None:
            raise BadInput("no firmware is loaded; call load(elf) first")
        return self.image

    @property
    def symbols(self) -> Mapping[str, int]:
        """Addresses of the loaded ELF's symbols, by name."""
        return self._loaded().symbols

    def symbol(self, name: str) -> int:
        """Address of a symbol of the loaded ELF."""
        return self._loaded().symbol(name)

    def read(self, address: int, size: int) -> bytes:
        """`size` bytes of the guest's memory."""
        try:
            return self._emulator.read(address, size)
        except UcError as error:
            raise BadInput(f"no memory of {size} bytes at 0x{address:08x}: {error}") from error

    def write(self, address: int, data: bytes) -> None:
        """Put `data` into the guest's memory (flash too)."""
        try:
            self._emulator.write(address, data)
        except UcError as error:
            raise BadInput(f"no memory of {len(data)} bytes at 0x{address:08x}: {error}") from error

    def stop(self) -> None:
        """End the run soon; safe in a signal handler."""
        self._stopped = True
        self.port.wake()
        self._emulator.stop()

    def _finish(self, reason: str) -> None:
        self._reason = self._reason or ("stopped" if self._stopped else reason)
        self._emulator.stop()

    def _end_with(self, fault: str) -> None:
        self._fault = self._fault or fault
        self._emulator.stop()

    def _on_model_error(self, error: BaseException) -> None:
        self._model_error = self._model_error or error
        self._emulator.stop()

    def _raise_pending(self) -> None:
        """What a model or a check had to say while the guest ran."""
        if self._model_error is not None:
            raise self._model_error
        if self._fault is not None:
            self._raise(self._fault)

    def _raise(self, reason: str) -> None:
        """GuestFault with the registers of this instruction set."""
        raise NotImplementedError

    def on_entry(self, addresses: Iterable[int], callback: Callable[[], None]) -> None:
        """callback() before the instruction at each address, in every later run; not to raise."""
        self._emulator.on_entry(addresses, callback)

    @property
    def marker_edges(self) -> list[tuple[int, int]]:
        """(time by the board's clock, level) of every change of the marker."""
        return self._bus.marker_edges

    def on_marker(self, callback: Callable[[int, int, int], None]) -> None:
        """callback(time, level, clock in Hz) at every change of the marker; time as `marker_edges`
        has it.
        """
        self._bus.on_marker = callback
