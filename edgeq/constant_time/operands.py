"""What an instruction reads and writes, as bit masks: registers 0 to 15, then flags.

Taken generously where capstone's lists are thin: a register too many that is read, or a flag too
few that is overwritten, can only make the trace find more.
"""

import re
from dataclasses import dataclass

from capstone import CsInsn  # type: ignore[import-untyped]
from capstone import arm as a

ALWAYS = (a.ARM_CC_AL, a.ARM_CC_INVALID)
NZ, CV, GE = 1 << 16, 1 << 17, 1 << 18
ON_NZ = (a.ARM_CC_EQ, a.ARM_CC_NE, a.ARM_CC_MI, a.ARM_CC_PL)
LR, PC = 1 << 14, 1 << 15
NUMBER = {getattr(a, f"ARM_REG_R{n}"): n for n in range(13)} | {
    a.ARM_REG_SP: 13,
    a.ARM_REG_LR: 14,
    a.ARM_REG_PC: 15,
}
# a register file that integer code keeps values in: S0 to S31, D0 to D15 over the same bits
VFP_MASKS = {getattr(a, f"ARM_REG_S{n}"): 1 << (20 + n) for n in range(32)} | {
    getattr(a, f"ARM_REG_D{n}"): 3 << (20 + 2 * n) for n in range(16)
}
COMPARES = {a.ARM_INS_CMP, a.ARM_INS_CMN, a.ARM_INS_TST, a.ARM_INS_TEQ}
ALL_FLAGS = re.compile(r"(add|sub|rsb|adc|sbc)s|cmp|cmn")  # the others leave C or V
SETS_GE = re.compile(r"[su](add8|sub8|add16|sub16|asx|sax)")
# two operands, of which the first is only written
COPIES = re.compile(r"movs?|mvns?|movw|[su]xt[bh]|[su]xtb16|rev(16|sh)?|clz|rbit|adr|negs?")
PRODUCTS = ("smull", "umull")  # of 64 bits, to two registers that are only written
LOADS_STORES = re.compile(r"(ldr|str|ldm|stm|push|pop|vldr|vstr|vldm|vstm|vpush|vpop|tbb|tbh)")


@dataclass(frozen=True)
class Masks:
    """`reads` (flags that it needs included), `writes`, and `clears`: the writes that are whole."""

    reads: int
    writes: int
    clears: int


def accesses_memory(one: CsInsn) -> bool:
    """Whether it loads or stores."""
    return LOADS_STORES.match(one.mnemonic) is not None


def plain_name(one: CsInsn) -> str:
    """The mnemonic without its width and the two letters of its condition."""
    name = str(one.mnemonic).split(".")[0]
    return name if one.cc in ALWAYS else name[:-2]


def mask_of(registers: list[int]) -> int:
    """Bits of the core's and the FPU's registers among capstone's numbers."""
    mask = 0
    for register in registers:
        mask |= 1 << NUMBER[register] if register in NUMBER else VFP_MASKS.get(register, 0)
    return mask


def condition_mask(one: CsInsn) -> int:
    """The flags that decide whether it executes; 0 if it always does."""
    if one.cc in ALWAYS:
        return 0
    return NZ if one.cc in ON_NZ else NZ | CV


def masks(one: CsInsn) -> Masks:
    """Of an instruction that neither loads, stores nor branches."""
    reads, writes = (mask_of(list(registers)) for registers in one.regs_access())
    operands = [o.reg for o in one.operands if o.type == a.ARM_OP_REG]
    if one.id == a.ARM_INS_VMOV:
        moved = mask_of(operands if len(one.operands) > 2 else operands[:1])
        return Masks(mask_of(operands[-1:]) | moved * (len(one.operands) > 2), moved, moved)
    name = plain_name(one)
    if name in PRODUCTS:
        return _with_flags(one, name, mask_of(operands[2:]), mask_of(operands[:2]))
    first = mask_of(operands[:1])
    reads |= mask_of(operands[1:])
    whole = len(one.operands) > 2 or COPIES.fullmatch(name)
    if one.id in COMPARES or not whole or re.match(r"movt|bf[ic]|[su]m[ul]?[al]|umaal", name):
        reads |= first  # also what it writes: two operands, an insertion, a long sum
    if one.id not in COMPARES:
        writes |= first
    if re.match(r"adc|sbc|rrx", name):
        reads |= CV
    if name.startswith("sel"):
        reads |= GE
    if name.startswith("mrs"):
        reads |= NZ | CV | GE
    return _with_flags(one, name, reads, writes)


def _with_flags(one: CsInsn, name: str, reads: int, writes: int) -> Masks:
    clears = writes
    if SETS_GE.fullmatch(name):
        writes, clears = writes | GE, clears | GE
    if one.update_flags or one.id in COMPARES or a.ARM_REG_CPSR in one.regs_access()[1]:
        writes |= NZ | CV
        clears |= NZ | CV if ALL_FLAGS.match(name) else NZ
    return Masks(reads | condition_mask(one), writes, clears)
