"""The firmware of an export against the reference: on a twin, on the host, forced, and refused."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import edgeq
from edgeq import nn, pipeline
from edgeq.errors import Mismatch, Toolchain
from edgeq.passes.freeze_router import chosen_experts
from edgeq.prove import drills
from edgeq.prove import export as prove_export
from edgeq.prove.check import Check
from edgeq.prove.firmware import compare
from edgeq.prove.trials import MOST_ROWS, ROWS, Answer, answers_of, forced_graph, trials
from edgeq.sim.faults import FaultReport, GuestFault
from edgeq.toolchain import host
from tests.factory import input_rows, mixture_graph
from tests.unit.prove.conftest import Spoil

ROUTES = dict.fromkeys(("ternary", "int4", "int8"), MOST_ROWS)


def check_named(report: dict[str, object], name: str) -> dict[str, object]:
    checks = report["checks"]
    assert isinstance(checks, list)
    return next(check for check in checks if check["name"] == name)


def test_an_export_says_four_proofs(saved: Path, tmp_path: Path) -> None:
    report = pipeline.export(saved, "virtual_m4", tmp_path / "out")
    assert [c["name"] for c in report["checks"]] == ["model", "firmware", "onnx", "tflite"]
    assert all(c["passed"] and c["said"] for c in report["checks"])
    firmware = check_named(report, "firmware")
    assert (firmware["by"], firmware["routes"]) == ("virtual virtual_m4", ROUTES)
    assert (firmware["samples"], firmware["mismatches"]) == (3 * MOST_ROWS, 0)
    assert firmware["forced"] == 2 * MOST_ROWS  # the router takes one of the three experts only
    text = (tmp_path / "out" / "report.txt").read_text()
    assert "byte for byte: 64 rows a route, 128 of them sent there" in " ".join(text.split())


@pytest.mark.parametrize(
    ("kernel", "right", "wrong"),
    [
        ("edgeq_fully_connected_s8_t2_dsp.c", "NARROW_A     (-1)", "NARROW_A     (-2)"),
        ("edgeq_router.h", "((int64_t)1 << 33)", "((int64_t)1 << 34)"),
    ],
)
def test_case_03_a_wrong_kernel_is_a_mismatch_and_nothing_is_written(
    kernel: str, right: str, wrong: str, saved: Path, tmp_path: Path, spoil: Spoil
) -> None:
    """A kernel of an expert that no row takes, and one that spoils the uncertainty alone."""
    spoil(kernel, right, wrong)
    with pytest.raises(Mismatch, match="firmware: "):
        pipeline.export(saved, "virtual_m4", tmp_path / "out", accept_mismatch=True)
    assert not (tmp_path / "out").exists()


def test_case_03_a_wrong_table_look_up_is_a_mismatch(tmp_path: Path, spoil: Spoil) -> None:
    torch.manual_seed(1)
    x = np.random.default_rng(0).normal(size=(60, 5)).astype(np.float32)
    body = nn.Sequential(nn.Linear(5, 4), nn.Softmax())
    edgeq.save(nn.Model(body, (5,), calibration=x), tmp_path / "m.pt")
    spoil("edgeq_softmax_s8.c", "+ 64) >> 7", "+ 63) >> 7")
    with pytest.raises(Mismatch, match=r"firmware: .* answers are not the reference's: output "):
        pipeline.export(tmp_path / "m.pt", "cortex-m4", tmp_path / "out")


def test_a_kernel_that_faults_is_a_mismatch(saved: Path, tmp_path: Path, spoil: Spoil) -> None:
    call = "edgeq_route_s8(p, x, out, scratch);"
    spoil("edgeq_router_s8_dsp.c", call, f"{call}\n    *(volatile int32_t *)0xF0000000u = 1;")
    with pytest.raises(Mismatch, match="faults"):
        pipeline.export(saved, "virtual_m4", tmp_path / "out")


@pytest.mark.full
def test_a_core_without_a_twin_is_proven_by_the_host_build(
    saved: Path, tmp_path: Path, spoil: Spoil, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prove_export, "CORES", {})  # every core of today has a twin
    report = pipeline.export(saved, "cortex-m7", tmp_path / "out")
    firmware = check_named(report, "firmware")
    assert (firmware["passed"], firmware["mismatches"], firmware["routes"]) == (True, 0, ROUTES)
    assert firmware["forced"] == 2 * MOST_ROWS
    assert str(firmware["by"]).startswith("host build (")
    spoil("edgeq_fully_connected_s8_t2_dsp.c", "NARROW_A     (-1)", "NARROW_A     (-2)")
    with pytest.raises(Mismatch, match=r"firmware: host build \("):
        pipeline.export(saved, "cortex-m7", tmp_path / "no")
    assert not (tmp_path / "no").exists()


def test_what_nothing_can_run_is_said(
    saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none() -> tuple[str, ...]:
        raise Toolchain("no compiler for this computer")

    monkeypatch.setattr(host, "host_command", none)
    monkeypatch.setattr(prove_export, "CORES", {})
    report = pipeline.export(saved, "cortex-m7", tmp_path / "out")
    firmware = check_named(report, "firmware")
    assert (firmware["samples"], firmware["passed"]) == (0, False)
    assert "not proven: no virtual cortex-m7, and no compiler for this" in str(firmware["said"])
    assert any(note.startswith("firmware: not proven") for note in report["notes"])


def test_a_port_that_the_twin_cannot_run_is_proven_by_the_host_build(
    saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fault(*_: object) -> Check:
        raise GuestFault(FaultReport("a register that is not modelled", 0, "hal_init", {}, b""))

    monkeypatch.setattr(prove_export, "check_on_twin", fault)
    firmware = check_named(pipeline.export(saved, "virtual_m4", tmp_path / "out"), "firmware")
    assert firmware["passed"]
    assert "a register that is not modelled" in str(firmware["by"])


def test_few_rows_where_many_take_long_and_it_is_said(
    saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from edgeq.prove import firmware as module

    monkeypatch.setattr(module, "MOST_CYCLES", 1)
    monkeypatch.setattr(module, "CHEAP_CYCLES", 1)
    firmware = check_named(pipeline.export(saved, "virtual_m4", tmp_path / "out"), "firmware")
    assert firmware["routes"] == dict.fromkeys(ROUTES, 2)
    assert "2 rows a route (8 would take more than 1 cycles)" in str(firmware["said"])


@pytest.mark.parametrize(("top_k", "gate"), [(1, "none"), (2, "probability")])
def test_every_route_is_asked_and_forced_answers_are_the_permuted_reference_s(
    top_k: int, gate: str
) -> None:
    graph = mixture_graph(np.random.default_rng(4), top_k=top_k, gate=gate)
    rounds = trials(graph, input_rows(np.random.default_rng(5), graph, 3), ROWS)
    assert len(rounds) == ROWS
    assert len({trial.experts for trial in rounds[0]}) == len(rounds[0]) == 3
    ends = {int(t.row.min()) for each in rounds for t in each if t.row.min() == t.row.max()}
    assert ends == {-128, 127}  # sums meet their ends
    forced = [t for each in rounds for t in each if t.forced is not None]
    assert forced
    for trial in forced:
        assert trial.forced is not None
        taken = chosen_experts(graph, trial.row[None])[0].tolist()
        assert tuple(sorted(trial.forced[i] for i in taken)) == trial.experts
        assert [trial.wanted] == list(
            answers_of(forced_graph(graph, trial.forced), trial.row[None])
        )


@pytest.mark.parametrize("part", ["output", "route", "uncertainty"])
def test_one_differing_byte_fails(part: str) -> None:
    graph = mixture_graph(np.random.default_rng(4))
    asked = trials(graph, input_rows(np.random.default_rng(5), graph, 3), 1)[0]
    answers = [t.wanted for t in asked]
    assert compare(graph, asked, answers, "here").passed
    last = answers[-1]
    other: dict[str, Answer] = {
        "output": replace(last, output=last.output[:-1] + bytes([last.output[-1] ^ 1])),
        "route": replace(last, route=last.route + 1),
        "uncertainty": replace(last, uncertainty=last.uncertainty + 1),
    }
    check = compare(graph, asked, [*answers[:-1], other[part]], "here")
    assert (check.passed, check.mismatches) == (False, 1)
    assert part in check.said or "takes expert" in check.said


def test_an_accepted_mismatch_is_said_in_report_and_header(saved: Path, tmp_path: Path) -> None:
    model = edgeq.load(saved)
    with torch.no_grad():
        for expert in model.body.experts:
            expert[0].act.high.fill_(1e-3)  # PyTorch clips its inputs, the integers do not
            expert[0].act.low.fill_(-1e-3)
    edgeq.save(model, tmp_path / "m.pt")
    with pytest.raises(Mismatch, match=r"model: .* departs is .*experts\.\d\.0.*--accept-mismatch"):
        pipeline.export(tmp_path / "m.pt", "virtual_m4", tmp_path / "out")
    assert not (tmp_path / "out").exists()
    report = pipeline.export(
        tmp_path / "m.pt", "virtual_m4", tmp_path / "out", accept_mismatch=True
    )
    trained = check_named(report, "model")
    assert (trained["passed"], trained["accepted"]) == (False, True)
    assert str(trained["departs"]).endswith(".0")
    assert any(note.startswith("model: ") for note in report["notes"])
    header = (tmp_path / "out" / "firmware" / "model" / "small.h").read_text()
    assert header.startswith("/* ACCEPTED MISMATCH")
    pipeline.build("virtual_m4", tmp_path / "out")  # the header is C, and the digests agree


def test_the_host_build_needs_no_cc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert shutil.which("cc") is None
    assert "zig" in " ".join(host.host_command())


def test_a_layer_that_differs_inside_fails_the_proof_by_its_name(
    tmp_path: Path, spoil: Spoil
) -> None:
    """Sums a step off, whose answer is not: the layer behind takes ten times their step."""
    torch.manual_seed(2)
    x = np.random.default_rng(0).normal(size=(60, 9)).astype(np.float32)
    inner = nn.Sequential(nn.Linear(9, 9), nn.ReLU())
    body = nn.Sequential(nn.Linear(9, 9), nn.Residual(inner), nn.Linear(9, 2))
    with torch.no_grad():
        body[2].weight[:, 1:] = 0.0  # the answer hangs on one sum
    edgeq.save(nn.Model(body, (9,), calibration=x), tmp_path / "m.pt")
    sums = "    edgeq_sums(&s, half == 0 ? a : b, half == 0 ? b : a, p->size, y);\n"
    spoil("edgeq_add_s8_dsp.c", sums, sums + "    y[1] = (int8_t)(y[1] ^ 1);\n")
    with pytest.raises(Mismatch, match=r"layer .*add.* of 9 values are not the reference's"):
        pipeline.export(tmp_path / "m.pt", "virtual_m4", tmp_path / "out", accept_mismatch=True)


def test_every_layer_of_an_export_is_watched_and_drilled(saved: Path, tmp_path: Path) -> None:
    report = pipeline.export(saved, "virtual_m4", tmp_path / "out")
    layers = [x for x in report["layers"] if x["op"] != "mixture"]
    inside = f"so is every output of {len(layers)} layers, of these rows and of {MOST_ROWS // 2} "
    assert inside + "seeded inputs" in check_named(report, "firmware")["said"]


def test_a_fault_that_no_row_meets_fails_the_layer_that_is_fed_more(
    tmp_path: Path, spoil: Spoil, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The inner layer always says the same code; the sum is wrong for any other."""
    torch.manual_seed(2)
    x = np.random.default_rng(0).normal(size=(60, 9)).astype(np.float32)
    inner = nn.Sequential(nn.Linear(9, 9), nn.ReLU())
    with torch.no_grad():
        inner[0].weight.zero_()
        inner[0].bias.fill_(1.0)
    body = nn.Sequential(nn.Linear(9, 9), nn.Residual(inner), nn.Linear(9, 2))
    edgeq.save(nn.Model(body, (9,), calibration=x), tmp_path / "m.pt")
    sums = "    edgeq_sums(&s, half == 0 ? a : b, half == 0 ? b : a, p->size, y);\n"
    wrong = "    y[1] = (int8_t)(a[0] < 100 && b[0] < 100 ? ~y[1] : y[1]);\n"
    spoil("edgeq_add_s8_dsp.c", sums, sums + wrong)
    with pytest.raises(Mismatch, match=r"layer .*add.* of 9 values are not the reference's, in"):
        pipeline.export(tmp_path / "m.pt", "virtual_m4", tmp_path / "no", accept_mismatch=True)
    assert not (tmp_path / "no").exists()
    monkeypatch.setattr(drills, "DRAWS", (lambda _, kind, __: np.full(kind.shape, 127, np.int8),))
    pipeline.export(tmp_path / "m.pt", "virtual_m4", tmp_path / "out", accept_mismatch=True)
