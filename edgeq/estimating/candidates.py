"""A layer alone on each kernel that could compute it, counted on the board's virtual twin."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from edgeq.board import Board
from edgeq.compiled import compile_graph
from edgeq.emit.firmware_layers import Layer
from edgeq.estimating.hot_loop import HotLoop, hot_loop
from edgeq.estimating.in_memory import InMemory
from edgeq.files import scratch_folder
from edgeq.ir import Graph
from edgeq.kernels import KERNELS, Kernel, kernel_named
from edgeq.passes.select_kernels import refusal
from edgeq.reference import random_rows
from edgeq.staging import stage_weights
from edgeq.toolchain import OPTIMIZE, Compiler, build, with_board

DIGEST = "0" * 64


def candidates(layer: Layer, board: Board) -> Iterator[tuple[Kernel, str]]:
    """Kernels of the layer's op for its weights, as they are or as they are stored now, in the
    order of the table; each with why the layer cannot run on it there, "" if it can.
    """
    chosen = kernel_named(layer.info.kernel)
    formats = {chosen.weight, layer.info.weight_format}
    for kernel in (k for k in KERNELS if k.op == chosen.op and k.weight in formats):
        yield kernel, _passed_by(layer, kernel, board)


def _passed_by(layer: Layer, kernel: Kernel, board: Board) -> str:
    if not kernel.needs <= board.features:
        return f"the core has no {', '.join(sorted(kernel.needs - board.features))}"
    if kernel.isa and not kernel.suits(layer.graph, layer.node):
        return "the layer has not its shape"
    return refusal(layer.graph, layer.node, kernel) or ""


def count_alone(
    layer: Layer, kernel: Kernel, board: Board, compiler: Compiler
) -> tuple[int, HotLoop | None]:
    """Cycles of the layer in a model of its own, with warm caches, and its hottest loop."""
    graph, node = layer.graph, replace(layer.node, kernel=kernel.name, staged=False)
    alone = Graph("layer", node.inputs, node.outputs, (node,), graph.tensors, graph.constants)
    alone = stage_weights(alone, board)
    compiled = compile_graph(alone, "layer", DIGEST, in_one_call=True)
    with scratch_folder() as folder:
        project = with_board(compiled.project, board)
        elf = build(project, board, compiler, folder, OPTIMIZE).elf
        firmware = InMemory(board, elf, alone, compiled.layers, flash=True)
        return _run(firmware, alone, elf)


def _run(firmware: InMemory, alone: Graph, elf: Path) -> tuple[int, HotLoop | None]:
    rows = random_rows(alone, 2)
    firmware.infer(rows[0])  # fills the caches
    before = firmware.machine.clock.by_block()
    (cycles,) = firmware.infer(rows[1]).layer_cycles
    spent = firmware.machine.clock.by_block()
    taken = {at: n - before.get(at, 0.0) for at, n in spent.items()}
    return int(cycles), hot_loop(elf, "served_infer", taken)
