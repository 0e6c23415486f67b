"""Builds a project's model and kernels for this computer, and runs rows through them."""

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from edgeq.errors import Mismatch, Toolchain
from edgeq.firmware_project import FirmwareProject
from edgeq.resources import templates_dir
from edgeq.toolchain.assemble import INCLUDE_FOLDERS, sources
from edgeq.toolchain.compiler import Compiler, environment, find_compiler

FLAGS = ("-std=c99", "-O2", "-g0")
BUILD_S, RUN_S = 300, 300  # against a hang
TABLE, WRITABLE = b"static void (*const experts[", b"static void (*experts["


def host_command() -> tuple[str, ...]:
    """The computer's own C compiler, else the clang of the ziglang wheel; Toolchain without."""
    for name in ("cc", "gcc", "clang"):
        path = shutil.which(name)
        if path is not None:
            return (path,)
    zig: Compiler = find_compiler("zig")
    return (*zig.command, "-fno-sanitize=undefined")


def build_host(project: FirmwareProject, name: str, folder: Path) -> Path:
    """The program of port/host/prove.c around the project's model/NAME.c, in `folder`.

    Raises Toolchain when there is no compiler or it refuses.
    """
    command = host_command()
    main = (templates_dir() / "port" / "host" / "prove.c").read_bytes()
    whole = f"model/{name}.c"
    model = project.files[whole].replace(TABLE, WRITABLE)
    source, program = folder / "source", folder / "prove"
    project.with_files({whole: model, "prove.c": main}).write(source)
    files = [n for n in sources(project) if PurePosixPath(n).parts[0] in ("model", "kernels")]
    files = ["prove.c", *(each for each in files if each != whole)]
    includes = [f"-I{each}" for each in INCLUDE_FOLDERS]
    includes.append(f'-DEDGEQ_MODEL_SOURCE="{whole}"')
    built = _run([*command, *FLAGS, *includes, *files, "-o", str(program.resolve())], source)
    if built.returncode != 0:
        raise Toolchain(f"{command[0]} refused the host build:\n{built.stderr.strip()[:4000]}")
    return program


def _run(command: Sequence[str], folder: Path) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            command,
            cwd=folder,
            env=environment(folder),
            capture_output=True,
            text=True,
            errors="replace",
            timeout=BUILD_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Toolchain(f"{command[0]} cannot build for this computer: {error}") from error


def run_host(program: Path, asked: bytes) -> bytes:
    """What the program writes for the rows `asked`; Mismatch when it crashes or hangs."""
    try:
        ran = subprocess.run(
            [str(program)], input=asked, capture_output=True, timeout=RUN_S, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise Mismatch("firmware: the host build does not end") from error
    if ran.returncode != 0:
        raise Mismatch(f"firmware: the host build ends with {ran.returncode}")
    return ran.stdout


def host_label() -> str:
    """What a check says ran it."""
    name = Path(host_command()[0]).name
    return f"host build ({'zig cc' if 'zig' in name or name.startswith('python') else name})"
