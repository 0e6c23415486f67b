"""A cascade's firmware: every threshold on host and twin, counts, its exact time, its proof."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import edgeq
from edgeq import pipeline
from edgeq.board import load_board
from edgeq.compiled import compile_graph
from edgeq.emit.firmware_layers import layer_table
from edgeq.errors import CostBudget, Mismatch
from edgeq.estimating import Estimated, Shares, estimate_boards
from edgeq.estimating.in_memory import InMemory
from edgeq.estimating.routes import RoutedModel, counted, sent
from edgeq.harness.link import BoardLink
from edgeq.ir import Graph
from edgeq.ops.signals import SIGNALS
from edgeq.passes.freeze_cascade import with_thresholds
from edgeq.passes.freeze_router import chosen_experts
from edgeq.passes.select_kernels import select_kernels
from edgeq.prove.firmware import answer_of
from edgeq.prove.host import host_runner
from edgeq.prove.trials import Answer, Trial, answers_of
from edgeq.reference import run, run_all_stages
from edgeq.toolchain import build, find_compiler, with_board
from tests.acceptance.boards import qemu_board
from tests.factory import cascade_graph, input_rows
from tests.hang import HANG_S
from tests.unit.cascade.made import cascade_model
from tests.unit.prove.conftest import spoil as spoil

DIGEST = "56" * 32
THREE = cascade_graph(np.random.default_rng(4), ("t2", "s4", "s8"), trunk="fc")
DSP = select_kernels(THREE, frozenset({"dsp"}))
ROWS = input_rows(np.random.default_rng(1), THREE, 24)
LIMITS = st.tuples(*[st.sampled_from([0, 1, 256]) | st.integers(0, 256)] * 2)
WIDE = {
    name: cascade_graph(np.random.default_rng(4), ("t2", "s4", "s8"), signal=name, classes=10)
    for name in SIGNALS
    if name not in ("gap", "router")  # whose kernel is Monte Carlo dropout's
}


def built(graph: Graph, board_name: str, folder: Path) -> Path:
    board = load_board(board_name)
    project = with_board(compile_graph(graph, "m", DIGEST).project, board)
    return build(project, board, find_compiler("auto"), folder).elf


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> object:
    folder = tmp_path_factory.mktemp("host")
    return host_runner(THREE, compile_graph(THREE, "m", DIGEST).project, folder)


@pytest.fixture(scope="module")
def elf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built(DSP, "virtual_m4", tmp_path_factory.mktemp("twin"))


@pytest.fixture(scope="module")
def twin(elf: Path) -> InMemory:
    return InMemory(load_board("virtual_m4"), elf, DSP, layer_table(DSP))


def on_twin(
    twin: InMemory, limits: tuple[int, ...], rows: np.ndarray, graph: Graph = DSP
) -> Iterator[Answer]:
    with sent(twin, graph, limits):
        for row in rows:
            yield answer_of(graph, twin.infer(row))


@settings(max_examples=25, deadline=None)
@given(limits=LIMITS, data=st.data())
def test_host_and_twin_answer_as_the_reference(
    host: object, twin: InMemory, limits: tuple[int, int], data: st.DataObject
) -> None:
    """Output, route and signal of random rows under random thresholds, and at a row's own gap."""
    signals = run(with_thresholds(THREE, (0, 0)), ROWS).uncertainty >> 24
    if data.draw(st.booleans()):
        limits = (int(data.draw(st.sampled_from(signals.tolist()))), limits[1])
    wanted = list(answers_of(THREE, ROWS, limits))
    assert list(host([Trial((), row, limits, wanted[0]) for row in ROWS])) == wanted  # type: ignore[operator]
    assert list(on_twin(twin, limits, ROWS[:6])) == wanted[:6]


@pytest.mark.parametrize("board", ["virtual_m4", "rpi_pico"])
@pytest.mark.parametrize("signal", WIDE)
def test_other_signals_on_host_and_twins(signal: str, board: str, tmp_path: Path) -> None:
    """At both ends and at rows' own values, which are on neither side."""
    graph, rule = select_kernels(WIDE[signal], load_board(board).features), SIGNALS[signal]
    asked = host_runner(graph, compile_graph(graph, "m", DIGEST).project, tmp_path / "host")
    firmware = InMemory(load_board(board), built(graph, board, tmp_path), graph, layer_table(graph))
    values = run_all_stages(graph, ROWS).signals
    own = tuple(int(column[3]) for column in values.T)
    below = tuple(value - 1 for value in own)
    for limits in (own, below, (rule.always,) * 2, (rule.never, own[1]), (rule.always, own[1])):
        wanted = list(answers_of(graph, ROWS, limits))
        assert list(asked([Trial((), row, limits, wanted[0]) for row in ROWS])) == wanted
        assert list(on_twin(firmware, limits, ROWS[:6], graph)) == wanted[:6]


@pytest.mark.parametrize("board", ["nrf52840dk", "rpi_pico"])
def test_other_cores_answer_alike(board: str, tmp_path: Path) -> None:
    """The Pico's has no conditional instructions and no DSP extension."""
    chosen = select_kernels(THREE, load_board(board).features)
    firmware = InMemory(
        load_board(board), built(chosen, board, tmp_path), chosen, layer_table(chosen)
    )
    for limits in ((256, 0), (256, 256), (20, 30)):
        with sent(firmware, chosen, limits):
            answers = [answer_of(chosen, firmware.infer(row)) for row in ROWS[:4]]
        assert answers == list(answers_of(THREE, ROWS[:4], limits))


@pytest.mark.full
@pytest.mark.parametrize("signal", ["gap", *WIDE])
def test_qemu_answers_alike(signal: str, tmp_path: Path) -> None:
    made, rule = WIDE.get(signal, THREE), SIGNALS[signal]
    own = made.param(made.nodes[-1], "thresholds").tolist()
    for limits in (tuple(own), (rule.always,) * 2, (rule.never,) * 2):
        graph = with_thresholds(made, limits)
        elf = built(graph, "qemu_mps2_an386", tmp_path / str(limits[0]))
        with (
            qemu_board("mps2-an386", elf) as port,
            BoardLink.open(port, timeout=HANG_S, infer_timeout=HANG_S) as link,
        ):
            answers = [answer_of(graph, link.infer(i, row.tobytes())) for i, row in enumerate(ROWS)]
        assert answers == list(answers_of(graph, ROWS, limits))


DRIVER = r"""
#include <stdio.h>
#include "model/cascade.h"
static cascade_context net;
int main(void) {
    int8_t input[CASCADE_INPUT_BYTES], output[CASCADE_OUTPUT_COUNT];
    cascade_init(&net);
    if (cascade_route(&net) != -1 || cascade_route_count(&net, 0) != 0) return 2;
    if (cascade_set_threshold(0, 0, 1) != -1 || cascade_set_threshold(&net, -1, 1) != -1 ||
        cascade_set_threshold(&net, CASCADE_THRESHOLD_COUNT, 1) != -1 ||
        cascade_set_threshold(&net, 0, CASCADE_THRESHOLD_MIN - 1) != -1 ||
        cascade_set_threshold(&net, 0, CASCADE_THRESHOLD_MAX + 1) != -1) return 3;
    for (int n = 0; fread(input, 1, sizeof input, stdin) == sizeof input; n++) {
        if (n == 12 && cascade_set_threshold(&net, 0, CASCADE_THRESHOLD_MAX) != 0) return 4;
        if (n == 12 && cascade_set_threshold(&net, 1, CASCADE_THRESHOLD_MIN) != 0) return 4;
        if (cascade_infer(&net, input, output) != 0) return 5;
        printf("%d ", (int)cascade_route(&net));
    }
    for (int32_t i = -1; i <= CASCADE_EXPERT_COUNT; i++) {
        printf("%u ", (unsigned)cascade_route_count(&net, i));
    }
    return 0;
}
"""


def test_thresholds_are_set_and_routes_counted_at_run_time(tmp_path: Path) -> None:
    """Under the sanitizers: the first twelve rows by the export's thresholds, then all to 1."""
    if shutil.which("gcc") is None:
        pytest.skip("no gcc on this machine")
    project = compile_graph(THREE, "m", DIGEST).project
    project.write(tmp_path / "p")
    (tmp_path / "driver.c").write_text(DRIVER)
    names = [n for n in project.files if n.startswith(("model/", "kernels/")) and n[-2:] == ".c"]
    command = ["gcc", "-std=c99", "-Wall", "-Wextra", "-Werror", "-fsanitize=address,undefined"]
    command += ["-fno-sanitize-recover=all", "-Ip", "driver.c", *(f"p/{n}" for n in names)]
    subprocess.run([*command, "-o", "driver"], cwd=tmp_path, check=True, timeout=HANG_S)
    said = subprocess.run(
        [tmp_path / "driver"], input=ROWS.tobytes(), capture_output=True, timeout=HANG_S
    )
    assert said.returncode == 0, said.stderr
    numbers = [int(word) for word in said.stdout.split()]
    routes = [*run(THREE, ROWS[:12]).route.tolist(), *[1] * 12]
    assert numbers[:24] == routes
    assert numbers[24:] == [0, *np.bincount(routes, minlength=3).tolist(), 0]


def test_a_route_costs_the_same_taken_or_sent_and_the_worst_runs_all(elf: Path) -> None:
    board = load_board("virtual_m4")
    subject = RoutedModel(DSP, layer_table(DSP), ROWS, chosen_experts(DSP, ROWS))
    taken = counted(subject, board, elf)
    assert [route.experts for route in taken] == [(0,), (0, 1), (0, 1, 2)]
    assert [route.obtained for route in taken] == ["rows"] * 3
    assert {route.spread for route in taken} == {0}
    first = RoutedModel(DSP, subject.layers, ROWS[:1], subject.chosen[:1])
    again = counted(first, board, elf)
    assert sorted(route.obtained for route in again) == ["forced", "forced", "rows"]
    assert [route.cycles for route in again] == [route.cycles for route in taken]
    assert taken[0].cycles < taken[1].cycles < taken[2].cycles
    assert all(taken[2].layers)


def test_the_gap_of_ten_classes_takes_at_most_200_cycles(tmp_path: Path) -> None:
    """On virtual_m4, the count of the layer with the call and the two reads of the counter."""
    graph = cascade_graph(np.random.default_rng(4), classes=10)
    rows = input_rows(np.random.default_rng(1), graph, 3)
    subject = RoutedModel(graph, layer_table(graph), rows, chosen_experts(graph, rows))
    routes = counted(subject, load_board("virtual_m4"), built(graph, "virtual_m4", tmp_path))
    (index,) = (layer.index for layer in subject.layers if layer.name == "signal")
    cycles = {route.layers[index] for route in routes}
    print("cycles of the gap of 10 classes:", cycles)
    assert len(cycles) == 1
    assert max(cycles) <= 200


def estimated(graph: Graph) -> Estimated:
    chosen = chosen_experts(graph, ROWS)
    shares = Shares.of_rows("rows", chosen)
    return Estimated("m", DIGEST, graph, ROWS, "rows", chosen, shares)


@pytest.mark.parametrize("signal", ["gap", *WIDE])
def test_the_time_of_each_route_is_proven(signal: str) -> None:
    board = load_board("virtual_m4")
    made = DSP if signal == "gap" else select_kernels(WIDE[signal], frozenset({"dsp"}))
    compiler = find_compiler("auto")
    (entry,) = estimate_boards(estimated(made), [board], compiler, prove=True)["boards"]
    proof = entry["constant_time"]
    assert proof["core_cycles"] == "proven", proof["said"]
    assert proof["trace"]["chooses_experts"] == 2  # a branch a threshold, and no jump by data
    assert [route["name"] for route in entry["routes"]] == ["t2_0", "t2_0+s4_1", "t2_0+s4_1+s8_2"]


def test_a_kernel_that_branches_by_data_is_seen(spoil: object) -> None:
    """The negative case: the very comparison that the masks replace, as a branch."""
    right = "second += more"
    branch = 'if (more > 3) { __asm__ volatile(""); }'
    spoil("edgeq_gap_s8.c", right, f"{branch}\n{right}")  # type: ignore[operator]
    board = load_board("virtual_m4")
    (entry,) = estimate_boards(estimated(DSP), [board], find_compiler("auto"), prove=True)["boards"]
    assert entry["constant_time"]["core_cycles"] == "depends on the input"


@pytest.mark.parametrize(("signal", "words"), [("gap", "below a gap"), ("entropy", "above an en")])
def test_an_export_of_a_cascade(signal: str, words: str, tmp_path: Path) -> None:
    edgeq.save(cascade_model(3, trunk=True, signal=signal), tmp_path / "m.pt")
    report = pipeline.export(tmp_path / "m.pt", "virtual_m4", tmp_path / "out")
    assert all(check["passed"] for check in report["checks"])
    firmware = next(check for check in report["checks"] if check["name"] == "firmware")
    assert set(firmware["routes"]) == {"ternary", "ternary+int4", "ternary+int4+int8"}
    assert (firmware["mismatches"], firmware["forced"] > 0) == (0, True)
    assert report["cascade"]["signal"] == signal
    assert len(report["cascade"]["thresholds"]) == 2
    assert sum(report["cascade"]["answered"]) == report["cascade"]["rows"] == 80
    text = " ".join((tmp_path / "out" / "report.txt").read_text().split())
    assert f"cascade: goes on {words}" in text
    header = (tmp_path / "out" / "firmware" / "model" / "stages.h").read_text()
    assert "stages_set_threshold" in header
    assert "stays within the worst case, in which all experts run" in " ".join(header.split())
    assert edgeq.verify(tmp_path / "out", model=tmp_path / "m.pt")["passed"]
    worst = report["estimate"]["worst"]["latency_s"]
    with pytest.raises(CostBudget, match=r"answered by ternary\+int4\+int8"):
        pipeline.export(
            tmp_path / "m.pt", "virtual_m4", tmp_path / "no", max_latency=f"{worst * 5e5}us"
        )


@pytest.mark.parametrize(
    ("right", "wrong"),
    [("first - second", "first - second + (first == 7)"), ("= -128;", "= logits[0];")],
)
def test_a_wrong_gap_is_a_mismatch(right: str, wrong: str, tmp_path: Path, spoil: object) -> None:
    edgeq.save(cascade_model(2), tmp_path / "m.pt")
    spoil("edgeq_gap_s8.c", right, wrong)  # type: ignore[operator]
    with pytest.raises(Mismatch, match="firmware: "):
        pipeline.export(tmp_path / "m.pt", "virtual_m4", tmp_path / "out")
