"""Which neighbours a Cortex-M7 issues in one cycle, as far as one basic block tells.

From LLVM's ARMScheduleM7.td and measurements published for STM32H7 (quinapalus.com/cm7cycles.html):
two loads pair when they hit different banks (here: same base, offsets that differ in bit 2), a
store pairs with anything but a store or a multiply; multiplies, bit-field and DSP instructions and
floating-point arithmetic do not pair with their like; what moves several registers, divides or
touches special registers issues alone. The second may read what the first computes only if that is
an unshifted add, subtract or move, or if it stores it.
"""

from capstone import CsInsn  # type: ignore[import-untyped]
from capstone import arm as a

from edgeq.sim.encodings import (
    LOAD_MANY,
    LOADS,
    SINGLE_CLASS,
    STORE_MANY,
    STORES,
    VFP_LOADS,
    VFP_STORES,
    memory_operand,
)

EARLY = {a.ARM_INS_ADD, a.ARM_INS_ADDW, a.ARM_INS_SUB, a.ARM_INS_SUBW, a.ARM_INS_MOV,
         a.ARM_INS_MOVW, a.ARM_INS_MOVT}  # fmt: skip
ALONE = {"div", "psr", "ldrd", "strd", "tb", "vdiv", "it"}
FLAGS = a.ARM_REG_CPSR
MULTIPLIES = "mul", "mla", "mls", "sml", "smu", "uml", "umu", "uma", "smm"
SLOT_0 = "bf", "sbfx", "ubfx", "rev", "rbit", "clz", "sx", "ux", "pkh"


def pairs(older: CsInsn | None, younger: CsInsn | None) -> bool:
    """True if `younger` issues in the cycle of `older`, which shares it with no other yet."""
    if older is None or younger is None:
        return False
    kinds = _kind(older), _kind(younger)
    if "alone" in kinds or not _together(kinds, older, younger):
        return False
    written = set(older.regs_access()[1])
    read = set(younger.regs_access()[0])
    if kinds[1] == "store":
        read -= {operand.reg for operand in younger.operands if operand.type == a.ARM_OP_REG}
    shared = written & read
    return not shared or (shared == {FLAGS} and kinds[1] == "branch") or _forwards(older, kinds[1])


def _together(kinds: tuple[str, str], older: CsInsn, younger: CsInsn) -> bool:
    if kinds == ("load", "load"):
        return _other_bank(older, younger)
    if set(kinds) == {"store", "multiply"}:
        return False
    return kinds[0] != kinds[1] or kinds[0] == "alu"


def _kind(insn: CsInsn) -> str:
    if insn.id in LOADS | VFP_LOADS - {a.ARM_INS_VLDMIA, a.ARM_INS_VLDMDB, a.ARM_INS_VPOP}:
        return "load"
    if insn.id in STORES | {a.ARM_INS_VSTR}:
        return "store"
    single = SINGLE_CLASS.get(insn.id) in ALONE
    if single or insn.id in LOAD_MANY | STORE_MANY | VFP_LOADS | VFP_STORES:
        return "alone"
    return _arithmetic(insn)


def _arithmetic(insn: CsInsn) -> str:
    name = insn.mnemonic
    if a.ARM_GRP_JUMP in insn.groups or a.ARM_GRP_CALL in insn.groups:
        return "branch"
    if name.startswith("v"):
        return "vfp"
    if name.startswith(MULTIPLIES):
        return "multiply"
    dsp = a.ARM_GRP_THUMB2DSP in insn.groups or a.ARM_GRP_T2EXTRACTPACK in insn.groups
    return "slot0" if dsp or name.startswith(SLOT_0) else "alu"


def _other_bank(older: CsInsn, younger: CsInsn) -> bool:
    first, second = memory_operand(older), memory_operand(younger)
    plain = not (first.index or second.index) and first.base == second.base
    return plain and bool((first.disp ^ second.disp) & 4)


def _forwards(older: CsInsn, kind: str) -> bool:
    unshifted = all(operand.shift.type == a.ARM_SFT_INVALID for operand in older.operands)
    return kind == "alu" and older.id in EARLY and unshifted
