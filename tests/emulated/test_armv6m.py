"""The 64-bit functions of ARMv6-M against Python's integers, on the virtual Cortex-M0+."""

import random
from collections.abc import Callable
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile

from edgeq.board import load_board
from edgeq.errors import Toolchain
from edgeq.firmware_project import FirmwareProject
from edgeq.sim import Machine
from edgeq.toolchain import build, find_compiler, with_board

BOARD = load_board("virtual_m0plus")
WORD = 2**64 - 1
EDGES = (0, 1, 0xFFFF, 0x10000, 0xFFFFFFFF, 1 << 32, 1 << 63, WORD, 0x8000_0000, 0x1_FFFF_0001)
OPTIMIZE = ("-O0", "-O1", "-O2", "-O3")  # zig's -Os leaves no symbols to call by name
BUILDS = [
    pytest.param((kind, level), marks=() if level == "-O2" else pytest.mark.full, id=kind + level)
    for kind in ("gcc", "zig")
    for level in OPTIMIZE
]


def signed(value: int) -> int:
    return value - (1 << 64) if value >> 63 else value


FUNCTIONS: dict[str, Callable[[int, int], int]] = {
    "lmul": lambda a, b: a * b & WORD,
    "llsl": lambda a, bits: a << bits & WORD,
    "llsr": lambda a, bits: a >> bits,
    "lasr": lambda a, bits: signed(a) >> bits & WORD,
}


@pytest.fixture(scope="module", params=BUILDS)
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where one compiler at one level has built the calls."""
    kind, level = request.param
    main = (Path(__file__).parent / "armv6m_calls.c").read_bytes()
    try:
        compiler = find_compiler(kind)
    except Toolchain as error:
        pytest.skip(str(error))
    out = tmp_path_factory.mktemp(f"armv6m{kind}{level}")
    build(with_board(FirmwareProject({"main.c": main}), BOARD), BOARD, compiler, out, level)
    return out


def cases(name: str) -> list[tuple[int, int]]:
    numbers = random.Random(name)
    values = [*EDGES, *(numbers.getrandbits(64) for _ in range(30))]
    if name == "lmul":
        return [(a, b) for a in EDGES for b in EDGES] + list(zip(values, values[::-1], strict=True))
    return [(a, bits) for a in values for bits in (0, 1, 15, 31, 32, 33, 47, 63)]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_results_are_exact_and_cycles_the_same(name: str, folder: Path) -> None:
    machine = Machine(BOARD).load(folder / "firmware.elf")
    at = BOARD.ram.origin + 0x1000
    cycles = set()
    for a, b in cases(name):
        machine.write(at, a.to_bytes(8, "little") + b.to_bytes(8, "little"))
        cycles.add(machine.call(f"run_{name}", (at,)).cycles)
        result = int.from_bytes(machine.read(at, 8), "little")
        assert result == FUNCTIONS[name](a, b), f"{name}({a:#x}, {b:#x})"
    assert len(cycles) == 1, f"{name} takes {sorted(cycles)} cycles"


def test_they_call_nothing(folder: Path) -> None:
    """A compiler that knows the long product again would make the function call itself."""
    with (folder / "objects" / "port__armv6m__long_integers.o").open("rb") as file:
        elf = ELFFile(file)
        calls = [
            r
            for s in elf.iter_sections()
            if s["sh_type"] == "SHT_REL" and ".text" in s.name
            for r in s.iter_relocations()
            if r["r_info_type"] == 10  # R_ARM_THM_CALL
        ]
        symbols = elf.get_section_by_name(".symtab").iter_symbols()
        wanted = [s.name for s in symbols if s.name and s["st_shndx"] == "SHN_UNDEF"]
    assert not wanted
    if "-O0" not in folder.name:
        assert not calls


def test_cores_with_the_instructions_have_no_such_file() -> None:
    files = with_board(FirmwareProject({"main.c": b""}), load_board("virtual_m4")).files
    assert not [name for name in files if "armv6m" in name]
