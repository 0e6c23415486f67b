"""The cross compilers: GCC from PATH, one a processor family, else clang in the `ziglang` wheel."""

import importlib.util
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

from edgeq.board import Board
from edgeq.cores import CORES, Core
from edgeq.errors import BadInput, Toolchain
from edgeq.extras import install

WARNINGS = ("-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Werror")
C_FLAGS = (
    "-std=c99",
    "-ffreestanding",
    "-ffunction-sections",
    "-fdata-sections",
    "-fno-common",
    "-g0",
    "-DEDGEQ_PROFILE",  # a cycle count a layer: two reads of a counter, a few cycles each
)
ZIG_ONLY = (
    "-fno-sanitize=undefined",
    "-fno-unwind-tables",
    "-fno-stack-protector",
    "-fno-unroll-loops",  # as gcc at -O2: unrolling more than doubles the runtime code
)

GCC = {"arm": "arm-none-eabi-gcc", "riscv": "riscv64-unknown-elf-gcc"}
LEVELS = ("-O0", "-Og", "-O1", "-O2", "-O3", "-Os")
OPTIMIZE = "-O2"  # what every export is built, estimated and proven with


@dataclass(frozen=True)
class Compiler:
    """A compiler that can be run: `command` is what stands before the flags."""

    kind: Literal["gcc", "zig"]
    command: tuple[str, ...]
    version: str

    @property
    def label(self) -> str:
        """For reports: "arm-none-eabi-gcc 12.2.1" or "zig cc (clang) 0.17.1"."""
        name = Path(self.command[0]).name if self.kind == "gcc" else "zig cc"
        return f"{name} {self.version}"

    def of(self, board: Board) -> "Compiler":
        """The compiler for the board's processor family: GCC has one each, zig has all.

        Raises Toolchain where a RISC-V board has neither its GCC nor zig.
        """
        if self.kind == "zig" or CORES[board.core].isa == "arm":
            return self
        found = _find_gcc(GCC["riscv"]) or _find_zig()
        if found is None:
            raise Toolchain(
                f"no compiler for the {board.core} of {board.name}: install {GCC['riscv']} "
                f"(Debian: gcc-riscv64-unknown-elf), or {install('zig')}"
            )
        return found

    def target_flags(self, board: Board) -> tuple[str, ...]:
        """What selects the board's core, and its FPU's calling convention where it has one."""
        return target_flags(self.kind, board)

    def compile_flags(self, board: Board, optimize: str) -> tuple[str, ...]:
        """Everything but include folders and files; BadInput for an unknown `optimize`."""
        if optimize not in LEVELS:
            raise BadInput(f"optimize {optimize!r} is not one of {', '.join(LEVELS)}")
        extra = ZIG_ONLY if self.kind == "zig" else ()
        return (*self.target_flags(board), optimize, *C_FLAGS, *extra, *WARNINGS)

    def link_flags(self, board: Board, optimize: str) -> tuple[str, ...]:
        """Flags of the link step, without linker script, objects and output."""
        return (*self.target_flags(board), optimize, *link_flags(self.kind))


def target_flags(kind: Literal["gcc", "zig"], board: Board) -> tuple[str, ...]:
    """The flags of `kind` for the board's core."""
    core, cache = CORES[board.core], board.flash.cache
    if core.isa == "riscv":
        return _riscv_flags(kind, core)
    code_bytes = cache.instruction_bytes if cache else 0  # kernels keep their loops inside
    cached = (f"-DEDGEQ_CODE_CACHE={code_bytes}",) if code_bytes else ()
    if kind == "zig":
        abi = "eabihf" if board.fpu else "eabi"
        return ("-target", f"thumb-freestanding-{abi}", f"-mcpu={core.zig_cpu}", *cached)
    fpu = ("-mfloat-abi=hard", f"-mfpu={core.fpu}") if board.fpu else ("-mfloat-abi=soft",)
    # on ARMv6-M a jump table is a call into libgcc
    tables = () if core.thumb2 else ("-fno-jump-tables",)
    return (f"-mcpu={core.name}", "-mthumb", *fpu, *tables, *cached)


def _riscv_flags(kind: Literal["gcc", "zig"], core: Core) -> tuple[str, ...]:
    """Machine mode reads control registers, which GCC 12 counts as an extension, Zicsr."""
    small = "-msmall-data-limit=0"  # no section that a linker script would have to place apart
    if kind == "zig":
        return ("-target", "riscv32-freestanding-none", f"-mcpu={core.zig_cpu}+zicsr", small)
    return (f"-march={core.name}_zicsr", "-mabi=ilp32", small)


def link_flags(kind: Literal["gcc", "zig"]) -> tuple[str, ...]:
    """The link flags of `kind` that do not depend on the board."""
    if kind == "zig":
        entry = "-Wl,--entry=Reset_Handler"  # zig passes over ENTRY in the script
        return ("-nostdlib", "-fno-sanitize=undefined", entry, "-Wl,--gc-sections", "-g0")
    return ("-nostdlib", "-Wl,--gc-sections", "-Wl,--build-id=none", "-g0")


@lru_cache(maxsize=4)
def _version(command: tuple[str, ...], ask: str) -> str | None:
    try:
        run = subprocess.run(
            [*command, ask], capture_output=True, text=True, timeout=60, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return run.stdout.strip() if run.returncode == 0 and run.stdout.strip() else None


def _find_gcc(name: str = GCC["arm"]) -> Compiler | None:
    path = shutil.which(name)
    version = _version((path,), "-dumpfullversion") if path else None
    return Compiler("gcc", (path,), version) if path and version else None


def _find_zig() -> Compiler | None:
    spec = importlib.util.find_spec("ziglang")
    if spec is None:
        return None
    zig = _zig_command(Path(str(spec.origin)).parent)
    version = _version(zig, "version")
    return Compiler("zig", (*zig, "cc"), version) if version else None


def _zig_command(package: Path) -> tuple[str, ...]:
    """The wheel's program; started through Python, a file would take twice as long."""
    program = package / ("zig.exe" if os.name == "nt" else "zig")
    return (str(program),) if program.is_file() else (sys.executable, "-m", "ziglang")


def find_compiler(prefer: str = "auto") -> Compiler:
    """The compiler to use: with "auto" arm-none-eabi-gcc on PATH, else the ziglang wheel.

    Raises Toolchain, with the next step, when the wanted one cannot be run.
    """
    finders = {"gcc": (_find_gcc,), "zig": (_find_zig,), "auto": (_find_gcc, _find_zig)}
    if prefer not in finders:
        raise BadInput(f"compiler {prefer!r} is not one of auto, gcc, zig")
    for find in finders[prefer]:
        compiler = find()
        if compiler is not None:
            return compiler
    wanted = "no cross compiler" if prefer == "auto" else f"no working {prefer} cross compiler"
    raise Toolchain(
        f"{wanted} found; install arm-none-eabi-gcc (Debian: gcc-arm-none-eabi) "
        f"or bring the one from PyPI: {install('zig')}"
    )


def environment(scratch: Path) -> dict[str, str]:
    """The environment of a compiler run, in which zig has a cache folder that it can write.

    zig looks for one by HOME and XDG_CACHE_HOME alone, which a service or a container may lack:
    its rule on every system but Windows, not platformdirs' (no Library/Caches on macOS).
    Temporary files go to `scratch`: a compiler that is killed leaves nothing elsewhere.
    """
    env = {**os.environ, "LC_ALL": "C", "SOURCE_DATE_EPOCH": "0", "TMPDIR": str(scratch.resolve())}
    if not env.get("ZIG_GLOBAL_CACHE_DIR") and not _finds_its_cache(env):
        home = _home_of_record()
        shared = home is not None and _writable(home / ".cache")
        env["ZIG_GLOBAL_CACHE_DIR"] = str(
            home / ".cache" / "zig" if home and shared else scratch.resolve() / "zig-cache"
        )
    return env


def _finds_its_cache(env: dict[str, str]) -> bool:
    """True if the folder that zig would take by itself can be written."""
    if env.get("XDG_CACHE_HOME"):
        return _writable(Path(env["XDG_CACHE_HOME"]))
    home = env.get("HOME")
    return bool(home) and Path(str(home)).is_dir() and _writable(Path(str(home), ".cache"))


def _home_of_record() -> Path | None:
    """This user's home by the system's list of users; None where it names none that is there."""
    try:
        import pwd

        home = Path(pwd.getpwuid(os.getuid()).pw_dir)
    except (ImportError, KeyError):  # Windows; a container's nameless user
        return None
    return home if home.is_absolute() and home.is_dir() else None


def _writable(folder: Path) -> bool:
    """True if `folder`, or the nearest one above it that exists, may be written."""
    if not folder.is_absolute():
        return False
    return os.access(next(one for one in (folder, *folder.parents) if one.exists()), os.W_OK)
