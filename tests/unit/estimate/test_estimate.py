"""`edgeq estimate`: equal to what a profile of the virtual board reports, on every route."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeq.board import load_board
from edgeq.emit.firmware import firmware_project, layer_table
from edgeq.errors import Mismatch
from edgeq.estimating import Shares, of_folder
from edgeq.estimating.boards import why_not_run
from edgeq.estimating.routes import BY_ROWS, FORCED, RoutedModel, all_routes, counted
from edgeq.export_folder import SCHEMA
from edgeq.harness.link import BoardLink
from edgeq.ir import Graph
from edgeq.memory import plan_memory
from edgeq.ops.graph_file import write_graph
from edgeq.passes.freeze_router import chosen_experts
from edgeq.passes.select_kernels import select_kernels
from edgeq.toolchain import Firmware, build, find_compiler, with_board
from edgeq.weights import pack_weights
from tests.command_line import Ended, run_told
from tests.factory import fc_graph, input_rows, mixture_graph, smallest_mixture
from tests.hang import HANG_S

DIGEST = "34" * 32
SAMPLES = 40


def built_for(graph: Graph, board_name: str, folder: Path) -> Firmware:
    board = load_board(board_name)
    project = firmware_project(
        graph, plan_memory(graph), pack_weights(graph), model_name="tiny", digest=DIGEST
    )
    project.write(folder / "firmware")
    return build(with_board(project, board), board, find_compiler("auto"), folder / "build")


@pytest.fixture(scope="module")
def mixture() -> Graph:
    return select_kernels(smallest_mixture(), frozenset({"dsp"}))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, mixture: Graph) -> Path:
    """An export folder of a tiny mixture with an evaluation set."""
    folder = tmp_path_factory.mktemp("estimate") / "export"
    built_for(mixture, "virtual_m4", folder)
    write_graph(mixture, folder / "graph.npz")
    report = {"schema": SCHEMA, "model_digest": DIGEST, "model": "tiny", "input_shape": [5]}
    report |= {"target": "cortex-m4"}
    report |= {"class_names": None, "checks": [], "notes": []}
    (folder / "export.json").write_text(json.dumps(report))
    quant = mixture.tensors[mixture.inputs[0]].quant
    assert quant is not None
    codes = input_rows(np.random.default_rng(1), mixture, SAMPLES).astype(np.float32)
    x = (codes - quant.zero_point) * quant.per_tensor
    np.savez(folder / "evaluation.npz", x=x, y=np.zeros(SAMPLES, np.int64))
    return folder


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Callable[..., Ended]:
    return lambda *words: run_told(monkeypatch, capfd, "estimate", *words)


def subject_of(graph: Graph, rows: np.ndarray) -> RoutedModel:
    return RoutedModel(graph, layer_table(graph), rows, chosen_experts(graph, rows))


def profiled(elf: Path, rows: np.ndarray) -> list[Any]:
    """What the virtual board answers over its serial port."""
    command = [sys.executable, "-m", "edgeq.sim", str(elf), "--pty", "--json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        port = json.loads(process.stdout.readline())["port"]
        with BoardLink.open(port, timeout=HANG_S, infer_timeout=HANG_S) as link:
            return [link.infer(i, row.tobytes()) for i, row in enumerate(rows)]
    finally:
        process.kill()
        process.communicate(timeout=HANG_S)


def test_an_estimate_is_what_a_profile_reports(folder: Path, mixture: Graph) -> None:
    """Exactly: a count of n and a half cycles is read as n or n + 1, one of n always as n."""
    model, board = of_folder(folder), load_board("virtual_m4")
    routes = counted(subject_of(mixture, model.rows), board, folder / "build" / "firmware.elf")
    by_expert = {r.experts[0]: r for r in routes}
    results = profiled(folder / "build" / "firmware.elf", model.rows)
    assert {r.route for r in results} == set(by_expert) == {0, 1, 2}
    for result in results:
        route = by_expert[result.route]
        for estimated, counts in (
            (route.cycles, result.cycles),
            *zip(route.layers, result.layer_cycles, strict=True),
        ):
            assert counts in {int(estimated), int(estimated + 0.5)}


def test_a_forced_route_costs_what_a_taken_one_does(folder: Path, mixture: Graph) -> None:
    board, elf = load_board("virtual_m4"), folder / "build" / "firmware.elf"
    subject = subject_of(mixture, of_folder(folder).rows)
    taken = counted(subject, board, elf)
    assert {r.obtained for r in taken} == {BY_ROWS}
    alone = replace(subject, rows=subject.rows[:1], chosen=subject.chosen[:1])
    forced = counted(alone, board, elf)
    assert sorted(r.obtained for r in forced) == [FORCED, FORCED, BY_ROWS]
    assert [(r.cycles, r.layers) for r in forced] == [(r.cycles, r.layers) for r in taken]


@pytest.mark.parametrize(
    ("graph", "routes"),
    [
        (fc_graph(np.random.default_rng(2)), 1),
        (mixture_graph(np.random.default_rng(4), top_k=2, gate="probability"), 3),
    ],
)
def test_routes_of_other_models(graph: Graph, routes: int, tmp_path: Path) -> None:
    rows = input_rows(np.random.default_rng(3), graph, 6)
    firmware = built_for(graph, "virtual_m4", tmp_path)
    found = counted(subject_of(graph, rows), load_board("virtual_m4"), firmware.elf, 2)
    assert [r.experts for r in found] == list(all_routes(graph))
    assert len(found) == routes
    for one in found:
        ran = [c for c, i in zip(one.layers, layer_table(graph), strict=True) if c]
        assert 0 < sum(ran) < one.cycles
        assert one.spread <= 1


def test_another_firmware_is_told_from_the_model(folder: Path, mixture: Graph) -> None:
    rows = of_folder(folder).rows
    wrong = replace(subject_of(mixture, rows), chosen=(chosen_experts(mixture, rows) + 1) % 3)
    with pytest.raises(Mismatch, match=r"row 0: the firmware takes expert \d, the reference"):
        counted(wrong, load_board("virtual_m4"), folder / "build" / "firmware.elf")


def test_the_command_on_two_boards(folder: Path, run: Callable[..., Ended]) -> None:
    boards = ("--board", "virtual_m4", "--board", "virtual_m0plus")
    code, out, _ = run(folder, *boards, "--json")
    assert code == 0
    result = json.loads(out)
    assert [e["board"] for e in result["boards"]] == ["virtual_m4", "virtual_m0plus"]
    m4, m0 = result["boards"]
    for entry in result["boards"]:
        cycles = [r["cycles"] for r in entry["routes"]]
        assert entry["worst"]["cycles"] == max(cycles)
        assert entry["best"]["cycles"] == min(cycles)
        assert min(cycles) <= entry["expected"]["cycles"] <= max(cycles)
        assert sum(r["share"] for r in entry["routes"]) == pytest.approx(1)
        assert entry["source"] == "modelled"
        assert entry["compiler"]
        assert "-O2" in entry["flags"]
        assert entry["flash_bytes"] > 0
    assert m4["worst"]["energy_band_j"][0] < m4["worst"]["energy_j"]
    assert m0["worst"]["energy_j"] is None
    assert (m4["energy_kind"], m0["energy_kind"]) == ("measured", None)
    assert "unvalidated" in m0["rules"]
    assert any("chosen anew" in note for note in m0["notes"])


@pytest.mark.full
def test_the_table_of_two_boards_and_two_equal_runs(
    folder: Path, run: Callable[..., Ended]
) -> None:
    boards = ("--board", "virtual_m4", "--board", "virtual_m0plus")
    first, again = (run(folder, *boards, "--json")[:2] for _ in range(2))
    assert first == again, "two runs differ"
    code, out, _ = run(folder, *boards, "--verbose")
    assert code == 0
    for word in ("virtual_m0plus", "expected", "modelled, rules cortex-m4/", "-O2", "no energy"):
        assert word in out
    assert "energy: modelled, measured nJ per cycle: " in " ".join(out.split())


def test_a_datasheet_current_is_called_so(folder: Path, run: Callable[..., Ended]) -> None:
    code, out, _ = run(folder, "--board", "nrf52840dk", "--json")
    assert code == 0
    (entry,) = json.loads(out)["boards"]
    assert (entry["source"], entry["energy_kind"]) == ("modelled", "datasheet")
    low, high = entry["worst"]["energy_band_j"]
    assert low == entry["worst"]["energy_j"]
    assert high == pytest.approx(2 * low)
    code, out, _ = run(folder, "--board", "nrf52840dk")
    assert code == 0
    assert "modelled, cortex-m4/1, 64 MHz; energy: datasheet current" in " ".join(out.split())
    assert "6.3 mA" not in out
    code, out, _ = run(folder, "--board", "nrf52840dk", "--verbose")
    assert code == 0
    assert "energy: modelled, datasheet current: 6.3 mA" in " ".join(out.split())


def test_what_is_refused(folder: Path, run: Callable[..., Ended], tmp_path: Path) -> None:
    nothing, model = tmp_path / "nothing", tmp_path / "model.pt"
    model.write_bytes(b"no model")
    for words, code, said in (
        ((nothing,), 2, "holds no export"),
        ((folder, "--board", "zx81"), 2, "unknown board 'zx81'"),
        ((folder, "--calibration", model), 2, "goes with a model file"),
        ((model,), 2, "on which board?"),
        ((model, "--board", "virtual_m4"), 3, "model.pt"),
        ((folder, "--compiler", "icc"), 2, "icc"),
    ):
        ended = run(*words)
        assert ended[0] == code, ended
        assert ended[1] == ""
        assert said in ended[2]


def test_a_board_without_room_is_said_beside_the_others(
    folder: Path, run: Callable[..., Ended], tmp_path: Path
) -> None:
    from edgeq.errors import MemoryBudget
    from edgeq.estimating import estimate_boards

    model, good = of_folder(folder), load_board("virtual_m4")
    tiny = good.model_copy(
        update={"name": "tiny", "ram": good.ram.model_copy(update={"bytes": 64})}
    )
    result = estimate_boards(model, (tiny, good), find_compiler("auto"))
    assert [e["fits"] for e in result["boards"]] == [False, True]
    assert "ram has 64 B" in result["boards"][0]["error"]
    with pytest.raises(MemoryBudget, match="tiny"):
        estimate_boards(model, (tiny,), find_compiler("auto"))


def test_shares_weigh_the_routes() -> None:
    shares = Shares.of_rows("calibration", np.array([[0], [1], [1], [1]]))
    assert (shares.share((1,)), shares.share((2,))) == (0.75, 0.0)
    assert shares.expected({(0,): 100.0, (1,): 20.5, (2,): 9.0}) == (100 + 3 * 20.5) / 4
    pairs = Shares.of_rows("calibration", np.array([[2, 0], [0, 2]]))
    assert pairs.counts == {(0, 2): 2}


def test_a_twin_with_slow_flash_is_traced_and_its_stalls_stand_apart(
    folder: Path, run: Callable[..., Ended]
) -> None:
    code, out, err = run(folder, "--board", "nucleo_l4r5zi", "--prove", "--json")
    assert code == 0, err
    (entry,) = json.loads(out)["boards"]
    proof = entry["constant_time"]
    assert proof["trace"]["decides"] == {}
    assert proof["core_cycles"] == "proven"
    assert proof["said"].startswith("proven: of ")
    assert proof["trace"]["chooses_experts"] == 1
    assert proof["audit"]["divides"] == []
    for route in entry["routes"]:
        least, most = route["flash_stall_cycles"]
        assert 0 < least <= most
        assert route["cycles"] - route["core_cycles"] == pytest.approx(most, abs=1)
        assert route["spread_cycles"] <= 1
    assert entry["constants"]["cache_line_bytes"] == 32


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("nucleo_h743zi", "no virtual twin of nucleo_h743zi.*--target cortex-m7`"),
        ("virtual_rv32imc", "no clock model of rv32imc"),
    ],
)
def test_a_board_that_cannot_be_estimated_says_why(name: str, said: str) -> None:
    why = why_not_run(load_board(name))
    assert why is not None
    assert re.match(said, why)
    assert why_not_run(load_board("virtual_m4")) is None
