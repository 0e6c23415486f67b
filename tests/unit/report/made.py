"""Runs made by hand for the tests of the report."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edgeq.board import load_board
from edgeq.emit.firmware import LayerInfo
from edgeq.harness.manifest import Data
from edgeq.harness.messages import Info, plain_ports
from edgeq.harness.power_trace import PowerTrace, write_current
from edgeq.harness.record import SampleRecord
from edgeq.harness.trace_writer import create_run
from edgeq.reporting import figures
from edgeq.reporting.profile import Profiled, summarize
from edgeq.reporting.run import finished_run
from edgeq.run_manifest import run_manifest

CHECK = {
    "name": "onnx",
    "samples": 4,
    "mismatches": 0,
    "max_lsb": 0,
    "top1_agreement": 1.0,
    "route_agreement": 1.0,
}
EXPORT = {"target": "virtual_m4", "notes": ["no .tflite: a reason"], "checks": [CHECK]}
MEMORY = {
    "flash": {".vectors": 64, ".text": 18_000, "weights, shared": 9_000, "weights, small": 700},
    "ram": {".bss": 2_000},
    "weight_bytes": 9_700,
    "arena_bytes": 136,
    "arena_expert": "small",
    "steps": ["router", "mixture", "small/fc"],
    "buffers": [
        {"name": "router.out", "bytes": 64, "offset": 0, "first": 0, "last": 2},
        {"name": "small/fc.scratch", "bytes": 72, "offset": 64, "first": 2, "last": 2},
    ],
}
WINDOW = {"inferences": 4, "seconds": 10.0, "joules_std": 0.0, "idle_w": 0.01, "volts": 3.0}
WINDOW |= dict.fromkeys(("joules_mean", "net_joules_mean", "coulombs_mean"), 1e-3)


def layer(index: int, name: str, expert: str | None) -> LayerInfo:
    """An entry of the layer table."""
    return LayerInfo(index, name, "fully_connected", "k", "s8", 10, 10, expert)


def subject(board: str = "virtual_m4", names: tuple[str, ...] = ("cat", "dog", "cow")) -> Profiled:
    """A measured model of two experts that ran and one that did not."""
    info = Info(1, 4, 1_000_000, 4, 3, 3, "a" * 64, "b" * 64, board, "pets", *plain_ports(4, 3))
    layers = (layer(0, "router", None), layer(1, "fc", "small"), layer(2, "fc", "large"))
    build = {"compiler": "gcc 12", "flags": ["-O2", "-DEDGEQ_PROFILE"]}
    build |= {"flash_bytes": 27_764, "ram_bytes": 2_000}
    return Profiled(info, load_board(board), layers, ("small", "large", "idle"), names, build)


def record(index: int, label: int, answer: int, route: int) -> SampleRecord:
    """An inference of `subject()`."""
    output = tuple(100 if c == answer else -100 for c in range(3))
    inside = (300, 700)[route]
    layers = (200, inside, 0) if route == 0 else (200, 0, inside)
    return SampleRecord(
        index, label, output, route, 0.25 * index, 0.5, 200 + inside, 380, layers, False
    )


RECORDS = (record(0, 0, 0, 0), record(1, 1, 1, 0), record(2, 2, 2, 1), record(3, 2, 0, 1))


def write_run(
    folder: Path,
    measured: Profiled,
    records: Sequence[SampleRecord] = RECORDS,
    more: dict[str, Any] | None = None,
    current: bool = False,
) -> figures.ReportedRun:
    """A finished run on disk, and what the report is made of; `more` is put over its summary."""
    source = Data(source="pets.npz", digest="d" * 64, input_digest="e" * 64)
    with create_run(folder, run_manifest(measured, (4,), source, len(records))) as writer:
        for item in records:
            writer.add(item)
        writer.end()
    if current:
        write_current([power_trace()], folder / "current.parquet")
    told = {"memory": MEMORY, "export": EXPORT} | (more or {})
    summary = summarize(measured, records).but(**told)
    (folder / "profile.json").write_text(json.dumps(summary.entry))
    return figures.ReportedRun(*finished_run(folder))


def hard_run(folder: Path) -> figures.ReportedRun:
    """Long names, a dozen classes, five experts, many layers, a current trace."""
    rng = np.random.default_rng(8)
    experts = tuple(f"expert_of_a_very_long_kind_{i}" for i in range(5))
    classes = tuple(f"class with a long name {i}" for i in range(12))
    layers = [layer(i, f"body.trunk.block_{i}.depthwise.convolution", None) for i in range(20)]
    layers += [layer(20 + i, "fully.connected.layer", name) for i, name in enumerate(experts)]
    info = Info(
        1, 4, 1_000_000, 4, 12, 25, "a" * 64, "b" * 64, "virtual_m4", "hard", *plain_ports(4, 12)
    )
    build = {"compiler": "gcc 12", "flags": ["-O2"], "flash_bytes": 50_000, "ram_bytes": 3_000}
    measured = Profiled(info, load_board("virtual_m4"), tuple(layers), experts, classes, build)
    records = []
    for i in range(400):
        route, label = int(rng.integers(5)), int(rng.integers(12))
        named = label if rng.random() < 0.8 else int(rng.integers(12))
        output = tuple(100 if c == named else -100 for c in range(12))
        shared = [int(v) for v in rng.integers(100, 90_000, 20)]
        inside = [0] * 5
        inside[route] = 1_000 * (route + 1)
        cycles = sum(shared) + sum(inside)
        doubt = float(rng.random())
        records.append(
            SampleRecord(
                i, label, output, route, doubt, 0.5, cycles, 400, (*shared, *inside), False
            )
        )
    buffers = [
        {"name": f"step {i}", "bytes": 4_000, "offset": 4_000 * (i % 2), "first": i, "last": i + 1}
        for i in range(20)
    ]
    steps = [f"body.trunk.block_{i}.convolution" for i in range(21)]
    arena = {"steps": steps, "buffers": buffers, "arena_bytes": 8_000}
    more = {"memory": {**MEMORY, **arena}, "alone": _hard_alone(experts)}
    return write_run(folder, measured, records, more, current=True)


def _hard_alone(experts: Sequence[str]) -> dict[str, Any]:
    """Each expert alone and the curve of a threshold, with long names in both."""

    def figures(i: int) -> dict[str, Any]:
        return {"accuracy": 0.5 + i / 20, "cycles": 1e5 * i, "latency_ms": i, "joules": 1e-5 * i}

    points = [{**figures(6 - i), "share": 1 - i / 4, "disagreement": i / 9} for i in range(5)]
    said = f"a gain against {experts[4]} alone, the best single model: +0.0 points of accuracy"
    gain = {"against": experts[4], "accuracy": 0.0, "accuracy_interval": [-0.01, 0.01]}
    gain |= {"cost": -0.5, "cost_interval": [-0.6, -0.4], "beaten_by": None, "shown": True}
    return {
        "rows": 400,
        "clusters": 400,
        "experts": [{"name": name, **figures(i + 1)} for i, name in enumerate(experts)],
        "mixture": figures(3),
        "best": experts[4],
        "oracle": figures(2),
        "gain": {**gain, "said": said},
        "curve": {"signal": "gap", "against": experts[4], "points": points, "shipped": points[2]},
    }


def power_trace() -> PowerTrace:
    """A second at 20 kHz: 4 mA idle, 12 mA in the inferences, an edge before each."""
    current = np.full(20_000, 0.004) + np.random.default_rng(9).normal(0, 1e-5, 20_000)
    falls = np.arange(500, 20_000, 1_000)
    for start in falls:
        current[start : start + 300] += 0.008
    return PowerTrace("lpm01a", current, np.full(20_000, 1.8), falls, None, 20_000.0, "2026")
