"""Reads a linked ELF: section sizes, largest symbols, and the bytes that go to flash."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import Section, SymbolTableSection

from edgeq.board import Region
from edgeq.errors import Toolchain

_SHF_WRITE, _SHF_ALLOC = 1, 2
MAX_IMAGE_BYTES = 256 * 1024 * 1024
LARGEST = 5


@dataclass(frozen=True)
class ImageSizes:
    """Sizes in bytes. Initialised data counts in flash (its load image) and in RAM.

    `flash_bytes` is what is stored; `extent_bytes` is what it takes of the flash from its first
    byte to its last, the gaps of aligned sections too (.rodata behind a flash cache: up to a page).
    """

    sections: dict[str, int]
    flash_bytes: int
    extent_bytes: int
    static_bytes: int
    largest_flash: tuple[tuple[str, int], ...]
    largest_ram: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class _Section:
    index: int
    name: str
    load_address: int
    size: int
    stored: bool  # has bytes in the file, so takes flash
    in_ram: bool
    data: bytes


def _load_address(elf: ELFFile, section: Section) -> int:
    """The address the section is stored at: its segment's physical one, plus the offset in it."""
    header = section.header
    for segment in elf.iter_segments():
        start, size = segment.header.p_offset, segment.header.p_filesz
        if segment.header.p_type == "PT_LOAD" and start <= header.sh_offset < start + size:
            return int(segment.header.p_paddr + header.sh_offset - start)
    return int(header.sh_addr)


def _sections(elf: ELFFile, flash: Region | None = None) -> Iterator[_Section]:
    for index, section in enumerate(elf.iter_sections()):
        header = section.header
        if not header.sh_flags & _SHF_ALLOC or header.sh_size == 0:
            continue
        stored = header.sh_type != "SHT_NOBITS"
        place = _load_address(elf, section) if stored else int(header.sh_addr)
        yield _Section(
            index=index,
            name=section.name,
            load_address=flash.stored_at(place) if flash and stored else place,
            size=int(header.sh_size),
            stored=stored,
            in_ram=bool(header.sh_flags & _SHF_WRITE),
            data=section.data() if stored else b"",
        )


def _extent(sections: tuple[_Section, ...]) -> int:
    spans = [(s.load_address, s.load_address + s.size) for s in sections if s.stored]
    return max(end for _, end in spans) - min(start for start, _ in spans) if spans else 0


def _largest(elf: ELFFile, indices: set[int]) -> tuple[tuple[str, int], ...]:
    table = elf.get_section_by_name(".symtab")
    symbols = table.iter_symbols() if isinstance(table, SymbolTableSection) else ()
    sized = {
        (symbol.name, int(symbol.entry.st_size))
        for symbol in symbols
        if symbol.entry.st_shndx in indices and symbol.entry.st_size > 0
    }
    return tuple(sorted(sized, key=lambda item: (-item[1], item[0]))[:LARGEST])


def measure(elf_path: Path, flash: Region | None = None) -> ImageSizes:
    """Section sizes and the largest symbols of a firmware ELF; Toolchain if it is not one.

    `flash` is needed where loads see it elsewhere: the extent counts its two windows as one.
    """
    try:
        with elf_path.open("rb") as file:
            elf = ELFFile(file)
            sections = tuple(_sections(elf, flash))
            stored = {s.index for s in sections if s.stored}
            in_ram = {s.index for s in sections if s.in_ram}
            return ImageSizes(
                sections={s.name: s.size for s in sections},
                flash_bytes=sum(s.size for s in sections if s.stored),
                extent_bytes=_extent(sections),
                static_bytes=sum(s.size for s in sections if s.in_ram),
                largest_flash=_largest(elf, stored),
                largest_ram=_largest(elf, in_ram),
            )
    except (OSError, ELFError) as error:
        raise Toolchain(f"{elf_path} is not a firmware ELF: {error}") from error


def flash_image(elf_path: Path, flash: Region) -> bytes:
    """The bytes to write at the flash's origin, gaps filled with 0xFF (erased flash)."""
    origin = flash.origin
    with elf_path.open("rb") as file:
        stored = [s for s in _sections(ELFFile(file), flash) if s.stored]
    if not stored:
        raise Toolchain(f"{elf_path} holds nothing to flash")
    end = max(s.load_address + s.size for s in stored) - origin
    if min(s.load_address for s in stored) != origin or end > MAX_IMAGE_BYTES:
        raise Toolchain(f"{elf_path} does not start at the board's flash, 0x{origin:08X}")
    image = bytearray(b"\xff" * end)
    for section in stored:
        start = section.load_address - origin
        image[start : start + section.size] = section.data
    return bytes(image)
