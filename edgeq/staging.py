"""Which layers read their weights from RAM on a board: those that win by it.

A convolution reads all its weights again for every two pixels. From a flash whose data cache they
exceed, each pass waits; copied into the arena once an inference they cost no wait state. Where a
layer leaves the arena room for them they take it; a larger arena must pay for itself.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace

from edgeq.board import Board, Region
from edgeq.ir import Graph, Node
from edgeq.ir.graph import Place
from edgeq.kernels import kernel_named
from edgeq.kernels.staging import staged_bytes, stages
from edgeq.memory import MemoryPlan, plan_memory
from edgeq.placement import aligned

PIXELS = 2  # of the output that one pass over the weights makes
WORD_BYTES = 4
COPY_CYCLES = 3  # a word, the flash's wait among them
LEAST_GAIN = 8  # cycles an inference that a byte of a larger arena must save
MOST_SHARE = 2  # of the board's RAM an arena that grows takes one part in so many


@dataclass(frozen=True)
class Candidate:
    """`gain`: cycles that an inference saves; `needed`: what its step then takes of the arena."""

    node: str
    gain: int
    needed: int


def stage_weights(graph: Graph, board: Board) -> Graph:
    """The lowered graph with its staged nodes on this board."""
    return graph.with_staged(staged_places(graph, board))


def staged_places(graph: Graph, board: Board) -> frozenset[Place]:
    """The nodes of a lowered graph that win by it on this board, those of experts too; none on a
    board without wait states.
    """
    if not board.flash.wait_states:
        return frozenset()
    plan, places = plan_memory(graph), set[Place]()
    experts = [e for node in graph.nodes for e in getattr(node.attrs, "experts", ())]
    if experts:
        inner = max(each.arena_bytes for each in plan.experts)
        for e in experts:
            found = _staged(e.graph, plan_memory(e.graph), board.flash, inner, inner)
            places |= {(e.name, name) for name in found}
        graph = graph.with_staged(places)
        plan = plan_memory(graph)
    most = board.ram.bytes // MOST_SHARE
    own = _staged(graph, plan, board.flash, plan.arena_bytes, most)
    return frozenset({*places, *(("", name) for name in own)})


def staged_layers(graph: Graph) -> dict[str, int]:
    """Bytes of weights that each layer copies into the arena, by "layer" or "expert/layer"."""
    return dict(_named(graph, ""))


def _named(graph: Graph, owner: str) -> Iterator[tuple[str, int]]:
    for node in graph.nodes:
        if node.staged:
            yield owner + node.name, staged_bytes(graph, node)
        for expert in getattr(node.attrs, "experts", ()):
            yield from _named(expert.graph, f"{expert.name}/")


def _staged(graph: Graph, plan: MemoryPlan, flash: Region, room: int, most: int) -> Collection[str]:
    """Where arenas of `room` bytes allow, or larger ones up to `most` that pay. `plan`: without."""
    best, worth = dict[str, int](), 0
    found = _candidates(graph, plan, flash)
    for size in sorted({max(room, c.needed) for c in found}):
        gains = {c.node: c.gain for c in found if c.needed <= size}
        marked = graph.with_nodes(replace(n, staged=n.name in gains) for n in graph.nodes)
        arena = plan_memory(marked).arena_bytes
        net = sum(gains.values()) - LEAST_GAIN * max(0, arena - room)
        if net > worth and arena <= max(room, most):
            best, worth = gains, net
    return best


def _candidates(graph: Graph, plan: MemoryPlan, flash: Region) -> list[Candidate]:
    found = []
    for step, node in enumerate(graph.nodes):
        gain = _gain(graph, node, flash)
        if gain > 0:
            needed = plan.bytes_at(step) + aligned(staged_bytes(graph, node))
            found.append(Candidate(node.name, gain, needed))
    return found


def _gain(graph: Graph, node: Node, flash: Region) -> int:
    """Cycles that staging saves, by the rules of the flash; 0 for a node that cannot."""
    if not node.kernel or not stages(graph, node, kernel_named(node.kernel)):
        return 0
    size = staged_bytes(graph, node)
    height, width, _ = graph.type_of(node.outputs[0]).shape
    passes = -(-height * width // PIXELS)
    return (passes - 1) * _wait(flash, size) - COPY_CYCLES * size // WORD_BYTES


def _wait(flash: Region, size: int) -> int:
    """Cycles that one pass over so many bytes waits for the flash."""
    cache = flash.cache
    if cache is None:
        return flash.wait_states * (size // WORD_BYTES)
    held = cache.instruction_bytes if cache.unified else cache.data_bytes
    if size <= held:
        return 0
    return cache.sequential_miss_cycles * -(-size // (cache.line_bytes if held else WORD_BYTES))
