"""Compilers, flashing tools and QEMU: there, and able to run."""

import importlib.util
import re
import shutil
import subprocess
from dataclasses import dataclass

from edgeq.board import load_board
from edgeq.diagnosing.finding import Finding
from edgeq.errors import Toolchain
from edgeq.extras import install
from edgeq.files import scratch_folder
from edgeq.flashers import cubeprogrammer
from edgeq.toolchain import Compiler, find_compiler
from edgeq.toolchain.compiler import environment

ASK_TIMEOUT_S = 20.0
COMPILE_TIMEOUT_S = 120.0  # zig's first run on a machine fills its cache
_INSTALL = {
    "gcc": "apt install gcc-arm-none-eabi, or brew install --cask gcc-arm-embedded",
    "zig": install("zig"),
}


@dataclass(frozen=True)
class Program:
    """A tool that edgeq starts: what asks for its version, what it is for, how to get it."""

    name: str
    ask: str
    purpose: str
    install: str
    code: int = 0  # which it ends with


PROGRAMS: tuple[Program, ...] = (
    Program(
        "openocd",
        "--version",
        "flashes through nearly every probe",
        "apt install openocd, or brew install open-ocd",
    ),
    Program(
        cubeprogrammer.PROGRAM,
        "--version",
        "flashes ST boards",
        "get STM32CubeProgrammer from st.com",
    ),
    Program(
        "dfu-util",
        "--version",
        "flashes through the STM32 boot loader",
        "apt install dfu-util, or brew install dfu-util",
    ),
    Program(
        "bossac",
        "--help",
        "flashes the Arduino Nano 33 BLE",
        "apt install bossa-cli",
        code=1,  # it has no --version, and its --help ends so
    ),
    Program(
        "qemu-system-arm",
        "--version",
        "runs the qemu_ boards",
        "apt install qemu-system-arm, or brew install qemu",
    ),
    Program(
        "qemu-system-riscv32",
        "--version",
        "runs qemu_virt_rv32",
        "apt install qemu-system-misc, or brew install qemu",
    ),
)


def compilers() -> list[Finding]:
    """Each cross compiler, proven by a file; errors only when none of them works."""
    findings = [_compiler("gcc"), _compiler("zig")]
    if all(finding.status == "warning" for finding in findings):
        return [Finding(f.id, "error", f"{f.found}; nothing can be built", f.fix) for f in findings]
    works = next(finding.id for finding in findings if finding.status == "ok")
    instead = f"; {works} is used instead"
    # one that is there and broken is worth a warning: it is the first one taken
    return [
        Finding(f.id, "ok", f.found + instead) if f.found.startswith("not installed") else f
        for f in findings
    ]


def _compiler(kind: str) -> Finding:
    name = f"compiler.{kind}"
    try:
        compiler = find_compiler(kind)
    except Toolchain:
        return Finding(name, "warning", _why_no_compiler(kind), _INSTALL[kind])
    said = _compile(compiler)
    if said is not None:
        return Finding(name, "warning", f"{compiler.label} cannot compile: {said}", _INSTALL[kind])
    return Finding(name, "ok", f"{compiler.label} ({compiler.command[0]})")


def _why_no_compiler(kind: str) -> str:
    """Absent and broken are two things: a broken gcc on PATH hides behind zig."""
    where = shutil.which("arm-none-eabi-gcc") if kind == "gcc" else None
    if kind == "zig" and importlib.util.find_spec("ziglang") is not None:
        where = "the ziglang package"
    return f"{where} is there but does not run" if where else "not installed"


def _compile(compiler: Compiler) -> str | None:
    """None when a one-line file for a Cortex-M4 compiles, else the first words about it."""
    board = load_board("virtual_m4")
    with scratch_folder() as scratch:
        source, out = scratch / "probe.c", scratch / "probe.o"
        source.write_text("int edgeq_probe(int x) { return x + 1; }\n")
        flags = compiler.compile_flags(board, "-O2")
        command = [*compiler.command, *flags, "-c", str(source), "-o", str(out)]
        return _first_words(command, COMPILE_TIMEOUT_S, environment(scratch))


def _first_words(command: list[str], timeout_s: float, env: dict[str, str]) -> str | None:
    try:
        run = subprocess.run(
            command, capture_output=True, text=True, timeout=timeout_s, check=False, env=env
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    lines = [line for line in (run.stderr + run.stdout).splitlines() if line.strip()]
    return None if run.returncode == 0 else (lines or [f"exit code {run.returncode}"])[0]


def programs() -> list[Finding]:
    """The tools edgeq starts, with the versions they say; pyOCD is a package."""
    return [_program(program) for program in PROGRAMS]


def _program(program: Program) -> Finding:
    name = f"tool.{program.name.lower().replace('-', '_')}"
    path = _path(program.name)
    if path is None:
        found = f"not installed ({program.purpose})"
        return Finding(name, "warning", found, program.install)
    try:
        run = subprocess.run(
            [path, program.ask],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=ASK_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return Finding(name, "warning", f"{path} does not run: {error}", program.install)
    version = re.search(r"\d+\.\d+[\w.+-]*", run.stdout + run.stderr)
    if run.returncode != program.code or version is None:
        found = f"{path} does not say its version (exit code {run.returncode})"
        return Finding(
            name, "warning", found, f"{program.install}; then try `{path} {program.ask}`"
        )
    return Finding(name, "ok", f"{version[0]} ({path})")


def _path(name: str) -> str | None:
    return cubeprogrammer.installed() if name == cubeprogrammer.PROGRAM else shutil.which(name)
