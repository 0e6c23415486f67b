"""Experts of the paper's size, one by one: cycles with the plain kernels and with the fast ones.

    python examples/paper_size/paper_size.py [--write-table]

Builds each expert for the virtual board with both sets of kernels, runs a few rows and compares
them with the integer reference. The weights are random: what an expert costs does not depend on
them, its accuracy is no subject here. Needs no data, no hardware, no compiler but `ziglang`.
"""

import argparse
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from edgeq import nn
from edgeq.bench.answers import answers
from edgeq.board import Board, load_board
from edgeq.emit.firmware import firmware_project, layer_table
from edgeq.errors import EdgeqError
from edgeq.frontend.torch_loader import graph_of
from edgeq.ir import Graph
from edgeq.memory import plan_memory
from edgeq.passes import quantize
from edgeq.passes.select_kernels import select_kernels
from edgeq.reference import quantize_rows, run
from edgeq.reporting.markdown import write_table
from edgeq.toolchain import Compiler, Firmware, build, find_compiler, with_board
from edgeq.weights import pack_weights

README = Path(__file__).parent / "README.md"
KINDS = ("ternary", "int4", "int8")
SIZES = (1536, (640, 320), 50)  # features of an audio embedding, hidden layers, classes of ESC-50
BOARD = "virtual_m4"
ROWS = 3
CALIBRATION_ROWS = 32


@dataclass(frozen=True)
class Cost:
    """One expert with one set of kernels."""

    cycles: int
    weight_bytes: int
    flash_bytes: int


def lowered(kind: str) -> tuple[Graph, np.ndarray]:
    """The expert for the plain kernels, and its int8 rows."""
    torch.manual_seed(0)
    features, hidden, classes = SIZES
    x = np.random.default_rng(0).normal(size=(CALIBRATION_ROWS, features)).astype(np.float32)
    model = nn.Model(nn.paper_expert(features, hidden, classes, kind), (features,), calibration=x)
    model.calibrate()
    graph = quantize(graph_of(model), x, "minmax").graph
    return graph, quantize_rows(graph, x[:ROWS])


def measure(graph: Graph, rows: np.ndarray, board: Board, compiler: Compiler) -> tuple[Cost, str]:
    """(cost, build line); stops when a row's answer or cycles differ."""
    packed = pack_weights(graph)
    project = firmware_project(
        graph, plan_memory(graph), packed, model_name="paper_size", digest="0" * 64
    )
    with tempfile.TemporaryDirectory() as folder:
        built = build(with_board(project, board), board, compiler, Path(folder))
        size = graph.tensors[graph.outputs[0]].size
        said = answers(board, built.elf, rows, size, len(layer_table(graph, packed)))
    if (said.outputs != run(graph, rows).output.reshape(said.outputs.shape)).any():
        sys.exit("the firmware's answers differ from the reference")
    cycles = set(said.cycles.sum(1).tolist())
    if max(cycles) - min(cycles) > 1:  # the counter reads whole cycles of a clock of half ones
        sys.exit(f"cycles depend on the row: {sorted(cycles)}")
    return Cost(max(cycles), packed.total_bytes, built.flash_bytes), line(built, board)


def line(built: Firmware, board: Board) -> str:
    return (
        f"Modelled: {board.name} at {board.clock_hz / 1e6:g} MHz, zero wait states; no silicon. "
        f"Build: {built.compiler}, `{' '.join(built.flags)}`."
    )


def markdown(costs: dict[str, tuple[Cost, Cost]], build_line: str, clock_hz: int) -> str:
    """Plain and fast kernels of each expert; the last column compares the fast ones with int8."""
    eight = costs["int8"][1].cycles
    rows = [
        "| expert | weights | cycles, plain C | cycles, DSP kernels | latency | against int8 |",
        "|---|---|---|---|---|---|",
    ]
    for kind, (plain, fast) in costs.items():
        rows.append(
            f"| {kind} | {fast.weight_bytes:,} bytes | {plain.cycles:,} | {fast.cycles:,} "
            f"| {fast.cycles / clock_hz * 1e3:.2f} ms | {eight / fast.cycles:.2f} times as fast |"
        )
    return "\n".join([*rows, "", build_line])


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--compiler", default="auto", choices=["auto", "gcc", "zig"])
    parser.add_argument("--write-table", action="store_true", help="into README.md")
    chosen = parser.parse_args(arguments)
    try:
        board, compiler = load_board(BOARD), find_compiler(chosen.compiler)
        costs, build_line = {}, ""
        for kind in KINDS:
            graph, rows = lowered(kind)
            plain, build_line = measure(graph, rows, board, compiler)
            fast, build_line = measure(
                select_kernels(graph, frozenset({"dsp"})), rows, board, compiler
            )
            costs[kind] = (plain, fast)
            print(f"{kind}: {plain.cycles:,} cycles, then {fast.cycles:,}", flush=True)
        text = markdown(costs, build_line, board.clock_hz)
        print(f"\n{text}")
        if chosen.write_table:
            write_table(README, text)
    except EdgeqError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
