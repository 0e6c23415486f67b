"""An export folder of the smallest mixture, built for an emulated board, and that board."""

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from edgeq.board import load_board
from edgeq.emit.firmware import firmware_project
from edgeq.export_folder import SCHEMA
from edgeq.memory import plan_memory
from edgeq.ops.graph_file import write_graph
from edgeq.toolchain import build, find_compiler, with_board
from edgeq.weights import pack_weights
from tests.factory import input_rows, smallest_mixture
from tests.hang import HANG_S

DIGEST = "12" * 32
CLASS_NAMES = ("a", "<b>", "c")


def tiny_export(
    folder: Path, samples: int, board_name: str = "virtual_m4", marker: str = "levels"
) -> Path:
    """Writes the folder: what `edgeq export` and `edgeq flash` leave, and `samples` rows."""
    graph, board = smallest_mixture(), load_board(board_name).marked_by(marker)
    project = firmware_project(
        graph, plan_memory(graph), pack_weights(graph), model_name="tiny", digest=DIGEST
    )
    project.write(folder / "firmware")
    out = folder / "build" / board.name
    built = build(with_board(project, board), board, find_compiler("auto"), out)
    facts = {"firmware_digest": built.digest, "compiler": built.compiler, "flags": built.flags}
    (out / "firmware.json").write_text(json.dumps(facts))
    _write_data(folder, samples, board.name)
    return folder


def _write_data(folder: Path, samples: int, target: str) -> None:
    """graph.npz, export.json and evaluation.npz."""
    graph = smallest_mixture()
    write_graph(graph, folder / "graph.npz")
    report = {"schema": SCHEMA, "model_digest": DIGEST, "input_shape": [5]}
    report |= {"class_names": CLASS_NAMES}
    sizes = dict.fromkeys(("flash_bytes", "ram_bytes", "arena_bytes", "weight_bytes"), 100)
    report |= {"target": target, "checks": [], "notes": [], **sizes}
    (folder / "export.json").write_text(json.dumps(report))
    rng = np.random.default_rng(1)
    quant = graph.tensors[graph.inputs[0]].quant
    assert quant is not None
    codes = input_rows(rng, graph, samples).astype(np.float32)
    x, y = (codes - quant.zero_point) * quant.per_tensor, rng.integers(0, 3, samples)
    np.savez(folder / "evaluation.npz", x=x, y=y)


def tiny_report_folder(folder: Path, samples: int = 6) -> Path:
    """What `edgeq export` leaves, nothing of it built."""
    graph = smallest_mixture()
    packed = pack_weights(graph)
    named = {"model_name": "tiny", "digest": DIGEST}
    firmware_project(graph, plan_memory(graph), packed, **named).write(folder / "firmware")
    _write_data(folder, samples, "virtual_m4")
    return folder


@contextlib.contextmanager
def served(folder: Path, board_name: str = "virtual_m4") -> Iterator[tuple[str, int]]:
    """The virtual board with the folder's firmware: port and pid."""
    elf = folder / "build" / board_name / "firmware.elf"
    command = [sys.executable, "-m", "edgeq.sim", str(elf), "--pty", "--json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        facts = json.loads(process.stdout.readline())
        yield facts["port"], facts["pid"]
    finally:
        process.kill()
        process.communicate(timeout=HANG_S)
