"""Reads a bare-metal ELF: segments, entry and symbols. The file is data; nothing in it runs."""

import bisect
from dataclasses import dataclass
from pathlib import Path

from elftools.common.exceptions import ELFError
from elftools.elf.constants import SH_FLAGS
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection
from elftools.elf.segments import Segment as ElfSegment

from edgeq.errors import BadInput

MAX_ELF_BYTES = 64 << 20


@dataclass(frozen=True)
class Segment:
    """Bytes at their load address (flash) and at their run address (RAM for .data)."""

    load_address: int
    run_address: int
    data: bytes


@dataclass(frozen=True)
class Section:
    """What the linker placed: `holds_data` is False for .bss and its like."""

    name: str
    address: int
    size: int
    executable: bool
    writable: bool
    holds_data: bool

    @property
    def end(self) -> int:
        """The address behind it."""
        return self.address + self.size


@dataclass(frozen=True)
class Image:
    """A loaded ELF. `symbols` has no Thumb bit; `functions` is sorted (address, size, name)."""

    path: str
    entry: int
    segments: tuple[Segment, ...]
    sections: tuple[Section, ...]
    symbols: dict[str, int]
    functions: tuple[tuple[int, int, str], ...]

    def symbol(self, name: str) -> int:
        """Address of `name`; BadInput if the ELF has no such symbol."""
        if name not in self.symbols:
            raise BadInput(f"{self.path} has no symbol {name!r}; was it linked with symbols?")
        return self.symbols[name]

    def function_at(self, address: int) -> str:
        """Name of the function that holds `address`, or its hexadecimal form."""
        index = bisect.bisect_right(self.functions, (address, 1 << 32, "")) - 1
        if index >= 0:
            start, size, name = self.functions[index]
            if address < start + max(size, 2) or (size == 0 and address < start + 4096):
                return name
        return f"0x{address:08x}"


def load_elf(path: str | Path, machine: str = "EM_ARM") -> Image:
    """Read a 32-bit little-endian ELF executable of a machine. BadInput on anything else."""
    path = Path(path)
    try:
        if path.stat().st_size > MAX_ELF_BYTES:
            raise BadInput(f"{path} is larger than {MAX_ELF_BYTES} bytes; give a firmware ELF")
        with path.open("rb") as stream:
            return _read(path, ELFFile(stream), machine)
    except OSError as error:
        raise BadInput(f"cannot read the firmware {path}: {error.strerror}") from error
    except (ELFError, ValueError, KeyError, UnicodeDecodeError, TypeError) as error:
        raise BadInput(f"{path} is not a readable ELF file ({error}); build it again") from error


def _read(path: Path, elf: ELFFile, machine: str) -> Image:
    if elf["e_machine"] != machine or elf["e_type"] != "ET_EXEC" or not elf.little_endian:
        raise BadInput(
            f"{path} is {elf['e_machine']} {elf['e_type']}; this virtual board runs linked "
            f"little-endian executables ({machine}, ET_EXEC)"
        )
    if elf.elfclass != 32:
        raise BadInput(f"{path} is a {elf.elfclass}-bit ELF; build it for the board's 32-bit core")
    segments = tuple(
        Segment(part["p_paddr"], part["p_vaddr"], part.data())
        for part in elf.iter_segments()
        if part["p_type"] == "PT_LOAD" and part["p_filesz"] and _holds_sections(elf, part)
    )
    if not segments:
        raise BadInput(f"{path} has nothing to load; link it with a linker script")
    symbols, functions = _symbols(elf)
    return Image(str(path), elf["e_entry"], segments, _sections(elf), symbols, functions)


def _sections(elf: ELFFile) -> tuple[Section, ...]:
    return tuple(
        Section(
            name=part.name,
            address=part["sh_addr"],
            size=part["sh_size"],
            executable=bool(part["sh_flags"] & SH_FLAGS.SHF_EXECINSTR),
            writable=bool(part["sh_flags"] & SH_FLAGS.SHF_WRITE),
            holds_data=part["sh_type"] != "SHT_NOBITS",
        )
        for part in elf.iter_sections()
        if part["sh_flags"] & SH_FLAGS.SHF_ALLOC and part["sh_size"]
    )


def _holds_sections(elf: ELFFile, part: ElfSegment) -> bool:
    """False for a segment of nothing but ELF headers, which LLD adds when a script names none."""
    if not elf.num_sections():
        return True
    return any(
        section["sh_flags"] & SH_FLAGS.SHF_ALLOC and part.section_in_segment(section)
        for section in elf.iter_sections()
    )


def _symbols(elf: ELFFile) -> tuple[dict[str, int], tuple[tuple[int, int, str], ...]]:
    symbols: dict[str, int] = {}
    functions = []
    for section in elf.iter_sections():
        if not isinstance(section, SymbolTableSection):
            continue
        for entry in section.iter_symbols():
            name, kind = entry.name, entry["st_info"]["type"]
            if not name or name.startswith("$") or entry["st_shndx"] == "SHN_UNDEF":
                continue
            address = entry["st_value"]
            if kind == "STT_FUNC":
                address &= ~1
                functions.append((address, entry["st_size"], name))
            symbols.setdefault(name, address)
    return symbols, tuple(sorted(set(functions)))
