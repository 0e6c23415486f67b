"""Cortex-M33 timing: what each class of instruction costs, in half cycles.

Unvalidated. Arm publishes no cycle counts for this core. The rules follow what is published of its
pipeline: two stages for ALU work and a third for multiplies and loaded data; addresses are made in
the second stage, so a load costs its cycle and one more only if the next instruction reads the
result; branches are resolved in the second stage. Against published counts of cryptographic code
the prices of the Cortex-M4 would be 5 % too low to 9 % too high: take that as the band of these
too. The limited dual issue of 16-bit pairs is not modelled. The classes are those of
rules_cortex_m4.py.
"""

RULES_VERSION = "cortex-m33/1 (unvalidated: from what is published of the pipeline)"

HALF_CYCLES: dict[str, int] = {
    "n": 2,  # every instruction: one cycle
    "it": 0,
    "mla": 0,
    "mul_l": 0,  # single-cycle multiply and accumulate
    "mlal": 0,
    "nops": 0,
    "psr": 0,
    # loads: address in the second stage, data in the third
    "ld": 0,
    "ldp": 0,
    "ldpu": 0,
    "luse": 2,  # the next instruction reads the result
    "ldlit": 0,
    "agu": 0,
    "aguld": 0,
    "unal": 0,
    "st": 0,
    "streg": 0,
    "st_ld": 0,
    "ldst": 0,
    # several words: 1 + N - 1
    "ldmN": 2,
    "stmN": 2,
    "ldrd": 2,
    "strd": 2,
    "vld": 0,
    "vst": 0,
    # floating point: the Cortex-M4's manual
    "vmov2": 2,
    "vmla": 4,
    "vdiv": 26,
    "vuse": 2,
    "div": 10,  # 2 to 11 by operand: typical
    # the fetch unit
    "wu3": 0,
    "tin_wu": 2,
    # taken branches: resolved in the second stage
    "t_b": 2,
    "t_bc": 2,
    "t_cbz": 2,
    "t_bl": 2,
    "t_bx": 2,
    "t_poppc": 4,
    "t_ldrpc": 6,
    "tb": 0,
    "t_tb": 6,
    "nt_bc": 0,
    # exceptions: 12 cycles in; the return is an estimate
    "exc": 24,
    "exret": 20,
    "pair": 0,
}


def prices(first_load_extra: int = 0) -> dict[str, int]:
    """Half cycles per class on a board where an unpipelined load costs `first_load_extra` more."""
    return HALF_CYCLES | {"ld": HALF_CYCLES["ld"] + 2 * first_load_extra}
