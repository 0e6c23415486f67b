"""Micro-benchmarks of the Cortex-M4 rules: assembly, the cycles it must take, and the rule.

Each snippet is a function body that starts on a word; `bx lr` (2 cycles) follows and is taken off.
r0, r1 and r2 point to RAM that holds zeros, r3 is 0. The rules' source is the header of
edgeq/sim/rules_cortex_m4.py.
"""

import pytest

from edgeq.sim import Machine, MachineConfig
from edgeq.sim.config import VIRTUAL_M4
from tests.unit.sim.snippets import assembly, half_cycles

RETURN_CYCLES = 2  # bx lr: 1 + 1 for the taken branch

SNIPPETS: dict[str, tuple[str, float]] = {
    "nothing": ("", 0),
    "alu": ("adds r4, r3, #1; eors r4, r3; lsls r4, r3, #2", 3),
    "nop": ("nop; nop", 2),
    "multiplies": ("mul r4,r0,r1; mla r4,r0,r1,r4; mls r4,r0,r1,r4", 3),
    "long_multiplies": ("umull r4,r5,r0,r1; smlal r4,r5,r0,r1; umaal r4,r5,r0,r1", 3),
    "dsp": ("smlad r4,r0,r1,r4; sxtb16 r5,r0; pkhbt r5,r0,r1; smmul r4,r0,r1", 4),
    "it": ("it eq; addeq r4, r3, #1", 2),
    "it_of_three": ("itte eq; addeq r4, r3, #1; subeq r4, r3, #1; movne r4, #0", 4),
    # loads: +1 unless behind another load whose result the address does not use
    "load": ("ldr r4,[r0]", 2),
    "load_pair": ("ldr r4,[r0]; ldr r5,[r1]", 3),
    "load_triple": ("ldr r4,[r0]; ldr r5,[r0,#4]; ldr r6,[r0,#8]", 4),
    "load_depends": ("ldr r4,[r0]; ldr r5,[r4]", 4),
    "load_index_depends": ("ldr r4,[r0]; ldr r5,[r0,r4]", 4),
    "load_alu_load": ("ldr r4,[r0]; adds r6,r3,#1; ldr r5,[r1]", 5),
    "narrow_loads": ("ldrb r4,[r0]; ldrsh r5,[r1,r3]; ldrh r6,[r1]; ldrsb r7,[r0,r3]", 5),
    "write_back_same_base": ("ldr r4,[r0],#4; ldr r5,[r0]", 4),
    "write_back_chain": ("ldr r4,[r0],#4; ldr r5,[r0],#4; ldr r6,[r0],#4", 6),
    "write_back_other_base": ("ldr r4,[r0],#4; ldr r5,[r1],#4", 3),
    "pre_index": ("ldr r4,[r0,#4]!; ldr r5,[r0]", 4),
    "literal": ("ldr r4, =0x12345678", 2),
    "literal_then_load": ("ldr r4, =0x12345678; ldr r5,[r0]", 3),
    # stores
    "store": ("str r3,[r0]", 1),
    "store_bytes": ("strb r3,[r0]; strh r3,[r1]", 2),
    "store_write_back": ("str r3,[r0],#4; str r3,[r0],#4", 2),
    "store_register_offset": ("str r3,[r0,r3]", 2),
    "store_then_load": ("str r3,[r0]; ldr r4,[r1]", 4),
    "load_then_store": ("ldr r4,[r0]; str r4,[r1]", 2),
    "loads_then_store": ("ldr r4,[r0]; ldr r5,[r0,#4]; str r4,[r1]", 3),
    "load_then_store_register_offset": ("ldr r4,[r0]; str r4,[r1,r3]", 3),
    # several registers: +1 each
    "ldm": ("ldm r0,{r4,r5,r6,r7}", 5),
    "ldm_wide": ("ldm.w r0!,{r4,r8}", 3),
    "stm": ("stm r0!,{r4,r5,r6}", 4),
    "push_pop": ("push {r4,r5}; pop {r4,r5}", 6),
    "push_pop_wide": ("push.w {r8,r9,r10}; pop.w {r8,r9,r10}", 8),
    "ldrd": ("ldrd r4,r5,[r0]", 3),
    "strd": ("strd r4,r5,[r0]", 3),
    "ldrd_then_load": ("ldrd r4,r5,[r0]; ldr r6,[r1]", 5),
    # divide: typical, the operands decide on silicon
    "divide": ("udiv r4,r0,r1; sdiv r5,r0,r1", 12),
    # branches: +1 taken, 0 not taken
    "branch": ("b 1f; 1:", 2),
    "branch_over": ("b 1f; nop; 1: nop", 3),
    "branch_not_taken": ("cmp r3,#0; bne 1f; 1:", 2),
    "branch_taken": ("cmp r3,#0; beq 1f; nop; 1: nop; nop", 5),
    "cbz_taken": ("cbz r3,1f; nop; nop; 1: nop", 3),
    "cbnz_not_taken": ("cbnz r3,1f; nop; 1: nop", 3),
    "branch_onto_wide_at_word": ("b 1f; nop; 1: add.w r4,r3,#1", 3),
    "branch_onto_wide_at_half_word": ("b 1f; nop; nop; 1: add.w r4,r3,#1", 4),
    "branch_onto_narrow_at_half_word": ("b 1f; nop; nop; 1: adds r4,r3,#1", 3),
    "loop": ("movs r4,#10; 1: subs r4,#1; bne 1b", 1 + 10 * 2 + 9),
    "loop_onto_wide_at_half_word": ("movs r4,#10; 1: subs.w r4,r4,#1; bne 1b", 1 + 20 + 9 * 2),
    "call": ("mov r4,lr; bl 2f; mov lr,r4; b 3f; 2: bx lr; 3:", 1 + 2 + 2 + 1 + 2),
    "call_register": ("mov r4,lr; adr r5,2f; adds r5,#1; blx r5; b 3f; .balign 4; 2: bx lr; 3: "
                      "mov lr,r4", 1 + 1 + 1 + 2 + 2 + 2 + 1),
    "move_to_pc": ("adr r4,2f; mov pc,r4; nop; .balign 4; 2: nop", 1 + 2 + 1),
    "pop_pc": ("mov r5,lr; adr r4,2f; adds r4,#1; push {r3,r4}; pop {r3,pc}; .balign 4; 2: "
               "mov lr,r5", 1 + 1 + 1 + 3 + 5 + 1),
    "pop_pc_condition_fails": ("push {r3,lr}; cmp r3,#1; it eq; popeq {r3,pc}; add sp,#8",
                               3 + 1 + 1 + 1 + 1),
    "load_pc": ("adr r4,2f; adds r4,#1; str r4,[r0]; nop; ldr pc,[r0]; .balign 4; 2: nop",
                1 + 1 + 1 + 1 + 5 + 1),
    "table_branch": ("tbb [pc,r3]; 1: .byte 1,1; 2: nop", 1 + 4 + 1),
    # fetch: three 32-bit instructions in a row at 2 mod 4 cost half a cycle
    "wide_run_at_half_word": ("nop; add.w r4,r3,#1; add.w r4,r3,#1; add.w r4,r3,#1", 4.5),
    "wide_pair_at_half_word": ("nop; add.w r4,r3,#1; add.w r4,r3,#1", 3),
    "wide_run_at_word": ("add.w r4,r3,#1; add.w r4,r3,#1; add.w r4,r3,#1", 3),
    # floating point (the manual's prices: not met with silicon)
    "vldr": ("vldr s0,[r0]", 2),
    "vldr_double": ("vldr d0,[r0]", 3),
    "vstr": ("vstr s0,[r0]", 2),
    "vldm": ("vldm r0,{s0-s3}", 5),
    "vpush_vpop": ("vpush {d8,d9}; vpop {d8,d9}", 10),
    "vadd": ("vadd.f32 s0,s1,s2; vadd.f32 s3,s1,s2", 2),
    "vadd_chain": ("vadd.f32 s0,s1,s2; vadd.f32 s3,s0,s2", 3),
    "vmla": ("vmla.f32 s0,s1,s2", 3),
    "vfma_chain": ("vfma.f32 s0,s1,s2; vfma.f32 s0,s1,s2", 7),
    "vdiv": ("vdiv.f32 s0,s1,s2", 14),
    "vsqrt": ("vsqrt.f32 s0,s1", 14),
    "vmov": ("vmov s0,r3; vmov r4,s1", 2),
    "vmov_pair": ("vmov r4,r5,d0", 2),
}  # fmt: skip


@pytest.fixture(scope="module")
def snippets_elf(build):
    return build(assembly({name: body for name, (body, _) in SNIPPETS.items()}), ".S")


@pytest.fixture(scope="module")
def machine(snippets_elf):
    return Machine(VIRTUAL_M4).load(snippets_elf)


@pytest.mark.parametrize("name", SNIPPETS)
def test_cycles(machine, name):
    assert half_cycles(machine, name) / 2 - RETURN_CYCLES == SNIPPETS[name][1]


@pytest.mark.parametrize(
    ("name", "extra"),
    [("load", 1), ("load_pair", 1), ("load_depends", 2), ("store", 0), ("ldm", 0), ("vldr", 0)],
)
def test_first_load_extra_of_a_board_is_paid_by_unpipelined_loads_only(snippets_elf, name, extra):
    slower = MachineConfig(**{**VIRTUAL_M4.__dict__, "first_load_extra": 1})
    cycles = half_cycles(Machine(slower).load(snippets_elf), name) / 2
    assert cycles - RETURN_CYCLES == SNIPPETS[name][1] + extra


def test_second_execution_costs_the_same(snippets_elf):
    machine = Machine(VIRTUAL_M4).load(snippets_elf)
    assert half_cycles(machine, "loop") == half_cycles(machine, "loop")


def test_instructions_are_counted(snippets_elf):
    result = Machine(VIRTUAL_M4).load(snippets_elf).call("t_loop")
    assert result.instructions == 1 + 20 + 1
