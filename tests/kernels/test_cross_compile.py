"""Every kernel for Cortex-M4 with both compilers: no warning, no divide, no call outside."""

import shutil
import subprocess
import sys
from pathlib import Path

import capstone
import pytest
from elftools.elf.elffile import ELFFile

from edgeq.kernels import KERNELS
from tests.hang import HANG_S
from tests.kernels.cross_kernels import command
from tests.kernels.host_kernels import FOLDER

LIBRARY = {"memcpy", "memset", "memmove"}  # the runtime has them; compilers make them of loops


def mnemonics(objects: list[Path]) -> list[str]:
    """Every instruction of the objects."""
    thumb = capstone.Cs(capstone.CS_ARCH_ARM, capstone.CS_MODE_THUMB | capstone.CS_MODE_MCLASS)
    thumb.skipdata = True
    codes = [code for path in objects for code in sections(path)]
    return [i.mnemonic for code in codes for i in thumb.disasm(code, 0)]


def sections(path: Path) -> list[bytes]:
    with path.open("rb") as file:
        return [s.data() for s in ELFFile(file).iter_sections() if s.name.startswith(".text")]


def symbols(path: Path) -> tuple[set[str], set[str]]:
    """(defined, wanted) symbols of an object."""
    with path.open("rb") as file:
        table = ELFFile(file).get_section_by_name(".symtab")
        every = [s for s in table.iter_symbols() if s.name.startswith(("edgeq", "__", "mem"))]
    wanted = {s.name for s in every if s["st_shndx"] == "SHN_UNDEF"}
    return {s.name for s in every} - wanted, wanted


def test_nothing_divides(objects: list[Path]) -> None:
    names = mnemonics(objects)
    assert len(names) > 1000
    assert not [n for n in names if "div" in n]


def test_no_call_through_a_pointer(objects: list[Path]) -> None:
    """Row products and tap weights are passed as functions; the compiler resolves every one."""
    assert "blx" not in mnemonics(objects)


def test_every_kernel_is_there(objects: list[Path]) -> None:
    defined = set().union(*(symbols(path)[0] for path in objects))
    assert {k.name for k in KERNELS} <= defined


@pytest.mark.parametrize("kind", ["gcc", "zig"])
def test_a_divide_would_be_seen(kind: str, tmp_path: Path) -> None:
    """The negative case of the two guards above it."""
    source = tmp_path / "divide.c"
    source.write_text("int f(int a, int b, int (*g)(int)) { return g(a / b) + 1; }\n")
    built = [*command(kind), "-O2", "-g0", "-c", str(source), "-o", str(tmp_path / "divide.o")]
    subprocess.run(built, capture_output=True, timeout=HANG_S, check=True)
    assert {"sdiv", "blx"} <= set(mnemonics([tmp_path / "divide.o"]))


def test_calls_stay_inside(objects: list[Path]) -> None:
    """No libgcc or compiler-rt function: a 64-bit shift or product is inlined."""
    pairs = [symbols(path) for path in objects]
    defined = set().union(*(d for d, _ in pairs))
    assert set().union(*(w for _, w in pairs)) - defined <= LIBRARY


def test_clang_format() -> None:
    tool = shutil.which("clang-format", path=str(Path(sys.executable).parent))
    if tool is None:
        pytest.skip("no clang-format beside this Python (pip install clang-format)")
    files = [str(p) for p in sorted(FOLDER.glob("*.[ch]"))]
    style = f"--style=file:{FOLDER.parent.parent / '.clang-format'}"
    run = subprocess.run(
        [tool, "--dry-run", "-Werror", style, *files],
        capture_output=True,
        text=True,
        timeout=HANG_S,
        check=False,
    )
    assert run.returncode == 0, run.stderr
