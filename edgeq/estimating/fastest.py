"""Kernels chosen by counting each layer on every kernel that could compute it on the board."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from edgeq.board import Board
from edgeq.emit.firmware_layers import Layer, layers_of
from edgeq.errors import BadInput
from edgeq.estimating.candidates import candidates, count_alone
from edgeq.estimating.count_cache import CountCache, key_of
from edgeq.ir import Graph
from edgeq.ir.graph import Place
from edgeq.kernels import Kernel
from edgeq.sim.runnable import why_not_run
from edgeq.toolchain import Compiler
from edgeq.weights import pack_weights

Watch = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Choice:
    """The kernel of a layer, its cycles alone, and those of the kernel that the table names."""

    layer: str
    kernel: str
    cycles: int
    by_table: int


def fastest_kernels(
    graph: Graph,
    board: Board,
    compiler: Compiler,
    cache: CountCache,
    watch: Watch | None = None,
) -> tuple[Mapping[Place, str], tuple[Choice, ...]]:
    """The kernels that take the fewest cycles on the twin for the layers of a lowered graph; of
    equal ones the table's first. Layers with one candidate are not counted.

    `watch` hears of counts done, in all and the next one's name. Raises BadInput for a board
    without a clock or a twin, Toolchain when the compiler fails.
    """
    if (why := why_not_run(board)) is not None:
        raise BadInput(
            f"--optimize measured counts on the board's twin; {why}. Take --optimize latency"
        )
    layers = [x for x in layers_of(graph, pack_weights(graph)) if x.part == "node"]
    asked = {_place(x): _able(x, board) for x in layers}
    todo = [x for x in layers if len(asked[_place(x)]) > 1]
    total = sum(len(asked[_place(x)]) for x in todo)
    done, chosen, choices = 0, dict[Place, str](), list[Choice]()
    for layer in todo:
        counts = dict[str, int]()
        for kernel in asked[_place(layer)]:
            if watch:
                watch(done, total, f"{layer.info.name} on {kernel.name}")
            counts[kernel.name] = _counted(layer, kernel, board, compiler, cache)
            done += 1
        best = min(counts, key=counts.__getitem__)
        chosen[_place(layer)] = best
        name = "/".join(filter(None, _place(layer)))
        choices.append(Choice(name, best, counts[best], counts[layer.info.kernel]))
    if watch:
        watch(total, total, "")
    return chosen, tuple(choices)


def choice_words(choices: Sequence[Choice]) -> Iterator[str]:
    """How many layers were counted, and each that takes another kernel than the table's."""
    moved = [c for c in choices if c.cycles < c.by_table]
    yield (
        f"kernels by count on the board's twin: {len(choices)} layers counted alone, "
        f"{len(moved)} on another kernel than the table's"
    )
    for c in moved:
        yield f"{c.layer} runs on {c.kernel}: {c.cycles:,} cycles alone, not {c.by_table:,}"


def _place(layer: Layer) -> Place:
    return layer.info.expert or "", layer.node.name


def _able(layer: Layer, board: Board) -> list[Kernel]:
    """Kernels that compute the layer exactly there."""
    return [kernel for kernel, why in candidates(layer, board) if not why]


def _counted(
    layer: Layer, kernel: Kernel, board: Board, compiler: Compiler, cache: CountCache
) -> int:
    key = key_of(layer, kernel, board, compiler)
    cycles = cache.get(key)
    if cycles is None:
        cycles, _ = count_alone(layer, kernel, board, compiler)
        cache.put(key, cycles)
    return cycles
