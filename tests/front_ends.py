"""What the audio front ends cost as steps of a stream: python -m tests.front_ends.

Each alone, hop by hop, built for two boards and run on their twins: modelled cycles, no silicon.
The record is docs/measured/front_ends.json, its table in docs/audio.md.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from edgeq.board import Board, load_board
from edgeq.compiled import compile_graph
from edgeq.ir import Graph, Node, TensorType
from edgeq.kernels import kernel_named
from edgeq.ops.log_mel import PCM, LogMel
from edgeq.ops.mfcc import Mfcc
from edgeq.ops.pcen import Pcen
from edgeq.passes import quantize
from edgeq.passes.select_kernels import select_kernels
from edgeq.passes.stream import stream
from edgeq.planning.counted import Counted, count
from edgeq.reference import quantize_rows
from edgeq.reporting.markdown import commit_of, write_table
from edgeq.toolchain import OPTIMIZE, find_compiler

ROOT = Path(__file__).parents[1]
PAGE, RECORD = ROOT / "docs" / "audio.md", ROOT / "docs" / "measured" / "front_ends.json"
NAME = "front ends"
BOARDS = ("virtual_m4", "nucleo_l4r5zi")
FRAMES, SEED, DIGEST = 4, 16, "0" * 64  # frames of the window that the step is made of
DSP = frozenset({"dsp"})
SCALES: Mapping[str, Any] = {"mean": -3.0, "std": 4.0}
BOUNDED = "log mel, 512 points, 40 bands"
CASES: Mapping[str, LogMel] = {
    "log mel, 256 points, 20 bands": LogMel(8_000, 256, 128, 256, 20, 20.0, 4_000.0, **SCALES),
    BOUNDED: LogMel(**SCALES),
    "log mel, 1,024 points, 64 bands": LogMel(window=1024, hop=512, fft=1024, mels=64, **SCALES),
    "MFCC, 512 points, 40 bands, 13 coefficients": Mfcc(**SCALES),
    "PCEN carried, 512 points, 40 bands": Pcen(),
}


def step_of(attrs: LogMel) -> tuple[Graph, np.ndarray]:
    """A front end's step of one frame, its kernels chosen, and a hop of noise (1, 1, hop, 1)."""
    samples = attrs.window + (FRAMES - 1) * attrs.hop
    shapes = (1, samples, 1), (1, FRAMES, attrs.features)
    tensors = {"x": TensorType(shapes[0], "int16", PCM), "y": TensorType(shapes[1])}
    node = Node("front", type(attrs).__name__, ("x",), ("y",), attrs)
    graph = Graph("front", ("x",), ("y",), (node,), tensors, {})
    noise = np.random.default_rng(SEED).normal(0.0, 0.1, (4, *shapes[0]))
    x = (np.round(noise * 2**15) / 2**15).astype(np.float32)
    window = quantize(graph, x, "minmax", DSP).graph
    step = select_kernels(stream(window, attrs.hop, carry=isinstance(attrs, Pcen)), DSP)
    return step, quantize_rows(step, x[:1, :, : attrs.hop])


def _cycles(step: Graph, row: np.ndarray, board: Board) -> tuple[int, Counted]:
    """Of the front end's own layer."""
    found = count(step, row, board, find_compiler("gcc"))
    return round(next(each.cycles for each in found.layers if each.name == "front")), found


def measured(attrs: LogMel, boards: tuple[str, ...] = BOARDS) -> dict[str, Any]:
    """Of one front end: cycles a frame by board, and bytes.

    `code_bytes`: what its kernel's file has in the ELF. `arena_bytes`: the frame's samples, the
    scratch and the features, as they lie while it runs. `kept_bytes`: the state from hop to hop,
    without the features that the window's next layer would keep. `hop_bytes`: the caller's samples.
    """
    step, row = step_of(attrs)
    compiled = compile_graph(step, "front", DIGEST)
    (front,) = (node for node in step.nodes if node.name == "front")
    kept = {buffer.name: buffer.bytes for buffer in compiled.plan.state}
    answer = next(n.name for n in step.nodes if n.op == "History" and n.inputs == front.outputs)
    told: dict[str, Any] = {"rate_hz": attrs.sample_rate_hz, "hop": attrs.hop, "cycles": {}}
    for name in boards:
        told["cycles"][name], found = _cycles(step, row, load_board(name))
    told["code_bytes"] = sum(found.code_bytes[file] for file in kernel_named(front.kernel).sources)
    told["table_bytes"] = sum(each.weight_bytes for each in found.layers if each.name == "front")
    told["arena_bytes"] = compiled.plan.arena_bytes
    told["kept_bytes"] = sum(size for name, size in kept.items() if name != answer)
    return told | {"hop_bytes": row.nbytes}


def share(told: Mapping[str, Any], board: str) -> float:
    """Of real time."""
    return told["cycles"][board] / load_board(board).clock_hz * told["rate_hz"] / told["hop"]


def flash_bytes(told: Mapping[str, Any]) -> int:
    """Code and tables."""
    return int(told["code_bytes"] + told["table_bytes"])


def ram_bytes(told: Mapping[str, Any]) -> int:
    """Arena and state; the hop's samples are the caller's."""
    return int(told["arena_bytes"] + told["kept_bytes"])


def table(record: Mapping[str, Any]) -> str:
    """What stands between the marks of docs/audio.md."""
    lines = [
        "| front end | cycles a frame, virtual_m4 | nucleo_l4r5zi, of real time | code and tables, "
        "bytes | RAM: while it runs and kept, bytes | a hop of sound, bytes |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for name, told in record["front_ends"].items():
        virtual, board = (f"{told['cycles'][each]:,}" for each in BOARDS)
        lines.append(
            f"| {name}, a frame of {told['hop'] / told['rate_hz'] * 1e3:g} ms | {virtual} | "
            f"{board}, {share(told, BOARDS[1]):.1%} | {told['code_bytes']:,} + "
            f"{told['table_bytes']:,} = {flash_bytes(told):,} | {told['arena_bytes']:,} + "
            f"{told['kept_bytes']:,} = {ram_bytes(told):,} | {told['hop_bytes']:,} |"
        )
    said = f"Commit {record['commit']}; modelled, no silicon; {record['compiler']}, {OPTIMIZE}."
    return "\n".join([*lines, "", said])


def main() -> None:
    """Measures all of them; writes the record and the page's table."""
    found = {name: measured(attrs) for name, attrs in CASES.items()}
    compiler = find_compiler("gcc").label
    record = {"commit": commit_of(ROOT), "compiler": compiler, "front_ends": found}
    RECORD.write_text(json.dumps(record, indent=1) + "\n")
    write_table(PAGE, table(record), NAME)


if __name__ == "__main__":
    main()
