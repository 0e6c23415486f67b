"""Two exports, and two instances of one, in one program: each answers as its reference does."""

import shutil
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from edgeq.arrays import channels_last
from edgeq.board import load_board
from edgeq.emit.firmware import firmware_project
from edgeq.emit.kernel_version import kernel_version
from edgeq.errors import Toolchain
from edgeq.firmware_project import FirmwareProject
from edgeq.ir import Graph
from edgeq.memory import plan_memory
from edgeq.passes.select_kernels import select_kernels
from edgeq.reference import quantize_rows, run
from edgeq.sim import Machine
from edgeq.toolchain import build, find_compiler, with_board
from edgeq.weights import pack_weights
from tests.acceptance.boards import Array
from tests.acceptance.conftest import Digits
from tests.factory import input_rows, mixture_graph, smallest_mixture
from tests.hang import HANG_S

ESC10 = Path(__file__).parents[2] / "examples" / "esc10" / "checkpoint.pt"
BOARD = load_board("virtual_m4")
ROWS = 6
WARNINGS = ("-std=c99", "-O1", "-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Werror")


@dataclass(frozen=True)
class Net:
    """One export: its C name, its project and rows with what the reference answers."""

    name: str
    project: FirmwareProject
    rows: Array
    output: Array
    route: Array


def net(name: str, graph: Graph, rows: Array | None = None) -> Net:
    """An export of `graph` under `name`, whatever the graph was called."""
    graph = replace(graph, name=name)
    rows = input_rows(np.random.default_rng(5), graph, ROWS) if rows is None else rows
    expected = run(graph, rows)
    plan, packed = plan_memory(graph), pack_weights(graph)
    project = firmware_project(graph, plan, packed, model_name=name, digest="ab" * 32)
    return Net(name, project, rows, expected.output.reshape(len(rows), -1), expected.route)


def two() -> tuple[Net, Net]:
    """Two mixtures that share kernels and whose layers have the same names."""
    other = mixture_graph(np.random.default_rng(8), rule="escalation", trunk="fc")
    return (
        net("near", select_kernels(smallest_mixture(), ())),
        net("far", select_kernels(other, ())),
    )


DRIVER = """
#include <stdio.h>
#include "{a.name}.h"
#include "{b.name}.h"
static {a.name}_context one, other;
static {b.name}_context net;
static void say(const int8_t *y, size_t size, int32_t route) {{
    int8_t last = (int8_t)route;
    fwrite(y, 1, size, stdout);
    fwrite(&last, 1, 1, stdout);
}}
int main(void) {{
    int8_t x[{a_in}], y[{a_out}], again[{a_out}], x2[{b_in}], y2[{b_out}];
    {a.name}_init(&one);
    {a.name}_init(&other);
    {b.name}_init(&net);
    if ({a.name}_infer(NULL, x, y) != -1 || {a.name}_route(&one) != -1) return 2;
    while (fread(x, 1, sizeof x, stdin) + fread(x2, 1, sizeof x2, stdin) ==
           sizeof x + sizeof x2) {{
        {a.name}_infer(&one, x, y);
        if ({a.name}_confidence(&other) != 0) return 3; /* it has answered nothing */
        {b.name}_infer(&net, x2, y2);
        say(y, sizeof y, {a.name}_route(&one));
        say(y2, sizeof y2, {b.name}_route(&net));
    }}
    {a.name}_infer(&other, x, again);
    for (size_t i = 0; i < sizeof y; i++) if (y[i] != again[i]) return 4;
    return 0;
}}
"""


def cc(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        pytest.skip("no gcc or cc on this machine")
    return subprocess.run(
        [compiler, *WARNINGS, *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=HANG_S,
    )


def made(folder: Path, *arguments: str) -> None:
    done = cc(folder, *arguments)
    assert done.returncode == 0, done.stderr


def written(folder: Path, *nets: Net) -> None:
    a, b = nets
    for one in nets:
        one.project.write(folder / one.name)
    sizes = {"a_in": a.rows[0].size, "a_out": a.output.shape[1]}
    sizes |= {"b_in": b.rows[0].size, "b_out": b.output.shape[1]}
    (folder / "driver.c").write_text(DRIVER.format(a=a, b=b, **sizes))


def sources(one: Net) -> list[str]:
    return [n for n in one.project.files if n.startswith(("model/", "kernels/")) and n[-2:] == ".c"]


def objects(folder: Path, one: Net) -> list[str]:
    """Each source of an export, compiled in its own folder; paths seen from `folder`."""
    names = []
    for name in sources(one):
        target = name.replace("/", "__").removesuffix(".c") + ".o"
        made(folder / one.name, "-I.", "-c", name, "-o", target)
        names.append(f"{one.name}/{target}")
    return names


def program(way: str, folder: Path, a: Net, b: Net) -> Path:
    """The driver with both exports, linked in one of the three ways."""
    written(folder, a, b)
    headers = [f"-I{x.name}/{part}" for x in (a, b) for part in (".", "model")]
    if way == "sources":
        files = [f"{x.name}/{n}" for x in (a, b) for n in sources(x)]
        made(folder, *headers, "driver.c", *files, "-o", "driver")
        return folder / "driver"
    inputs = []
    for x in (a, b):
        own = objects(folder, x)
        if way == "libraries":
            subprocess.run(["ar", "rcs", f"lib{x.name}.a", *own], cwd=folder, check=True)
            own = [f"lib{x.name}.a"]
        inputs += own
    made(folder, *headers, "driver.c", *inputs, "-o", "driver")
    return folder / "driver"


def expected_bytes(a: Net, b: Net) -> bytes:
    pairs = zip(*((x.output, x.route) for x in (a, b)), strict=True)
    (outputs_a, outputs_b), (routes_a, routes_b) = pairs
    rows = zip(outputs_a, routes_a, outputs_b, routes_b, strict=True)
    return b"".join(
        y.astype(np.int8).tobytes()
        + np.int8(r).tobytes()
        + y2.astype(np.int8).tobytes()
        + np.int8(r2).tobytes()
        for y, r, y2, r2 in rows
    )


@pytest.mark.parametrize("way", ["libraries", "objects", "sources"])
def test_case_15_two_exports_in_one_program(way: str, tmp_path: Path) -> None:
    a, b = two()
    driver = program(way, tmp_path, a, b)
    given = b"".join(x.tobytes() + y.tobytes() for x, y in zip(a.rows, b.rows, strict=True))
    done = subprocess.run([driver], input=given, capture_output=True, timeout=HANG_S)
    assert done.returncode == 0
    assert done.stdout == expected_bytes(a, b)


def test_kernels_of_another_version_do_not_link(tmp_path: Path) -> None:
    """The linker names the function with the version that the model wants."""
    a, b = two()
    written(tmp_path, a, b)
    (tmp_path / "main.c").write_text("int main(void) { return 0; }\n")
    header = tmp_path / a.name / "kernels" / "edgeq_kernel_version.h"
    objects_a = objects(tmp_path, a)
    stale = header.read_text().replace(kernel_version(), "0badc0de")
    header.write_text(stale)
    for name in (n for n in sources(a) if n.startswith("kernels/")):
        target = name.replace("/", "__").removesuffix(".c") + ".o"
        made(tmp_path / a.name, "-I.", "-c", name, "-o", target)
    made(tmp_path, "-c", "-xc", "main.c", "-o", "main.o")
    linked = cc(tmp_path, "main.o", *objects_a, "-o", "program")
    assert linked.returncode != 0
    wanted = rf"undefined reference to `edgeq_router_s8_{kernel_version()}'"
    assert wanted in linked.stderr
    assert "near_infer" in linked.stderr


def test_kernels_of_another_version_do_not_compile_with_the_model(tmp_path: Path) -> None:
    """Another export's kernels first on the include path: an error that names both."""
    a, b = two()
    written(tmp_path, a, b)
    header = tmp_path / b.name / "kernels" / "edgeq_kernel_version.h"
    header.write_text(header.read_text().replace(kernel_version(), "0badc0de"))
    done = cc(tmp_path, f"-I{b.name}", f"-I{a.name}", "-c", f"{a.name}/model/{a.name}.c")
    assert done.returncode != 0
    assert f"near wants kernels {kernel_version()}" in done.stderr


CMAKE = """
cmake_minimum_required(VERSION 3.16)
project(app C)
add_subdirectory(near)
add_subdirectory(far)
add_executable(driver driver.c)
target_link_libraries(driver edgeq::near edgeq::far)
"""


def test_case_17_two_exports_are_subdirectories_of_a_cmake_project(tmp_path: Path) -> None:
    if shutil.which("cmake") is None:
        pytest.skip("cmake is not installed")
    a, b = two()
    written(tmp_path, *(replace(x, project=with_board(x.project, BOARD)) for x in (a, b)))
    driver = (tmp_path / "driver.c").read_text().replace('include "', 'include "model/')
    (tmp_path / "driver.c").write_text(driver)
    (tmp_path / "CMakeLists.txt").write_text(CMAKE)
    for command in (["cmake", "-B", "build", "."], ["cmake", "--build", "build"]):
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=HANG_S)
        assert done.returncode == 0, done.stdout + done.stderr
    given = b"".join(x.tobytes() + y.tobytes() for x, y in zip(a.rows, b.rows, strict=True))
    said = subprocess.run(
        [tmp_path / "build/driver"], input=given, capture_output=True, timeout=HANG_S
    )
    assert (said.returncode, said.stdout) == (0, expected_bytes(a, b))


MAIN = """
#include "model/{a.name}.h"
#include "model/{b.name}.h"
{a.name}_context one, other;
{b.name}_context net;
const void *volatile kept[] = {{
    (const void *){a.name}_init, (const void *){a.name}_infer, (const void *){a.name}_route,
    (const void *){b.name}_init, (const void *){b.name}_infer, (const void *){b.name}_route,
    &one, &other, &net}};
int main(void) {{ return kept[0] == 0; }}
"""


def both_on_the_board(a: Net, b: Net, folder: Path) -> None:
    """Rows of both, interleaved over three instances, in one firmware of the virtual board."""
    try:
        compiler = find_compiler()
    except Toolchain as error:
        pytest.skip(str(error))
    files = {**b.project.files, **a.project.files, "main.c": MAIN.format(a=a, b=b).encode()}
    firmware = FirmwareProject(
        {n: t for n, t in files.items() if n.startswith(("model/", "kernels/")) or n == "main.c"}
    ).without("model/model.h")
    machine = Machine(BOARD).load(build(with_board(firmware, BOARD), BOARD, compiler, folder).elf)
    x = machine.config.ram_origin + machine.config.ram_bytes - 65536
    y = x + max(a.rows[0].nbytes, b.rows[0].nbytes)
    instances = (("one", a), ("net", b), ("other", a))
    for instance, owner in instances:
        machine.call(f"{owner.name}_init", (machine.symbol(instance),))
    for i in range(len(a.rows)):
        for instance, owner in instances:
            row = (i + 1) % len(a.rows) if instance == "other" else i
            at = machine.symbol(instance)
            machine.write(x, owner.rows[row].tobytes())
            assert machine.call(f"{owner.name}_infer", (at, x, y)).r0 == 0
            said = np.frombuffer(machine.read(y, owner.output.shape[1]), np.int8)
            np.testing.assert_array_equal(said, owner.output[row])
            assert machine.call(f"{owner.name}_route", (at,)).r0 == owner.route[row]


def test_two_exports_and_two_instances_on_the_virtual_board(digits: Digits, tmp_path: Path) -> None:
    a = net("digits", digits.graph, digits.rows[:ROWS])
    graph = mixture_graph(np.random.default_rng(8), rule="escalation", trunk="conv")
    both_on_the_board(a, net("far", select_kernels(graph, BOARD.features)), tmp_path)


@pytest.mark.full
def test_digits_and_esc10_in_one_firmware(digits: Digits, tmp_path: Path) -> None:
    import edgeq
    from edgeq.frontend.torch_loader import graph_of
    from edgeq.passes import quantize

    model = edgeq.load(ESC10)
    calibration = channels_last(model.calibration)
    graph = quantize(graph_of(model), calibration, "mse", BOARD.features).graph
    rows = quantize_rows(graph, calibration[:3])
    a = net("digits", digits.graph, digits.rows[:3])
    both_on_the_board(a, net("esc10", graph, rows), tmp_path)
