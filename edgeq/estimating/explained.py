"""Why a layer runs on its kernel: each kernel of its op on that layer alone, counted or refused."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from edgeq.board import Board
from edgeq.compiled import compile_graph
from edgeq.emit.firmware_layers import Layer, layers_of
from edgeq.errors import BadInput
from edgeq.estimating.hot_loop import HotLoop, hot_loop
from edgeq.estimating.in_memory import InMemory
from edgeq.files import scratch_folder
from edgeq.ir import Graph
from edgeq.kernels import KERNELS, Kernel, kernel_named
from edgeq.passes.select_kernels import refusal
from edgeq.reference import random_rows
from edgeq.reporting.export import layer_name
from edgeq.toolchain import OPTIMIZE, Compiler, build, with_board
from edgeq.weights import pack_weights

DIGEST = "0" * 64


def explained(graph: Graph, wanted: str, board: Board, compiler: Compiler) -> dict[str, Any]:
    """The JSON object of one layer: its kernels in the order in which they are tried, and the loop
    in which the chosen one spends most cycles.

    `wanted`: "layer", or "expert/layer". Raises BadInput for a layer that is none, or a router.
    """
    layer = _layer(graph, wanted)
    chosen = kernel_named(layer.info.kernel)
    entries, loop = [], None
    for kernel in (k for k in KERNELS if k.op == chosen.op and k.weight == chosen.weight):
        why = _passed_by(layer, kernel, board)
        entry: dict[str, Any] = {"kernel": kernel.name, "cycles": None, "why": why}
        if not why:
            entry["cycles"], found = _counted(layer, kernel, board, compiler)
            loop = found if kernel is chosen else loop
        entries.append(entry)
    cache = board.flash.cache
    return {
        "layer": wanted,
        "op": layer.info.op,
        "macs": layer.info.macs,
        "kernel": chosen.name,
        "kernels": entries,
        "loop": _loop(loop, cache.instruction_bytes if cache else 0),
    }


def _layer(graph: Graph, wanted: str) -> Layer:
    layers = [x for x in layers_of(graph, pack_weights(graph)) if x.part == "node"]
    found = {layer_name(x.info): x for x in layers}
    if wanted not in found:
        raise BadInput(f"no layer {wanted!r} to explain; there are {', '.join(found)}")
    return found[wanted]


def _passed_by(layer: Layer, kernel: Kernel, board: Board) -> str:
    """Why this layer cannot run on it there; "" if it can."""
    if not kernel.needs <= board.features:
        return f"the core has no {', '.join(sorted(kernel.needs - board.features))}"
    return refusal(layer.graph, layer.node, kernel) or ""


def _counted(
    layer: Layer, kernel: Kernel, board: Board, compiler: Compiler
) -> tuple[int, HotLoop | None]:
    """Cycles of the layer in a model of its own, with warm caches."""
    graph, node = layer.graph, replace(layer.node, kernel=kernel.name)
    alone = Graph("layer", node.inputs, node.outputs, (node,), graph.tensors, graph.constants)
    compiled = compile_graph(alone, "layer", DIGEST)
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


def _loop(loop: HotLoop | None, cache_bytes: int) -> dict[str, Any] | None:
    if loop is None:
        return None
    return {"bytes": loop.bytes, "repeats": loop.repeats, "cache_bytes": cache_bytes}
