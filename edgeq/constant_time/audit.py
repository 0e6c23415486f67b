"""What the disassembly of an inference holds whose time may depend on operands. Nothing is run.

The walk covers every instruction that served_infer can reach: what it does not find is not there.
It cannot tell a loop's branch from one on data: `edgeq.constant_time.trace` does.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from capstone import CS_GRP_JUMP  # type: ignore[import-untyped]
from capstone import arm as a

from edgeq.constant_time.call_graph import CallGraph, Function
from edgeq.constant_time.operands import ALWAYS, accesses_memory

ROOT = "served_infer"
# Cortex-M3 TRM (DDI 0337), table 18-1: UMULL, SMULL 3 to 5 cycles, UMLAL, SMLAL 4 to 7, by operand
EARLY_MULTIPLIES = {"cortex-m3": ("umull", "smull", "umlal", "smlal")}
DIVISIONS = ("div", "sqrt", "mod")  # in the names of the compilers' own routines


@dataclass(frozen=True)
class Audit:
    """Everything below `root`: how much was read, and where time may follow operands.

    Each find is "function: mnemonic". `predicated`: loads, stores and branches in IT blocks, which
    cost less when their condition is false.
    """

    root: str
    functions: int
    instructions: int
    conditional_branches: int
    divides: tuple[str, ...]
    early_multiplies: tuple[str, ...]
    predicated: tuple[str, ...]

    @property
    def fixed_instructions(self) -> bool:
        """True if no instruction's own time depends on its operands."""
        return not (self.divides or self.early_multiplies)


def audit(elf: Path, core: str, root: str = ROOT) -> Audit:
    """Reads what `root` of a firmware may execute. BadInput where the walk has a hole."""
    every = CallGraph(elf).reachable(root)
    early = EARLY_MULTIPLIES.get(core, ())
    return Audit(
        root=root,
        functions=len(every),
        instructions=sum(len(f.instructions) for f in every),
        conditional_branches=sum(_conditional_branches(f) for f in every),
        divides=(*_divides(every), *_division_routines(every)),
        early_multiplies=tuple(
            f"{f.name}: {i.mnemonic}"
            for f in every
            for i in f.instructions
            if early and i.mnemonic.startswith(early)
        ),
        predicated=tuple(_predicated(every)),
    )


def _conditional_branches(function: Function) -> int:
    return sum(
        CS_GRP_JUMP in i.groups and (i.cc not in ALWAYS or i.mnemonic.startswith("cb"))
        for i in function.instructions
    )


def _divides(functions: tuple[Function, ...]) -> Iterator[str]:
    for function in functions:
        for mnemonic in function.divides:
            yield f"{function.name}: {mnemonic}"


def _division_routines(functions: tuple[Function, ...]) -> Iterator[str]:
    """libgcc's and compiler-rt's, such as __aeabi_uidiv: loops whose turns follow the operands."""
    for function in functions:
        if function.name.startswith("__") and any(word in function.name for word in DIVISIONS):
            yield f"{function.name}: a routine that divides"


def _predicated(functions: tuple[Function, ...]) -> Iterator[str]:
    for function in functions:
        for one in function.instructions:
            branches = CS_GRP_JUMP in one.groups and one.id not in (a.ARM_INS_B,)
            if one.cc not in ALWAYS and (accesses_memory(one) or branches):
                yield f"{function.name}: {one.mnemonic}"
