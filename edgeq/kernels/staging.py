"""Weights in RAM: which kernels can read them there, and how many bytes they are."""

import numpy as np

from edgeq.ir import Graph, Node
from edgeq.kernels.parts import parts_of
from edgeq.kernels.streams.convolutions import ROWS
from edgeq.kernels.table import DSP, Kernel, kernel_named


def stages(graph: Graph, node: Node, kernel: Kernel) -> bool:
    """Whether all that it reads of a layer is one array, again for every two pixels, in one call
    or in bands.
    """
    if parts_of(graph, node) is not None:
        return False
    joined = kernel.stream is not None and kernel.stream.join is not None
    return joined and (kernel.op, kernel.isa) == ("Conv2D", DSP)


def staged_bytes(graph: Graph, node: Node) -> int:
    """Of the array that the node's kernel reads, weights and constants: all blocks of it are alike.
    ValueError where it reads several.
    """
    kernel = kernel_named(node.kernel or "")
    if not stages(graph, node, kernel):
        raise ValueError(f"{node.name!r}: {kernel.name} cannot read its weights from RAM")
    assert kernel.stream is not None  # stages() saw to both
    assert kernel.stream.join is not None
    outputs, *patch = graph.type_of(node.params["weight"]).shape
    row, nothing = kernel.stream.pack(np.zeros((1, *patch), np.int8)), np.zeros(1, np.int64)
    block = kernel.stream.join(row, nothing, nothing, nothing - 1)
    return int(block.nbytes) * -(-outputs // ROWS)
