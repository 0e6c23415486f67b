"""Compiles and links a project for its board, checks the fit, writes the flash image."""

import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from edgeq.board import Board
from edgeq.errors import BadInput, MemoryBudget, Toolchain
from edgeq.firmware_project import FirmwareProject
from edgeq.toolchain.assemble import (
    INCLUDE_FOLDERS,
    firmware_digest,
    linker_script,
    seal_script,
    sources,
)
from edgeq.toolchain.compiler import Compiler, environment
from edgeq.toolchain.image import ImageSizes, flash_image, measure
from edgeq.toolchain.intel_hex import intel_hex
from edgeq.toolchain.uf2 import uf2_file

COMPILE_TIMEOUT_S = 600  # a compiler that hangs; a large model on a busy computer takes minutes
JOBS = 2
_FULL = re.compile(r"overflowed|will not fit|overlaps? with|no room for the stack|leaves no room")
# Large enough for any project, small enough to keep flash and RAM apart on every Cortex-M.
_MEASURING_BYTES = 0x0600_0000


@dataclass(frozen=True)
class Firmware:
    """A linked firmware. `ram_bytes` counts static data and the reserved stack."""

    elf: Path
    bin: Path
    sections: dict[str, int]
    flash_bytes: int
    ram_bytes: int
    stack_bytes: int
    digest: str
    compiler: str
    flags: tuple[str, ...]


def build(
    project: FirmwareProject,
    board: Board,
    compiler: Compiler,
    out_dir: Path,
    optimize: str = "-O2",
) -> Firmware:
    """Builds `project` (as `with_board` left it) into out_dir/firmware.elf, .bin, .uf2, .hex.

    `out_dir` keeps the sources and objects below `source/` and `objects/`. Raises Toolchain when
    the compiler fails, MemoryBudget when the result does not fit the board.
    """
    names, compiler = _checked_sources(project), compiler.of(board)
    source, objects = out_dir / "source", out_dir / "objects"
    project.write(source)
    shutil.rmtree(objects, ignore_errors=True)
    objects.mkdir(parents=True)
    flags = compiler.compile_flags(board, optimize)
    _compile(compiler, flags, names, source, objects)
    elf, image = out_dir / "firmware.elf", out_dir / "firmware.bin"
    for suffix in (".elf", ".bin", ".uf2", ".hex"):
        image.with_suffix(suffix).unlink(missing_ok=True)
    sizes = _link(compiler, board, optimize, names, out_dir)
    _seal(board, out_dir)
    data = flash_image(elf, board.flash)
    image.write_bytes(data)
    if board.probe.uf2_family is not None:
        image.with_suffix(".uf2").write_bytes(
            uf2_file(data, board.flash.origin, board.probe.uf2_family)
        )
    if board.probe.teensy_mcu is not None:
        image.with_suffix(".hex").write_text(intel_hex(data, board.flash.origin))
    return Firmware(
        elf=elf,
        bin=image,
        sections=sizes.sections,
        flash_bytes=sizes.flash_bytes,
        ram_bytes=sizes.static_bytes + board.port.stack_bytes,
        stack_bytes=board.port.stack_bytes,
        digest=firmware_digest(project),
        compiler=compiler.label,
        flags=flags,
    )


def _checked_sources(project: FirmwareProject) -> tuple[str, ...]:
    for needed in ("linker.ld", "board_config.h", "firmware_id.h", "port/hal.h", "main.c"):
        if needed not in project.files:
            raise BadInput(f"project has no {needed}; it must come from edgeq's own export")
    return sources(project)


def _object_name(source: str) -> str:
    return source.replace("/", "__").removesuffix(".c") + ".o"


def _run(command: list[str], folder: Path, scratch: Path) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            command,
            cwd=folder,
            env=environment(scratch),
            capture_output=True,
            text=True,
            errors="replace",
            timeout=COMPILE_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise Toolchain(f"{command[0]} took more than {COMPILE_TIMEOUT_S} s; stopped") from error
    except OSError as error:
        raise Toolchain(f"{command[0]} cannot be run: {error}") from error


def _compile(
    compiler: Compiler, flags: tuple[str, ...], names: tuple[str, ...], source: Path, objects: Path
) -> None:
    """Compiles in the source folder by relative names, so that no path reaches an object."""
    includes = [f"-I{folder}" for folder in INCLUDE_FOLDERS]

    def one(name: str) -> str:
        target = str((objects / _object_name(name)).resolve())
        command = [*compiler.command, *flags, *includes, "-c", name, "-o", target]
        run = _run(command, source, objects)
        return "" if run.returncode == 0 else f"{name}:\n{run.stderr.strip()}"

    with ThreadPoolExecutor(JOBS) as pool:
        failed = [text for text in pool.map(one, names) if text]
    if failed:
        raise Toolchain(
            f"{compiler.label} refused {len(failed)} of {len(names)} files in {source}; "
            f"the first:\n{failed[0][:4000]}"
        )


def _link(
    compiler: Compiler, board: Board, optimize: str, names: tuple[str, ...], out_dir: Path
) -> ImageSizes:
    elf = out_dir / "firmware.elf"
    run = _link_run(compiler, board, optimize, names, out_dir, "source/linker.ld", elf)
    if run.returncode == 0:
        return measure(elf, board.flash)
    elf.unlink(missing_ok=True)
    if _FULL.search(run.stderr):
        raise _does_not_fit(compiler, board, optimize, names, out_dir)
    raise Toolchain(f"{compiler.label} could not link:\n{run.stderr.strip()[:4000]}")


def _seal(board: Board, out_dir: Path) -> None:
    """Runs the port's own script, as `make` in the exported folder does."""
    script = seal_script(board)
    if script is None:
        return
    run = _run([sys.executable, f"source/{script}", "firmware.elf"], out_dir, out_dir)
    if run.returncode != 0:
        raise Toolchain(f"the second stage could not be sealed: {run.stderr.strip()[:4000]}")


def _link_run(
    compiler: Compiler,
    board: Board,
    optimize: str,
    names: tuple[str, ...],
    out_dir: Path,
    script: str,
    elf: Path,
) -> subprocess.CompletedProcess[str]:
    command = [*compiler.command, *compiler.link_flags(board, optimize), "-T", script]
    command += [f"objects/{_object_name(name)}" for name in names]
    if compiler.kind == "gcc":
        command.append("-lgcc")
    return _run([*command, "-o", elf.name], out_dir, out_dir)


def _does_not_fit(
    compiler: Compiler, board: Board, optimize: str, names: tuple[str, ...], out_dir: Path
) -> MemoryBudget:
    """Links once more into regions that hold anything, to say by how much and what is largest."""
    roomy = {"bytes": _MEASURING_BYTES}
    large = board.model_copy(
        update={
            "flash": board.flash.model_copy(update=roomy),
            "ram": board.ram.model_copy(update=roomy),
        }
    )
    script, elf = out_dir / "measure.ld", out_dir / "measure.elf"
    script.write_bytes(linker_script(large))
    try:
        run = _link_run(compiler, large, optimize, names, out_dir, script.name, elf)
        if run.returncode != 0:
            return MemoryBudget(f"firmware does not fit {board.name}, nor could it be measured")
        return MemoryBudget(budget_text(board, measure(elf, large.flash)))
    finally:
        script.unlink(missing_ok=True)
        elf.unlink(missing_ok=True)


def budget_text(board: Board, sizes: ImageSizes) -> str:
    """What overflows `board`, by how much, and the largest parts of that memory."""
    stack = board.port.stack_bytes
    gaps = sizes.extent_bytes - sizes.flash_bytes
    lines = []
    for region, needed, capacity, parts, aside in (
        ("flash", sizes.extent_bytes, board.flash.bytes, sizes.largest_flash,
         f", {gaps:,} B of it gaps between aligned sections" if gaps else ""),
        ("ram", sizes.static_bytes + stack, board.ram.bytes, sizes.largest_ram,
         f", {stack:,} B of it stack"),
    ):  # fmt: skip
        if needed > capacity:
            largest = ", ".join(f"{name} ({size:,} B)" for name, size in parts)
            lines.append(
                f"{region} of {board.name} has {capacity:,} B, the firmware needs {needed:,} B "
                f"({needed - capacity:,} B too many{aside}); largest: {largest}"
            )
    return "; ".join(lines) + "; use narrower weights, fewer experts or a larger board"
