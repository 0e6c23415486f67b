"""Two inputs and two outputs through every form: imported, exported, proven, profiled."""

import io
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from rich.console import Console

import edgeq
from edgeq.comparing import compare
from edgeq.emit.onnx_model import onnx_model
from edgeq.emit.tflite_model import tflite_model
from edgeq.errors import BadInput, ModelFile
from edgeq.export_folder import read_report
from edgeq.frontend.tflite_loader import graph_of_tflite
from edgeq.harness.link import BoardLink
from edgeq.harness.trace import read_run
from edgeq.ir import Graph
from edgeq.ir.ports import inputs_of, outputs_of, split
from edgeq.ops.op import Array
from edgeq.prove.forms import check_forms
from edgeq.prove.host import host_runner
from edgeq.prove.trials import trials
from edgeq.reference import random_rows, real_inputs, run
from edgeq.reporting.figures import ReportedRun
from edgeq.reporting.page import page
from edgeq.reporting.report_text import report_text
from edgeq.reporting.run import finished_run
from tests.hang import HANG_S
from tests.port_graphs import two_by_two, two_inputs
from tests.tiny_export import served

ROWS = 20


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The export of a .tflite with ports left, right, classes and hidden, built for the board."""
    place = tmp_path_factory.mktemp("pair")
    (place / "pair.tflite").write_bytes(tflite_model(two_by_two(), "pair"))
    edgeq.export(place / "pair.tflite", "virtual_m4", place / "out")
    edgeq.build("virtual_m4", place / "out")
    return place / "out"


@pytest.fixture(scope="module")
def port(folder: Path) -> Iterator[str]:
    with served(folder) as (name, _):
        yield name


@pytest.fixture(scope="module")
def rows() -> Array:
    return random_rows(two_by_two(), ROWS, 5)


def write_data(path: Path, graph: Graph, rows: Array, **more: Array) -> Path:
    parts = split(graph, real_inputs(graph, rows))
    named = dict(zip(graph.input_names, parts.values(), strict=True))
    np.savez(path, **named, **more)
    return path


@pytest.mark.parametrize("make", [two_inputs, two_by_two])
def test_the_tflite_is_the_graph(make: object, rows: Array) -> None:
    graph = make()  # type: ignore[operator]
    again = graph_of_tflite(tflite_model(graph, "pair"), "pair")
    assert again.input_names == ("left", "right")
    assert (
        outputs_of(again).ports == outputs_of(replace(graph, output_names=again.output_names)).ports
    )
    np.testing.assert_array_equal(run(again, rows).output, run(graph, rows).output)


@pytest.mark.parametrize("make", [two_inputs, two_by_two])
def test_onnx_and_tflite_answer_as_the_integers(make: object, rows: Array) -> None:
    graph = make()  # type: ignore[operator]
    files = onnx_model(graph, "pair").SerializeToString(), tflite_model(graph, "pair")
    checks = check_forms(graph, real_inputs(graph, rows), rows, *files)
    assert [check.name for check in checks] == ["onnx", "tflite"]
    for check in checks:
        assert check.samples == ROWS
        assert check.max_lsb is not None
        assert check.max_lsb <= 1, check.said


def test_the_export_is_proven_and_says_its_ports(folder: Path) -> None:
    report = read_report(folder)
    assert [(p["name"], p["shape"], p["dtype"]) for p in report["inputs"]] == [
        ("left", [6], "int8"),
        ("right", [6], "int8"),
    ]
    assert [(p["name"], p["shape"]) for p in report["outputs"]] == [
        ("classes", [4]),
        ("hidden", [7]),
    ]
    checks = {check["name"]: check for check in report["checks"]}
    assert checks["firmware"]["passed"]
    assert checks["firmware"]["samples"] >= 8
    assert checks["model"]["passed"]


def test_the_host_build_is_the_reference(folder: Path, rows: Array, tmp_path: Path) -> None:
    from edgeq.export_folder import read_project
    from edgeq.passes.stored_graph import stored_graph

    graph = stored_graph(folder / "graph.npz")
    asked = [trial for each in trials(graph, rows, 16) for trial in each]
    answers = list(host_runner(graph, read_project(folder), tmp_path)(asked))
    assert answers == [trial.wanted for trial in asked]


def test_the_board_names_its_ports(folder: Path, port: str) -> None:
    with BoardLink.open(port, HANG_S) as link:
        info = link.info()
    graph = two_by_two()
    assert (info.inputs, info.outputs) == (inputs_of(graph), outputs_of(graph))
    assert (info.input_bytes, info.output_count, info.state_bytes) == (12, 11, 0)


def test_a_profile_of_named_arrays(folder: Path, port: str, rows: Array, tmp_path: Path) -> None:
    """One array an input; a column an output; labels are of the first output."""
    graph = two_by_two()
    wanted = run(graph, rows).output
    labels = wanted[:, :4].argmax(axis=1)
    data = write_data(tmp_path / "data.npz", graph, rows, y=labels)
    summary = edgeq.profile(
        port, folder, data=data, run=tmp_path / "run", parquet=tmp_path / "all.parquet"
    )
    assert (summary["samples"], summary["mismatches"], summary["accuracy"]) == (ROWS, 0, 1.0)
    table = pq.read_table(tmp_path / "all.parquet")
    assert [n for n in table.schema.names if n.startswith("output")] == [
        "output.classes",
        "output.hidden",
    ]
    np.testing.assert_array_equal(np.array(table["output.hidden"].to_pylist()), wanted[:, 4:])
    kept = read_run(tmp_path / "run")
    np.testing.assert_array_equal(np.array([r.output for r in kept.records]), wanted)
    assert [p.name for p in kept.manifest.model.outputs] == ["classes", "hidden"]
    of = {(signal["of"], signal["errors"]) for signal in summary["signals"]}
    assert of == {("answer", 0)}  # of the four classes, whatever the seven others hold
    _shown(tmp_path / "run")


def _shown(folder: Path) -> None:
    """The text, the page and a comparison tell the ports."""
    run = ReportedRun(*finished_run(folder))
    file = io.StringIO()
    Console(file=file, width=80, color_system=None).print(report_text([run], ["pair"]))
    said = file.getvalue()
    assert "Inputs and outputs (accuracy is of classes)" in said
    for name in ("in left", "in right", "out classes", "out hidden"):
        assert re.search(rf"{name} +\d \w* *int8 ", said), said
    assert max(map(len, said.splitlines())) <= 80
    text = page([run])
    assert "<h3>Inputs and outputs</h3>" in text
    assert "<td>out hidden</td><td>7</td><td>int8</td><td>7</td>" in text
    assert "samples, by output classes</span>" in text
    assert "the output classes of the board" in text
    notes = compare(folder, folder)["notes"]
    assert "answers are those of output classes, the first" in notes


BAD = {
    "a wrong name": ({"left": (3, 6), "rigt": (3, 6)}, "not right"),
    "a missing input": ({"left": (3, 6)}, "has keys left, not right"),
    "a wrong shape": ({"left": (3, 6), "right": (3, 5)}, r"right has shape \(3, 5\)"),
    "other lengths": ({"left": (3, 6), "right": (2, 6)}, "left 3, right 2"),
    "the key of a single input": ({"x": (3, 12)}, "left"),
}


@pytest.mark.parametrize("case", BAD)
def test_data_that_do_not_fit(case: str, folder: Path, port: str, tmp_path: Path) -> None:
    shapes, message = BAD[case]
    arrays = {name: np.ones(shape, np.float32) for name, shape in shapes.items()}
    np.savez(tmp_path / "bad.npz", **arrays)
    with pytest.raises(BadInput, match=message):
        edgeq.profile(port, folder, data=tmp_path / "bad.npz", run=tmp_path / "run")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda ports: ports[0].update(name="../x"), "inputs.0.name"),
        (lambda ports: ports[0].update(shape=[2**40]), "inputs.0.shape"),
        (lambda ports: ports[0].update(dtype="float64"), "inputs.0.dtype"),
        (lambda ports: ports.clear(), "inputs"),
        (lambda ports: ports.extend(ports * 9), "inputs"),
    ],
)
def test_a_hostile_report(change: object, message: str, folder: Path, tmp_path: Path) -> None:
    import json

    report = json.loads((folder / "export.json").read_text())
    change(report["inputs"])  # type: ignore[operator]
    (tmp_path / "export.json").write_text(json.dumps(report))
    with pytest.raises(ModelFile, match=message):
        read_report(tmp_path)


@pytest.mark.full
@pytest.mark.skipif(shutil.which("qemu-system-arm") is None, reason="qemu-system-arm is absent")
def test_qemu_is_the_reference(folder: Path, rows: Array, tmp_path: Path) -> None:
    copy = shutil.copytree(folder, tmp_path / "out")
    data = write_data(tmp_path / "data.npz", two_by_two(), rows)
    flashed = edgeq.flash("qemu_mps2_an386", copy)
    try:
        summary = edgeq.profile(flashed["port"], copy, data=data, run=tmp_path / "run")
    finally:
        edgeq.stop(flashed["port"])
    assert (summary["samples"], summary["mismatches"]) == (ROWS, 0)
