"""In which timing classes an instruction falls, by itself and behind the one before it."""

from capstone import CsInsn  # type: ignore[import-untyped]
from capstone import arm as a

from edgeq.sim.encodings import (
    LOAD_MANY,
    LOADS,
    LONG_ACCUMULATE,
    SINGLE_CLASS,
    STORE_MANY,
    STORES,
    TAKEN_BY_ID,
    VFP_LOADS,
    VFP_STORES,
    memory_operand,
)


def timing_classes(insn: CsInsn, before: CsInsn | None) -> tuple[str, ...]:
    """The classes of `insn` behind `before`, besides "n": names of rules_cortex_m4.py."""
    return _own_classes(insn, before) + _load_use(insn, before)


def _load_use(insn: CsInsn, before: CsInsn | None) -> tuple[str, ...]:
    """The instruction before was a load whose result, not its written-back base, this one reads."""
    if before is None or before.id not in LOADS:
        return ()
    result = before.operands[0].reg
    return ("luse",) if result in insn.regs_access()[0] else ()


def _own_classes(insn: CsInsn, before: CsInsn | None) -> tuple[str, ...]:
    kind = insn.id
    if kind in LOADS:
        return _load_classes(insn, before)
    if kind in STORES:
        offset = ("streg",) if memory_operand(insn).index else ()
        behind_load = ("ldst",) if before is not None and before.id in LOADS else ()
        return ("st", *offset, *behind_load)
    if kind in LOAD_MANY or kind in STORE_MANY:
        return ("ldmN" if kind in LOAD_MANY else "stmN",) * _listed_registers(insn)
    if kind in VFP_LOADS:
        return ("vld",) * _vfp_words(insn)
    if kind in VFP_STORES:
        return ("vst",) * _vfp_words(insn) + _vfp_use(insn, before)
    if kind == a.ARM_INS_VMOV and len(insn.operands) > 2:
        return ("vmov2", *_vfp_use(insn, before))
    if insn.mnemonic == "nop" or insn.mnemonic == "nop.w":
        return ("nops",)
    if kind in LONG_ACCUMULATE:
        return ("mul_l", "mlal")
    name = SINGLE_CLASS.get(kind)
    return ((name,) if name else ()) + _vfp_use(insn, before)


def _load_classes(insn: CsInsn, before: CsInsn | None) -> tuple[str, ...]:
    memory = memory_operand(insn)
    literal = ("ldlit",) if memory.base == a.ARM_REG_PC else ()
    if before is not None and before.id in LOADS:
        _, written = before.regs_access()
        if not {memory.base, memory.index} & set(written):
            return ("ldp", *literal)
    if before is not None and before.id in STORES:
        return ("ld", "st_ld", *literal)
    return ("ld", *literal)


def _listed_registers(insn: CsInsn) -> int:
    base = 0 if insn.id in (a.ARM_INS_PUSH, a.ARM_INS_POP) else 1
    return len(insn.operands) - base


def _vfp_words(insn: CsInsn) -> int:
    names = [insn.reg_name(part.reg) for part in insn.operands if part.type == a.ARM_OP_REG]
    return sum({"s": 1, "d": 2}.get(name[0], 0) for name in names if name[1:].isdigit())


def _vfp_use(insn: CsInsn, before: CsInsn | None) -> tuple[str, ...]:
    """The instruction before was VFP arithmetic whose result this one reads."""
    if before is None or not before.mnemonic.startswith("v"):
        return ()
    if before.id in VFP_LOADS | VFP_STORES:
        return ()
    written = {name for reg in before.regs_access()[1] for name in _single(before, reg)}
    read = {name for reg in insn.regs_access()[0] for name in _single(insn, reg)}
    return ("vuse",) if written & read else ()


def _single(insn: CsInsn, register: int) -> tuple[str, ...]:
    name = insn.reg_name(register)
    if name[0] == "d" and name[1:].isdigit():
        return (f"s{2 * int(name[1:])}", f"s{2 * int(name[1:]) + 1}")
    return (name,) if name[0] == "s" and name[1:].isdigit() else ()


def taken_class(insn: CsInsn) -> str:
    """Class of a taken branch by this instruction, "" if it is none."""
    if insn.id == a.ARM_INS_B:
        return "t_b" if insn.cc in (a.ARM_CC_AL, a.ARM_CC_INVALID) else "t_bc"
    if insn.id in TAKEN_BY_ID:
        return TAKEN_BY_ID[insn.id]
    if a.ARM_REG_PC not in insn.regs_access()[1]:
        return ""
    if insn.id in LOAD_MANY:
        return "t_poppc"
    return "t_ldrpc" if insn.id in LOADS else "t_bx"


def conditional(insn: CsInsn) -> bool:
    """True if the instruction may leave the block or not."""
    if insn.id in (a.ARM_INS_CBZ, a.ARM_INS_CBNZ):
        return True
    return insn.cc not in (a.ARM_CC_AL, a.ARM_CC_INVALID)
