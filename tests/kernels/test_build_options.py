"""Case 16: kernels with assembly under the options that people build with, both compilers."""

import shutil
import subprocess
from pathlib import Path

import pytest

from edgeq.kernels import KERNELS
from tests.hang import HANG_S
from tests.kernels.cross_kernels import FLAGS, command
from tests.kernels.differential.case import Call, Case, Difference
from tests.kernels.differential.core import OnCore
from tests.kernels.differential.table import ASSEMBLY, DIFFERENTIAL
from tests.kernels.dsp.core import Core
from tests.kernels.host_kernels import FOLDER, WARNINGS
from tests.once import once

SHORT = "-O2 -DEDGEQ_CODE_CACHE=1024"  # as for a board with a cache of 1 KB
PIC = "-O2 -fPIC -msingle-pic-base"
BARE = [flag for flag in FLAGS if not flag.startswith("-O")]
SOURCES = sorted({source for k in KERNELS if k.name in ASSEMBLY for source in k.sources})
# zig strips the symbols at -Os without -g
MATRIX = {
    "gcc": (
        "-O0", "-Og", "-O1", "-Os", "-O3", "-O2 -fPIC", PIC, "-O0 -fPIC -msingle-pic-base",
        "-Os -fPIC -msingle-pic-base -mno-pic-data-is-text-relative", "-O2 -flto",
        "-O2 -fno-omit-frame-pointer", "-O2 -ffixed-r9 -DEDGEQ_FIXED_R9", SHORT,
    ),
    "zig": ("-O0", "-Og", "-O1", "-Os -g", "-O3", "-O2 -fPIC", "-O2 -fropi -frwpi", SHORT),
}  # fmt: skip
OFTEN = (("gcc", "-O0"), ("gcc", PIC), ("gcc", SHORT))
STEP = 16  # without optimisation the C around the assembly is slow: options share the cases out


def linked(kind: str, options: str, factory: pytest.TempPathFactory) -> Path:
    """An ELF of all kernels with assembly."""

    def make(folder: Path) -> None:
        tool = [*command(kind), *BARE, *options.split()]
        include = [f"-I{FOLDER}", f"-I{FOLDER.parent / 'runtime'}"]
        sources = [str(FOLDER / name) for name in SOURCES]
        memory = str(FOLDER.parent / "runtime" / "memory.c")
        script = f"-Wl,-T,{Path(__file__).parent / 'constant_time.ld'}"
        link = [
            "-fno-builtin",
            "-nostdlib",
            script,
            f"-Wl,-e,{ASSEMBLY[0]}",
            "-Wl,--no-gc-sections",
        ]
        link += [f"-Wl,-u,{name}" for name in ASSEMBLY]  # or -flto would drop them
        whole = [*tool, *include, *sources, memory, *link, "-o", "kernels.elf"]
        run = subprocess.run(
            whole, cwd=folder, capture_output=True, text=True, timeout=600, check=False
        )
        assert run.returncode == 0, run.stderr

    name = f"{kind}{options.replace(' ', '')}"
    return once(factory, name, make) / "kernels.elf"


def shared(cases: list[Case], at: int) -> list[Case]:
    """Every STEPth, from another on for each option; one at least."""
    return cases[at % min(STEP, len(cases)) :: STEP]


@pytest.mark.parametrize(
    ("at", "kind", "options"),
    [
        pytest.param(at, *option, marks=() if option in OFTEN else pytest.mark.full)
        for at, option in enumerate((kind, o) for kind in MATRIX for o in MATRIX[kind])
    ],
)
def test_case_16_kernels_build_and_answer(
    at: int, kind: str, options: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Without a warning, without a call outside, with r4 to r11 as they were."""
    runner = OnCore(Core(linked(kind, options, tmp_path_factory)))
    for name in ASSEMBLY:
        for case in shared(list(DIFFERENTIAL[name]()), at):
            runner.run(case)


def test_the_options_share_every_case_out() -> None:
    options = sum(map(len, MATRIX.values()))
    for count in (1, 3, STEP, 50):
        cases = [Case(str(i), ()) for i in range(count)]
        each = [shared(cases, at) for at in range(options)]
        assert all(each)
        assert {c.label for some in each for c in some} == {c.label for c in cases}


def test_case_16_a_lost_register_would_be_seen(tmp_path: Path) -> None:
    """The negative case: r9 is changed and not given back."""
    source = tmp_path / "lost.c"
    source.write_text('void lost(void) { __asm__ volatile("mov r9, #0"); }\n')
    script = f"-Wl,-T,{Path(__file__).parent / 'constant_time.ld'}"
    tool = [*command("gcc"), "-O2", "-nostdlib", script, "-Wl,-e,lost", str(source)]
    subprocess.run([*tool, "-o", "lost.elf"], cwd=tmp_path, timeout=HANG_S, check=True)
    with pytest.raises(Difference, match="r4 to r11"):
        OnCore(Core(tmp_path / "lost.elf")).run(Case("lost", (Call("lost", ()),)))


@pytest.mark.full
@pytest.mark.parametrize("options", ["-O0", "-Og", "-O2", "-Os", "-O3", "-O2 -fPIC", "-O2 -flto"])
def test_case_16_kernels_build_for_the_host(options: str, tmp_path: Path) -> None:
    """Every kernel, its twin in C, without a warning."""
    if shutil.which("gcc") is None:
        pytest.skip("no gcc on this machine")
    sources = [str(path) for path in sorted(FOLDER.glob("*.c"))]
    whole = ["gcc", "-std=c99", *WARNINGS, *options.split(), f"-I{FOLDER}", "-c", *sources]
    run = subprocess.run(
        whole, cwd=tmp_path, capture_output=True, text=True, timeout=600, check=False
    )
    assert run.returncode == 0, run.stderr
