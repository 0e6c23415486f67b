"""Follows the input through an inference, instruction by instruction, to every branch.

Registers, flags and bytes that derive from the input are marked, generously. If no condition, no
predicated access and no target of a jump is marked, the next instruction never depends on the
input; so, by induction from the first one, every input takes the very path that was traced, and a
path costs a fixed number of cycles where no instruction's own time follows its operands (`audit`).
One trace is a proof for all inputs, not a sample. It rests on: capstone's operands; stores whose
address derives from the input (a score that is overwritten) stay inside their object.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from capstone import CS_GRP_CALL, CS_GRP_JUMP, CsInsn  # type: ignore[import-untyped]
from capstone import arm as a

from edgeq.constant_time.call_graph import Function
from edgeq.constant_time.operands import (
    ALWAYS,
    CV,
    LR,
    NUMBER,
    NZ,
    PC,
    Masks,
    accesses_memory,
    condition_mask,
    mask_of,
    masks,
    plain_name,
)
from edgeq.constant_time.taint import Taint
from edgeq.errors import BadInput
from edgeq.sim import Machine

BRANCH, ACCESS, JUMP = "branches", "loads or stores under a condition", "jumps to an address"
LOOK_UP, SCATTER = "loads from an address", "stores to an address"
DECIDES = (BRANCH, ACCESS, JUMP)  # what would make the path, so the time, depend on the input
VFP_MOVES = {
    a.ARM_INS_VMOV, a.ARM_INS_VLDR, a.ARM_INS_VSTR, a.ARM_INS_VPUSH, a.ARM_INS_VPOP,
    a.ARM_INS_VLDMIA, a.ARM_INS_VSTMIA, a.ARM_INS_VLDMDB, a.ARM_INS_VSTMDB,
}  # fmt: skip
CALLS = (a.ARM_INS_BL, a.ARM_INS_BLX)
BYTES = {"b": 1, "h": 2}
Step = Callable[[], None]


@dataclass(frozen=True)
class Trace:
    """Instructions executed, and how often each (function, what it does) met the input's data."""

    instructions: int
    found: Mapping[tuple[str, str], int]

    def sites(self, *kinds: str) -> dict[str, int]:
        """Executions by function of what derives from the input, of these kinds."""
        return {f: n for (f, kind), n in self.found.items() if kind in kinds}


# r0 to r2: the most that a watched function takes
ARGUMENTS = (a.ARM_REG_R0, a.ARM_REG_R1, a.ARM_REG_R2)


class Tracer:
    """Marks what derives from the input while the machine runs. `functions`: all it may run."""

    def __init__(self, machine: Machine, functions: Iterable[Function], taint: Taint) -> None:
        self.taint = taint
        self.on = False
        self.instructions = 0
        self.entered: dict[int, tuple[int, ...]] = {}  # watched function -> its arguments
        self._watched: frozenset[int] = frozenset()
        self._readers = {r: machine.register_reader(r) for r in NUMBER}
        self._steps: dict[int, Step] = {}
        self._names: dict[int, str] = {}
        self._failed: BaseException | None = None
        for function in functions:
            self._decode(function)
        machine.on_instruction(self._on_instruction)

    def _decode(self, function: Function) -> None:
        code = function.instructions
        for i, one in enumerate(code):
            self._names[one.address] = function.name
            if one.id == a.ARM_INS_IT:
                length = len(one.mnemonic) - 1
                self._steps[one.address] = self._condition_step(code[i + 1 : i + 1 + length])
            else:
                self._steps[one.address] = self._step(one)

    def _on_instruction(self, _engine: int, address: int, _size: int) -> None:
        if not self.on:
            return
        try:
            self.instructions += 1
            if address in self._watched:
                arguments = tuple(self._readers[r]() for r in ARGUMENTS)
                self.entered.setdefault(address, arguments)
            self._steps[address]()
        except BaseException as error:  # C would swallow it
            self._failed = self._failed or error

    def watch(self, functions: Iterable[int]) -> None:
        """Note the first three arguments of these functions when they are entered."""
        self._watched = frozenset(functions)

    def finish(self) -> Trace:
        """What was found. Raises BadInput when the run left the code that was read."""
        self.on = False
        if isinstance(self._failed, KeyError):
            where = f"0x{self._failed.args[0]:x}"
            raise BadInput(f"the inference ran code at {where} that its call graph lacks")
        if self._failed is not None:
            raise self._failed
        found: dict[tuple[str, str], int] = {}
        for (address, kind), count in sorted(self.taint.found.items()):
            key = (self._names[address], kind)
            found[key] = found.get(key, 0) + count
        return Trace(self.instructions, found)

    def _step(self, one: CsInsn) -> Step:
        if one.mnemonic.startswith("v") and one.id not in VFP_MOVES:
            raise BadInput(f"'{one.mnemonic}' at 0x{one.address:x}: floating point is not traced")
        if accesses_memory(one):
            return self._memory_step(one)
        if {CS_GRP_JUMP, CS_GRP_CALL} & set(one.groups):
            return self._branch_step(one)
        return self._plain_step(one)

    def _plain_step(self, one: CsInsn) -> Step:
        mask, taint = masks(one), self.taint
        reads, writes, keep = mask.reads, mask.writes, ~mask.clears
        condition = condition_mask(one)

        def step() -> None:
            if taint.registers & reads:
                taint.registers |= writes
            else:
                taint.registers &= keep

        def under_condition() -> None:
            if taint.registers & condition:
                taint.registers |= writes
            else:
                step()

        return under_condition if condition else step

    def _branch_step(self, one: CsInsn) -> Step:
        taint, address = self.taint, one.address
        registers = mask_of([o.reg for o in one.operands if o.type == a.ARM_OP_REG])
        compares = one.mnemonic.startswith("cb")
        reads = registers | condition_mask(one)
        kind = BRANCH if compares or one.cc not in ALWAYS else JUMP
        keep = ~LR if CS_GRP_CALL in one.groups or one.id in CALLS else -1

        def step() -> None:
            if taint.registers & reads:
                taint.found[address, kind] += 1
            taint.registers &= keep

        return step

    def _condition_step(self, block: tuple[CsInsn, ...]) -> Step:
        """IT: whether its instructions run may depend on the input; false ones are not reported."""
        taint = self.taint
        parts = [(one.address, condition_mask(one), _plain_masks(one)) for one in block]

        def step() -> None:
            flags = taint.registers & (NZ | CV)
            for address, condition, mask in parts:
                if flags & condition and mask is None:
                    taint.found[address, ACCESS] += 1
                elif flags & condition and mask is not None:
                    taint.registers |= mask.writes
                if mask is not None and taint.registers & mask.reads:
                    flags |= mask.writes & (NZ | CV)

        return step

    def _memory_step(self, one: CsInsn) -> Step:
        name = plain_name(one)
        if name.startswith(("tb",)):
            return self._table_step(one)
        if re.match(r"v?(ldm|stm|push|pop)", name):
            return self._many_step(one, name)
        return self._single_step(one, name)

    def _table_step(self, one: CsInsn) -> Step:
        taint, address = self.taint, one.address
        memory = next(o.mem for o in one.operands if o.type == a.ARM_OP_MEM)
        reads = mask_of([memory.base, memory.index])

        def step() -> None:
            if taint.registers & reads:
                taint.found[address, JUMP] += 1

        return step

    def _single_step(self, one: CsInsn, name: str) -> Step:
        """LDR, STR and kin; LDRD and STRD move two words."""
        taint, where = self.taint, one.address
        operand = next(o for o in one.operands if o.type == a.ARM_OP_MEM)
        after = any(o.type == a.ARM_OP_IMM for o in one.operands)  # [rn], #imm
        memory, shift = operand.mem, operand.shift.value
        displacement = 0 if after else memory.disp
        moved = mask_of([o.reg for o in one.operands if o.type == a.ARM_OP_REG])
        through = mask_of([memory.base, memory.index]) & ~PC
        words = [mask_of([o.reg]) for o in one.operands if o.type == a.ARM_OP_REG]
        size = _bytes_of(name) if name[0] != "v" else 4 * moved.bit_count()
        at = [4 * n for n in range(len(words))]  # LDRD, STRD: a register each
        base = self._readers.get(memory.base)
        index = self._readers.get(memory.index) if memory.index else None
        assert base is not None
        if memory.base == a.ARM_REG_PC:  # a literal: flash
            return self._clearing(moved)

        def place() -> int:
            at = base() + displacement
            return at if index is None else (at + (index() << shift)) & 0xFFFFFFFF

        def load() -> None:
            if taint.registers & through:
                taint.found[where, LOOK_UP] += 1
                taint.registers |= moved
            else:
                first = place()
                for offset, word in zip(at, words, strict=True):
                    if taint.marked(first + offset, size):
                        taint.registers |= word
                    else:
                        taint.registers &= ~word
            if moved & PC and taint.registers & PC:
                taint.found[where, JUMP] += 1
                taint.registers &= ~PC

        def store() -> None:
            if taint.registers & through:
                taint.found[where, SCATTER] += 1
                if not taint.mark_object(place()):
                    taint.found[where, JUMP] += 1  # into the stack: nothing is certain after it
            else:
                first = place()
                for offset, word in zip(at, words, strict=True):
                    taint.mark(first + offset, size, bool(taint.registers & word))

        return load if name.startswith(("ldr", "vldr")) else store

    def _clearing(self, written: int) -> Step:
        taint = self.taint

        def step() -> None:
            taint.registers &= ~written

        return step

    def _many_step(self, one: CsInsn, name: str) -> Step:
        """LDM, STM, PUSH, POP: the lowest register at the lowest address."""
        taint, where = self.taint, one.address
        stack = name.endswith(("push", "pop"))
        listed = [o.reg for o in one.operands if o.type == a.ARM_OP_REG][0 if stack else 1 :]
        every = mask_of(listed)
        bits = [1 << n for n in range(every.bit_length()) if every >> n & 1]
        base = self._readers[a.ARM_REG_SP if stack else one.operands[0].reg]
        through = 1 << (13 if stack else NUMBER[one.operands[0].reg])
        down = name.endswith(("push", "db"))
        start = -4 * len(bits) if down else 0
        loads = "ldm" in name or "pop" in name

        def step() -> None:
            if taint.registers & through:
                taint.found[where, JUMP] += 1
            at = base() + start
            for bit in bits:
                if not loads:
                    taint.mark(at, 4, bool(taint.registers & bit))
                elif taint.marked(at, 4):
                    taint.registers |= bit
                else:
                    taint.registers &= ~bit
                at += 4
            if loads and taint.registers & PC:
                taint.found[where, JUMP] += 1
                taint.registers &= ~PC

        return step


def _plain_masks(one: CsInsn) -> Masks | None:
    """None for an access or a branch, whose time follows its condition."""
    jumps = {CS_GRP_JUMP, CS_GRP_CALL} & set(one.groups)
    return None if accesses_memory(one) or jumps else masks(one)


def _bytes_of(name: str) -> int:
    """Of a register that is loaded or stored: ldrb 1, ldrsh 2, ldr and ldrd 4."""
    kind = name[3:].removeprefix("s")[:1]
    return BYTES.get(kind, 4)
