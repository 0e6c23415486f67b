"""Micro-benchmarks of the Cortex-M0+ rules, and what ARMv6-M lacks ends a run.

Each snippet is a function body that starts on a word; `bx lr` (2 cycles) follows and is taken off.
r0, r1 and r2 point to RAM that holds zeros, r3 is 0. The counts are the manual's (Arm DDI 0484,
table of instruction cycle counts; single-cycle multiplier); no silicon has met them.
"""

import json
import subprocess
import sys

import pytest

from edgeq.board import load_board
from edgeq.sim import GuestFault, Machine, MachineConfig, rules_cortex_m4
from edgeq.sim import rules_cortex_m0plus as rules
from tests.hang import HANG_S
from tests.unit.sim.snippets import assembly, half_cycles

VIRTUAL_M0PLUS = MachineConfig.of(load_board("virtual_m0plus"))
RETURN_CYCLES = 2  # bx lr

SNIPPETS: dict[str, tuple[str, float]] = {
    "nothing": ("", 0),
    "alu": ("adds r4, r3, #1; eors r4, r3; lsls r4, r3, #2; rev r4, r3; uxtb r4, r3", 5),
    "carry": ("adds r4, r3, r3; adcs r4, r3; sbcs r4, r3", 3),
    "nop": ("nop; nop", 2),
    "multiply": ("muls r4, r3; muls r4, r3", 2),
    # every load and store is 2, whatever its neighbours
    "load": ("ldr r4,[r0]", 2),
    "load_pair": ("ldr r4,[r0]; ldr r5,[r1]", 4),
    "load_depends": ("ldr r4,[r0]; ldr r5,[r0,r4]", 4),
    "narrow_loads": ("ldrb r4,[r0]; ldrsh r5,[r1,r3]; ldrh r6,[r1]; ldrsb r7,[r0,r3]", 8),
    "literal": ("ldr r4, =0x12345678", 2),
    "stack_load": ("sub sp,#4; ldr r4,[sp]; add sp,#4", 4),
    "store": ("str r3,[r0]", 2),
    "narrow_stores": ("strb r3,[r0]; strh r3,[r1]", 4),
    "store_register_offset": ("str r3,[r0,r3]", 2),
    "store_then_load": ("str r3,[r0]; ldr r4,[r1]", 4),
    "load_then_store": ("ldr r4,[r0]; str r4,[r1]", 4),
    # several registers: 1 + N
    "ldm": ("ldm r0!,{r4,r5,r6,r7}", 5),
    "stm": ("stm r0!,{r4,r5,r6}", 4),
    "push_pop": ("push {r4,r5}; pop {r4,r5}", 6),
    # branches: 2 taken, 1 not
    "branch": ("b 1f; nop; 1:", 2),
    "branch_not_taken": ("cmp r3,#0; bne 1f; 1:", 2),
    "branch_taken": ("cmp r3,#0; beq 1f; nop; 1: nop", 4),
    "loop": ("movs r4,#10; 1: subs r4,#1; bne 1b", 1 + 10 * 2 + 9),
    "call": ("mov r4,lr; bl 2f; mov lr,r4; b 3f; 2: bx lr; 3:", 1 + 3 + 2 + 1 + 2),
    "branch_onto_wide_at_half_word": ("mov r4,lr; b 1f; 1: nop; bl 2f; 2: mov lr,r4",
                                      1 + 2 + 1 + 3 + 1),
    "call_register": ("mov r4,lr; adr r5,2f; adds r5,#1; blx r5; b 3f; .balign 4; 2: bx lr; 3: "
                      "mov lr,r4", 1 + 1 + 1 + 2 + 2 + 2 + 1),
    "move_to_pc": ("adr r4,2f; mov pc,r4; nop; .balign 4; 2: nop", 1 + 2 + 1),
    "pop_pc": ("mov r5,lr; adr r4,2f; adds r4,#1; push {r3,r4}; pop {r3,pc}; .balign 4; 2: "
               "mov lr,r5", 1 + 1 + 1 + 3 + 5 + 1),
    # special registers and barriers: 3
    "special": ("mrs r4, primask; dsb; isb; dmb", 12),
}  # fmt: skip

# what an M4 runs and ARMv6-M does not have
REFUSED = {
    "divide": "udiv r4,r0,r1",
    "wide_alu": "add.w r4,r3,#1",
    "wide_load": "ldr.w r4,[r0]",
    "wide_branch": "b.w 1f; 1: nop",
    "move_wide": "movw r4,#1234",
    "long_multiply": "umull r4,r5,r0,r1",
    "dsp": "smlad r4,r0,r1,r4",
    "load_double": "ldrd r4,r5,[r0]",
    "it": "it eq; moveq r4,#1",
    "cbz": "cbz r3,1f; nop; 1: nop",
    "count_zeros": "clz r4,r0",
    "table_branch": "tbb [pc,r3]; 1: .byte 1,1; 2: nop",
    "fpu": "vadd.f32 s0,s1,s2",
}
UNALIGNED = {
    "load_word": "adds r0,#2; ldr r4,[r0]",
    "load_half": "adds r0,#1; ldrh r4,[r0]",
    "store_word": "adds r0,#1; str r3,[r0]",
    "load_many": "adds r0,#2; ldm r0!,{r4}",
}


@pytest.fixture(scope="module")
def snippets_elf(build):
    bodies = {name: body for name, (body, _) in SNIPPETS.items()} | UNALIGNED
    return build(assembly(bodies), ".S", "cortex-m0plus")


@pytest.fixture(scope="module")
def thumb2_elf(build):
    return build(assembly(REFUSED), ".S")


@pytest.fixture(scope="module")
def machine(snippets_elf):
    return Machine(VIRTUAL_M0PLUS).load(snippets_elf)


@pytest.mark.parametrize("name", SNIPPETS)
def test_cycles(machine, name):
    assert half_cycles(machine, name) / 2 - RETURN_CYCLES == SNIPPETS[name][1]


@pytest.mark.parametrize("name", REFUSED)
def test_an_instruction_that_armv6m_lacks_ends_the_run(thumb2_elf, name):
    machine = Machine(VIRTUAL_M0PLUS).load(thumb2_elf)
    with pytest.raises(GuestFault, match=r"cortex-m0plus has no instruction .*build it for") as end:
        half_cycles(machine, name)
    first = REFUSED[name].split()[0].removesuffix(".w")
    assert f"'{first}" in str(end.value)
    assert end.value.report.function == f"t_{name}"
    Machine().load(thumb2_elf).call(f"t_{name}", (0x20001000, 0x20002000, 1, 0))  # the M4 runs it


@pytest.mark.parametrize("name", UNALIGNED)
def test_an_unaligned_access_ends_the_run(snippets_elf, name):
    machine = Machine(VIRTUAL_M0PLUS).load(snippets_elf)
    with pytest.raises(GuestFault, match="unaligned"):
        half_cycles(machine, name)


def test_the_classes_are_those_of_the_m4():
    assert set(rules.HALF_CYCLES) == set(rules_cortex_m4.HALF_CYCLES)
    assert not any(rules.HALF_CYCLES[name] for name in rules.ABSENT)


def test_first_load_extra_is_paid_by_every_load(snippets_elf):
    slower = MachineConfig(**{**VIRTUAL_M0PLUS.__dict__, "first_load_extra": 1})
    machine = Machine(slower).load(snippets_elf)
    assert half_cycles(machine, "load_pair") / 2 - RETURN_CYCLES == 6


def test_the_core_has_no_cycle_counter_and_names_itself(machine):
    dwt = machine._peripherals.dwt
    dwt.write(0, 1)
    dwt.write(4, 7)
    assert (dwt.read(0), dwt.read(4)) == (0, 0)
    assert machine._peripherals.core.read(0xD00) == 0x410CC601


def test_prices_are_printed_with_what_they_are_worth():
    result = subprocess.run(
        [sys.executable, "-m", "edgeq.sim", "--rules", "cortex-m0plus", "--json"],
        capture_output=True, text=True, timeout=HANG_S, check=True,
    )  # fmt: skip
    answer = json.loads(result.stdout)
    assert answer["prices"] == {name: half / 2 for name, half in rules.HALF_CYCLES.items()}
    assert "unvalidated" in answer["rules"]
