"""Which inputs a kernel may put its output on, byte on byte, in one call."""

from collections.abc import Callable

from edgeq.ir import Graph, Node
from edgeq.kernels.streams.convolutions import (
    CELL_WORDS,
    CELLS_WORDS,
    STRIP_CELLS,
    STRIP_TURNS,
    STRIP_WORDS,
)

InPlace = Callable[[Graph, Node], tuple[int, ...]]
Pair = tuple[int, ...]  # down and across

# cells of a 1x1 convolution on DSP cores that are taken in at once, times their channels
TAKEN_WORDS = {"s8": CELL_WORDS, "s4": STRIP_WORDS, "t2": CELL_WORDS}


def nowhere(_graph: Graph, _node: Node) -> tuple[int, ...]:
    return ()


def on_its_input(_graph: Graph, _node: Node) -> tuple[int, ...]:
    return (0,)


def on_whole_inputs(graph: Graph, node: Node) -> tuple[int, ...]:
    """On those that are not repeated along an axis."""
    made = graph.type_of(node.outputs[0]).shape
    return tuple(i for i, name in enumerate(node.inputs) if graph.type_of(name).shape == made)


def depthwise_dsp(graph: Graph, node: Node) -> tuple[int, ...]:
    """Where a block of four channels is expanded as a whole before its outputs are written, and
    none belongs to two blocks.
    """
    channels, made = graph.type_of(node.inputs[0]).shape[2], graph.type_of(node.outputs[0]).shape
    height, width, _ = graph.type_of(node.params["weight"]).shape
    whole = _whole_map((height, width), made[:2], node.attrs.stride)
    return (0,) if whole and (channels % 4 == 0 or channels < 4) else ()


def _whole_map(kernel: Pair, made: Pair, stride: Pair) -> bool:
    """A strip or the words of cells, whichever the block's numbers choose, hold all the map."""
    if kernel == (3, 3) and max(stride) <= 2:
        down, across = 2 * STRIP_TURNS // stride[0], (STRIP_CELLS - 3) // stride[1] + 1
        if made[0] > down or made[1] > across:
            return False
    down, across = 0, 1
    if kernel[1] * -(-kernel[0] // 2) < kernel[0] * -(-kernel[1] // 2):
        down, across = 1, 0
    pitch = (made[across] - 1) * stride[across] + 2 * -(-kernel[across] // 2)
    rows = (made[down] - 1) * stride[down] + kernel[down]
    return made[down] == 1 or pitch * rows <= CELLS_WORDS
