"""The virtual Cortex-M0+ answers as the reference does, and its counters agree with the clock."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edgeq.board import Board, load_board
from edgeq.constant_time import CallGraph
from edgeq.sim import Machine
from edgeq.toolchain import Firmware, build, find_compiler, with_board
from tests.acceptance.boards import (
    OUTPUT_OFFSET,
    STACK_BYTES,
    Array,
    call_infer,
    stream,
    virtual_board,
)
from tests.acceptance.conftest import Digits
from tests.compilers import COMPILERS

NAME = "virtual_m0plus"
CLASSES = 10
SERIAL_ROWS, CALLED_ROWS = 12, 60
# between two reads of a counter: the call and return of edgeq_infer and of hal_cycles
COUNTER_CYCLES = 60
SPREAD = 1e-4  # clang branches where ARMv6-M has no instruction: see kernels/README.md
SYSTICK_WRAP = 1 << 24
Build = Callable[..., Firmware]


@pytest.fixture
def board() -> Board:
    return load_board(NAME)


@pytest.mark.parametrize("kind", COMPILERS)
def test_rows_through_the_serial_port(kind: str, digits: Digits, firmware: Build) -> None:
    with virtual_board(firmware(kind, NAME, small=True).elf, NAME) as port:
        answers = stream(port, digits.rows[:SERIAL_ROWS])
    np.testing.assert_array_equal(answers.output, digits.expected.output[:SERIAL_ROWS])
    np.testing.assert_array_equal(answers.route, digits.expected.route[:SERIAL_ROWS])
    called = call_infer(
        firmware(kind, NAME, small=True).elf, digits.rows[:SERIAL_ROWS], CLASSES, NAME
    )
    assert (np.abs(answers.cycles - called.cycles) <= 2 * COUNTER_CYCLES).all()


@pytest.mark.parametrize("kind", COMPILERS)
def test_rows_on_the_virtual_core(kind: str, digits: Digits, firmware: Build) -> None:
    rows = digits.rows[:CALLED_ROWS]
    answers = call_infer(firmware(kind, NAME, small=True).elf, rows, CLASSES, NAME)
    np.testing.assert_array_equal(answers.output, digits.expected.output[:CALLED_ROWS])
    np.testing.assert_array_equal(answers.route, digits.expected.route[:CALLED_ROWS])
    for expert in np.unique(answers.route):
        cycles = answers.cycles[answers.route == expert]
        assert np.ptp(cycles) <= SPREAD * cycles.min()


@pytest.mark.parametrize("kind", COMPILERS)
def test_no_function_of_the_inference_path_divides(kind: str, firmware: Build) -> None:
    functions = CallGraph(firmware(kind, NAME, small=True).elf).reachable("served_infer")
    names = [f.name for f in functions]
    assert "__aeabi_lmul" in names
    assert not [name for name in names if "div" in name or "case" in name]


class Counted:
    """A loaded firmware whose own cycle counter is read beside the modelled clock."""

    def __init__(self, elf: Path, board: Board, row: Array) -> None:
        self.machine = Machine(board).load(elf)
        self.base = board.ram.origin + board.ram.bytes - STACK_BYTES
        self.machine.write(self.base, row.tobytes())
        for function in ("hal_init", "served_init"):
            self.machine.call(function)

    def infer(self) -> tuple[int, int]:
        """(cycles by the firmware's counter, by the clock) of one inference."""
        start = self.machine.call("hal_cycles").r0
        taken = self.machine.call("served_infer", (self.base, self.base + OUTPUT_OFFSET)).cycles
        return (self.machine.call("hal_cycles").r0 - start) % (1 << 32), taken

    def layers(self, count: int) -> list[int]:
        data = self.machine.read(self.machine.call("served_layer_cycles").r0, 4 * count)
        return [int(n) for n in np.frombuffer(data, np.uint32)]

    def idle(self, cycles: int) -> int:
        """What the counter says of `cycles` in which nothing runs."""
        start = self.machine.call("hal_cycles").r0
        self.machine.clock.half += 2 * cycles
        return (self.machine.call("hal_cycles").r0 - start) % (1 << 32)


@pytest.fixture(params=["timer", "systick"])
def counted(
    request: pytest.FixtureRequest, board: Board, digits: Digits, tmp_path: Path
) -> Counted:
    """With the board's timer, and on a board that has SysTick alone."""
    if request.param == "systick":
        config = {k: v for k, v in board.port.config.items() if k != "TIMER_BASE"}
        port = board.port.model_copy(update={"config": config})
        board = board.model_copy(update={"port": port})
    compiler = find_compiler("auto")
    built = build(with_board(digits.small, board), board, compiler, tmp_path, "-O2")
    return Counted(built.elf, board, digits.rows[0])


def test_the_counter_agrees_with_the_clock(counted: Counted, digits: Digits) -> None:
    for _ in range(3):
        by_counter, by_clock = counted.infer()
        assert 0 <= by_counter - by_clock <= COUNTER_CYCLES
    found = re.search(rb"_LAYER_COUNT (\d+)", b"".join(digits.small.files.values()))
    assert found is not None
    ran = [cycles for cycles in counted.layers(int(found[1])) if cycles]
    assert 0 <= by_clock - sum(ran) <= len(ran) * COUNTER_CYCLES + 500  # the calls around them


@pytest.mark.parametrize("counted", ["timer"], indirect=True)
def test_a_layer_longer_than_systick_is_counted(counted: Counted) -> None:
    for cycles in (SYSTICK_WRAP - 100, SYSTICK_WRAP + 5, 100 * SYSTICK_WRAP + 7):
        assert 0 <= counted.idle(cycles) - cycles <= COUNTER_CYCLES


@pytest.mark.parametrize("counted", ["systick"], indirect=True)
def test_systick_alone_is_right_below_its_wrap(counted: Counted) -> None:
    """The limit that cycles.c states, and why the board has a timer."""
    assert 0 <= counted.idle(SYSTICK_WRAP - 100) - (SYSTICK_WRAP - 100) <= COUNTER_CYCLES
    assert counted.idle(SYSTICK_WRAP + 5) < SYSTICK_WRAP
