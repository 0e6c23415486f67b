"""Unicorn's Cortex-M behind the few calls that the virtual board needs.

Block and register callbacks go to the C library straight: the Python binding's own wrappers cost
more than the whole timing model (measured: three times slower). An exception in a callback ends
the emulation and is raised again by run(), as the binding does. UC_HOOK_MEM_READ is never used: in
unicorn 2.1.4 it corrupts execution on this core.
"""

import ctypes
import itertools
from collections.abc import Callable, Iterable
from typing import Any, cast

from unicorn import (  # type: ignore[attr-defined]
    UC_ARCH_ARM,
    UC_ARCH_RISCV,
    UC_ERR_WRITE_PROT,
    UC_HOOK_BLOCK,
    UC_HOOK_CODE,
    UC_HOOK_INTR,
    UC_HOOK_MEM_INVALID,
    UC_MODE_MCLASS,
    UC_MODE_RISCV32,
    UC_MODE_THUMB,
    UC_PROT_EXEC,
    UC_PROT_READ,
    UC_PROT_WRITE,
    Uc,
    UcError,
)
from unicorn import arm_const as arm
from unicorn import riscv_const as riscv
from unicorn.unicorn_py3.unicorn import uclib

from edgeq.interrupts import interrupt_waits
from edgeq.sim.erased import erased

PAGE = 0x1000
UNDEFINED_INSTRUCTION = 10  # UC_ERR_INSN_INVALID
REGISTERS = {
    **{f"r{number}": arm.UC_ARM_REG_R0 + number for number in range(13)},
    "sp": arm.UC_ARM_REG_SP,
    "lr": arm.UC_ARM_REG_LR,
    "pc": arm.UC_ARM_REG_PC,
    "xpsr": arm.UC_ARM_REG_XPSR,
}
SPECIAL_REGISTERS = {
    "msp": arm.UC_ARM_REG_MSP,
    "psp": arm.UC_ARM_REG_PSP,
    "control": arm.UC_ARM_REG_CONTROL,
    "primask": arm.UC_ARM_REG_PRIMASK,
    "basepri": arm.UC_ARM_REG_BASEPRI,
    "faultmask": arm.UC_ARM_REG_FAULTMASK,
    "fpscr": arm.UC_ARM_REG_FPSCR,
    **{f"s{number}": arm.UC_ARM_REG_S0 + number for number in range(32)},
}
NUMBERS = REGISTERS | SPECIAL_REGISTERS
RISCV_REGISTERS = {
    **{f"a{number}": riscv.UC_RISCV_REG_A0 + number for number in range(8)},
    "sp": riscv.UC_RISCV_REG_SP,
    "lr": riscv.UC_RISCV_REG_RA,  # by the name that Arm's link register has
    "pc": riscv.UC_RISCV_REG_PC,
}
FETCHES = (21, 24)
ACCESS_NAMES = {
    19: "read of unmapped address",
    20: "write to unmapped address",
    21: "execution of unmapped address",
    22: "write to read-only memory",
    23: "read of protected memory",
    24: "execution of protected memory",
}
# (engine, address, size): the library's last argument, user data, is not looked at
_BLOCK = ctypes.CFUNCTYPE(None, ctypes.c_size_t, ctypes.c_uint64, ctypes.c_uint32)
_READ = ctypes.CFUNCTYPE(ctypes.c_uint64, ctypes.c_size_t, ctypes.c_uint64, ctypes.c_uint32)
_WRITE = ctypes.CFUNCTYPE(None, ctypes.c_size_t, ctypes.c_uint64, ctypes.c_uint32, ctypes.c_uint64)


# UC_MODE_MCLASS wins over the model that is asked for: unicorn then takes its Cortex-M33, which
# runs all that an M3 or M4 does; decode.py refuses what they lack. It is left out for a core with
# fewer instructions.
MODELS = {
    "cortex-m0plus": (UC_MODE_THUMB, arm.UC_CPU_ARM_CORTEX_M0),  # the same ARMv6-M instructions
    "cortex-m3": (UC_MODE_THUMB | UC_MODE_MCLASS, arm.UC_CPU_ARM_CORTEX_M3),
    "cortex-m4": (UC_MODE_THUMB | UC_MODE_MCLASS, arm.UC_CPU_ARM_CORTEX_M4),
    "cortex-m33": (UC_MODE_THUMB | UC_MODE_MCLASS, arm.UC_CPU_ARM_CORTEX_M33),
    "cortex-m7": (UC_MODE_THUMB | UC_MODE_MCLASS, arm.UC_CPU_ARM_CORTEX_M7),
}


RISCV_MODELS = {  # what the code lacks (the A of a core without it) is not refused
    "rv32imc": (UC_MODE_RISCV32, riscv.UC_CPU_RISCV32_ANY),
    "rv32imac": (UC_MODE_RISCV32, riscv.UC_CPU_RISCV32_ANY),
}


class EmulatorError(Exception):
    """The core cannot go on; the text says why. `cause`: "fetch", "access" (at `address`) or
    "undefined" where the core has an exception for it.
    """

    def __init__(self, text: str, cause: str = "", address: int = 0) -> None:
        super().__init__(text)
        self.cause, self.address = cause, address


class Emulator:
    """A core of MODELS with its memory. Addresses are the guest's, program counters even.

    `on_interrupt(number)` is called for every exception the core would take.
    """

    def __init__(self, core: str, on_interrupt: Callable[[int], None]) -> None:
        engine: Any = Uc  # unicorn has no annotations
        is_riscv = core in RISCV_MODELS
        mode, model = RISCV_MODELS[core] if is_riscv else MODELS[core]
        self._numbers = RISCV_REGISTERS if is_riscv else NUMBERS
        self._thumb = 0 if is_riscv else 1
        self._uc = engine(UC_ARCH_RISCV if is_riscv else UC_ARCH_ARM, mode)
        self._uc.ctl_set_cpu_model(model)
        self._alive: list[object] = []  # the library keeps addresses of callbacks, not references
        self._answered: list[tuple[int, int, bytearray]] = []  # (start, end, content)
        self._error: BaseException | None = None
        self._bad_access: EmulatorError | None = None
        self.why_unanswered: Callable[[int], str] = lambda _address: ""  # what lies there
        self._uc.hook_add(UC_HOOK_MEM_INVALID, self._on_bad_access)
        self._uc.hook_add(UC_HOOK_INTR, lambda _uc, number, _data: on_interrupt(number))

    def map_memory(self, origin: int, size: int, *, writable: bool) -> None:
        """Memory that holds code and data, rounded up to whole pages."""
        rights = () if writable else (UC_PROT_READ | UC_PROT_EXEC,)
        self._uc.mem_map(origin, -(-size // PAGE) * PAGE, *rights)

    def map_erased(self, origin: int, size: int) -> None:
        """Read-only memory of ones, rounded up to whole pages: an erased flash."""
        for offset, count, memory, address in erased(-(-size // PAGE) * PAGE):
            self._alive.append(memory)
            rights = UC_PROT_READ | UC_PROT_EXEC
            self._uc.mem_map_ptr(origin + offset, count, rights, address)

    def map_registers(
        self, base: int, read: Callable[[int], int], write: Callable[[int, int], None]
    ) -> None:
        """A page of peripheral registers: read(offset), write(offset, value)."""

        def on_read(_engine: int, offset: int, _size: int) -> int:
            try:
                return read(offset)
            except BaseException as error:
                self._fail(error)
                return 0

        def on_write(_engine: int, offset: int, _size: int, value: int) -> None:
            try:
                write(offset, value)
            except BaseException as error:
                self._fail(error)

        reader, writer = _READ(on_read), _WRITE(on_write)
        self._alive += [reader, writer]
        _check(
            uclib.uc_mmio_map(
                self._uc._uch, base, PAGE, _address(reader), None, _address(writer), None
            )
        )

    def answer_reads(
        self,
        start: int,
        data: bytearray,
        read: Callable[[int, int, int], int],
        on_write: Callable[[int], None],
    ) -> None:
        """Let read(engine, offset, size) answer whole pages that were memory and hold `data`.

        It must not raise. on_write(offset) is called when the guest writes there.
        """
        size = len(data)
        self._uc.mem_unmap(start, size)
        self._answered.append((start, start + size, data))

        def refuse(_engine: int, offset: int, _size: int, _value: int) -> None:
            on_write(offset)

        reader, writer = _READ(read), _WRITE(refuse)
        self._alive += [reader, writer]
        _check(
            uclib.uc_mmio_map(
                self._uc._uch, start, size, _address(reader), None, _address(writer), None
            )
        )

    def stop_answering(self) -> None:
        """Give the pages of answer_reads back as plain read-only memory."""
        answered, self._answered = self._answered, []
        for start, end, data in answered:
            self._uc.mem_unmap(start, end - start)
            self.map_memory(start, end - start, writable=False)
            self.write(start, bytes(data))

    def on_block(self, callback: Callable[[int, int, int], None]) -> None:
        """callback(engine, address, size) before each basic block; it must not raise."""
        self._hook(UC_HOOK_BLOCK, callback)

    def on_instruction(self, callback: Callable[[int, int, int], None]) -> None:
        """callback(engine, address, size) before each instruction; it must not raise.

        An instruction of an IT block whose condition is false is not reported.
        """
        self._hook(UC_HOOK_CODE, callback)
        self.forget_code()  # what is translated already would not report

    def on_entry(self, addresses: Iterable[int], callback: Callable[[], None]) -> None:
        """callback() before the instruction at each address; it must not raise."""
        for address in addresses:
            self._hook(UC_HOOK_CODE, lambda *_: callback(), (address, address))
        self.forget_code()

    def _hook(
        self,
        kind: int,
        callback: Callable[[int, int, int], None],
        where: tuple[int, int] = (1, 0),  # an empty range: everywhere
    ) -> None:
        hook, handle = _BLOCK(callback), ctypes.c_size_t()
        self._alive.append(hook)
        between = tuple(ctypes.c_uint64(end) for end in where)
        _check(
            uclib.uc_hook_add(
                self._uc._uch,
                ctypes.byref(handle),
                kind,
                _address(hook),
                None,
                *between,
            )
        )

    def enable_fpu(self) -> None:
        """Unicorn ignores writes to CPACR."""
        self._uc.reg_write(arm.UC_ARM_REG_FPEXC, 0x40000000)

    def run(self, pc: int, until: int, timeout_us: int = 0) -> int:
        """Run from `pc` until `until`, stop(), WFI or the timeout; returns the program counter.

        EmulatorError when the core cannot go on; what a callback raised; KeyboardInterrupt.
        """
        self._bad_access = None
        try:
            with interrupt_waits(self._uc.emu_stop):
                self._uc.emu_start(pc | self._thumb, until, timeout=timeout_us)
        except UcError as error:
            if self._error is None:
                raise self._why(error) from error
        if self._error is not None:
            failure, self._error = self._error, None
            raise failure
        return self.register("pc")

    def _why(self, error: UcError) -> EmulatorError:
        if self._bad_access is not None:
            return self._bad_access
        undefined = error.errno == UNDEFINED_INSTRUCTION
        return EmulatorError(_describe(error), "undefined" if undefined else "")

    def stop(self) -> None:
        """End run() at the next block."""
        self._uc.emu_stop()

    def register(self, register: str | int) -> int:
        """A register by name, or by unicorn's number (the same as capstone's)."""
        number = self._numbers[register] if isinstance(register, str) else register
        value = int(self._uc.reg_read(number))
        return value & ~1 if register == "pc" else value

    def reader(self, number: int) -> Callable[[], int]:
        """A quick way to read one core register, by unicorn's number, again and again."""
        value = ctypes.c_uint32()
        place, engine, read = ctypes.byref(value), self._uc._uch, uclib.uc_reg_read

        def read_now() -> int:
            read(engine, number, place)
            return value.value

        return read_now

    def set_register(self, name: str, value: int) -> None:
        """Set a register."""
        self._uc.reg_write(self._numbers[name], value & 0xFFFFFFFF)

    def read(self, address: int, size: int) -> bytes:
        """Guest memory. UcError where there is none."""
        for start, end, data in self._answered:
            if address < end and start < address + size:
                whole = _within(address, size, start, end)
                return b"".join(
                    bytes(data[at - start : at - start + count]) if inside
                    else self.read(at, count)
                    for at, count, inside in whole
                )  # fmt: skip
        return bytes(self._uc.mem_read(address, size))

    def write(self, address: int, data: bytes) -> None:
        """Guest memory, read-only memory too. UcError where there is none."""
        for start, end, content in self._answered:
            if address < end and start < address + len(data):
                for at, count, inside in _within(address, len(data), start, end):
                    part = data[at - address : at - address + count]
                    if inside:
                        content[at - start : at - start + count] = part
                    else:
                        self.write(at, part)
                return
        self._uc.mem_write(address, bytes(data))

    def write_as_guest(self, address: int, data: bytes) -> None:
        """Guest memory that the guest may write. UcError where there is none."""
        for start, end, rights in self._uc.mem_regions():
            if start <= address and address + len(data) <= end + 1 and rights & UC_PROT_WRITE:
                self._uc.mem_write(address, data)
                return
        failure: Any = UcError
        raise failure(UC_ERR_WRITE_PROT)

    def forget_code(self) -> None:
        """Drop translated blocks: the code has changed."""
        self._uc.ctl_flush_tb()

    def _fail(self, error: BaseException) -> None:
        self._error = self._error or error
        self._uc.emu_stop()

    def _on_bad_access(
        self, _uc: object, access: int, address: int, size: int, _value: int, _data: object
    ) -> bool:
        what = ACCESS_NAMES.get(access, f"bad access {access} at")
        why = self.why_unanswered(address)
        said = f"{what} 0x{address:08x} ({size} bytes){why}"
        self._bad_access = EmulatorError(said, "fetch" if access in FETCHES else "access", address)
        return False


def _within(address: int, size: int, start: int, end: int) -> list[tuple[int, int, bool]]:
    """The span cut at `start` and `end`: (address, size, whether it lies between them)."""
    cuts = sorted({address, address + size, *(cut for cut in (start, end)
                                              if address < cut < address + size)})  # fmt: skip
    return [(low, high - low, start <= low < end) for low, high in itertools.pairwise(cuts)]


def _address(callback: object) -> ctypes.c_void_p:
    return ctypes.cast(cast(Any, callback), ctypes.c_void_p)


def _check(status: int) -> None:
    if status:
        failure: Any = UcError
        raise failure(status)


def _describe(error: UcError) -> str:
    if error.errno == UNDEFINED_INSTRUCTION:
        return "undefined instruction"
    return f"the core stopped: {error}"
