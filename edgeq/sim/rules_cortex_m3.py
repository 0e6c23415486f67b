"""Cortex-M3 timing: what each class of instruction costs, in half cycles.

The classes are those of rules_cortex_m4.py. Loads, stores and branches are the M4's: the pipelines
are alike (Arm DDI 0337, table 3-1 and 3.3.2 load/store timings). The multiplier is smaller:
DDI 0337 gives MLA 2, UMULL and SMULL 3 to 5, UMLAL and SMLAL 4 to 7 by their operands; the values
here fit cycle counts published for an STM32F207, which are met with 2.7 % mean error when each
unpipelined load costs one cycle more there (its board constant).
"""

RULES_VERSION = "cortex-m3/1"

# Armv7-M without DSP extension and FPU has none of these
ABSENT = ("vld", "vst", "vmov2", "vmla", "vdiv", "vuse")

HALF_CYCLES: dict[str, int] = {
    "n": 2,  # every instruction: one cycle
    "it": 0,
    "mla": 2,  # MLA, MLS: 2 cycles
    "mul_l": 6,  # UMULL, SMULL: 4 cycles, early termination averaged
    "mlal": 3,  # UMLAL, SMLAL: 5.5 cycles in all
    "nops": 0,
    "psr": 0,
    # loads
    "ld": 2,
    "ldp": 0,  # behind another load whose result its address does not use
    "ldpu": 0,
    "luse": 0,  # the instruction behind a load reads its result
    "ldlit": 0,
    "agu": 0,
    "aguld": 0,
    "unal": 0,
    # stores go through the write buffer
    "st": 0,
    "streg": 2,
    "st_ld": 2,
    "ldst": -2,
    # several words: 1 + N
    "ldmN": 2,
    "stmN": 2,
    "ldrd": 4,
    "strd": 4,
    "div": 10,  # 2 to 12 by operand: typical
    # the fetch unit
    "wu3": 1,
    "tin_wu": 2,
    # taken branches
    "t_b": 2,
    "t_bc": 2,
    "t_cbz": 2,
    "t_bl": 2,
    "t_bx": 2,
    "t_poppc": 4,
    "t_ldrpc": 6,
    "tb": 0,
    "t_tb": 8,
    "nt_bc": 0,
    # exceptions: 12 cycles in (Arm DDI 0337); the return is an estimate
    "exc": 24,
    "exret": 20,
    "pair": 0,
    **dict.fromkeys(ABSENT, 0),
}


def prices(first_load_extra: int = 0) -> dict[str, int]:
    """Half cycles per class on a board whose unpipelined loads cost `first_load_extra` cycles more.

    Source of that constant: 1 on STM32F207 (fitted on published counts).
    """
    return HALF_CYCLES | {"ld": HALF_CYCLES["ld"] + 2 * first_load_extra}
