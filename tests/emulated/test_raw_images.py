"""Images of boards without a twin from their first byte, in a core as the ROM leaves it.

Not a twin: peripherals only swallow what is written and read as nothing, so that clocks stay as
they were. It shows that the bytes of the flash image start, find their constants where loads see
them, and send; a flash of two windows is mapped as the ROM does, code without the right to load.
"""

import re
import struct
from pathlib import Path
from typing import Any

import pytest
from unicorn import (
    UC_ARCH_ARM,
    UC_ARCH_RISCV,
    UC_MODE_MCLASS,
    UC_MODE_RISCV32,
    UC_MODE_THUMB,
    UC_PROT_EXEC,
    UC_PROT_READ,
    Uc,
)
from unicorn.arm_const import UC_CPU_ARM_CORTEX_M7

from edgeq.board import Board, load_board
from edgeq.cores import CORES
from edgeq.errors import MemoryBudget
from edgeq.firmware_project import FirmwareProject
from edgeq.sim import GuestFault
from edgeq.sim.riscv import RiscvMachine
from edgeq.toolchain import Firmware, build, find_compiler, with_board
from edgeq.toolchain.uf2 import uf2_blocks
from tests.compilers import COMPILERS

BOARD = load_board("esp32c3_devkit")
PICO = load_board("rpi_pico2_riscv")
TEENSY = load_board("teensy40")
ENTRY = BOARD.flash.origin + 8
COUNTER = {BOARD.name: {0x7E0, 0x7E1, 0x7E2}, PICO.name: {0x320, 0xB00}}  # of the chip itself
READS = {0x4019_8014: 1 << 23}  # the Teensy's UART has room; all else reads as nothing
PERIPHERALS = {
    BOARD.name: ((0x6000_0000, 0x10_0000),),
    PICO.name: ((0x4000_0000, 0x10_0000), (0xD000_0000, 0x1000)),
    TEENSY.name: ((0x4000_0000, 0x80_0000), (0xE000_0000, 0x10_0000)),
}
MAIN = b"""
#include "hal.h"
static const char text[] = "constants and data\\n";
static uint32_t step = 1u;
extern volatile uint32_t edgeq_zero;
volatile uint32_t edgeq_zero;
int main(void) {
    hal_init();
    (void)hal_cycles();
    for (uint32_t at = edgeq_zero; text[at] != '\\0'; at += step) {
        hal_putc((uint8_t)text[at]);
    }
    return 0;
}
"""


def built(folder: Path, kind: str, board: Board = BOARD) -> Firmware:
    project = with_board(FirmwareProject({"main.c": MAIN}), board)
    return build(project, board, find_compiler(kind), folder)


def without_counter(image: bytes, registers: set[int]) -> bytes:
    """The image with nothing done where these control registers are used, which must be all."""
    held, found = bytearray(image), set[int]()
    for at in range(8, len(image) - 3, 2):
        word = int.from_bytes(image[at : at + 4], "little")
        if word & 0x7F == 0x73 and word >> 20 in registers:
            held[at : at + 4] = (0x13).to_bytes(4, "little")
            found.add(word >> 20)
    assert found == registers
    return bytes(held)


def sent(image: bytes, board: Board = BOARD, entry: int = ENTRY) -> tuple[bytes, dict[int, int]]:
    """What reaches the UART, and the last value of each register that was written."""
    flash, said, written = board.flash, bytearray(), dict[int, int]()
    if CORES[board.core].isa == "arm":
        core: Any = Uc(UC_ARCH_ARM, UC_MODE_THUMB | UC_MODE_MCLASS)
        core.ctl_set_cpu_model(UC_CPU_ARM_CORTEX_M7)
        held = image
    else:
        core = Uc(UC_ARCH_RISCV, UC_MODE_RISCV32)
        held = without_counter(image, COUNTER[board.name])
    held = held.ljust(-(-len(image) // 4096) * 4096, b"\xff")
    windows = [(flash.origin, UC_PROT_EXEC), (flash.data_origin, UC_PROT_READ)]
    if flash.data_origin is None:
        windows = [(flash.origin, UC_PROT_EXEC | UC_PROT_READ)]
    for origin, rights in windows:
        core.mem_map(origin, len(held), rights)
        core.mem_write(origin, held)
    core.mem_map(board.ram.origin, board.ram.bytes)
    core.mem_write(board.ram.origin, b"\xa5" * board.ram.bytes)  # as a reset leaves it

    sends = board.port.config["UART_BASE"] + (0x1C if board is TEENSY else 0)

    def write(_core: Any, offset: int, _size: int, value: int, base: int) -> None:
        written[base + offset] = value
        if base + offset == sends:
            said.append(value)

    def read(_core: Any, offset: int, _size: int, base: int) -> int:
        return READS.get(base + offset, 0)

    for base, size in PERIPHERALS[board.name]:
        core.mmio_map(base, size, read, base, write, base)
    core.emu_start(entry, 0, count=2_000_000)
    return bytes(said), written


@pytest.mark.parametrize("kind", COMPILERS)
def test_the_image_starts_behind_its_magic_and_reads_its_constants(
    kind: str, tmp_path: Path
) -> None:
    firmware = built(tmp_path, kind)
    image = firmware.bin.read_bytes()
    assert image[:8] == bytes.fromhex("1d04dbae") * 2
    assert len(image) == firmware.flash_bytes or len(image) < firmware.flash_bytes + 64, "gaps"
    text, written = sent(image)
    assert text == b"constants and data\n"
    assert written[0x6000_8090] == 0, "the RTC's watchdog is off"
    assert written[0x6001_F048] == 1 << 22, "that of the timers too"
    assert written[0x6000_80AC] == 1 << 31, "the last one feeds itself"
    divisor = written[0x6000_0014]
    sixteenths = ((divisor & 0xFFF) << 4) + (divisor >> 20)
    assert abs(BOARD.clock_hz * 16 / sixteenths / BOARD.uart.baud - 1) < 0.01


def test_an_export_that_asks_the_virtual_board_is_told_which_register_lacks(tmp_path: Path) -> None:
    """It loads into both windows; `edgeq export` then proves the host's build instead."""
    machine = RiscvMachine(BOARD).load(built(tmp_path, "auto").elf)
    assert BOARD.flash.data_origin in {part.origin for part in machine.config.regions}
    with pytest.raises(GuestFault, match=r"unmapped address 0x600080a8"):
        machine.call("hal_init")


def test_a_slow_line_takes_a_divider_first(tmp_path: Path) -> None:
    board = BOARD.at_baud(1200)
    project = with_board(FirmwareProject({"main.c": MAIN}), board)
    image = build(project, board, find_compiler(), tmp_path).bin.read_bytes()
    _, written = sent(image)
    divisor, clock = written[0x6000_0014], written[0x6000_0078]
    sixteenths = ((divisor & 0xFFF) << 4) + (divisor >> 20)
    pre = (clock >> 12 & 0xFF) + 1
    assert abs(board.clock_hz * 16 / pre / sixteenths / 1200 - 1) < 0.01


def test_without_the_windows_a_constant_is_not_found(tmp_path: Path) -> None:
    """The negative: a linker script that leaves constants beside the code."""
    flat = BOARD.model_copy(update={"flash": BOARD.flash.model_copy(update={"data_origin": None})})
    project = with_board(FirmwareProject({"main.c": MAIN}), flat)
    image = build(project, flat, find_compiler(), tmp_path).bin.read_bytes()
    with pytest.raises(Exception, match="READ"):
        sent(image)


@pytest.mark.parametrize("kind", COMPILERS)
def test_the_pico_2s_riscv_image_starts_where_its_block_says(kind: str, tmp_path: Path) -> None:
    """RP2350 datasheet, 5.9.5.2: type, entry and stack; the ROM looks for it in the first 4 KB."""
    firmware = built(tmp_path, kind, PICO)
    image = firmware.bin.read_bytes()
    at = image[:4096].find((0xFFFFDED3).to_bytes(4, "little"))
    start, kind_of, item, entry, stack, last, following, end = struct.unpack_from("<8I", image, at)
    assert (at % 4, start, end) == (0, 0xFFFFDED3, 0xAB123579)
    assert (kind_of, item, last, following) == (0x11010142, 0x344, 0x4FF, 0)
    assert stack == PICO.ram.origin + PICO.ram.bytes
    blocks = list(uf2_blocks(firmware.bin.with_suffix(".uf2").read_bytes()))
    assert {family for _, _, family in blocks} == {0xE48BFF5A}
    assert b"".join(payload for _, payload, _ in blocks)[: len(image)] == image
    assert sent(image, PICO, entry)[0] == b"constants and data\n"


def test_both_windows_count_as_one_flash(tmp_path: Path) -> None:
    small = BOARD.model_copy(update={"flash": BOARD.flash.model_copy(update={"bytes": 1024})})
    project = with_board(FirmwareProject({"main.c": MAIN}), small)
    with pytest.raises(MemoryBudget) as refused:
        build(project, small, find_compiler(), tmp_path)
    said = re.search(r"has 1,024 B, the firmware needs ([\d,]+) B", str(refused.value))
    assert said is not None
    whole = built(tmp_path / "whole", "auto").bin.stat().st_size
    assert int(said[1].replace(",", "")) == whole


@pytest.mark.parametrize("kind", COMPILERS)
def test_the_teensys_rom_finds_flash_table_and_entry(kind: str, tmp_path: Path) -> None:
    """i.MX RT1060 Reference Manual, System Boot: where the ROM of the chip reads what."""
    firmware = built(tmp_path, kind, TEENSY)
    image, origin = firmware.bin.read_bytes(), TEENSY.flash.origin
    assert image[:4] == b"FCFB"
    assert image[0x50:0x54] == (0x20_0000).to_bytes(4, "little")
    table = struct.unpack_from("<8I", image, 0x1000)
    header, entry, _, device, boot_data, itself, signature, _ = table
    assert (header & 0xFFFF_FF, header >> 24 & 0xF0, device, signature) == (0x2000D1, 0x40, 0, 0)
    assert itself == origin + 0x1000
    assert struct.unpack_from("<3I", image, boot_data - origin) == (origin, 0x20_0000, 0)
    stack, _ = struct.unpack_from("<2I", image, 0x1400)
    assert stack == TEENSY.ram.origin + TEENSY.ram.bytes, "the vectors, on a boundary of 1 KB"
    text, written = sent(image, TEENSY, entry)
    assert text == b"constants and data\n"
    baud = written[0x4019_8010]
    samples, divisor = (baud >> 24 & 0x1F) + 1, baud & 0x1FFF
    assert abs(TEENSY.clock_hz / samples / divisor / TEENSY.uart.baud - 1) < 0.01
    assert written[0xE000_ED08] == origin + 0x1400


@pytest.mark.parametrize("baud", [1200, 1_000_000])
def test_the_teensys_divisor_suits_slow_and_fast_lines(baud: int, tmp_path: Path) -> None:
    board = TEENSY.at_baud(baud)
    project = with_board(FirmwareProject({"main.c": MAIN}), board)
    image = build(project, board, find_compiler(), tmp_path).bin.read_bytes()
    (entry,) = struct.unpack_from("<I", image, 0x1004)
    _, written = sent(image, TEENSY, entry)
    word = written[0x4019_8010]
    samples, divisor = (word >> 24 & 0x1F) + 1, word & 0x1FFF
    assert samples >= 8 or word >> 17 & 1, "few samples want both edges"
    assert abs(board.clock_hz / samples / divisor / baud - 1) < 0.05
