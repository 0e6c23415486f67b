"""Wait states and caches are those that the firmware set, not those of the board's own port."""

import json
import subprocess
import sys
from dataclasses import replace

import pytest

from edgeq.board import load_board
from edgeq.sim import Machine, MachineConfig
from edgeq.sim.flash_cache import CacheGeometry, FlashModel
from edgeq.sim.flash_setup import FlashSetup
from tests.hang import HANG_S

ACR = {"nucleo_f446re": 0x40023C00, "nucleo_l4r5zi": 0x40022000, "nrf52840dk": 0x4001E540}
OWN = {"nucleo_f446re": 0x705, "nucleo_l4r5zi": 0x705, "nrf52840dk": 1}
LINES = 400  # of 32 bytes with a load of a constant in each: larger than every cache
FOREIGN = """
    .syntax unified
    .thumb
    .section .vectors, "a"
    .word 0x20010000, Reset_Handler
    .text
    .global Reset_Handler, begin, end, begin_called
    .thumb_func
Reset_Handler:
    SETUP
begin: bl body
end:
    movs r0, #0x18
    ldr r1, =0x20026
    bkpt 0xab
    .ltorg
    .type begin_called, %function
begin_called: push {r4, lr}
    bl body
    pop {r4, pc}
    .balign 32
body: movs r2, #2
3:
    .rept 8
    .rept 50
    .rept 14
    adds r0, #1
    .endr
    ldr.w r3, 1f
    .endr
    b 2f
    .balign 4
1:  .word 0
2:
    .endr
    subs r2, #1
    bne.w 3b
    bx lr
"""


def guest(build, board: str, value: int | None):
    """Code that sets the flash up as `value` says, or leaves it as it is at reset."""
    register = "" if value is None else f"ldr r0, ={ACR[board]}\n ldr r1, ={value}\n str r1, [r0]\n"
    source = FOREIGN.replace("SETUP", register)
    return build(source, ".S", "cortex-m4", load_board(board).flash.origin)


def cycles(elf, board: str, **changes) -> int:
    """Of the measured part, without what comes before it."""
    machine = Machine(replace(MachineConfig.of(load_board(board)), **changes)).load(elf)
    before = machine.run(until="begin", max_cycles=100_000).cycles
    return machine.run(until="end", max_cycles=1_000_000).cycles - before


@pytest.mark.parametrize("board", ["nucleo_f446re", "nucleo_l4r5zi"])
def test_case_36_a_firmware_that_stays_at_reset_has_no_wait_states(build, board):
    elf = guest(build, board, None)
    assert cycles(elf, board) == cycles(elf, board, flash_cache=None)
    assert cycles(elf, board, flash_from="board") > 1.1 * cycles(elf, board)


@pytest.mark.parametrize("board", ACR)
def test_case_36_a_firmware_that_sets_what_the_port_sets_costs_the_same(build, board):
    elf = guest(build, board, OWN[board])
    assert cycles(elf, board) == cycles(elf, board, flash_from="board")


def test_case_36_the_nrf52s_cache_is_off_at_reset(build):
    board = "nrf52840dk"
    off, on = (cycles(guest(build, board, value), board) for value in (0, 1))
    plain = cycles(guest(build, board, None), board, flash_cache=None)
    assert abs(cycles(guest(build, board, None), board) - off) <= 4  # it lies elsewhere in a line
    misses = 2 * 2 * LINES  # two passes over lines of 16 bytes; a constant counts once a block
    assert plain + 2 * misses <= off <= plain + 2 * (misses + 100)
    assert plain < on <= off


def test_case_36_each_switch_of_acr_tells(build):
    board = "nucleo_f446re"
    spent = {value: cycles(guest(build, board, value), board)
             for value in (0x705, 0x702, 0x605, 0x505, 0x305, 0x005, 0x700)}  # fmt: skip
    assert spent[0x700] < spent[0x702] < spent[0x705] < spent[0x605], "states, prefetch"
    assert spent[0x705] <= spent[0x505] <= spent[0x005], "instruction cache"
    assert spent[0x705] < spent[0x305], "data cache: the constant is read in every line"
    assert spent[0x005] == max(spent.values())


def test_case_36_a_called_function_finds_the_flash_as_it_was_left(build):
    board = "nucleo_l4r5zi"
    machine = Machine(load_board(board)).load(guest(build, board, None))
    as_the_port_leaves_it = machine.call("begin_called").cycles
    machine.run(until="end", max_cycles=1_000_000)
    assert "0 wait states, instruction cache, data cache" in machine.flash_model
    at_reset = machine.call("begin_called").cycles
    assert at_reset < as_the_port_leaves_it
    machine.load(machine.image)
    assert machine.call("begin_called").cycles == as_the_port_leaves_it
    assert "as the firmware set it up" not in machine.flash_model


def test_case_36_two_runs_are_the_same(build):
    board = "nucleo_f446re"
    machine = Machine(load_board(board)).load(guest(build, board, 0x705))
    spent = []
    for _ in range(2):
        before = machine.clock.cycles
        spent.append(machine.run(until="end", max_cycles=1_000_000).cycles - before)
        machine.reset()
    assert spent[0] == spent[1]


def test_case_36_counts_by_class_survive_the_switch(build):
    board = "nucleo_f446re"
    machine = Machine(load_board(board)).load(guest(build, board, 0x705))
    result = machine.run(until="end", max_cycles=1_000_000)
    profile = machine.profile()
    assert profile.cycles == result.cycles
    assert profile.instructions == result.instructions > 16 * LINES
    assert int(sum(profile.functions.values())) == int(sum(profile.class_cycles.values()))


@pytest.mark.parametrize(("flash", "states"), [("firmware", 0), ("board", 5), ("none", 0)])
def test_case_36_the_flag_for_a_foreign_set_up(build, flash, states):
    elf = guest(build, "nucleo_l4r5zi", None)
    command = [sys.executable, "-m", "edgeq.sim", str(elf), "--board", "nucleo_l4r5zi", "--stdio",
               "--flash", flash, "--json"]  # fmt: skip
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=HANG_S)
    facts = json.loads(done.stderr.splitlines()[-1])
    assert ("imiss" in facts["classes"]) == bool(states)
    assert facts["exit_code"] == 0


def test_a_set_up_scales_what_the_board_file_says():
    board = CacheGeometry(1024, 128, 16, miss_cycles=5, sequential_miss_cycles=1)
    full = FlashSetup(5, True, True, True, 16)
    assert full.under(board, 5) == board
    assert replace(full, wait_states=0).under(board, 5) is None
    three = replace(full, wait_states=3).under(board, 5)
    assert (three.miss_cycles, three.sequential_miss_cycles) == (3, 1)
    alone = replace(full, prefetch=False).under(board, 5)
    assert (alone.miss_cycles, alone.sequential_miss_cycles) == (5, 5)
    bare = FlashSetup(5, False, False, False, 8).under(board, 5)
    assert (bare.instruction_bytes, bare.data_bytes, bare.code_line_bytes) == (0, 0, 8)


def test_without_a_cache_the_last_fetch_is_kept():
    model = FlashModel(CacheGeometry(0, 0, 32, 5, 5, fetch_bytes=8), 0, 1 << 20)
    first = model.fetch(model.cold, model.code_lines(0, 16))
    assert (first.misses, first.stall) == (2, 10)
    assert model.fetch(first.after, model.code_lines(12, 16)).misses == 0
    assert model.fetch(first.after, model.code_lines(0, 8)).misses == 1
