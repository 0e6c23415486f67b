"""Cortex-M7 timing: what each class of instruction costs, in half cycles.

Unvalidated, and the roughest of the tables: a dual-issue core whose prediction and banking cannot
be told from one basic block. Code and data are taken to be in tightly coupled memory or in the
caches. An instruction issued together with the one before (class `pair`, decided in dual_issue.py)
costs nothing; branches are predicted, so a taken one costs its slot and a mispredicted one, 6 to 8
cycles on silicon, is not modelled. Sources: the scheduling model of LLVM (ARMScheduleM7.td) and
published measurements on STM32H7 (quinapalus.com/cm7cycles.html). The classes are those of
rules_cortex_m4.py.
"""

RULES_VERSION = "cortex-m7/1 (unvalidated: dual issue by rule, no mispredictions)"

HALF_CYCLES: dict[str, int] = {
    "n": 2,  # every instruction: one issue slot of a cycle
    "pair": -2,  # shares the slot of the instruction before
    "it": 0,
    "mla": 0,
    "mul_l": 0,
    "mlal": 0,
    "nops": 0,
    "psr": 4,  # MRS, MSR, barriers: single issue, 3 cycles (LLVM)
    # loads: one a cycle from cache or TCM, the result is late by one
    "ld": 0,
    "ldp": 0,
    "ldpu": 0,
    "luse": 2,
    "ldlit": 0,
    "agu": 0,
    "aguld": 0,
    "unal": 0,
    "st": 0,
    "streg": 0,
    "st_ld": 0,
    "ldst": 0,
    # several words: two registers a cycle, alone
    "ldmN": 1,
    "stmN": 1,
    "ldrd": 0,
    "strd": 0,
    "vld": 0,
    "vst": 0,
    # floating point: latency 3, multiply-accumulate 5 to 6, divide 16 (measured, see above)
    "vmov2": 0,
    "vmla": 0,
    "vdiv": 30,
    "vuse": 4,
    "div": 12,  # 7 cycles, alone (LLVM)
    # fetches 64 bits a cycle
    "wu3": 0,
    "tin_wu": 0,
    # taken branches: predicted
    "t_b": 0,
    "t_bc": 0,
    "t_cbz": 0,
    "t_bl": 0,
    "t_bx": 0,
    "t_poppc": 2,
    "t_ldrpc": 2,
    "tb": 0,
    "t_tb": 4,
    "nt_bc": 0,
    # exceptions: 12 cycles in; the return is an estimate
    "exc": 24,
    "exret": 20,
}


def prices(first_load_extra: int = 0) -> dict[str, int]:
    """Half cycles per class on a board where a load costs `first_load_extra` cycles more."""
    return HALF_CYCLES | {"ld": HALF_CYCLES["ld"] + 2 * first_load_extra}
