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

from edgeq.sim.classes import conditional, taken_class, timing_classes
from edgeq.sim.dual_issue import pairs
from edgeq.sim.encodings import (
    ARMV6M_WIDE,
    GROUPS,
    LOADS,
    STORE_MANY,
    STORES,
    THUMB2,
    THUMB2_NARROW,
    VFP_LOADS,
    VFP_STORES,
    memory_operand,
)

IDLE = (a.ARM_INS_B, a.ARM_INS_HINT, a.ARM_INS_NOP)


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
    literals: tuple[int, ...]  # addresses of the constants it loads relative to the pc
    lowers_stack: bool
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
    words = list(_walk(engine, code, start))
    known = [(address, size, insn) for address, size, insn in words if insn is not None]
    last = words[-1][2] if words else None
    return Block(
        start=start,
        end=start + len(code),
        instructions=tuple(_instructions(words, dual_issue)),
        taken=taken_class(last) if last is not None else "",
        conditional=last is not None and conditional(last),
        starts_wide=bool(words) and words[0][1] == 4,
        uses_fpu=any(insn.mnemonic.startswith("v") for _, _, insn in known),
        idles=len(known) == len(words) and all(insn.id in IDLE for _, _, insn in known),
        literals=tuple(_literals(known)),
        lowers_stack=any(_lowers_stack(insn) for _, _, insn in known),
        needs=_needs(known),
    )


def _instructions(
    words: list[tuple[int, int, CsInsn | None]], dual_issue: bool
) -> Iterator[Instruction]:
    before: CsInsn | None = None
    wide_run, paired = 0, False
    for address, size, insn in words:
        classes = ("n",) if insn is None else ("n", *timing_classes(insn, before))
        wide_run = wide_run + 1 if size == 4 and address & 2 else 0
        if wide_run == 3:
            classes, wide_run = (*classes, "wu3"), 0
        paired = dual_issue and not paired and pairs(before, insn)
        classes = (*classes, "pair") if paired else classes
        yield Instruction(address, size, classes, None if insn is None else _access(insn))
        before = insn


def _literals(known: list[tuple[int, int, CsInsn]]) -> Iterator[int]:
    for address, _, insn in known:
        if insn.id in LOADS | VFP_LOADS and _is_literal(insn):
            yield (address & ~3) + 4 + memory_operand(insn).disp


def _is_literal(insn: CsInsn) -> bool:
    memory = [part.mem for part in insn.operands if part.type == a.ARM_OP_MEM]
    return bool(memory) and memory[0].base == a.ARM_REG_PC and not memory[0].index


def _lowers_stack(insn: CsInsn) -> bool:
    if insn.id in (a.ARM_INS_PUSH, a.ARM_INS_VPUSH):
        return True
    stores = insn.id in STORES | STORE_MANY | VFP_STORES
    computes = insn.id in (a.ARM_INS_SUB, a.ARM_INS_SUBW, a.ARM_INS_ADD, a.ARM_INS_MOV)
    return (stores or computes) and a.ARM_REG_SP in insn.regs_access()[1]


def _needs(known: list[tuple[int, int, CsInsn]]) -> dict[str, str]:
    needs: dict[str, str] = {}
    for address, size, insn in known:
        for feature in _features(size, insn):
            needs.setdefault(feature, f"'{insn.mnemonic} {insn.op_str}' (at 0x{address:08x})")
    return needs


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


def _access(insn: CsInsn) -> Access | None:
    if insn.id not in LOADS and insn.id not in STORES:
        return None
    memory = memory_operand(insn)
    after = any(part.type == a.ARM_OP_IMM for part in insn.operands)  # [rn], #imm: post-indexed
    shift = next((part.shift.value for part in insn.operands if part.type == a.ARM_OP_MEM), 0)
    displacement = 0 if after else memory.disp
    return Access(insn.id in LOADS, memory.base, memory.index, shift, displacement)
