"""A packaged model in other people's projects: five lines build with it and answer its bytes."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from edgeq.arrays import channels_last
from edgeq.board import load_board
from edgeq.compiled import compile_graph, library
from edgeq.emit.package import FORMATS
from edgeq.firmware_project import FirmwareProject
from edgeq.ir import Graph
from edgeq.ir.c_names import c_prefix
from edgeq.passes.select_kernels import select_kernels
from edgeq.reference import quantize_rows, run
from edgeq.sim import Machine
from edgeq.toolchain import with_board
from edgeq.toolchain.assemble import INCLUDE_FOLDERS, sources
from edgeq.toolchain.compiler import C_FLAGS, link_flags, target_flags
from tests.acceptance.boards import Array
from tests.acceptance.package_builds import APPLICATION, BUILDS, WARNINGS, Platform
from tests.factory import input_rows, smallest_mixture
from tests.hang import HANG_S

ESC10 = Path(__file__).parents[2] / "examples" / "esc10" / "checkpoint.pt"
BOARD = load_board("virtual_m4")
DIGEST = "ab" * 32
HOST = Platform("cc", ("-std=c99", "-O1", *WARNINGS))


def placed(graph: Graph, folder: Path, before: str = "", after: str = "") -> str:
    """The library of a lowered graph and the application, in `folder`; the model's C name."""
    compiled = compile_graph(graph, "net", DIGEST, weights_as="c")
    library(compiled, tuple(FORMATS), "cortex-m4").write(folder / "library")
    name = c_prefix(graph.name)
    words = {"name": name, "macro": name.upper(), "before": before, "after": after}
    (folder / "app.c").write_text(APPLICATION.format(**words))
    return name


@pytest.mark.parametrize("build", BUILDS)
def test_five_lines_on_this_computer(build: str, tmp_path: Path) -> None:
    graph = select_kernels(smallest_mixture(), ())
    rows = input_rows(np.random.default_rng(3), graph, 4)
    read = "fread(input, 1, sizeof input, stdin);"
    write = " + (int)fwrite(output, 1, sizeof output, stdout) - (int)sizeof output"
    name = placed(graph, tmp_path, read, write)
    application = (tmp_path / "app.c").read_text()
    (tmp_path / "app.c").write_text("#include <stdio.h>\n" + application)
    BUILDS[build](name, tmp_path, HOST)
    for row, wanted in zip(rows, run(graph, rows).output.reshape(len(rows), -1), strict=True):
        given = row.astype(np.int8).tobytes()
        said = subprocess.run(
            [tmp_path / "app.elf"], input=given, capture_output=True, timeout=HANG_S, check=True
        )
        assert said.stdout == wanted.astype(np.int8).tobytes()


def bare_m4(folder: Path) -> Platform:
    """The virtual board around the application: start-up code and linker script of its port."""
    bare = with_board(FirmwareProject({}), BOARD)
    bare.write(folder / "board")
    target = target_flags("gcc", BOARD)
    flags = tuple(each for each in C_FLAGS if each != "-DEDGEQ_PROFILE")  # counts for a firmware
    return Platform(
        "arm-none-eabi-gcc",
        (*target, "-O2", *flags, *WARNINGS),
        tuple(f"board/{name}" for name in sources(bare)),
        tuple("board" if each == "." else f"board/{each}" for each in INCLUDE_FOLDERS),
        (*target, *link_flags("gcc"), "-T", str(folder / "board" / "linker.ld")),
        ("gcc",),
    )


def esc10() -> tuple[Graph, Array]:
    """The example's mixture, lowered for a Cortex-M4, and three of its rows."""
    import edgeq
    from edgeq.frontend.torch_loader import graph_of
    from edgeq.passes import quantize

    model = edgeq.load(ESC10)
    calibration = channels_last(model.calibration)
    graph = quantize(graph_of(model), calibration, "mse", BOARD.features).graph
    return graph, quantize_rows(graph, calibration[:3])


@pytest.mark.full
@pytest.mark.parametrize("build", BUILDS)
def test_five_lines_with_esc10_on_the_virtual_m4(build: str, tmp_path: Path) -> None:
    if shutil.which("arm-none-eabi-gcc") is None:
        pytest.skip("arm-none-eabi-gcc is not installed")
    graph, rows = esc10()
    name = placed(graph, tmp_path)
    BUILDS[build](name, tmp_path, bare_m4(tmp_path))
    machine = Machine(BOARD).load(tmp_path / "app.elf")
    for row, wanted in zip(rows, run(graph, rows).output.reshape(len(rows), -1), strict=True):
        machine.write(machine.symbol("input"), row.astype(np.int8).tobytes())
        assert machine.call("main").r0 == 0
        said = machine.read(machine.symbol("output"), wanted.size)
        assert said == wanted.astype(np.int8).tobytes()
