"""The registers of each family, written and read as a firmware would: order, gates, lost bytes."""

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from edgeq.board import load_board
from edgeq.sim.bus import Bus
from edgeq.sim.config import MachineConfig
from edgeq.sim.emulator import PAGE
from edgeq.sim.families import attach_family
from edgeq.sim.port import BufferPort


class Pages:
    """What stands for the emulator: accesses by address."""

    def __init__(self) -> None:
        self._pages: dict[int, tuple[Callable[[int], int], Callable[[int, int], None]]] = {}

    def map_registers(self, base: int, read: Any, write: Any) -> None:
        self._pages[base] = (read, write)

    def load(self, address: int) -> int:
        return self._pages[address & -PAGE][0](address % PAGE)

    def store(self, address: int, value: int) -> None:
        self._pages[address & -PAGE][1](address % PAGE, value)


class Time:
    """What stands for the clock: cycles that the test sets, one block that always asks."""

    block = None

    def __init__(self) -> None:
        self.cycles = 0

    def cycles_at(self, _matches: object) -> int:
        return self.cycles


class Board:
    """The peripherals of a board without a core."""

    def __init__(self, name: str, *stuck: str) -> None:
        config = dataclasses.replace(MachineConfig.of(load_board(name)), stuck=frozenset(stuck))
        self.pages, self.time, self.port = Pages(), Time(), BufferPort()
        self.refused: list[str] = []
        emulator: Any = self.pages
        clock: Any = self.time
        self.bus = Bus(config, emulator, clock, self.port, self.refused.append, lambda _why: None)
        self.wire = attach_family(self.bus)

    def set(self, **registers: int) -> None:
        """set(x40023800=1): one store after the other; "_" behind an address for its second one."""
        for address, value in registers.items():
            self.pages.store(int(address[1:].rstrip("_"), 16), value)

    def get(self, address: int) -> int:
        return self.pages.load(address)

    def sent(self) -> bytes:
        self.wire.flush()
        return self.port.take()


F4_PLL = 8 | 180 << 6 | 8 << 24  # HSI / 8 x 180 / 2
F4_START = {"x40023840": 1 << 28, "x40023804": F4_PLL, "x40023800": 0x83 | 1 << 24}
OVERDRIVE = {"x40007000": 3 << 16}


def f446(*, states: int = 5, overdrive: bool = True) -> Board:
    board = Board("nucleo_f446re")
    more = OVERDRIVE if overdrive else {}
    board.set(**F4_START, **more, x40023C00=states, x40023808=2 | 5 << 10 | 4 << 13)
    return board


def test_stm32f4_comes_to_its_clock_in_the_right_order() -> None:
    board = f446()
    assert board.refused == []
    assert board.get(0x40023808) >> 2 & 3 == 2
    assert board.bus.core_hz == 180_000_000


def test_stm32f4_too_fast_for_flash_or_regulator_is_told() -> None:
    assert "at 180000000 Hz with 4 flash wait states; 5 are needed" in f446(states=4).refused[0]
    assert "without the regulator's over-drive" in f446(overdrive=False).refused[0]


@pytest.mark.parametrize(
    ("writes", "said"),
    [
        ({"x40023808": 0x80}, "AHB prescaler"),
        ({"x40007000": 0}, "PWR has no clock (bit 28 of 0x40023840 is 0)"),
        ({"x40020018": 1}, "GPIOA has no clock"),
        ({"x40004404": 65}, "the USART has no clock"),
    ],
)
def test_stm32f4_what_is_not_there_is_refused(writes: dict[str, int], said: str) -> None:
    board = Board("nucleo_f446re")
    board.set(**writes)
    assert said in board.refused[0]


FROM_HSE = 8 | 180 << 6 | 1 << 22  # 8 MHz / 8 * 180 / 2


def test_stm32f4_runs_from_the_crystal_and_its_pll() -> None:
    board = Board("nucleo_f446re")
    board.set(x40023C00=5, x40023800=1 << 16)
    assert board.get(0x40023800) >> 16 & 3 == 3, "HSEON, HSERDY"
    board.set(x40023808=1)
    assert (board.get(0x40023808) >> 2 & 3, board.bus.core_hz) == (1, 8_000_000)
    board.set(x40023808=0, x40023804=FROM_HSE, x40023800=1 << 16 | 1 << 24, x40023808_=2)
    assert (board.get(0x40023808) >> 2 & 3, board.bus.core_hz) == (2, 90_000_000)
    assert board.refused == []


def test_stm32f4_a_crystal_that_never_oscillates_leaves_the_internal_one() -> None:
    """As start-up code of a vendor sees it: HSERDY does not come, nor a PLL that hangs on it."""
    board = Board("nucleo_f446re", "HSERDY")
    board.set(x40023C00=5, x40023804=FROM_HSE, x40023800=1 << 16 | 1 << 24)
    assert board.get(0x40023800) >> 16 & 3 == 1
    assert not board.get(0x40023800) >> 25 & 1, "no PLL without its source"
    for switch in (1, 2):
        board.set(x40023808=switch)
        assert (board.get(0x40023808) >> 2 & 3, board.bus.core_hz) == (0, 16_000_000)
    board.set(x40023804=8 | 90 << 6, x40023800=1 << 24)  # it falls back: 16 MHz / 8 * 90 / 2
    assert (board.get(0x40023808) >> 2 & 3, board.bus.core_hz) == (2, 90_000_000)
    assert board.refused == []


def test_stm32f4_the_switch_waits_for_the_pll() -> None:
    board = Board("nucleo_f446re")
    board.set(x40023808=2)
    assert board.get(0x40023808) >> 2 & 3 == 0
    assert board.bus.core_hz == 16_000_000


def test_stm32_pins_need_their_mode() -> None:
    board = f446()
    board.set(x40023830=1, x40020018=1 << 8)
    assert board.bus.marker_edges == [], "PA8 is no output yet"
    board.set(x40020000=1 << 16, x40020018=1 << 24)
    board.time.cycles = 70
    board.set(x40020018=1 << 24 | 1 << 8)  # setting wins
    board.time.cycles = 90
    board.set(x40020014=0)
    assert board.bus.marker_edges == [(70, 1), (90, 0)]


def test_stm32f4_bytes_need_transmitter_and_pin() -> None:
    board = f446()
    board.set(x40023830=1, x40023840=1 << 28 | 1 << 17, x40004404=65)
    board.set(x4000440C=1 << 13 | 1 << 3, x40004404=66)  # PA2 is not the USART's yet
    board.set(x40020000=2 << 4, x40020020=7 << 8, x40004404=67)
    assert board.sent() == b"C"
    board.set(x40004408=390)
    assert abs(board.bus.baud() - 115_200) < 500


def test_stm32l4_boost_and_the_supply_of_port_g() -> None:
    board = Board("nucleo_l4r5zi")
    pll = 2 | 1 << 4 | 30 << 8 | 1 << 24
    board.set(x40021058=1 << 28, x40021000=0x63 | 1 << 8, x4002100C=pll)
    board.set(x40021000=0x63 | 1 << 8 | 1 << 24, x40022000=5, x40021008=3 | 8 << 4)
    assert board.refused == []
    assert board.bus.core_hz == 60_000_000
    board.set(x40021008=3)
    assert "at 120000000 Hz without the regulator's boost" in board.refused[0]
    board.set(x40007080=0, x40021008=3)
    assert len(board.refused) == 1
    board.set(x4002104C=1 << 6, x4002105C=1, x40008000=1 | 1 << 3)
    board.set(x48001800=2 << 14, x48001820=8 << 28, x40008028=65, x40007004=1 << 9, x40008028_=66)
    assert board.sent() == b"B", "PG7 hangs on VddIO2"


def test_stm32l4_other_sources_and_waits() -> None:
    board = Board("nucleo_l4r5zi")
    board.set(x40021000=1 << 16)
    assert "HSE" in board.refused[0]
    board = Board("nucleo_l4r5zi")
    board.set(x40021000=0x63 | 1 << 8, x40021008=1)
    assert board.bus.core_hz == 16_000_000
    board.set(x4002100C=2 | 1 << 4 | 30 << 8 | 1 << 24, x40021000=0x63 | 1 << 8 | 1 << 24)
    board.set(x40021008=3)
    assert "with 0 flash wait states; 5 are needed" in board.refused[0]


def test_nrf52_tasks_events_and_directions() -> None:
    board = Board("nrf52840dk")
    assert board.get(0x4000040C) == 1 << 16
    board.set(x40000000=1)
    assert (board.get(0x40000100), board.get(0x4000040C)) == (1, 1 << 16 | 1)
    board.set(x40000004=1, x40000100=0)
    assert (board.get(0x40000100), board.get(0x4000040C)) == (0, 1 << 16)
    board.set(x50000518=1 << 6, x50000818=1 << 8, x50000808=1 << 8)
    assert (board.get(0x50000718), board.get(0x50000514)) == (3, 1 << 6)
    board.time.cycles = 5
    board.set(x5000080C=1 << 8, x5000081C=1 << 8)
    board.set(x50000804=1 << 8)
    assert board.bus.marker_edges == [(0, 1), (5, 0)], "P1.08 is an input again"
    assert board.get(0x50000808) == 1 << 8


def test_nrf52_bytes_need_task_pin_and_switch() -> None:
    board = Board("nrf52840dk")
    for step in ({"x40002500": 4}, {"x40002008": 1}):
        board.set(**step, x4000251C=65)
    board.set(x4000250C=6, x4000251C=66, x50000518=1 << 6, x4000251C_=67)
    assert board.sent() == b"C"
    assert board.get(0x4000211C) == 1
    board.set(x4000200C=1, x4000251C=68)
    assert board.sent() == b""


PICO_XOSC = {"x40024000": 0xFAB << 12 | 0xAA0, "x40008030": 2}
PICO_PLL = {
    "x4000C000": 0x01FFFFFF & ~(1 << 12 | 1 << 5 | 1 << 21 | 1 << 22),
    "x40028008": 125,
    "x40028004": 0x04,
    "x4002800C": 6 << 16 | 2 << 12,
}


def pico(**more: int) -> Board:
    board = Board("rpi_pico")
    board.set(**PICO_XOSC, **PICO_PLL, **more)
    return board


def test_rp2040_comes_to_its_clock() -> None:
    board = pico(x4000803C=1, x40008048=1 << 11)
    assert board.refused == []
    assert board.bus.core_hz == 125_000_000
    assert board.get(0x40008044) == 2


@pytest.mark.parametrize(
    ("writes", "said"),
    [
        ({"x40008034": 2 << 8}, "divides a clock"),
        ({"x40008030": 1}, "clk_ref from source 1"),
        ({"x4000803C": 1 | 1 << 5}, "auxiliary source 1"),
        ({"x40008048": 1 << 5}, "clk_peri"),
        ({"x40028000": 1 << 8}, "bypasses the PLL"),
        ({"x18000000": 0}, "while XIP_SSI is on"),
    ],
)
def test_rp2040_what_is_not_there_is_refused(writes: dict[str, int], said: str) -> None:
    board = pico()
    board.set(**writes)
    assert said in board.refused[0]


def test_rp2040_a_pll_out_of_range_does_not_lock() -> None:
    for factor, locked in ((61, 0), (63, 1), (133, 1), (134, 0)):
        board = pico(x40028008_=factor)
        assert board.get(0x40028000) >> 31 == locked, factor
        board.set(x4000803C=1)
        assert (board.bus.core_hz == 12_000_000) == (not locked)


def test_rp2040_a_block_in_reset_does_not_answer() -> None:
    board = Board("rpi_pico")
    board.set(x40034030=1)
    assert "UART0 is held in reset (bit 22 of RESETS)" in board.refused[0]
    assert board.get(0x40054028) == 0
    assert "TIMER is held in reset" in board.refused[1]


def test_rp2040_the_timer_follows_the_clocks() -> None:
    board = pico(x4000803C=1, x4005802C=12 | 1 << 9)
    board.time.cycles = 1000
    assert board.get(0x40054028) == 8  # 125 cycles a microsecond
    board.set(x4005802C=0)
    board.time.cycles = 9000
    assert (board.get(0x40054028), board.get(0x4005802C)) == (8, 0)
    board.set(x4005802C=24 | 1 << 9)
    board.time.cycles = 10000
    assert board.get(0x40054028) == 12


def test_rp2040_levels_and_bytes() -> None:
    board = pico(x4000803C=1, x40008048=1 << 11, x40034024=67, x40034028=52, x4003402C=0x70)
    assert abs(board.bus.baud() - 115_200) < 100
    board.set(x40034030=0x301, x40034000=65, x40014004=2, x40034000_=66)
    assert board.sent() == b"B"
    board.set(xD0000024=4, xD0000014=4)
    assert board.bus.marker_edges == [], "GP2 is not SIO's"
    board.set(x40014014=5, xD000001C=4, xD000001C_=4)
    assert [level for _cycles, level in board.bus.marker_edges] == [1]
    assert board.get(0xD0000010) == 4


def test_rp2040_flash_commands_need_the_write_enable() -> None:
    board = Board("rpi_pico", "QUAD_ENABLED")

    def command(*sent: int) -> int:
        for byte in sent:
            board.set(x18000060=byte)
        assert board.get(0x18000028) & 5 == 4
        return [board.get(0x18000060) for _ in sent][-1]

    board.set(x18000008=0, x18000000=7 << 16, x18000008_=1)
    command(0x01, 0, 2)
    assert command(0x35, 0) == 0, "written without an enable"
    command(0x06)
    command(0x01, 0, 2)
    assert command(0x35, 0) == 2
    assert command(0x05, 0) == 0
    assert board.bus.execution_refused is not None
    assert "quad reads without a command" in board.bus.execution_refused()
