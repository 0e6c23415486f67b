"""What a layer says of a kernel: its scratch, and whether the layer gains by it."""

import math
from collections.abc import Callable

import numpy as np

from edgeq.ir import Graph, Node
from edgeq.kernels.streams import block_cells, block_rows, row_groups, trits
from edgeq.kernels.streams.stream import Stream
from edgeq.ops.log_mel import scratch_bytes
from edgeq.ops.op import Array

TRITS_OUTPUTS, TRITS_SAVED_BYTES = 64, 1024
V6M_TRITS_OUTPUTS = 256  # from here on tables take fewer cycles than two rows a multiply
FRAME_CHANNELS = 4  # of a block
Scratch = Callable[[Graph, Node], int]
Suits = Callable[[Graph, Node], bool]


def no_scratch(_graph: Graph, _node: Node) -> int:
    return 0


def any_shape(_graph: Graph, _node: Node) -> bool:
    return True


def patch_scratch(graph: Graph, node: Node) -> int:
    """Conv2D: one input patch; none for a 1x1 kernel without padding, which reads x in place."""
    _, height, width, channels = graph.type_of(node.params["weight"]).shape
    in_place = (height, width) == (1, 1) and not any(node.attrs.padding)
    return 0 if in_place else height * width * channels


def router_scratch(graph: Graph, node: Node) -> int:
    """Mixture: scores and sums of every expert, the first layer's output and two layer buffers."""
    layers = range(node.attrs.router.layers)
    widths = [graph.type_of(node.params[f"router.{i}.weight"]).shape[0] for i in layers]
    return 12 * widths[-1] + widths[0] + 2 * max(widths)


def router_dsp_scratch(graph: Graph, node: Node) -> int:
    """router_scratch, then the largest of its layers'."""
    layers = range(node.attrs.router.layers)
    shapes = [graph.type_of(node.params[f"router.{i}.weight"]).shape for i in layers]
    own = -(-router_scratch(graph, node) // 8) * 8
    return own + max(row_groups.scratch_bytes(inputs, outputs) for outputs, inputs in shapes)


def trits_scratch(graph: Graph, node: Node) -> int:
    """FullyConnected by tables: those of a block of columns, and the sums of all rows."""
    outputs, inputs = graph.type_of(node.params["weight"]).shape
    return trits.scratch_bytes(inputs, outputs)


def trits_suit(graph: Graph, node: Node) -> bool:
    """Enough outputs to share the tables, and enough weights to make up for the longer code."""
    outputs, inputs = graph.type_of(node.params["weight"]).shape
    return outputs >= TRITS_OUTPUTS and trits.saved_bytes(inputs, outputs) >= TRITS_SAVED_BYTES


def without_tables(graph: Graph, node: Node) -> bool:
    """Too few outputs for tables to be faster on ARMv6-M, or a layer that gets none."""
    outputs = graph.type_of(node.params["weight"]).shape[0]
    return outputs < V6M_TRITS_OUTPUTS or not trits_suit(graph, node)


def row_norms(graph: Graph, node: Node) -> Array:
    """FullyConnected: sum of |w| of every row (outputs,)."""
    return np.asarray(np.abs(graph.param(node, "weight").astype(np.int64)).sum(1))


def whole_rows(chunk: int, stream: Stream) -> Suits:
    """FullyConnected: rows of more than the `chunk` columns that others take at once, whose norms
    let them stay whole."""
    assert stream.most_norm is not None
    most = stream.most_norm

    def suits(graph: Graph, node: Node) -> bool:
        inputs = graph.type_of(node.params["weight"]).shape[1]
        return inputs > chunk and bool((row_norms(graph, node) <= most).all())

    return suits


def recurrent_scratch(graph: Graph, node: Node) -> int:
    """The cell or state, int16, and the hidden state before the first step."""
    return 3 * graph.type_of(node.outputs[0]).shape[1]


def step_scratch(graph: Graph, node: Node) -> int:
    """The hidden state before the first step."""
    return graph.type_of(node.outputs[0]).shape[1]


def log_mel_scratch(_graph: Graph, node: Node) -> int:
    """A cell for each bin."""
    return scratch_bytes(node.attrs.fft)


def mfcc_scratch(graph: Graph, node: Node) -> int:
    """That, and a logarithm for each band."""
    return log_mel_scratch(graph, node) + 4 * int(node.attrs.mels)


def pcen_scratch(graph: Graph, node: Node) -> int:
    """That, and a smoothed energy for each band."""
    return log_mel_scratch(graph, node) + 8 * int(node.attrs.mels)


def one_window(graph: Graph, node: Node) -> bool:
    """Depthwise: a window that is the whole map, without padding, of four channels or more."""
    if any(node.attrs.padding) or node.attrs.dilation != (1, 1):
        return False
    given, made = graph.type_of(node.inputs[0]).shape, graph.type_of(node.outputs[0]).shape
    kernel = graph.type_of(node.params["weight"]).shape[:2]
    return kernel == given[:2] and made[:2] == (1, 1) and given[2] >= FRAME_CHANNELS


def block_scratch(weight: str) -> Scratch:
    """BlockFullyConnected: a cell's activations."""

    def scratch(graph: Graph, node: Node) -> int:
        inputs = graph.type_of(node.params["weight"]).shape[1]
        return block_rows.SCRATCH[weight](inputs, node.attrs.block)

    return scratch


def block_cells_scratch(weight: str) -> Scratch:
    """BlockFullyConnected by twos of cells: the activations of a few pairs."""

    def scratch(graph: Graph, node: Node) -> int:
        *cells, inputs = graph.type_of(node.inputs[0]).shape
        return block_cells.SCRATCH[weight](inputs, node.attrs.block, math.prod(cells))

    return scratch


def paired_cells(graph: Graph, node: Node) -> bool:
    """BlockFullyConnected: cells to pair, of whole fours of inputs."""
    *cells, inputs = graph.type_of(node.inputs[0]).shape
    return math.prod(cells) >= block_cells.CELLS and inputs % block_cells.COLUMNS == 0


def add_suits(graph: Graph, node: Node) -> bool:
    """Add: an input at half the common scale, and an output whose rounding stays inside a word."""
    multiplier, shift = (graph.param(node, name) for name in ("multiplier", "shift"))
    half = (multiplier == 2**30) & (shift == 0)
    inputs = half[:2].any() and (half | (shift < 0))[:2].all()
    return bool(inputs and -23 <= shift[2] <= -1)


def average_pool_suits(graph: Graph, node: Node) -> bool:
    """AveragePool2D: four channels and more, and a scale below a half."""
    channels = graph.type_of(node.inputs[0]).shape[-1]
    return channels >= 4 and bool((graph.param(node, "shift") <= -1).all())


def decides(kernel: str) -> Suits:
    """Cascade: that is its signal's."""

    def suits(_graph: Graph, node: Node) -> bool:
        return bool(node.attrs.rule.kernel == kernel)

    return suits


def gate_scratch(graph: Graph, node: Node) -> int:
    """Mixture with gates: an int32 accumulator for each output."""
    return 4 * int(np.prod(graph.type_of(node.outputs[0]).shape))
