"""What a firmware may execute from one function on: its call graph and instructions, by capstone.

Edges are direct branches and calls, and every function whose address stands in read-only data
outside the vector table: the table of experts is called through pointers.
"""

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from capstone import CS_GRP_CALL, CS_GRP_JUMP, CsInsn  # type: ignore[import-untyped]
from capstone import arm as a
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

from edgeq.errors import BadInput
from edgeq.sim.decode import disassembler

DIVIDES = ("udiv", "sdiv", "vdiv", "vsqrt")
SHF_EXECINSTR, SHF_ALLOC = 4, 2


@dataclass(frozen=True)
class Function:
    """A function's instructions in order, with capstone's details."""

    name: str
    instructions: tuple[CsInsn, ...]

    @property
    def divides(self) -> tuple[str, ...]:
        """Mnemonics whose time depends on their operands."""
        return tuple(i.mnemonic for i in self.instructions if i.mnemonic.startswith(DIVIDES))


class CallGraph:
    """The functions and objects of an ELF by address. Raises BadInput without a symbol table."""

    def __init__(self, elf_path: Path) -> None:
        with elf_path.open("rb") as file:
            elf = ELFFile(file)
            self._read_code(elf)
            self._symbols(elf, elf_path)
            self._pointers = self._pointed_at(elf)
        self._starts = sorted(self._sizes)

    def _read_code(self, elf: ELFFile) -> None:
        self._code = {
            section["sh_addr"]: section.data()
            for section in elf.iter_sections()
            if section["sh_flags"] & SHF_EXECINSTR and section["sh_size"]
        }

    def _symbols(self, elf: ELFFile, path: Path) -> None:
        self._sizes: dict[int, int] = {}
        self._names: dict[int, str] = {}
        self._marks: list[tuple[int, str]] = []
        self.objects: list[tuple[int, int, str]] = []  # (address, bytes, name), sorted
        table = elf.get_section_by_name(".symtab")
        if not isinstance(table, SymbolTableSection):
            raise BadInput(f"{path} has no symbol table; link it with symbols")
        for symbol in table.iter_symbols():
            address, kind = symbol["st_value"], symbol["st_info"]["type"]
            if symbol.name[:2] in ("$t", "$d"):
                self._marks.append((address, symbol.name[1]))
            elif kind == "STT_FUNC" and symbol["st_size"]:
                self._sizes[address & ~1] = symbol["st_size"]
                self._names[address & ~1] = symbol.name
            elif kind == "STT_OBJECT":
                self.objects.append((address, symbol["st_size"], symbol.name))
        self._marks.sort()
        self.objects.sort()

    def _pointed_at(self, elf: ELFFile) -> set[int]:
        """Functions whose address is a word of constant data, the vector table left out."""
        found = set()
        for section in elf.iter_sections():
            if not section["sh_flags"] & SHF_ALLOC or section["sh_type"] != "SHT_PROGBITS":
                continue
            if "vector" in section.name or section.name == ".edgeq_weights":
                continue
            data = section.data()
            for at in range(0, len(data) - 3, 4):
                word = int.from_bytes(data[at : at + 4], "little")
                if word & 1 and word & ~1 in self._sizes:
                    found.add(word & ~1)
        return found

    def address(self, name: str) -> int:
        """Where the function called `name` begins; BadInput when there is none."""
        found = {n: a for a, n in self._names.items()}.get(name)
        if found is None:
            raise BadInput(f"the firmware has no function {name}; export the model again")
        return found

    def reachable(self, root: str) -> tuple[Function, ...]:
        """`root` and everything that it may call. Static functions may share a name."""
        waiting = [self.address(root), *sorted(self._pointers)]
        seen: dict[int, Function] = {}
        while waiting:
            start = waiting.pop()
            if start in seen:
                continue
            seen[start] = Function(self._names[start], tuple(self._disassembled(start)))
            for one in seen[start].instructions:
                target = branch_target(one)
                if target is not None and not start <= target < start + self._sizes[start]:
                    waiting.append(self._owner(target))
        return tuple(seen.values())

    def _owner(self, address: int) -> int:
        """The function that holds `address`; a branch into nothing is refused."""
        at = bisect_right(self._starts, address) - 1
        start = self._starts[at]
        if at < 0 or address >= start + self._sizes[start]:
            raise BadInput(f"a branch to 0x{address:x} meets no function: the graph has a hole")
        return start

    def _disassembled(self, start: int) -> Iterator[CsInsn]:
        decoder = disassembler()
        for first, last in self._code_ranges(start, start + self._sizes[start]):
            end = first
            for one in decoder.disasm(self._bytes(first, last), first):
                end = one.address + one.size
                yield one
            if end != last:
                raise BadInput(f"{self._names[start]}: no instruction at 0x{end:x}")

    def _code_ranges(self, start: int, end: int) -> Iterator[tuple[int, int]]:
        """Parts of a function that hold instructions, by the compiler's mapping symbols."""
        inner = [(a, k) for a, k in self._marks if start < a < end]
        kinds = [(start, "t"), *inner, (end, "")]
        for (first, kind), (last, _) in pairwise(kinds):
            if kind == "t" and first < last:
                yield first, last

    def _bytes(self, first: int, last: int) -> bytes:
        for base, data in self._code.items():
            if base <= first < base + len(data):
                return bytes(data[first - base : last - base])
        raise BadInput(f"no code at 0x{first:x}")


def branch_target(instruction: CsInsn) -> int | None:
    """Where a direct branch or call goes; None for anything else."""
    if not {CS_GRP_JUMP, CS_GRP_CALL} & set(instruction.groups):
        return None
    last = instruction.operands[-1]
    return int(last.imm) & ~1 if last.type == a.ARM_OP_IMM else None
