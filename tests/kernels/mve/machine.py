"""Differential cases on QEMU's Cortex-M55: kernels called there, operands in its memory.

All cases of a run share one image: QEMU loads it, the firmware makes the calls, and writes it back.
"""

import struct
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgeq.board import load_board
from edgeq.firmware_project import FirmwareProject
from edgeq.kernels import KERNELS, Kernel
from edgeq.toolchain import Compiler, build, with_board
from tests.emulated.qemu_counts import counted
from tests.hang import HANG_S
from tests.kernels.differential.case import Case, Difference, Memory
from tests.kernels.host_kernels import FOLDER

BOARD = "qemu_mps3_an547"
MACHINE = "mps3-an547"
IMAGE_BASE = 0x60000000  # DDR4 of the board
GUARD = b"\xa7" * 16
CALLS = Path(__file__).parent / "calls.c"
WRITTEN = "image"
_HEADER, _CALL = struct.Struct("<3I"), struct.Struct("<5I")


@dataclass(frozen=True)
class Linked:
    """A firmware that calls `functions`, in that order of numbers."""

    elf: Path
    functions: tuple[str, ...]


def _header(functions: Sequence[str]) -> str:
    """calls.h: the functions as one type; an argument more in a register does no harm."""
    externs = "".join(f"extern char {name}[];\n" for name in functions)
    table = ", ".join(f"(function_t)(uintptr_t){name}" for name in functions)
    return (
        "#ifndef EDGEQ_CALLS_H\n#define EDGEQ_CALLS_H\n#include <stdint.h>\n"
        f"#define IMAGE_BASE 0x{IMAGE_BASE:08X}u\n"
        f'#define IMAGE_FILE "{WRITTEN}"\n'
        "typedef void (*function_t)(uint32_t, uint32_t, uint32_t, uint32_t);\n"
        f"{externs}static const function_t FUNCTIONS[] = {{{table}}};\n#endif\n"
    )


def link(compiler: Compiler, names: Sequence[str], folder: Path, sources: Path = FOLDER) -> Linked:
    """A firmware of the board with the kernels of these names, whose files stand in `sources`."""
    rows: list[Kernel] = [kernel for kernel in KERNELS if kernel.name in names]
    files = {file for kernel in rows for file in (*kernel.sources, *kernel.headers)}
    functions = tuple(kernel.name for kernel in rows)
    project = FirmwareProject(
        {
            "main.c": CALLS.read_bytes(),
            "calls.h": _header(functions).encode(),
            **{f"kernels/{name}": (sources / name).read_bytes() for name in files},
        }
    )
    board = load_board(BOARD)
    return Linked(build(with_board(project, board), board, compiler, folder).elf, functions)


class Image:
    """What QEMU is given: cases one behind the other, each operand between guards."""

    def __init__(self, linked: Linked, cases: Iterable[Case]) -> None:
        self._linked, self._data, self._calls = linked, bytearray(), bytearray()
        self._kept: list[tuple[int, int]] = []
        self._cases = tuple(cases)
        count = sum(len(case.calls) for case in self._cases)
        self._start = IMAGE_BASE + _HEADER.size + count * _CALL.size
        self._memories = [self._place(case) for case in self._cases]
        size = _HEADER.size + len(self._calls) + len(self._data)
        self.data = _HEADER.pack(count, size, 0) + self._calls + self._data

    def _put(self, data: bytes, off: int) -> int:
        self._data += GUARD
        self._data += bytes(-(self._start + len(self._data)) % 8 + off % 8)
        at = self._start + len(self._data)
        self._data[-len(GUARD) :] = GUARD
        self._data += data + GUARD
        self._kept.append((at, len(data)))
        return at

    def _place(self, case: Case) -> Memory:
        memory = Memory(self._put, 4)
        for call in case.calls:
            given = [memory.argument(a) & 0xFFFFFFFF for a in call.arguments]
            given += [0] * (4 - len(given))
            number = self._linked.functions.index(call.function)
            self._calls += _CALL.pack(number, *given)
        return memory

    def check(self, after: bytes) -> None:
        """Raises Difference unless every case was answered, and nothing beside it written."""
        if len(after) != len(self.data):
            raise Difference(f"QEMU wrote {len(after)} bytes of {len(self.data)}")

        def read(at: int, size: int) -> bytes:
            return after[at - IMAGE_BASE : at - IMAGE_BASE + size]

        for case, memory in zip(self._cases, self._memories, strict=True):
            memory.check(read, case.label)
        for at, size in self._kept:
            if (read(at - len(GUARD), len(GUARD)), read(at + size, len(GUARD))) != (GUARD, GUARD):
                raise Difference(f"something wrote beside an operand of {size} bytes at {at:#x}")


def _command(linked: Linked, image: Path) -> list[str]:
    loader = f"loader,file={image},addr={IMAGE_BASE:#x},force-raw=on"
    return [
        "qemu-system-arm", "-M", MACHINE, "-kernel", str(linked.elf), "-device", loader,
        "-display", "none", "-monitor", "none", "-serial", "none",
        "-semihosting-config", "enable=on,target=native",
    ]  # fmt: skip


def run(linked: Linked, cases: Iterable[Case], folder: Path, deadline_s: float = HANG_S) -> None:
    """All cases in one run of QEMU. Raises Difference, CalledProcessError, TimeoutExpired."""
    image, given = Image(linked, cases), folder / "given"
    given.write_bytes(image.data)
    (folder / WRITTEN).unlink(missing_ok=True)
    subprocess.run(
        _command(linked, given), cwd=folder, check=True, capture_output=True, timeout=deadline_s
    )
    image.check((folder / WRITTEN).read_bytes())


def instructions(linked: Linked, case: Case, folder: Path) -> int:
    """What the calls of a case execute: a run with them less one without."""
    counts = []
    for cases in ([case], []):
        data, given = Image(linked, cases).data, folder / "given"
        given.write_bytes(data[:4] + bytes(4) + data[8:])  # nothing is written back
        counts.append(counted(_command(linked, given), HANG_S))
    return counts[0] - counts[1]
