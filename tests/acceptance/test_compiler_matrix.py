"""Six cells of the compiler matrix, and that its table is its record's."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from edgeq.resources import templates_dir
from tests import compiler_matrix as matrix
from tests.hang import HANG_S


def test_the_table_is_the_records() -> None:
    record = json.loads(matrix.RECORD.read_text(encoding="utf-8"))
    assert matrix.table(record) in matrix.PAGE.read_text(encoding="utf-8")
    said = {each for row in record["compilers"].values() for each in row["cells"].values()}
    assert said <= {"ok", matrix.NO_LINKER}
    assert matrix.ok_cells(record) >= LEAST_CELLS


LEAST_CELLS = 40


@pytest.mark.full
@pytest.mark.parametrize(("compiler", "flags"), matrix.IN_CI)
def test_a_cell(compiler: str, flags: str, tmp_path: Path) -> None:
    cell = matrix.Cell(compiler, flags)
    if not cell.here:
        pytest.skip(f"{compiler} is not installed")
    matrix.run_cell(cell, tmp_path)


@pytest.mark.full
def test_a_cell_that_answers_otherwise_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given, wanted, size, answer = matrix.expected()
    other = bytes([wanted[0] ^ 1]) + wanted[1:]
    monkeypatch.setattr(matrix, "expected", lambda: (given, other, size, answer))
    with pytest.raises(matrix.Failed, match="otherwise than the reference"):
        matrix.run_cell(matrix.Cell("gcc-12", "-O2"), tmp_path)


@pytest.mark.parametrize("core", ["cortex-m4", "cortex-m0plus"])
def test_a_portable_build_holds_no_assembly(core: str) -> None:
    compiler = shutil.which("arm-none-eabi-gcc")
    if compiler is None:
        pytest.skip("arm-none-eabi-gcc is not installed")
    files = sorted(templates_dir().glob("kernels/*.c"))
    flags = ("-std=c99", f"-mcpu={core}", "-mthumb", "-E", "-P")

    def assembly(*more: str) -> bool:
        command = [compiler, *flags, *more, *map(str, files)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=HANG_S)
        assert done.returncode == 0, done.stderr
        return re.search(r"\b(__asm__|asm)\b", done.stdout) is not None

    assert assembly()
    assert not assembly("-DEDGEQ_PORTABLE")
