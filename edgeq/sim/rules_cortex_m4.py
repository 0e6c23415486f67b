"""Cortex-M4 timing: what each class of instruction costs, in half cycles.

`n` is charged for every instruction, the other classes on top of it. The names are those of the
published counts that the table is checked against (tests/unit/sim/test_rules_against_silicon.py):
NUCLEO-L4R5ZI and STM32F407 at zero wait states. Floating-point prices are the manual's (Arm DDI
0439, table 7-1) and have not met silicon; SDIV and UDIV depend on their operands (2 to 12).
"""

RULES_VERSION = "cortex-m4/1"

HALF_CYCLES: dict[str, int] = {
    "n": 2,  # every instruction: one cycle
    "it": 0,
    "mla": 0,  # MLA, MLS
    "mul_l": 0,  # UMULL, SMLAL, UMAAL: single cycle on M4
    "mlal": 0,  # those of mul_l that accumulate
    "nops": 0,
    "psr": 0,  # MRS, MSR, barriers
    # loads
    "ld": 2,  # LDR not behind another LDR: address and data phase
    "ldp": 0,  # LDR behind an LDR whose result its address does not use: pipelined
    "ldpu": 0,
    "luse": 0,  # the instruction behind a load reads its result
    "ldlit": 0,
    "agu": 0,
    "aguld": 0,
    "unal": 0,
    # stores go through the write buffer
    "st": 0,
    "streg": 2,  # register offset: the address needs the adder's cycle
    "st_ld": 2,  # LDR behind STR waits for the store's address phase
    "ldst": -2,  # STR behind LDR hides the load's data phase
    # several words
    "ldmN": 2,  # per register
    "stmN": 2,
    "ldrd": 4,
    "strd": 4,
    "vld": 2,  # per word
    "vst": 2,
    # floating point and divide
    "vmov2": 2,  # two core registers at once (DDI 0439); the counts agree
    "vmla": 4,
    "vdiv": 26,
    "vuse": 2,  # result used by the next instruction
    "div": 10,  # typical
    # the fetch unit
    "wu3": 1,  # every three 32-bit instructions in a row at 2 mod 4
    "tin_wu": 2,  # branch lands on a 32-bit instruction at 2 mod 4: a second fetch
    # taken branches
    "t_b": 2,
    "t_bc": 2,
    "t_cbz": 2,
    "t_bl": 2,
    "t_bx": 2,
    "t_poppc": 4,
    "t_ldrpc": 6,
    "tb": 0,  # TBB, TBH themselves
    "t_tb": 8,
    "nt_bc": 0,
    # exceptions: 12 cycles in (Arm DDI 0439, 3.9.1); the return is an estimate
    "exc": 24,
    "exret": 20,
    "pair": 0,  # issued together with the instruction before: not on this core
}


def prices(first_load_extra: int = 0) -> dict[str, int]:
    """Half cycles per class on a board whose unpipelined loads cost `first_load_extra` cycles more.

    Source of that constant: 1 on NUCLEO-L4R5ZI, 0 on STM32F407 (fitted on published counts).
    """
    return HALF_CYCLES | {"ld": HALF_CYCLES["ld"] + 2 * first_load_extra}
