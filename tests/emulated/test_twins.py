"""Virtual twins: the very ELF that would be flashed boots, answers and keeps time."""

import dataclasses
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from edgeq.board import Board, all_boards, load_board
from edgeq.emit.firmware import firmware_project
from edgeq.errors import BadInput, Toolchain
from edgeq.firmware_project import FirmwareProject
from edgeq.harness.link import BoardLink
from edgeq.memory import plan_memory
from edgeq.reference import run
from edgeq.sim import BufferPort, GuestFault, Machine, MachineConfig, PtyPort
from edgeq.sim.elf import load_elf
from edgeq.sim.families import FAMILIES
from edgeq.toolchain import build, find_compiler, with_board
from edgeq.weights import pack_weights
from tests.compilers import COMPILERS
from tests.factory import input_rows, smallest_mixture
from tests.hang import HANG_S

MAIN = (Path(__file__).parent / "query_main.c").read_bytes()
REAL = ("nucleo_f446re", "nucleo_f401re", "nucleo_l4r5zi", "nrf52840dk", "rpi_pico")
# of the same families: a board file more needs no test of its own
OTHERS = tuple(
    board.name
    for board in all_boards()
    if board.probe.usb_ids and board.port.family in FAMILIES and board.name not in REAL
)
RUN_S = HANG_S
MOST_CYCLES = 500_000_000  # in the guest's time seconds, for a port that gives up every wait
ROWS = 6
Built = Callable[..., Path]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """built(board, compiler): the ELF of query_main.c."""
    elves: dict[tuple[str, str], Path] = {}

    def one(name: str, kind: str = COMPILERS[0]) -> Path:
        if (name, kind) not in elves:
            elves[name, kind] = linked(name, kind, MAIN, tmp_path_factory.mktemp(name))
        return elves[name, kind]

    return one


def linked(name: str, kind: str, main: bytes, folder: Path, **files: bytes) -> Path:
    board = load_board(name)
    project = with_board(FirmwareProject({"main.c": main}), board)
    more = {key.replace("__", "/") + ".c": text for key, text in files.items()}
    try:
        compiler = find_compiler(kind)  # type: ignore[arg-type]
    except Toolchain as error:
        pytest.skip(str(error))
    return build(project.with_files(more), board, compiler, folder).elf


class Twin:
    """A virtual board in memory."""

    def __init__(self, elf: Path, name: str, *stuck: str) -> None:
        self.board = load_board(name)
        self.port = BufferPort()
        config = dataclasses.replace(MachineConfig.of(self.board), stuck=frozenset(stuck))
        self.machine = Machine(config, self.port).load(elf)

    def say(self, text: bytes = b"") -> bytes:
        """What it answers to `text`; to nothing: what it says after reset."""
        self.port.incoming += text
        assert self.machine.run(deadline_s=RUN_S, max_cycles=MOST_CYCLES).reason == "idle"
        return self.port.take()

    def probe(self, address: int) -> bytes:
        """The word at `address`, as its firmware reads it."""
        self.machine.write(self.machine.symbol("probed"), address.to_bytes(4, "little"))
        return self.say(b"x")

    def query(self) -> tuple[int, int, int]:
        """Two cycle counts around a pulse of the marker, and the clock it believes in."""
        words = self.say(b"q")
        assert len(words) == 24, words
        before, after, clock_hz = (int(words[at : at + 8], 16) for at in (0, 8, 16))
        return before, after, clock_hz

    def cold_cycles(self, code_bytes: int = 0) -> int:
        """What a dozen lines, and those of so much code more, cost when they are new from flash."""
        cache = self.board.flash.cache
        return (12 + -(-code_bytes // cache.line_bytes)) * cache.miss_cycles if cache else 0


def test_a_twin_of_every_family_is_looked_at_closely() -> None:
    bought = [board for board in all_boards() if board.probe.usb_ids]
    modelled = {board.port.family for board in bought} & FAMILIES.keys()
    assert {load_board(name).port.family for name in REAL} == modelled


@pytest.mark.parametrize("name", OTHERS)
def test_a_further_board_of_a_family_boots_and_keeps_time(name: str, built: Built) -> None:
    twin = Twin(built(name), name)
    assert twin.say() == b"ready\r\n"
    before, after, clock_hz = twin.query()
    assert 0 < after - before < 200 + twin.cold_cycles()
    assert clock_hz == twin.board.clock_hz == twin.machine.core_hz
    assert abs(twin.machine.baud / twin.board.uart.baud - 1) < 0.01
    assert [level for _, level in twin.machine.marker_edges[-2:]] == [1, 0]


@pytest.mark.parametrize("kind", COMPILERS)
@pytest.mark.parametrize("name", [*REAL, "netduinoplus2"])
def test_it_boots_answers_and_keeps_time(name: str, kind: str, built: Built) -> None:
    twin = Twin(built(name, kind), name)
    assert twin.say() == b"ready\r\n"
    every = bytes(byte for byte in range(256) if byte not in b"qfx")
    assert twin.say(every) == every
    before, after, clock_hz = twin.query()
    (raised, high), (lowered, low) = twin.machine.marker_edges[-2:]
    assert (high, low) == (1, 0)
    assert 0 < lowered - raised < after - before < 200 + twin.cold_cycles()
    assert clock_hz == twin.board.clock_hz == twin.machine.core_hz
    assert abs(twin.machine.baud / twin.board.uart.baud - 1) < 0.01


@pytest.mark.parametrize("name", REAL)
def test_two_runs_are_identical(name: str, built: Built) -> None:
    runs = []
    for _ in range(2):
        twin = Twin(built(name), name)
        said = twin.say() + twin.say(b"hello q")
        runs.append((said, twin.machine.clock.cycles, twin.machine.marker_edges))
    assert runs[0] == runs[1]


@pytest.mark.parametrize("kind", ["gcc", "zig"])
def test_the_fpu_is_on_whichever_compiler_spills_into_it(kind: str, built: Built) -> None:
    """zig cc defines no __ARM_FP, and keeps integers in floating-point registers all the same."""
    twin = Twin(built("nucleo_f446re", kind), "nucleo_f446re")
    twin.say()
    assert int(twin.probe(0xE000ED88), 16) >> 20 & 0xF == 0xF


STUCK = {  # each wait polls 100,000 times: one a board by default
    "nucleo_f446re": dict.fromkeys(("PLLRDY", "ODRDY", "ODSWRDY", "LATENCY", "SWS"), 16_000_000),
    "nucleo_f401re": {"PLLRDY": 16_000_000},
    "nucleo_l4r5zi": dict.fromkeys(("HSIRDY", "PLLRDY", "LATENCY", "SWS"), 4_000_000),
    "nrf52840dk": {"HFCLKSTARTED": 64_000_000},
    "rpi_pico": {"XOSC_STABLE": 6_500_000, "PLL_LOCK": 12_000_000, "SELECTED": 6_500_000},
}


def _stuck() -> list[object]:
    return [
        pytest.param(name, flag, hz, marks=pytest.mark.full if number else (), id=f"{name}-{flag}")
        for name, flags in STUCK.items()
        for number, (flag, hz) in enumerate(flags.items())
    ]


@pytest.mark.parametrize(("name", "flag", "clock_hz"), _stuck())
def test_a_flag_that_never_comes_leaves_the_board_on_a_slower_clock(
    name: str, flag: str, clock_hz: int, built: Built
) -> None:
    """The port's deadline ends the wait; the board still answers, and says its clock."""
    twin = Twin(built(name), name, flag)
    assert twin.say() == b"ready\r\n"
    before, after, said_hz = twin.query()
    assert said_hz == clock_hz == twin.machine.core_hz
    assert 0 < after - before < 200 + twin.cold_cycles()
    assert abs(twin.machine.baud / twin.board.uart.baud - 1) < 0.03


TRANSMITTERS = {
    "nucleo_f446re": "TXE",
    "nucleo_l4r5zi": "TXE",
    "nrf52840dk": "TXDRDY",
    "rpi_pico": "TX_READY",
}


@pytest.mark.full
@pytest.mark.parametrize(("name", "flag"), TRANSMITTERS.items())
def test_a_transmitter_that_never_frees_drops_bytes_and_does_not_hang(
    name: str, flag: str, built: Built
) -> None:
    said = Twin(built(name), name, flag).say()
    assert said == (b"r" if name == "nrf52840dk" else b"")  # its first byte needs no event


@pytest.mark.full
def test_a_reset_that_is_never_done_is_told_by_its_peripheral(built: Built) -> None:
    """RESET_DONE held back: the PLL is given up; the UART, released all the same, still works."""
    twin = Twin(built("rpi_pico"), "rpi_pico", "RESET_DONE")
    assert twin.say() == b"ready\r\n"
    assert twin.query()[2] == 12_000_000


UNKNOWN = [
    ("nucleo_f446re", 0x40023864, "model of RCC has no such register"),
    ("nucleo_f446re", 0x40020C00, r"GPIOD has no clock \(bit 3 of 0x40023830 is 0\)"),
    ("nucleo_l4r5zi", 0x40021098, "model of RCC has no such register"),
    ("nucleo_l4r5zi", 0x48000000, r"GPIOA has no clock \(bit 0 of 0x4002104c is 0\)"),
    ("nrf52840dk", 0x40000578, "model of CLOCK has no such register"),
    ("rpi_pico", 0x40008000, "model of CLOCKS has no such register"),
    ("rpi_pico", 0x40014104, "model of IO_BANK0 has no such register"),
]


@pytest.mark.parametrize(("name", "address", "why"), UNKNOWN)
def test_a_register_without_a_model_is_named(
    name: str, address: int, why: str, built: Built
) -> None:
    twin = Twin(built(name), name)
    assert twin.say() == b"ready\r\n"
    wanted = rf"unknown peripheral access: read of 0x{address:08x}: (the )?{why}"
    with pytest.raises(GuestFault, match=wanted) as raised:
        twin.probe(address)
    assert raised.value.report.function == "main"
    assert raised.value.report.serial_tail.endswith(b"ready\r\n")


@pytest.mark.parametrize("name", REAL)
def test_the_page_of_no_peripheral_is_named_too(name: str, built: Built) -> None:
    twin = Twin(built(name), name)
    twin.say()
    with pytest.raises(GuestFault, match="0x4007f004"):
        twin.probe(0x4007F004)


def test_a_second_stage_with_a_wrong_checksum_does_not_start(built: Built) -> None:
    image = load_elf(built("rpi_pico"))
    segments = list(image.segments)
    for number, segment in enumerate(segments):
        if segment.load_address == 0x10000000:
            data = bytearray(segment.data)
            data[7] ^= 1
            segments[number] = dataclasses.replace(segment, data=bytes(data))
    machine = Machine(load_board("rpi_pico"))
    machine.load(dataclasses.replace(image, segments=tuple(segments)))
    with pytest.raises(BadInput, match=r"boot ROM of rpi_pico refuses .* 0x[0-9a-f]{8}, its bytes"):
        machine.run()


SKIPS_THE_FLASH = b"""
#include <stdint.h>
extern const uint32_t __vectors_start__[];
__attribute__((section(".second_stage.entry"), used, naked)) void edgeq_second_stage(void);
void edgeq_second_stage(void) {
    __asm volatile("ldr r0, =__vectors_start__\\n\\tldr r0, [r0, #4]\\n\\tbx r0\\n\\t.ltorg");
}
"""


def test_a_second_stage_that_leaves_the_flash_as_it_is_cannot_go_on(tmp_path: Path) -> None:
    elf = linked("rpi_pico", "auto", MAIN, tmp_path, port__rp2040__second_stage=SKIPS_THE_FLASH)
    with pytest.raises(GuestFault, match="execution from flash before it can be read") as raised:
        Machine(load_board("rpi_pico")).load(elf).run(deadline_s=RUN_S)
    assert raised.value.report.function == "Reset_Handler"


def test_the_second_stage_turns_on_four_lines_where_the_flash_has_not(built: Built) -> None:
    assert Twin(built("rpi_pico"), "rpi_pico", "QUAD_ENABLED").say() == b"ready\r\n"


LONG = b"""
static void waste(uint32_t loops) {
    __asm volatile(".syntax unified\\n1:\\n\\t.rept 97\\n\\tnop\\n\\t.endr\\n"
                   "\\tsubs %0, #1\\n\\tbne 1b" : "+l"(loops)::"cc");
}
int main"""


@pytest.mark.full
def test_the_picos_cycle_counter_outlives_systick(tmp_path: Path) -> None:
    """SysTick wraps at 2^24 cycles; loops of just over one to nearly three wraps each."""
    loops = (170_000, 250_000, 500_000)
    text = b"".join(
        b"{ uint32_t t = hal_cycles(); waste(%du); put_word(hal_cycles() - t); }" % n for n in loops
    )
    main = MAIN.replace(b"int main", LONG).replace(b"answer_query();", text + b"answer_query();", 1)
    twin = Twin(linked("rpi_pico", "auto", main, tmp_path), "rpi_pico")
    twin.say()
    words, cold = twin.say(b"q"), twin.cold_cycles(2 * 99)
    for number, count in enumerate(loops):
        cycles = int(words[8 * number : 8 * number + 8], 16)
        assert 0 <= cycles - 100 * count <= 100 + cold  # 97 NOPs, SUBS 1, BNE taken 2


@contextmanager
def served(elf: Path, board: Board) -> Iterator[str]:
    """The twin behind a pseudo-terminal; ended afterwards."""
    port = PtyPort()
    machine = Machine(board, port).load(elf)
    thread = threading.Thread(target=machine.run)
    thread.start()
    try:
        yield port.path
    finally:
        machine.stop()
        thread.join(timeout=RUN_S)
        port.close()


def _inferring() -> list[object]:
    """The two families the rest of the suite never runs, by default; the others in full."""
    return [
        pytest.param(name, kind, marks=marks, id=f"{name}-{kind}")
        for name in REAL
        for kind in ("gcc", "zig")
        for quick in [name in ("rpi_pico", "nucleo_l4r5zi")]
        for marks in [() if quick and kind == COMPILERS[0] else pytest.mark.full]
    ]


@pytest.mark.parametrize(("name", "kind"), _inferring())
def test_it_infers_as_the_reference_does(name: str, kind: str, tmp_path: Path) -> None:
    graph, board = smallest_mixture(), load_board(name)
    project = firmware_project(
        graph, plan_memory(graph), pack_weights(graph), model_name="smallest", digest="ab" * 32
    )
    try:
        compiler = find_compiler(kind)  # type: ignore[arg-type]
    except Toolchain as error:
        pytest.skip(str(error))
    elf = build(with_board(project, board), board, compiler, tmp_path).elf
    rows = input_rows(np.random.default_rng(4), graph, ROWS)
    expected = run(graph, rows)
    with served(elf, board) as port, BoardLink.open(port, timeout=RUN_S) as link:
        info = link.info()
        answers = [link.infer(number, row.tobytes()) for number, row in enumerate(rows)]
    assert (info.board, info.clock_hz) == (name, board.clock_hz)
    np.testing.assert_array_equal([answer.output for answer in answers], expected.output)
    assert [answer.route for answer in answers] == expected.route.tolist()
    assert all(answer.cycles > 0 for answer in answers)
