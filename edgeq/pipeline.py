"""The straight line: model file -> graph -> passes -> emitted forms; build; flash; profile."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from edgeq.board import is_core, load_board, target_board
from edgeq.errors import BadInput, Flash, Link, ModelFile, UnsupportedOp
from edgeq.firmware_project import FirmwareProject
from edgeq.ops.op import Array

MARK = "export.json"
START_S = 30


def read_npz(path: Path, *keys: str) -> tuple[Array, ...]:
    """Arrays of an .npz file by key; BadInput when the file or a key is missing."""
    try:
        with np.load(path, allow_pickle=False) as data:
            return tuple(data[k] for k in keys)
    except (OSError, ValueError, KeyError) as error:
        raise BadInput(f"{path}: {error}; give an .npz file with keys {', '.join(keys)}") from None


def export(
    model_path: str | Path,
    target: str,
    out: str | Path = "build/export",
    calibration: str | Path | None = None,
    method: str = "mse",
) -> dict[str, Any]:
    """Writes ONNX, TFLite, C firmware and the report to `out`; returns the report.

    Raises ModelFile, UnsupportedOp, BadInput or MemoryBudget before anything is written.
    """
    from edgeq.checks import equivalence
    from edgeq.emit.firmware import firmware_project, layer_table
    from edgeq.emit.onnx_model import onnx_model
    from edgeq.emit.tflite_model import tflite_model
    from edgeq.frontend.torch_loader import graph_of
    from edgeq.memory import plan_memory
    from edgeq.nn import load
    from edgeq.ops.graph_file import write_graph
    from edgeq.passes import quantize
    from edgeq.reference import quantize_rows
    from edgeq.toolchain import build, find_compiler, with_board
    from edgeq.weights import pack_weights

    board = target_board(target)
    model = load(model_path)
    digest = hashlib.sha256(Path(model_path).read_bytes()).hexdigest()
    rows = model.calibration if calibration is None else read_npz(Path(calibration), "x")[0]
    if rows is None:
        raise BadInput(f"{model_path} stores no calibration set; pass --calibration X.npz")
    x = channels_last(np.asarray(rows, np.float32), model.input_shape)
    quantized = quantize(graph_of(model), x, method)
    graph = quantized.graph
    plan, packed = plan_memory(graph), pack_weights(graph)
    project = firmware_project(graph, plan, packed, model_name=model.name, digest=digest)
    onnx = onnx_model(graph, model.name, digest).SerializeToString()
    notes = [n for n in [quantized.curiosity.note if quantized.curiosity else ""] if n]
    tflite: bytes | None = None
    try:
        tflite = tflite_model(graph, model.name, digest)
    except UnsupportedOp as error:
        notes.append(f"no .tflite: {error}")
    with tempfile.TemporaryDirectory() as scratch:
        built = build(with_board(project, board), board, find_compiler(), Path(scratch) / "build")
    checks = equivalence(graph, x[:100], quantize_rows(graph, x[:100]), onnx, tflite)
    layers = layer_table(graph, packed)
    report = {
        "target": target,
        "model": model.name,
        "model_digest": digest,
        "artifacts": {
            "onnx": "model.onnx",
            "tflite": "model.tflite" if tflite else None,
            "firmware": "firmware",
            "graph": "graph.npz",
        },
        "flash_bytes": built.flash_bytes,
        "ram_bytes": built.ram_bytes,
        "arena_bytes": plan.arena_bytes,
        "compiler": built.compiler,
        "layers": [
            {
                "name": i.name if i.expert is None else f"{i.expert}/{i.name}",
                "op": i.op,
                "kernel": i.kernel,
                "weight_format": i.weight_format,
                "macs": i.macs,
                "weight_bytes": i.weight_bytes,
            }
            for i in layers
        ],
        "experts": [
            {
                "name": e.name,
                "weight_format": e.weight_format,
                "macs": sum(i.macs for i in layers if i.expert == e.name),
                "weight_bytes": packed.expert_bytes(e.name),
            }
            for n in graph.nodes
            if n.op == "Mixture"
            for e in n.attrs.experts
        ],
        "checks": checks,
        "calibration": method,
        "input_shape": list(model.input_shape),
        "class_names": list(model.class_names) if model.class_names else None,
        "enforced": not is_core(target),
        "notes": notes,
    }
    _write(Path(out), report, project, onnx, tflite, lambda p: write_graph(graph, p), model)
    return report


def channels_last(x: Array, shape: tuple[int, ...]) -> Array:
    """PyTorch rows to the graph's layout; BadInput when the rows have another shape."""
    if x.shape[1:] != tuple(shape):
        raise BadInput(f"rows have shape {x.shape[1:]}, the model takes {tuple(shape)}")
    if len(shape) == 3:
        return np.ascontiguousarray(x.transpose(0, 2, 3, 1))
    if len(shape) == 2:
        return np.ascontiguousarray(x.transpose(0, 2, 1)[:, None])
    return x


def _write(
    out: Path,
    report: dict[str, Any],
    project: FirmwareProject,
    onnx: bytes,
    tflite: bytes | None,
    write_graph: Any,
    model: Any,
) -> None:
    """All files in a folder beside `out`, then one rename: nothing half-written stays."""
    if out.exists() and any(out.iterdir()) and not (out / MARK).is_file():
        raise BadInput(f"{out} holds files that edgeq did not write; choose another --out")
    out.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
    try:
        project.write(fresh / "firmware")
        (fresh / "model.onnx").write_bytes(onnx)
        if tflite:
            (fresh / "model.tflite").write_bytes(tflite)
        write_graph(fresh / "graph.npz")
        if model.evaluation is not None:
            np.savez(fresh / "evaluation.npz", x=model.evaluation[0], y=model.evaluation[1])
        (fresh / MARK).write_text(json.dumps(report, indent=2) + "\n")
        fresh.chmod(0o755)
        if out.exists():
            shutil.rmtree(out)
        fresh.rename(out)
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)
        raise


def read_export(folder: Path) -> dict[str, Any]:
    """The report of an export folder; ModelFile when there is none."""
    try:
        report: dict[str, Any] = json.loads((folder / MARK).read_text())
    except (OSError, ValueError):
        raise ModelFile(f"{folder} holds no export; run `edgeq export MODEL` first") from None
    return report


def flash(
    board_name: str, firmware: str | Path = "build/export", compiler: str = "auto"
) -> dict[str, Any]:
    """Builds the export for a board and starts it on the virtual board; returns port and sizes."""
    from edgeq.toolchain import build, find_compiler, with_board

    folder = Path(firmware)
    read_export(folder)
    board = load_board(board_name)
    project = with_board(FirmwareProject.read(folder / "firmware"), board)
    out = folder / "build" / board.name
    out.mkdir(parents=True, exist_ok=True)
    built = build(project, board, find_compiler(compiler), out)  # type: ignore[arg-type]
    result: dict[str, Any] = {
        "board": board.name,
        "elf": str(built.elf),
        "flash_bytes": built.flash_bytes,
        "ram_bytes": built.ram_bytes,
        "firmware_digest": built.digest,
        "compiler": built.compiler,
        "flags": list(built.flags),
    }
    (out / "firmware.json").write_text(json.dumps(result, indent=2) + "\n")
    if "virtual" not in board.probe.flashers:
        raise Flash(
            f"{board.name}: built {built.elf}, but edgeq cannot flash this board yet; "
            f"copy {built.bin} to it with your probe's own tool"
        )
    return {**result, **_start_virtual(built.elf, board.name)}


def _start_virtual(elf: Path, board: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "edgeq.sim", str(elf), "--board", board, "--pty", "--json"]
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        env=os.environ.copy(),
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise Flash(f"the virtual board did not start; run {' '.join(command)} to see why")
    started: dict[str, Any] = json.loads(line)
    return {"port": started["port"], "pid": started["pid"]}


def profile(
    port: str, firmware: str | Path = "build/export", data: str | Path | None = None
) -> dict[str, Any]:
    """Streams a data set through the board; returns accuracy, latency, energy and mismatches."""
    from edgeq.harness.link import Link as BoardLink
    from edgeq.ops.graph_file import read_graph
    from edgeq.profile import summarize
    from edgeq.reference import quantize_rows

    folder = Path(firmware)
    report, graph = read_export(folder), read_graph(folder / "graph.npz")
    source = Path(data) if data else folder / "evaluation.npz"
    if not source.is_file():
        raise BadInput(f"{source} does not exist; the export stores no evaluation set, pass --data")
    x, y = read_npz(source, "x", "y")
    rows = quantize_rows(graph, channels_last(x, tuple(report["input_shape"])))
    with BoardLink.open(port) as link:
        info = link.info()
        if info.model_digest != report["model_digest"]:
            raise Link(f"the board runs model {info.model_digest[:12]}, {folder} holds another")
        results = [link.infer(i, row.tobytes()) for i, row in enumerate(rows)]
    summary = summarize(graph, rows, np.asarray(y), results, info)
    (folder / "profile.json").write_text(json.dumps(summary, indent=2) + "\n")
    return summary
