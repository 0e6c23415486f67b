"""Cortex-M0+ timing: what each class of instruction costs, in half cycles.

Unvalidated: from the manual (Cortex-M0+ Technical Reference Manual, Arm DDI 0484, table of
instruction cycle counts), not met with silicon. The classes are those of rules_cortex_m4.py. The
multiplier is the single-cycle one; parts with the small multiplier take 32 cycles for each MUL.
Loads and stores cost 2 whatever stands before them; the single-cycle I/O port is not modelled.
"""

RULES_VERSION = "cortex-m0plus/1 (unvalidated: from the manual)"

# ARMv6-M has none of these; the virtual board refuses them before they are paid.
ABSENT = (
    "it", "mla", "mul_l", "mlal", "ldrd", "strd", "vld", "vst", "vmov2", "vmla", "vdiv", "vuse",
    "div", "t_cbz", "t_ldrpc", "tb", "t_tb", "pair",
)  # fmt: skip

HALF_CYCLES: dict[str, int] = {
    "n": 2,  # every instruction: one cycle
    "nops": 0,
    "psr": 4,  # MRS, MSR, barriers: 3 cycles
    # loads: never pipelined, so a load behind a load costs the same
    "ld": 2,
    "ldp": 2,
    "ldpu": 0,
    "luse": 0,  # the instruction behind a load reads its result
    "ldlit": 0,
    "agu": 0,
    "aguld": 0,
    "unal": 0,
    # stores: no write buffer
    "st": 2,
    "streg": 0,
    "st_ld": 0,
    "ldst": 0,
    # LDM, STM, PUSH, POP: 1 + N
    "ldmN": 2,
    "stmN": 2,
    # the fetch unit: no effect is documented
    "wu3": 0,
    "tin_wu": 0,
    # taken branches: 2 cycles, BL 3, POP {.., pc} 3 + N
    "t_b": 2,
    "t_bc": 2,
    "t_bl": 4,
    "t_bx": 2,
    "t_poppc": 4,
    "nt_bc": 0,
    # exceptions: 15 cycles in (Arm DDI 0484, 3.9); the return is an estimate
    "exc": 30,
    "exret": 26,
    **dict.fromkeys(ABSENT, 0),
}


def prices(first_load_extra: int = 0) -> dict[str, int]:
    """Half cycles per class on a board where each load costs `first_load_extra` cycles more."""
    loads = ("ld", "ldp")
    return HALF_CYCLES | {name: HALF_CYCLES[name] + 2 * first_load_extra for name in loads}
