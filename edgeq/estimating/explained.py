"""Why a layer runs on its kernel: each kernel of its op on that layer alone, counted or refused."""

from typing import Any

from edgeq.board import Board
from edgeq.emit.firmware_layers import Layer, layers_of
from edgeq.errors import BadInput
from edgeq.estimating.candidates import candidates, count_alone
from edgeq.estimating.hot_loop import HotLoop
from edgeq.ir import Graph
from edgeq.kernels import kernel_named
from edgeq.reporting.export import layer_name
from edgeq.toolchain import Compiler
from edgeq.weights import pack_weights


def explained(graph: Graph, wanted: str, board: Board, compiler: Compiler) -> dict[str, Any]:
    """The JSON object of one layer: its kernels in the order in which they are tried, and the loop
    in which the chosen one spends most cycles.

    `wanted`: "layer", or "expert/layer". Raises BadInput for a layer that is none, or a router.
    """
    layer = _layer(graph, wanted)
    chosen = kernel_named(layer.info.kernel)
    entries, loop = [], None
    for kernel, why in candidates(layer, board):
        entry: dict[str, Any] = {"kernel": kernel.name, "cycles": None, "why": why}
        if not why:
            entry["cycles"], found = count_alone(layer, kernel, board, compiler)
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


def _loop(loop: HotLoop | None, cache_bytes: int) -> dict[str, Any] | None:
    if loop is None:
        return None
    return {"bytes": loop.bytes, "repeats": loop.repeats, "cache_bytes": cache_bytes}
