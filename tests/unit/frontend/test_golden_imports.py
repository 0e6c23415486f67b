"""Real files of other people (EDGEQ_DATA/models), byte for byte as TensorFlow Lite Micro answers.

Exported once each: the reference, the host build and the virtual board run the golden rows.
"""

import os
import shutil
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet
import pytest

import edgeq
from edgeq.board import load_board
from edgeq.emit.firmware import layer_table
from edgeq.estimating.in_memory import InMemory
from edgeq.export_folder import GRAPH, read_project
from edgeq.frontend.tflite_loader import load_tflite
from edgeq.ir import Graph
from edgeq.passes.stored_graph import stored_graph
from edgeq.prove.host import host_runner
from edgeq.prove.trials import Answer, Trial
from edgeq.reference import run

CYCLES = {"kws": 3_700_000, "ad": 370_000}
NAMES = ("kws", "ad", "hello_world_int8", "micro_speech_quantized")
BOARD_ROWS = 3  # of each kind, on the virtual board; the marker `full` runs all


def models() -> Path:
    folder = Path(os.environ.get("EDGEQ_DATA", "")) / "models"
    if "EDGEQ_DATA" not in os.environ or not (folder / "kws.tflite").is_file():
        pytest.skip("EDGEQ_DATA names no folder with models: the .tflite files are absent")
    return folder


@dataclass(frozen=True)
class Exported:
    folder: Path
    report: dict[str, Any]
    graph: Graph
    x: np.ndarray[Any, Any]  # int8 (rows, *graph shape)
    y: np.ndarray[Any, Any]  # int8 (rows, outputs)


@pytest.fixture(scope="module", params=NAMES)
def exported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    golden = np.load(models() / f"{request.param}_golden.npz")
    folder = tmp_path_factory.mktemp("import") / request.param
    report = edgeq.export(models() / f"{request.param}.tflite", "virtual_m4", folder)
    graph = stored_graph(folder / GRAPH)
    x = golden["x"].reshape(len(golden["x"]), *graph.tensors[graph.inputs[0]].shape)
    return Exported(folder, report, graph, x, golden["y"].reshape(len(x), -1))


def test_the_reference_and_the_host_build_answer_every_byte(
    exported: Exported, tmp_path: Path
) -> None:
    output = run(exported.graph, exported.x).output.reshape(len(exported.x), -1)
    np.testing.assert_array_equal(output, exported.y)
    runner = host_runner(exported.graph, read_project(exported.folder), tmp_path)
    trials = [Trial((), row, None, Answer(b"", -1, 0)) for row in exported.x]
    said = [np.frombuffer(answer.output, np.int8) for answer in runner(trials)]
    np.testing.assert_array_equal(np.stack(said), exported.y)


@pytest.mark.parametrize("rows", [BOARD_ROWS, pytest.param(None, marks=pytest.mark.full)])
def test_the_virtual_board_answers_every_byte_in_its_cycles(
    exported: Exported, rows: int | None
) -> None:
    board = load_board("virtual_m4")
    elf = Path(edgeq.build("virtual_m4", exported.folder)["elf"])
    layers = layer_table(exported.graph)
    machine = InMemory(board, elf, exported.graph, layers)
    x = exported.x if rows is None else np.concatenate([exported.x[:rows], exported.x[-rows:]])
    y = exported.y if rows is None else np.concatenate([exported.y[:rows], exported.y[-rows:]])
    for row, wanted in zip(x, y, strict=True):
        result = machine.infer(row)
        np.testing.assert_array_equal(result.output, wanted)
        assert result.cycles <= CYCLES.get(exported.folder.name, 600_000)


@pytest.mark.full
@pytest.mark.skipif(shutil.which("qemu-system-arm") is None, reason="qemu-system-arm is absent")
def test_qemu_answers_every_byte(exported: Exported, tmp_path: Path) -> None:
    """Real numbers in, as a user profiles; the column `output` out."""
    quant = exported.graph.tensors[exported.graph.inputs[0]].quant
    assert quant is not None
    np.savez(tmp_path / "x.npz", x=(exported.x.astype(float) - quant.zero_point) * quant.per_tensor)
    flashed = edgeq.flash("qemu_mps2_an386", exported.folder)
    try:
        edgeq.profile(
            flashed["port"],
            exported.folder,
            data=tmp_path / "x.npz",
            run=tmp_path / "run",
            parquet=tmp_path / "run.parquet",
        )
    finally:
        edgeq.stop(flashed["port"])
    table = pyarrow.parquet.read_table(tmp_path / "run.parquet")
    np.testing.assert_array_equal(np.array(table["output"].to_pylist()), exported.y)


def test_the_proofs_passed(exported: Exported) -> None:
    checks = {check["name"]: check for check in exported.report["checks"]}
    assert checks["model"]["passed"]
    assert checks["firmware"]["passed"]
    # LiteRT rounds once where the file's own interpreter, whose bytes are met above, rounds twice:
    # ten layers deep that is a third of a step in the mean
    assert checks["model"]["mean_lsb"] < 0.5
    assert exported.report["input_layout"] == "channels last"
    assert exported.report["class_names"] is None


LSTM_CRC = 0x13F31A7B  # of what TensorFlow Lite Micro answers to its own random input


def test_a_recurrent_network_answers_its_bytes(tmp_path: Path) -> None:
    """As TensorFlow Lite Micro's benchmark prints them; its firmware is proven at export."""
    generator = np.random.MT19937()
    generator._legacy_seeding(0xFB)
    x = (generator.random_raw(28 * 28) & 0xFF).astype(np.uint8).view(np.int8)
    graph, _ = load_tflite(models() / "mnist_lstm_int8.tflite")
    answer = run(graph, x.reshape(1, 28, 28)).output
    assert zlib.crc32(answer.tobytes()) == LSTM_CRC
    report = edgeq.export(models() / "mnist_lstm_int8.tflite", "virtual_m4", tmp_path / "out")
    checks = {check["name"]: check for check in report["checks"]}
    assert all(check["passed"] for check in checks.values())
    assert checks["firmware"]["mismatches"] == 0
