"""What a model keeps: the same in numpy, C, the proofs, ONNX, TFLite and on a board."""

import io
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

import edgeq
from edgeq import nn
from edgeq.compiled import compile_graph
from edgeq.emit.onnx_model import onnx_model
from edgeq.emit.state_ports import with_state_ports
from edgeq.emit.tflite_model import tflite_model
from edgeq.errors import BadInput, EdgeqError, Link
from edgeq.export_folder import read_project, read_report
from edgeq.harness.link import BoardLink
from edgeq.harness.messages import RESET, RUN, Request, run_request
from edgeq.ir.ports import inputs_of
from edgeq.memory import plan_memory
from edgeq.ops import OPS
from edgeq.passes.select_kernels import select_kernels
from edgeq.passes.stored_graph import stored_graph
from edgeq.passes.verify import verify
from edgeq.prove.firmware import check_with
from edgeq.prove.forms import check_forms
from edgeq.prove.host import host_runner
from edgeq.prove.trials import trials
from edgeq.reference import numbers, random_rows, real_inputs, reference, run
from edgeq.reporting.figures import ReportedRun
from edgeq.reporting.page import page
from edgeq.reporting.profile_text import profile_text
from edgeq.reporting.run import finished_run
from tests.factory import mixture_graph
from tests.hang import HANG_S
from tests.port_graphs import with_delay
from tests.tiny_export import served

ROWS = 25


@given(st.integers(0, 3), st.lists(st.integers(1, 7), min_size=1, max_size=5))
def test_however_a_sequence_is_cut(seed: int, cuts: list[int]) -> None:
    """Pieces with the state handed on answer as the whole."""
    graph = with_delay(seed)
    rows = random_rows(graph, sum(cuts), seed)
    whole, pieces, state, at = run(graph, rows), [], None, 0
    for count in cuts:
        ran = run(graph, rows[at : at + count], state)
        pieces.append(ran.output)
        state, at = ran.state, at + count
    np.testing.assert_array_equal(np.concatenate(pieces), whole.output)
    assert state is not None
    for name, kept in whole.state.items():
        np.testing.assert_array_equal(state[name], kept)


def test_each_row_gives_the_one_before() -> None:
    graph = with_delay()
    values = run(graph, random_rows(graph, 6)).values
    (first, *_) = (node for node in graph.nodes if node.op == "Delay")
    quant = graph.tensors[first.outputs[0]].quant
    assert quant is not None
    assert (values[first.outputs[0]][0] == quant.zero_point).all()
    np.testing.assert_array_equal(values[first.outputs[0]][1:], values[first.inputs[0]][:-1])


def test_the_reference_by_name() -> None:
    graph = with_delay()
    rows = random_rows(graph, 4)
    outputs, state = reference(graph, {"input": rows[:2]})
    again, _ = reference(graph, {"input": rows[2:]}, state)
    whole = run(graph, rows).output
    np.testing.assert_array_equal(np.concatenate([outputs["output"], again["output"]]), whole)
    with pytest.raises(BadInput, match="not input"):
        reference(graph, {"x": rows})
    with pytest.raises(BadInput, match=r"not \(rows, 6\) of int8"):
        reference(graph, {"input": rows.astype(np.int16)})
    with pytest.raises(BadInput, match="keeps"):
        reference(graph, {"input": rows}, {name: kept[:-1] for name, kept in state.items()})
    with pytest.raises(BadInput, match="keeps"):
        run(graph, rows, {})


def test_answers_from_a_later_row_begin_at_the_first() -> None:
    graph = with_delay()
    rows = random_rows(graph, 70)
    assert list(numbers(graph, rows, 41)) == list(numbers(graph, rows))[41:]


def test_the_plan_has_a_region_for_it() -> None:
    plan = plan_memory(with_delay())
    assert [(b.bytes, b.offset) for b in plan.state] == [(5, 0), (5, 8)]
    assert plan.state_bytes == 16
    assert not {b.name for b in plan.state} & {b.name for b in plan.buffers}


def test_a_state_beside_a_mixture_is_taken(tmp_path: Path) -> None:
    """It sees every row, whoever answers it."""
    mixed, delay = mixture_graph(np.random.default_rng(0), trunk="fc"), with_delay()
    node = next(n for n in delay.nodes if n.op == "Delay")
    first = mixed.nodes[0]
    kind = mixed.tensors[first.outputs[0]]
    own = replace(node, inputs=first.outputs, outputs=("late",))
    both = mixed.with_tensors({"late": kind}).with_nodes((first, own, *mixed.nodes[1:]))
    graph = select_kernels(verify(both, "lowered"), frozenset())
    rows = random_rows(graph, 40)
    runner = host_runner(graph, compile_graph(graph, "m", "56" * 32).project, tmp_path)
    check = check_with(graph, rows, runner, "host")
    assert check.passed, check.said
    whole, first = run(graph, rows), run(graph, rows[:17])
    second = run(graph, rows[17:], first.state)
    np.testing.assert_array_equal(np.concatenate([first.output, second.output]), whole.output)


def test_another_scale_behind_it_is_refused() -> None:
    graph = with_delay()
    node = next(n for n in graph.nodes if n.op == "Delay")
    kind = graph.tensors[node.outputs[0]]
    other = graph.with_tensors({node.outputs[0]: replace(kind, dtype="int16")})
    with pytest.raises(EdgeqError, match="share one scale"):
        verify(other, "quantized")


def test_its_forms_have_a_port_more_on_each_side() -> None:
    graph = with_delay()
    open_graph, states = with_state_ports(graph)
    assert [(s.input_name, s.output_name) for s in states] == [
        ("delay_1_state", "delay_1_next"),
        ("delay_3_state", "delay_3_next"),
    ]
    assert not [n for n in open_graph.nodes if OPS[n.op].memory is not None]
    rows = random_rows(graph, ROWS)
    files = onnx_model(graph, "frames").SerializeToString(), tflite_model(graph, "frames")
    for check in check_forms(graph, real_inputs(graph, rows), rows, *files):
        assert check.samples == ROWS, check.said
        assert check.max_lsb is not None
        assert check.max_lsb <= 1, check.said


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A PyTorch model with two Delay layers, exported and built for the virtual board."""
    torch.manual_seed(4)
    place, rng = tmp_path_factory.mktemp("frames"), np.random.default_rng(2)
    rows = rng.normal(size=(120, 6)).astype(np.float32)
    body = nn.Sequential(
        nn.Linear(6, 8, "int8"), nn.ReLU(), nn.Residual(nn.Delay()), nn.Linear(8, 4), nn.Delay()
    )
    model = nn.Model(body, (6,), name="frames", evaluation=(rows[:ROWS], np.arange(ROWS) % 4))
    model.train()
    with torch.no_grad():
        for _ in range(30):
            model(torch.from_numpy(rows))
    model.calibrate(rows)
    edgeq.save(model, place / "frames.pt")
    edgeq.export(place / "frames.pt", "virtual_m4", place / "out")
    edgeq.build("virtual_m4", place / "out")
    return place / "out"


@pytest.fixture(scope="module")
def port(folder: Path) -> Iterator[str]:
    with served(folder) as (name, _):
        yield name


def test_every_proof_holds(folder: Path) -> None:
    """PyTorch, the twin byte for byte in sequence, ONNX Runtime and LiteRT."""
    report = read_report(folder)
    checks = {check["name"]: check for check in report["checks"]}
    assert set(checks) == {"model", "firmware", "onnx", "tflite"}
    assert all(check["passed"] for check in checks.values())
    assert checks["firmware"]["samples"] >= 8
    assert report["state_bytes"] == 16
    header = (folder / "firmware" / "model" / "frames.h").read_text()
    assert "#define FRAMES_STATE_BYTES 16" in header
    assert "void frames_reset(frames_context *context);" in header


def test_the_host_build_keeps_what_the_reference_keeps(folder: Path, tmp_path: Path) -> None:
    graph = stored_graph(folder / "graph.npz")
    asked = [trial for each in trials(graph, random_rows(graph, 30), 40) for trial in each]
    answers = list(host_runner(graph, read_project(folder), tmp_path)(asked))
    assert answers == [trial.wanted for trial in asked]
    fresh = run(graph, np.stack([asked[-1].row])).output.tobytes()
    assert fresh != asked[-1].wanted.output, "the rows before it made no difference"


def test_a_profile_is_a_sequence(folder: Path, port: str, tmp_path: Path) -> None:
    """Also one that is resumed: what was recorded is run again first."""
    summary = edgeq.profile(port, folder, run=tmp_path / "run", limit=9)
    assert (summary["samples"], summary["mismatches"]) == (9, 0)
    summary = edgeq.profile(port, folder, run=tmp_path / "run", limit=ROWS, resume=True)
    assert (summary["samples"], summary["mismatches"]) == (ROWS, 0)
    kept = ReportedRun(*finished_run(tmp_path / "run"))
    assert kept.run.manifest.model.state_bytes == 16
    file = io.StringIO()
    Console(file=file, width=80, color_system=None).print(profile_text(kept.summary))
    assert re.search(r"\nstate +- +- +16 ", file.getvalue()), file.getvalue()
    assert "<td>state</td><td>-</td><td>-</td><td>16</td>" in page([kept])


def test_a_board_that_was_not_reset_refuses(folder: Path, port: str) -> None:
    graph = stored_graph(folder / "graph.npz")
    data = inputs_of(graph).pack(random_rows(graph, 1)[0])
    with served(folder) as (fresh, _), BoardLink.open(fresh, HANG_S) as link:
        assert link.info().state_bytes == 16
        with pytest.raises(Link, match="the model's state is lost"):
            link.infer(0, data)
        link.reset()
        first = link.infer(0, data).output
        second = link.infer(1, data).output
        link.reset()
        np.testing.assert_array_equal(link.infer(0, data).output, first)
        assert not np.array_equal(first, second)
    assert run_request(1, 2).type == RUN != Request(RESET, b"").type


@pytest.mark.full
@pytest.mark.skipif(shutil.which("qemu-system-arm") is None, reason="qemu-system-arm is absent")
def test_qemu_keeps_what_the_reference_keeps(folder: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(folder, tmp_path / "out")
    flashed = edgeq.flash("qemu_mps2_an386", copy)
    try:
        summary = edgeq.profile(flashed["port"], copy, run=tmp_path / "run")
    finally:
        edgeq.stop(flashed["port"])
    assert (summary["samples"], summary["mismatches"]) == (ROWS, 0)
