"""The flash's caches: against a naive model, and what they cost a program."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeq.board import FlashCache, all_boards, load_board
from edgeq.sim import VIRTUAL_M4, GuestFault, Machine, MachineConfig
from edgeq.sim import clock as clock_module
from edgeq.sim.families import FAMILIES
from edgeq.sim.flash_cache import CacheGeometry, FlashModel

FLASH = 0x08000000
GEOMETRY = CacheGeometry(
    instruction_bytes=128, data_bytes=64, line_bytes=16, miss_cycles=5, sequential_miss_cycles=2
)


def config(geometry: CacheGeometry | None) -> MachineConfig:
    return replace(VIRTUAL_M4, flash_cache=geometry)


class Naive:
    """Every line with the time of its last use."""

    def __init__(self, size: int, line_bytes: int, ways: int) -> None:
        lines = size // line_bytes
        self.ways = min(ways or lines, lines)
        self.sets = lines // self.ways if lines else 1
        self.used: dict[int, int] = {}
        self.time = 0

    def touch(self, line: int) -> bool:
        self.time += 1
        hit = line in self.used
        same_set = [one for one in self.used if one % self.sets == line % self.sets]
        if not hit and self.ways == 0:
            return False
        if not hit and len(same_set) >= self.ways:
            del self.used[min(same_set, key=lambda one: self.used[one])]
        self.used[line] = self.time
        return hit


geometries = st.sampled_from([(0, 0), (64, 0), (128, 0), (64, 1), (128, 2), (256, 4)])
blocks = st.lists(st.tuples(st.integers(0, 40), st.integers(1, 5)), min_size=1, max_size=80)


@given(geometries, blocks)
def test_every_fetch_hits_and_misses_as_the_naive_model_says(shape, visits):
    size, ways = shape
    geometry = replace(GEOMETRY, instruction_bytes=size, ways=ways)
    model, naive = FlashModel(geometry, 0, 1 << 20), Naive(size, 16, ways)
    state, before = model.cold, -1
    for first, count in visits:
        lines = range(first, first + count)
        fetch = model.fetch(state, lines)
        misses = stall = 0
        for line in lines:
            if not naive.touch(line):
                misses += 1
                stall += 2 if line == before + 1 else 5
            before = line
        assert (fetch.misses, fetch.stall) == (misses, stall)
        state = fetch.after


@given(geometries, st.lists(st.integers(0, 30), max_size=100))
def test_every_load_hits_and_misses_as_the_naive_model_says(shape, lines):
    size, ways = shape
    model = FlashModel(replace(GEOMETRY, data_bytes=size, ways=ways), 0, 1 << 20)
    naive = Naive(size, 16, ways)
    assert [model.data.touch(line) for line in lines] == [naive.touch(line) for line in lines]


def test_a_loop_comes_back_to_the_same_state():
    model = FlashModel(GEOMETRY, 0, 1 << 20)
    state = model.cold
    states = set()
    for _ in range(100):
        for first in (0, 3, 6):
            state = model.fetch(state, range(first, first + 4)).after
            states.add(state)
    assert len(states) <= 6


def test_code_outside_flash_is_not_cached():
    model = FlashModel(GEOMETRY, FLASH, 1 << 20)
    assert not model.code_lines(0x20000000, 0x20000100)
    assert model.data_lines((0x20000000, FLASH + 32)) == ((FLASH + 32) // 16,)
    assert list(model.code_lines(FLASH + 14, FLASH + 34)) == [FLASH // 16 + n for n in range(3)]


PROGRAM = """
    .syntax unified
    .thumb
    .section .vectors, "a"
    .word 0x20010000, Reset_Handler
    .text
    .global Reset_Handler
    .thumb_func
Reset_Handler: b .
    .balign 16
    .global straight, constants, sum, poke
    .type straight, %function
straight:                       @ 64 instructions of 2 bytes: 8 lines of 16 bytes, and bx lr
    .rept 64
    adds r0, #1
    .endr
    bx lr
    .balign 16
    .type constants, %function
constants: ldr r0, =0x12345678
    bx lr
    .ltorg
    .balign 16
    .type sum, %function
sum:                            @ r0: address, r1: words
    movs r2, #0
1:  ldr r3, [r0], #4
    adds r2, r3
    subs r1, #1
    bne 1b
    mov r0, r2
    bx lr
    .type poke, %function
poke: str r1, [r0]
    bx lr
    .section .rodata
    .balign 4096
    .global table, table_end
table:
    .rept 512
    .word 3
    .endr
table_end:
"""


@pytest.fixture(scope="module")
def program(build):
    return build(PROGRAM, ".S")


def machine_with(program, **changes) -> Machine:
    return Machine(config(replace(GEOMETRY, **changes))).load(program)


def test_straight_code_misses_once_a_line_and_is_resident_the_second_time(program):
    plain = Machine(config(None)).load(program).call("straight").cycles
    machine = machine_with(program, instruction_bytes=256)
    assert machine.call("straight").cycles == plain + 5 + 8 * 2
    assert machine.call("straight").cycles == plain
    profile = machine.profile()
    assert profile.classes["imiss"] == 9
    assert profile.class_cycles["imiss"] == 5 + 8 * 2
    assert sum(profile.class_cycles.values()) == sum(profile.functions.values()) == 2 * plain + 21


def test_code_larger_than_the_cache_misses_every_time(program):
    machine = machine_with(program)  # 8 lines, the code has 9
    costs = [machine.call("straight").cycles for _ in range(3)]
    assert costs[1] == costs[2] == costs[0]


def test_constants_are_loads_of_data(program):
    plain = Machine(config(None)).load(program).call("constants").cycles
    machine = machine_with(program)
    assert machine.call("constants").cycles == plain + 5 + 5
    assert machine.call("constants").cycles == plain
    assert machine.call("constants").r0 == 0x12345678


def test_loads_of_read_only_data_are_seen(program):
    machine = machine_with(program)
    table = machine.symbol("table")
    assert machine.call("sum", (table, 8)).r0 == 24
    warm = machine.call("sum", (table, 8)).cycles
    assert machine.call("sum", (table + 1024, 8)).cycles == warm + 2 * 5
    assert machine.call("sum", (table + 1024, 8)).cycles == warm
    assert "2048 of 2048 bytes" in machine.flash_model


def test_without_a_data_cache_every_load_waits(program):
    machine = machine_with(program, data_bytes=0)
    plain = Machine(config(None)).load(program).call("sum", (machine.symbol("table"), 8)).cycles
    machine.call("sum", (machine.symbol("table"), 8))
    assert machine.call("sum", (machine.symbol("table"), 8)).cycles == plain + 8 * 5


def test_a_unified_cache_holds_code_and_data(program):
    machine = machine_with(program, unified=True, data_bytes=0, instruction_bytes=64)
    plain = Machine(config(None)).load(program).call("sum", (machine.symbol("table"), 4)).cycles
    assert machine.call("sum", (machine.symbol("table"), 4)).cycles == plain + 2 * 5
    assert machine.call("sum", (machine.symbol("table"), 4)).cycles == plain
    machine.call("straight")  # drives the data out
    assert machine.call("sum", (machine.symbol("table"), 4)).cycles == plain + 2 * 5


def test_watched_data_reads_as_before_and_is_not_writable(program):
    machine = machine_with(program)
    table = machine.symbol("table")
    before = machine.clock.half
    assert machine.read(table + 2044, 8) == bytes([3, 0, 0, 0, 255, 255, 255, 255])
    assert machine.read(table - 2, 6)[2:] == bytes([3, 0, 0, 0])
    machine.write(table - 4, bytes([1, 2, 3, 4, 9, 0, 0, 0]))
    assert machine.read(table - 4, 8) == bytes([1, 2, 3, 4, 9, 0, 0, 0])
    assert machine.clock.half == before
    assert machine.call("sum", (table, 2)).r0 == 12
    with pytest.raises(GuestFault, match=f"write to read-only memory 0x{table + 8:08x}"):
        machine.call("poke", (table + 8, 1))
    assert machine.load(program).read(table, 4) == bytes([3, 0, 0, 0])


def test_data_that_shares_its_pages_with_code_is_not_seen_and_the_report_says_so(build):
    machine = machine_with(build(PROGRAM.replace(".balign 4096", ".balign 4"), ".S"))
    assert machine.flash_model.startswith("instruction cache only")
    assert machine.call("sum", (machine.symbol("table"), 8)).r0 == 24


def test_counts_survive_when_ways_are_forgotten(program, monkeypatch):
    whole = machine_with(program)
    monkeypatch.setattr(clock_module, "MAX_NODES", 3)
    folded = machine_with(program)
    for machine in (whole, folded):
        for _ in range(3):
            machine.call("sum", (machine.symbol("table"), 40))
            machine.call("straight")
    assert folded.clock.half == whole.clock.half
    assert folded.profile() == whole.profile()


def test_a_board_at_zero_wait_states_has_no_flash_model():
    board = load_board("nucleo_f446re")
    flash = board.flash.model_copy(update={"wait_states": 0})
    assert MachineConfig.of(board).flash_cache is not None
    assert MachineConfig.of(board.model_copy(update={"flash": flash})).flash_cache is None
    assert Machine().flash_model == "none: zero wait states"


def test_every_board_with_wait_states_says_what_stands_before_its_flash():
    """Of those with a twin, whose clock needs it."""
    for board in all_boards():
        if board.port.family in FAMILIES:
            assert (board.flash.cache is not None) == (board.flash.wait_states > 0), board.name


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"line_bytes": 24}, "power of two"),
        ({"unified": True}, "no data_bytes"),
        ({"instruction_bytes": 100}, "whole sets"),
        ({"ways": 3}, "whole sets"),
    ],
)
def test_a_cache_that_cannot_be_is_refused(changes, reason):
    facts = load_board("nucleo_l4r5zi").flash.cache.model_dump() | changes
    with pytest.raises(ValueError, match=reason):
        FlashCache(**facts)
