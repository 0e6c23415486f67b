"""The whole straight line on the smallest mixture, in seconds: run this first."""

import ctypes as ct
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import edgeq
from edgeq import nn, pipeline
from edgeq.errors import Toolchain
from edgeq.ops.graph_file import read_graph
from edgeq.reference import quantize_rows, run
from tests.hang import HANG_S

ROWS = 40


@pytest.fixture(scope="module")
def x() -> np.ndarray:
    return np.random.default_rng(7).normal(size=(ROWS, 4)).astype(np.float32)


@pytest.fixture(scope="module")
def export(x: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two experts of 4-8-2, trained for two epochs, saved and exported."""
    torch.manual_seed(3)
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("tiny")
    kinds = ("ternary", 8)
    experts = [nn.paper_expert(4, (8,), 2, kind, dropout=0.0) for kind in kinds]
    router = nn.BayesianRouter(4, 2, hidden=(8, 4), dropout=0.2, passes=8)
    model = nn.Model(nn.Mixture(experts, router, kinds), (4,), name="tiny")
    labels = (x.sum(axis=1) > 0).astype(np.int64)
    nn.fit(model, (x[:30], labels[:30]), (x[30:], labels[30:]), epochs=2, progress=False)
    model.calibrate(x)
    edgeq.save(model, folder / "model.pt")
    try:
        report = pipeline.export(folder / "model.pt", "cortex-m4", folder / "out")
    except Toolchain as error:
        pytest.skip(str(error))
    assert all(check["route_agreement"] == 1.0 for check in report["checks"])
    return folder / "out"


def host_compiler() -> list[str]:
    """cc, else the clang of the ziglang wheel; skips where there is neither."""
    if shutil.which("cc"):
        return ["cc"]
    if subprocess.run([sys.executable, "-m", "ziglang", "version"], capture_output=True).returncode:
        pytest.skip("neither cc nor the ziglang wheel is on this machine")
    return [sys.executable, "-m", "ziglang", "cc", "-fno-sanitize=undefined"]


@pytest.fixture(scope="module")
def library(export: Path, tmp_path_factory: pytest.TempPathFactory) -> ct.CDLL:
    """The exported model as a shared library of this machine, every warning an error."""
    project, shared = export / "firmware", tmp_path_factory.mktemp("host") / "model.so"
    files = [str(p) for name in ("model", "kernels") for p in sorted((project / name).glob("*.c"))]
    flags = ["-std=c99", "-O1", "-shared", "-fPIC", "-Wall", "-Wextra", "-Werror", f"-I{project}"]
    command = [*host_compiler(), *flags, f"-I{project / 'kernels'}", *files, "-o", str(shared)]
    made = subprocess.run(command, capture_output=True, text=True, timeout=HANG_S)
    assert made.returncode == 0, made.stderr
    loaded = ct.CDLL(str(shared))
    loaded.tiny_uncertainty.restype = ct.c_uint32
    return loaded


def test_five_lines_of_c_answer_as_the_reference_does(
    export: Path, library: ct.CDLL, x: np.ndarray
) -> None:
    graph = read_graph(export / "graph.npz")
    rows = quantize_rows(graph, x)
    expected = run(graph, rows)
    output = np.zeros(2, np.int8)
    net = ct.byref(ct.c_char.in_dll(library, "tiny_single"))
    library.tiny_init(net)
    assert library.tiny_route(net) == -1
    for i, row in enumerate(np.ascontiguousarray(rows)):
        assert library.tiny_infer(net, _pointer(row), _pointer(output)) == 0
        np.testing.assert_array_equal(output, expected.output[i])
        assert library.tiny_route(net) == expected.route[i]
        assert library.tiny_uncertainty(net) == expected.uncertainty[i]


def test_the_exported_makefile_builds_it_without_edgeq(export: Path, tmp_path: Path) -> None:
    for tool in ("make", "cc", "ar"):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not on this machine")
    project = shutil.copytree(export / "firmware", tmp_path / "firmware")
    made = subprocess.run(
        ["make", "host"], cwd=project, capture_output=True, text=True, timeout=HANG_S
    )
    assert made.returncode == 0, made.stderr
    assert (project / "build" / "libedgeq_host.a").stat().st_size > 0
    assert (project / "CMakeLists.txt").is_file()


def test_the_folder_holds_every_form(export: Path) -> None:
    names = {p.name for p in export.iterdir()}
    assert names == {"model.onnx", "model.tflite", "firmware", "graph.npz", "export.json"} | {
        "report.txt"
    }


def _pointer(array: np.ndarray) -> Any:
    return array.ctypes.data_as(ct.POINTER(ct.c_int8))
