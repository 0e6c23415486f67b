"""Compilers and flags: every kernel and a model under each: python -m tests.compiler_matrix.

A cell compiles all kernel files and a model's library without a warning, links an application and
compares its answers with the reference's, on this computer or on the virtual Cortex-M4. The record
is docs/measured/compilers.json, its table in docs/portability.md.
"""

import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from edgeq.board import load_board
from edgeq.compiled import compile_graph, library
from edgeq.firmware_project import FirmwareProject
from edgeq.ir import Graph
from edgeq.kernels.table import V6M
from edgeq.passes.select_kernels import select_kernels
from edgeq.reference import run as reference
from edgeq.reporting.markdown import commit_of, write_table
from edgeq.resources import templates_dir
from edgeq.sim import Machine
from edgeq.toolchain import with_board
from edgeq.toolchain.assemble import INCLUDE_FOLDERS, sources
from tests.factory import input_rows, mixture_graph
from tests.hang import HANG_S

ROOT = Path(__file__).parents[1]
PAGE, RECORD = ROOT / "docs" / "portability.md", ROOT / "docs" / "measured" / "compilers.json"
BOARD = load_board("virtual_m4")
ROWS, SEED = 4, 11
WARNINGS = ("-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Wstrict-aliasing", "-Werror")
M4 = ("-mcpu=cortex-m4", "-mthumb", "-ffreestanding", "-ffunction-sections", "-nostdlib")
GCC_M4 = (*M4, "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16")
CLANG_M4 = ("--target=thumbv7em-none-eabi", *M4, "-mfloat-abi=soft")
HOST = {
    **{name: (name,) for name in ("gcc-11", "gcc-12")},
    **{name: (name,) for name in ("clang-13", "clang-14", "clang-16", "clang-19")},
    "zig cc": (sys.executable, "-m", "ziglang", "cc", "-fno-sanitize=undefined"),
}
CROSS = {
    "arm-none-eabi-gcc": ("arm-none-eabi-gcc", *GCC_M4),
    "clang-14, thumbv7em": ("clang-14", *CLANG_M4),
    "clang-19, thumbv7em": ("clang-19", *CLANG_M4),
}
FLAGS: dict[str, tuple[str, ...]] = {
    "-O0": ("-O0",),
    "-Og": ("-Og",),
    "-O2": ("-O2",),
    "-Os": ("-Os",),
    "-O3": ("-O3",),
    "LTO": ("-O2", "-flto"),
    "-fPIC": ("-O2", "-fPIC"),
    "-funsigned-char": ("-O2", "-funsigned-char"),
    "-fshort-enums": ("-O2", "-fshort-enums"),
    "strict aliasing": ("-O2", "-fstrict-aliasing"),
    "C11": ("-O2", "-std=c11"),
    "C17": ("-O2", "-std=c17"),
    "C23": ("-O2", "-std=c2x"),
    "-DEDGEQ_PORTABLE": ("-O2", "-pedantic", "-DEDGEQ_PORTABLE"),
    "from C++17": ("-O2",),
}
CXX = "from C++17"
NO_LINKER = "no part"  # a linker plug-in or C++ front end that is not installed
IN_CI = (
    ("gcc-12", "-DEDGEQ_PORTABLE"),
    ("gcc-12", CXX),
    ("clang-14", "C23"),
    ("arm-none-eabi-gcc", "-fshort-enums"),
    ("arm-none-eabi-gcc", "-DEDGEQ_PORTABLE"),
    ("arm-none-eabi-gcc", "LTO"),
)
CALLER = """#include "edgeq_{name}.h"
#define KEPT __attribute__((used))
#ifdef __cplusplus
extern "C" {{
extern int8_t input[], output[];
int answer(void);
}}
#else
int answer(void);
#endif
KEPT int8_t input[{macro}_INPUT_BYTES];
KEPT int8_t output[{macro}_OUTPUT_COUNT];
static {name}_context net;
KEPT int answer(void) {{
    {name}_init(&net);
    return {name}_infer(&net, input, output);
}}
"""
# clang calls these of its runtime, which gcc's libgcc does not hold
_RUNTIME = "".join(
    f"""
void __aeabi_memcpy{n}(void *to, const void *from, uint32_t bytes);
void __aeabi_memset{n}(void *to, uint32_t bytes, int value);
void __aeabi_memclr{n}(void *to, uint32_t bytes);
void __aeabi_memcpy{n}(void *to, const void *from, uint32_t bytes) {{ memcpy(to, from, bytes); }}
void __aeabi_memset{n}(void *to, uint32_t bytes, int value) {{ memset(to, value, bytes); }}
void __aeabi_memclr{n}(void *to, uint32_t bytes) {{ memset(to, 0, bytes); }}
"""
    for n in ("", "4", "8")
)
BOARD_MAIN = f"""#include <stdint.h>
int answer(void);
void *memcpy(void *to, const void *from, uint32_t bytes);
void *memset(void *to, int value, uint32_t bytes);
{_RUNTIME}
int main(void) {{ return answer(); }}
"""
HOST_MAIN = """#include <stdint.h>
#include <stdio.h>
extern int8_t input[{inputs}], output[{outputs}];
int answer(void);
int main(void) {{
    while (fread(input, 1, sizeof input, stdin) == sizeof input) {{
        if (answer() != 0) return 1;
        fwrite(output, 1, sizeof output, stdout);
    }}
    return 0;
}}
"""


@dataclass(frozen=True)
class Cell:
    """One compiler and one row of FLAGS."""

    compiler: str
    flags: str

    @property
    def cross(self) -> bool:
        """Whether the virtual board runs it."""
        return self.compiler in CROSS

    @property
    def command(self) -> tuple[str, ...]:
        """The compiler with what selects its target."""
        return (CROSS if self.cross else HOST)[self.compiler]

    @property
    def here(self) -> bool:
        """Whether the compiler is on this computer."""
        return shutil.which(self.command[0]) is not None


class Failed(Exception):
    """What a cell's compiler, linker or answers said."""


def graph() -> Graph:
    """A mixture with convolutions, on the kernels of a Cortex-M4."""
    made = mixture_graph(np.random.default_rng(SEED), rule="escalation", trunk="conv")
    return replace(select_kernels(made, BOARD.features), name="net")


@cache
def expected() -> tuple[bytes, bytes, int, int]:
    """Rows and the reference's answers, and the bytes of one of each."""
    rows = input_rows(np.random.default_rng(SEED), graph(), ROWS)
    answers = reference(graph(), rows).output.reshape(ROWS, -1)
    given, wanted = rows.astype(np.int8).tobytes(), answers.astype(np.int8).tobytes()
    return given, wanted, len(given) // ROWS, len(wanted) // ROWS


def _run(command: Sequence[object], folder: Path, given: bytes | None = None) -> bytes:
    done = subprocess.run(
        [str(w) for w in command], cwd=folder, input=given, capture_output=True, timeout=HANG_S
    )
    if done.returncode != 0 or (given is None and done.stderr):
        raise Failed((done.stderr + done.stdout).decode(errors="replace").strip()[-2000:])
    return done.stdout


def run_cell(cell: Cell, folder: Path) -> None:
    """Raises Failed where it warns, does not link or answers otherwise."""
    compiled = compile_graph(graph(), "net", "ab" * 32, weights_as="c")
    library(compiled, ("make",), "cortex-m4").write(folder / "library")
    of = {"name": "net", "macro": "NET", "inputs": expected()[2], "outputs": expected()[3]}
    cxx = cell.flags == CXX
    caller = "caller.cpp" if cxx else "caller.c"
    text = CALLER.format(**of)
    (folder / caller).write_text(text)
    _compile_kernels(cell, folder)
    (_on_the_board if cell.cross else _on_the_host)(cell, folder, caller, of)


def _flags(cell: Cell) -> tuple[str, ...]:
    flags = FLAGS[cell.flags]
    standard = () if any(flag.startswith("-std") for flag in flags) else ("-std=c99",)
    return (*standard, *flags, *WARNINGS)


def _compile_kernels(cell: Cell, folder: Path) -> None:
    """Every kernel file but those in another core's assembly."""
    out = folder / "kernels"
    out.mkdir()
    files = sorted((templates_dir() / "kernels").glob("*.c"))
    files = [f for f in files if not (cell.cross and f.stem.endswith(f"_{V6M}"))]
    if cell.command[0] == sys.executable:  # zig takes one file at a time
        for file in files:
            _run((*cell.command, *_flags(cell), "-c", file, "-o", f"{file.stem}.o"), out)
        return
    _run((*cell.command, *_flags(cell), "-c", *files), out)


def _objects(cell: Cell, folder: Path, files: Sequence[Path], includes: Sequence[str]) -> list[str]:
    names = []
    for number, file in enumerate(files):
        names.append(f"{number}.o")
        flags = _flags(cell)
        command = cell.command
        if file.suffix == ".cpp":
            flags = tuple(f if not f.startswith("-std") else "-std=c++17" for f in flags)
            flags = (*flags, "-fno-exceptions", "-fno-rtti")
            command = (*command, "-xc++")
        _run((*command, *flags, *includes, "-c", file, "-o", names[-1]), folder)
    return names


def _on_the_host(cell: Cell, folder: Path, caller: str, of: Mapping[str, Any]) -> None:
    (folder / "main.c").write_text(HOST_MAIN.format(**of))
    files = [folder / "main.c", folder / caller, *sorted((folder / "library/src").rglob("*.c"))]
    objects = _objects(cell, folder, files, ("-Ilibrary/src",))
    _run((*cell.command, *FLAGS[cell.flags], *objects, "-o", "program"), folder)
    if _run((folder / "program",), folder, expected()[0]) != expected()[1]:
        raise Failed("it answers otherwise than the reference")


def _on_the_board(cell: Cell, folder: Path, caller: str, of: Mapping[str, Any]) -> None:
    main = BOARD_MAIN.encode()
    bare = with_board(FirmwareProject({"main.c": main}), BOARD)
    bare.write(folder / "board")
    files = [*(folder / "board" / name for name in sources(bare)), folder / caller]
    files += sorted((folder / "library/src").rglob("*.c"))
    includes = [f"-Iboard/{each}" for each in INCLUDE_FOLDERS] + ["-Ilibrary/src"]
    objects = _objects(cell, folder, files, includes)
    gcc = ("arm-none-eabi-gcc", *GCC_M4) if cell.command[0] == "arm-none-eabi-gcc" else ()
    link = gcc or ("arm-none-eabi-gcc", *M4, "-mfloat-abi=soft")
    command = (*link, *FLAGS[cell.flags], *objects, "-Wl,--gc-sections", "-T", "board/linker.ld")
    _run((*command, "-lgcc", "-o", "app.elf"), folder)
    machine = Machine(BOARD).load(folder / "app.elf")
    given, wanted, size, answer = expected()
    said = b""
    for row in range(ROWS):
        machine.write(machine.symbol("input"), given[row * size : (row + 1) * size])
        if machine.call("answer").r0 != 0:
            raise Failed("the board refused a row")
        said += machine.read(machine.symbol("output"), answer)
    if said != wanted:
        raise Failed("the board answers otherwise than the reference")


def cells() -> Iterator[Cell]:
    """All of them."""
    for compiler in (*HOST, *CROSS):
        for flags in FLAGS:
            yield Cell(compiler, flags)


def table(record: Mapping[str, Any]) -> str:
    """What stands between the marks of docs/portability.md."""
    rows = record["compilers"]
    lines = ["| flags | " + " | ".join(rows) + " |", "|---|" + "---|" * len(rows)]
    for flags in FLAGS:
        said = [row["cells"].get(flags, "-") for row in rows.values()]
        lines.append(f"| {flags} | " + " | ".join(said) + " |")
    commits = ", ".join(f"{name} {row['commit']}" for name, row in rows.items())
    return "\n".join([*lines, "", f"{ok_cells(record)} cells ok. Commits: {commits}."])


def ok_cells(record: Mapping[str, Any]) -> int:
    """How many passed."""
    rows = record["compilers"].values()
    return sum(said == "ok" for row in rows for said in row["cells"].values())


def said_of(cell: Cell) -> str:
    """Runs a cell: "ok", NO_LINKER or "failed"."""
    with tempfile.TemporaryDirectory(prefix="edgeq-matrix-") as folder:
        try:
            run_cell(cell, Path(folder))
        except Failed as error:
            print(f"{cell}:\n{error}", file=sys.stderr)
            lacks = r"LLVMgold|no plugin|file format not recognized|cannot execute .cc1plus"
            return NO_LINKER if re.search(lacks, str(error)) else "failed"
    return "ok"


def main() -> None:
    """Runs the cells of the compilers that are named, by default of all; the others' rows stay."""
    for cell in cells():
        if not cell.here or (sys.argv[1:] and cell.compiler not in sys.argv[1:]):
            continue
        known = _record()["compilers"].get(cell.compiler, {"commit": "", "cells": {}})
        if (known["commit"], known["cells"].get(cell.flags)) == (commit_of(ROOT), "ok"):
            continue
        said = said_of(cell)
        print(cell.compiler, cell.flags, said, flush=True)
        record = _record()
        row = record["compilers"].setdefault(cell.compiler, known)
        row["commit"] = commit_of(ROOT)
        row["cells"][cell.flags] = said
        RECORD.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
        write_table(PAGE, table(record), "compilers")


def _record() -> dict[str, Any]:
    return json.loads(RECORD.read_text()) if RECORD.is_file() else {"compilers": {}}


if __name__ == "__main__":
    main()
