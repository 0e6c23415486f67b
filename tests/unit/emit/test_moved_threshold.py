"""The threshold of a mixture that escalates, moved at run time: routes are the reference's."""

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgeq.board import load_board
from edgeq.compiled import compile_graph
from edgeq.emit.firmware_layers import layer_table
from edgeq.estimating.in_memory import InMemory
from edgeq.ir import Graph
from edgeq.ops.router import numerator_per_step
from edgeq.ops.signals import MONTE_CARLO
from edgeq.passes.select_kernels import select_kernels
from edgeq.prove.firmware import answer_of
from edgeq.prove.trials import answers_of
from edgeq.reference import run
from edgeq.toolchain import build, find_compiler, with_board
from tests.compilers import COMPILERS
from tests.factory import input_rows, mixture_graph
from tests.hang import HANG_S

DIGEST, PASSES = "56" * 32, 5
LEAST, MOST = MONTE_CARLO.least, MONTE_CARLO.most


def escalating(**options: object) -> Graph:
    return mixture_graph(
        np.random.default_rng(5),
        formats=("t2", "s4", "s8"),
        rule="escalation",
        passes=PASSES,
        **options,  # type: ignore[arg-type]
    )


GRAPH = escalating()
ROWS = input_rows(np.random.default_rng(1), GRAPH, 40)


def moved(graph: Graph, threshold: int | None) -> Graph:
    """With that threshold in Q8.24 in the place of its own."""
    if threshold is None:
        return graph
    node = graph.nodes[-1]
    name = node.params["router.threshold"]
    exact = np.array([threshold * numerator_per_step(PASSES)], np.int64)
    return replace(graph, constants={**graph.constants, name: exact})


def thresholds(graph: Graph) -> list[int | None]:
    """The export's own, both ends, and some between rows' uncertainties."""
    told = np.sort(run(graph, ROWS).uncertainty)
    return [None, LEAST, MOST, *(int(told[at]) for at in (3, 20, 37))]


def test_each_of_them_changes_routes() -> None:
    routes = [run(moved(GRAPH, t), ROWS).route for t in thresholds(GRAPH)]
    precise = int(GRAPH.param(GRAPH.nodes[-1], "router.precise")[0])
    assert len({tuple(r.tolist()) for r in routes}) == len(routes)
    assert (routes[1] == precise).all()


DRIVER = r"""
#include <stdio.h>
#include "model/mixture.h"
static mixture_context net, other;
int main(void) {
    int8_t input[MIXTURE_INPUT_BYTES], output[MIXTURE_OUTPUT_COUNT];
    int32_t threshold;
    mixture_init(&net);
    mixture_init(&other);
    if (mixture_set_threshold(0, 1) != -1 ||
        mixture_set_threshold(&net, MIXTURE_THRESHOLD_MIN - 1) != -1 ||
        mixture_set_threshold(&net, MIXTURE_THRESHOLD_MAX + 1) != -1) return 3;
    while (fread(&threshold, sizeof threshold, 1, stdin) == 1) {
        if (threshold == INT32_MIN) mixture_init(&net);
        else if (mixture_set_threshold(&net, threshold) != 0) return 4;
        for (int i = 0; i < ROWS; i++) {
            if (fread(input, 1, sizeof input, stdin) != sizeof input) return 5;
            if (mixture_infer(&net, input, output) != 0) return 6;
            printf("%d ", (int)mixture_route(&net));
            if (mixture_infer(&other, input, output) != 0) return 6;
            printf("%d ", (int)mixture_route(&other));
        }
        unsigned total = 0;
        for (int32_t i = 0; i < MIXTURE_EXPERT_COUNT; i++) {
            total += mixture_route_count(&net, i);
        }
        printf("%u ", total);
    }
    printf("%d", MIXTURE_THRESHOLD);
    return 0;
}
"""


def test_on_this_computer_an_instance_has_its_own(tmp_path: Path) -> None:
    """Under the sanitizers; another instance keeps the export's, and init brings it back."""
    if shutil.which("gcc") is None:
        pytest.skip("no gcc on this machine")
    project = compile_graph(GRAPH, "m", DIGEST).project
    project.write(tmp_path / "p")
    (tmp_path / "driver.c").write_text(DRIVER)
    names = [n for n in project.files if n.startswith(("model/", "kernels/")) and n[-2:] == ".c"]
    command = ["gcc", "-std=c99", "-Wall", "-Wextra", "-Werror", "-fsanitize=address,undefined"]
    command += [f"-DROWS={len(ROWS)}", "-fno-sanitize-recover=all", "-Ip", "driver.c"]
    command += [f"p/{n}" for n in names]
    subprocess.run([*command, "-o", "driver"], cwd=tmp_path, check=True, timeout=HANG_S)
    tried = [*thresholds(GRAPH)[1:], None]
    sent = [np.int32(-(2**31) if t is None else t).tobytes() + ROWS.tobytes() for t in tried]
    said = subprocess.run(
        [tmp_path / "driver"], input=b"".join(sent), capture_output=True, timeout=HANG_S
    )
    assert said.returncode == 0, said.stderr
    *numbers, told = (int(word) for word in said.stdout.split())
    lines = np.array(numbers).reshape(len(tried), 2 * len(ROWS) + 1)
    own = run(GRAPH, ROWS).route.tolist()
    for i, (line, threshold) in enumerate(zip(lines.tolist(), tried, strict=True)):
        assert line[0:-1:2] == run(moved(GRAPH, threshold), ROWS).route.tolist()
        assert line[1:-1:2] == own
        assert line[-1] == len(ROWS) * (1 if threshold is None else i + 1)
    exact = int(GRAPH.param(GRAPH.nodes[-1], "router.threshold")[0])
    assert told <= exact / numerator_per_step(PASSES) < told + 1


# what keeps the function in a firmware that does not call it
KEPT = b"""
#include "model/model.h"
volatile int32_t moved_to = INT32_MIN;
__attribute__((noinline, used)) int move(void) {
    return edgeq_set_threshold(moved_to);
}
int main(void) {
    if (moved_to != INT32_MIN) {
        move();
    }
"""


@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize("board", ["virtual_m4", "rpi_pico"])
@pytest.mark.parametrize("top_k", [1, 2])
def test_on_virtual_boards(top_k: int, board: str, compiler: str, tmp_path: Path) -> None:
    """Outputs, routes and uncertainty, under each; a struct that is copied would want memcpy."""
    options = {"top_k": 2, "gate": "probability"} if top_k == 2 else {}
    graph = select_kernels(escalating(**options), load_board(board).features)
    project = with_board(compile_graph(graph, "m", DIGEST).project, load_board(board))
    main = project.files["main.c"].replace(b"int main(void) {", KEPT)
    built = build(
        project.with_files({"main.c": main}), load_board(board), find_compiler(compiler), tmp_path
    )
    firmware = InMemory(load_board(board), built.elf, graph, layer_table(graph))
    machine = firmware.machine
    for threshold in thresholds(graph):
        if threshold is not None:
            machine.write(
                machine.symbol("moved_to"), int(threshold).to_bytes(4, "little", signed=True)
            )
            assert machine.call("move").r0 == 0
        told = [answer_of(graph, firmware.infer(row)) for row in ROWS[:12]]
        assert told == list(answers_of(moved(graph, threshold), ROWS[:12]))


@pytest.mark.parametrize(
    "options", [{"rule": "precision_prior"}, {"rule": "off"}, {"kind": "plain"}]
)
def test_other_rules_have_none(options: dict[str, str]) -> None:
    given = {"rule": "escalation", **options}
    graph = mixture_graph(np.random.default_rng(5), passes=PASSES, **given)  # type: ignore[arg-type]
    files = compile_graph(graph, "m", DIGEST).project.files
    assert b"set_threshold" not in b"".join(v for k, v in files.items() if k.startswith("model/"))
