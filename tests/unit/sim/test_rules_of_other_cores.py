"""Micro-benchmarks of the Cortex-M3, M33 and M7 rules, where they differ from the Cortex-M4's.

Each snippet is a function body that starts on a word, followed by `bx lr`, whose cost is taken
off. The sources stand at the head of each rules file: DDI 0337 and published counts for the M3;
for the M33 and the M7 what is published of their pipelines, met with no silicon.
"""

import json
import subprocess
import sys

import pytest

from edgeq.board import target_board
from edgeq.sim import Machine, rules_cortex_m4
from edgeq.sim.cores import CORES
from tests.unit.sim.snippets import assembly, half_cycles

SNIPPETS: dict[str, dict[str, tuple[str, float]]] = {
    "cortex-m3": {
        "alu": ("adds r4, r3, #1; eors r4, r3", 2),
        "multiply": ("mul r4,r0,r1", 1),  # DDI 0337, table 3-1
        "multiply_accumulate": ("mla r4,r0,r1,r4; mls r4,r0,r1,r4", 4),  # 2 each
        "long_multiply": ("umull r4,r5,r0,r1", 4),  # 3 to 5 by operand: the middle
        "long_accumulate": ("smlal r4,r5,r0,r1", 5.5),  # 4 to 7: the middle
        "divide": ("udiv r4,r0,r1", 6),  # 2 to 12
        "load": ("ldr r4,[r0]", 2),
        "load_pair": ("ldr r4,[r0]; ldr r5,[r1]", 3),  # 3.3.2: neighbours pipeline
        "load_depends": ("ldr r4,[r0]; ldr r5,[r4]", 4),
        "store": ("str r3,[r0]", 1),
        "store_register_offset": ("str r3,[r0,r3]", 2),
        "ldm": ("ldm r0,{r4,r5,r6,r7}", 5),  # 1 + N
        "push_pop": ("push {r4,r5}; pop {r4,r5}", 6),
        "branch": ("b 1f; nop; 1: nop", 3),
        "branch_not_taken": ("cmp r3,#0; bne 1f; 1:", 2),
        "it": ("it eq; addeq r4, r3, #1", 2),
        "table_branch": ("tbb [pc,r3]; 1: .byte 1,1; 2: nop", 6),
    },
    "cortex-m33": {
        "alu": ("adds r4, r3, #1; eors r4, r3", 2),
        "multiplies": ("mla r4,r0,r1,r4; umull r4,r5,r0,r1; smlad r4,r0,r1,r4", 3),  # single cycle
        "load_not_used": ("ldr r4,[r0]; adds r5,r3,#1", 2),  # address in the second stage
        "load_used": ("ldr r4,[r0]; adds r5,r4,#1", 3),  # data in the third
        "load_pair": ("ldr r4,[r0]; ldr r5,[r1]", 2),
        "load_chain": ("ldr r4,[r0]; ldr r5,[r0,r4]", 3),
        "base_is_no_result": ("ldr r4,[r0],#4; ldr r5,[r0]", 2),  # written back early
        "store": ("str r3,[r0]; str r3,[r0,r3]", 2),
        "store_then_load": ("str r3,[r0]; ldr r4,[r1]", 2),
        "ldm": ("ldm r0,{r4,r5,r6,r7}", 5),
        "branch": ("b 1f; nop; 1: nop", 3),  # resolved in the second stage
        "branch_not_taken": ("cmp r3,#0; bne 1f; 1:", 2),
        "divide": ("udiv r4,r0,r1", 6),  # 2 to 11
    },
    "cortex-m7": {
        # pairs of ALU work; `bx lr` shares the slot of what stands before it
        "alu_pair": ("adds.w r4,r3,#1; eor.w r5,r3,r3; nop.w", 1),
        "alu_chain": ("eor.w r4,r3,r3; eor.w r5,r4,r3; nop.w", 2),
        "add_forwards": ("add.w r4,r3,#1; eor.w r5,r4,r3; nop.w", 1),  # early ALU to late ALU
        "shifted_does_not": ("add.w r4,r3,r3,lsl #2; eor.w r5,r4,r3; nop.w", 2),
        "multiplies_alone": ("mul r4,r0,r1; mul r5,r0,r1; nop.w", 2),  # one multiplier
        "multiply_and_alu": ("mul r4,r0,r1; eor.w r5,r3,r3; nop.w", 1),
        "load_and_alu": ("ldr.w r4,[r0]; eor.w r5,r3,r3; nop.w", 1),
        "loads_of_two_banks": ("ldr.w r4,[r0]; ldr.w r5,[r0,#4]; nop.w", 1),
        "loads_of_one_bank": ("ldr.w r4,[r0]; ldr.w r5,[r0,#8]; nop.w", 2),
        "load_use": ("ldr.w r4,[r0]; eor.w r5,r4,r3; nop.w", 3),  # the result is late by one
        "store_with_alu": ("eor.w r4,r3,r3; str.w r4,[r0]; nop.w", 1),  # stores what was computed
        "stores_alone": ("str.w r3,[r0]; str.w r3,[r0,#4]; nop.w", 2),
        "divide_alone": ("udiv r4,r0,r1; nop.w", 7),  # LLVM: 7, single issue
        "several": ("ldm r0,{r4,r5,r6,r7}; nop.w", 3),  # two registers a cycle
    },
}
CASES = [(core, name) for core, table in SNIPPETS.items() for name in table]


@pytest.fixture(scope="module")
def machines(build):
    made = {}
    for core, table in SNIPPETS.items():
        bodies = {"nothing": "nop.w"} if core == "cortex-m7" else {"nothing": ""}
        elf = build(
            assembly(bodies | {name: body for name, (body, _) in table.items()}), ".S", core
        )
        made[core] = Machine(target_board(core)).load(elf)
    return made


@pytest.mark.parametrize(("core", "name"), CASES)
def test_cycles(machines, core, name):
    machine = machines[core]
    taken_off = half_cycles(machine, "nothing")
    assert (half_cycles(machine, name) - taken_off) / 2 == SNIPPETS[core][name][1]


@pytest.mark.parametrize("core", sorted(CORES))
def test_every_table_prices_every_class(core):
    assert set(CORES[core].prices(0)) == set(rules_cortex_m4.HALF_CYCLES)
    assert all(isinstance(half, int) for half in CORES[core].prices(1).values())


@pytest.mark.parametrize("core", sorted(CORES))
def test_every_table_is_printed_and_says_what_it_is_worth(core):
    command = [sys.executable, "-m", "edgeq.sim", "--rules", core, "--json"]
    answer = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    assert answer["prices"] == {name: half / 2 for name, half in CORES[core].prices(0).items()}
    assert ("unvalidated" in answer["rules"]) == (core not in ("cortex-m3", "cortex-m4"))


def test_the_boards_constants_are_added():
    command = [sys.executable, "-m", "edgeq.sim", "--rules", "cortex-m4", "--json", "--board"]
    answer = json.loads(
        subprocess.run([*command, "nucleo_l4r5zi"], capture_output=True, check=True).stdout
    )
    assert answer["board"] == "nucleo_l4r5zi"
    assert answer["prices"]["ld"] == 2
    assert answer["prices"]["ldp"] == 0


def test_a_board_with_another_core_is_refused():
    command = [
        sys.executable,
        "-m",
        "edgeq.sim",
        "--rules",
        "cortex-m3",
        "--board",
        "nucleo_f446re",
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2
    assert "nucleo_f446re has a cortex-m4, not a cortex-m3" in done.stderr
