"""Decodes a basic block once and says in which timing classes each instruction falls.

Capstone knows the encodings; the names of the classes are those of rules_cortex_m4.py. What a
class depends on is at most the instruction before, so a block can be classified alone.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from capstone import (  # type: ignore[import-untyped]
    CS_ARCH_ARM,
    CS_MODE_MCLASS,
    CS_MODE_THUMB,
    Cs,
    CsInsn,
)
from capstone import arm as a

from edgeq.sim.dual_issue import pairs
from edgeq.sim.encodings import (
    ARMV6M_WIDE,
    GROUPS,
    LOAD_MANY,
    LOADS,
    LONG_ACCUMULATE,
    SINGLE_CLASS,
    STORE_MANY,
    STORES,
    TAKEN_BY_ID,
    THUMB2,
    THUMB2_NARROW,
    VFP_LOADS,
    VFP_STORES,
    memory_operand,
)


@dataclass(frozen=True, slots=True)
class Access:
    """A single load or store: where its address comes from. Registers by capstone number."""

    is_load: bool
    base: int
    index: int
    shift: int
    displacement: int


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction of a block and its timing classes ("n" is in every one)."""

    address: int
    size: int
    classes: tuple[str, ...]
    access: Access | None


@dataclass(frozen=True, slots=True)
class Block:
    """A basic block. `taken` is the class added when it leaves by a taken branch ("" if none)."""

    start: int
    end: int
    instructions: tuple[Instruction, ...]
    taken: str
    conditional: bool
    starts_wide: bool
    uses_fpu: bool
    idles: bool  # nothing but a branch, NOP or hint: alone in a loop it never ends
    needs: dict[str, str]  # what a core may lack -> the first instruction that needs it


def disassembler() -> Cs:
    """Capstone for Thumb-2 of the M profile, with operand details."""
    engine = Cs(CS_ARCH_ARM, CS_MODE_THUMB | CS_MODE_MCLASS)
    engine.detail = True
    return engine


def decode_block(engine: Cs, code: bytes, start: int, dual_issue: bool = False) -> Block:
    """Classify `code`, a whole basic block that begins at address `start`.

    With `dual_issue`, what issues together with the instruction before it is in class "pair".
    """
    end = start + len(code)
    instructions: list[Instruction] = []
    before: CsInsn | None = None
    wide_run = 0
    paired = False
    uses_fpu = False
    idles = True
    needs: dict[str, str] = {}
    last: CsInsn | None = None
    for address, size, insn in _walk(engine, code, start):
        classes = ("n",) if insn is None else ("n", *_classes(insn, before))
        wide_run = wide_run + 1 if size == 4 and address & 2 else 0
        if wide_run == 3:
            classes, wide_run = (*classes, "wu3"), 0
        paired = dual_issue and not paired and pairs(before, insn)
        classes = (*classes, "pair") if paired else classes
        access = _access(insn) if insn is not None else None
        instructions.append(Instruction(address, size, classes, access))
        uses_fpu |= insn is not None and insn.mnemonic.startswith("v")
        idles &= insn is not None and insn.id in (a.ARM_INS_B, a.ARM_INS_HINT, a.ARM_INS_NOP)
        if insn is not None:
            for feature in _features(size, insn):
                needs.setdefault(feature, f"'{insn.mnemonic} {insn.op_str}' (at 0x{address:08x})")
        before = last = insn
    taken = _taken(last) if last is not None else ""
    return Block(
        start=start,
        end=end,
        instructions=tuple(instructions),
        taken=taken,
        conditional=last is not None and _conditional(last),
        starts_wide=bool(instructions) and instructions[0].size == 4,
        uses_fpu=uses_fpu,
        idles=idles,
        needs=needs,
    )


def _walk(engine: Cs, code: bytes, start: int) -> Iterator[tuple[int, int, CsInsn | None]]:
    """(address, size, instruction), None where capstone knows no such encoding."""
    offset = 0
    while offset < len(code):
        # one call for a whole run: capstone carries the IT state from instruction to instruction
        for insn in engine.disasm(code[offset:], start + offset):
            size = _size(code, offset)  # from the encoding: capstone calls PUSH.W two bytes
            yield start + offset, size, insn
            offset += size
        if offset < len(code):
            yield start + offset, _size(code, offset), None
            offset += _size(code, offset)


def _size(code: bytes, offset: int) -> int:
    return 4 if int.from_bytes(code[offset : offset + 2], "little") >= 0xE800 else 2


def _features(size: int, insn: CsInsn) -> tuple[str, ...]:
    """What the instruction needs that some core lacks; the emulator knows undefined ones."""
    armv6m = insn.id not in THUMB2_NARROW if size == 2 else insn.id in ARMV6M_WIDE
    beyond = () if armv6m else (THUMB2,)
    return (*beyond, *(GROUPS[group] for group in insn.groups if group in GROUPS))


def _classes(insn: CsInsn, before: CsInsn | None) -> tuple[str, ...]:
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


def _taken(insn: CsInsn) -> str:
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


def _conditional(insn: CsInsn) -> bool:
    if insn.id in (a.ARM_INS_CBZ, a.ARM_INS_CBNZ):
        return True
    return insn.cc not in (a.ARM_CC_AL, a.ARM_CC_INVALID)


def _access(insn: CsInsn) -> Access | None:
    if insn.id not in LOADS and insn.id not in STORES:
        return None
    memory = memory_operand(insn)
    after = any(part.type == a.ARM_OP_IMM for part in insn.operands)  # [rn], #imm: post-indexed
    shift = next((part.shift.value for part in insn.operands if part.type == a.ARM_OP_MEM), 0)
    displacement = 0 if after else memory.disp
    return Access(insn.id in LOADS, memory.base, memory.index, shift, displacement)
