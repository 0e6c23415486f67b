"""examples/digits: the demo as a newcomer runs it, and what its README says of it."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import edgeq
from edgeq.emit.onnx_check import run_onnx
from edgeq.emit.tflite_check import run_tflite
from edgeq.firmware_project import FirmwareProject
from edgeq.ops.graph_file import read_graph
from edgeq.prove.check import LEAST_ROUTES
from edgeq.reference import quantize_rows, run
from edgeq.reporting.markdown import END, START
from edgeq.reporting.run_table import run_markdown
from edgeq.toolchain import find_compiler
from tests.acceptance.boards import qemu_batch

FOLDER = Path(__file__).parents[2] / "examples" / "digits"
LEFT = ("model.pt", "export.json", "profile.json", "profile.txt", "report.html")


def test_the_readme_holds_the_table_of_the_script() -> None:
    held = (FOLDER / "README.md").read_text().partition(START)[2].partition(END)[0]
    assert "| accuracy, 359 samples |" in held
    assert held.strip() == run_markdown(json.loads((FOLDER / "demo_run.json").read_text()))


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the demo leaves."""
    pytest.importorskip("sklearn", reason="scikit-learn is not installed")
    out = tmp_path_factory.mktemp("demo")
    command = [sys.executable, str(FOLDER / "demo.py"), "--out", str(out)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=1500, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    (out / "stdout.txt").write_text(done.stdout)
    return out


@pytest.mark.full
def test_the_demo_leaves_what_it_promises(demo: Path) -> None:
    for name in LEFT:
        assert (demo / name).stat().st_size > 0, name
    export = json.loads((demo / "export.json").read_text())
    profile = json.loads((demo / "profile.json").read_text())
    assert {c["name"] for c in export["checks"]} == {"model", "firmware", "onnx", "tflite"}
    for check in export["checks"]:
        assert check["top1_agreement"] >= 0.99
        # float routers break ties of the integers' scores: the bound of an export's own proof
        assert check["route_agreement"] >= LEAST_ROUTES
    assert profile["samples"] == 359
    assert profile["mismatches"] == 0
    assert profile["accuracy"] >= 0.96
    assert all(layer["cycles"] > 0 for layer in profile["layers"])


@pytest.mark.full
def test_the_demo_ends_with_what_the_cascade_gains(demo: Path) -> None:
    gain = json.loads((demo / "profile.json").read_text())["alone"]["gain"]
    assert gain["shown"]
    assert gain["against"] == "precise"
    *_, chart, said = (demo / "stdout.txt").read_text().rstrip().splitlines()
    assert said == gain["said"]
    assert "oracle" in chart
    assert chart.endswith("uJ")


@pytest.mark.full
def test_the_device_is_within_a_point_of_pytorch(demo: Path) -> None:
    model = edgeq.load(demo / "model.pt")
    x, y = model.evaluation
    logits, _ = model.predict(x)
    accuracy = json.loads((demo / "profile.json").read_text())["accuracy"]
    assert abs(accuracy - float((logits.argmax(1) == y).mean())) <= 0.01


@pytest.mark.full
def test_every_form_agrees_on_every_test_row(demo: Path, tmp_path: Path) -> None:
    x = edgeq.load(demo / "model.pt").evaluation[0].transpose(0, 2, 3, 1)
    graph = read_graph(demo / "export" / "graph.npz")
    rows = quantize_rows(graph, x)
    reference = run(graph, rows)
    lite = run_tflite((demo / "export" / "model.tflite").read_bytes(), rows)
    onnx = run_onnx((demo / "export" / "model.onnx").read_bytes(), x)
    for output, route in ((lite.logits, lite.route), (onnx.output, onnx.route)):
        same = output.argmax(1) == reference.output.argmax(1)
        assert same.mean() >= 0.99
        assert (route == reference.route).mean() >= 0.99
    project = FirmwareProject.read(demo / "export" / "firmware")
    answers = qemu_batch(project, find_compiler("auto"), rows, tmp_path)
    np.testing.assert_array_equal(answers.output, reference.output)
    np.testing.assert_array_equal(answers.route, reference.route)
