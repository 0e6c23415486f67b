"""The ways in which a node may run: what its output may lie on, at what price."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from edgeq.ir import Graph, Node
from edgeq.kernels.bands import CONVOLUTIONS, Sliding, alone, sliding
from edgeq.kernels.in_place import TAKEN_WORDS
from edgeq.kernels.parts import node_scratch, parts_of
from edgeq.kernels.table import DSP, Kernel, kernel_named
from edgeq.ops import OPS
from edgeq.ops.op import Site

LEAST_BAND_CYCLES = 100_000  # by the rates below: a call costs 1,000 of its own
MAC_CYCLES = {"Conv2D": 1.0, "DepthwiseConv2D": 2.5}
OUTPUT_CYCLES = 10
PARTS = (2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)  # of a layer's rows


@dataclass(frozen=True)
class Way:
    """rows: of a band's output, 0: all in one call. calls: of the kernel. scratch: bytes.

    at_once: inputs, by number, at whose place the output may begin. up, down: in bands, the least
    bytes that the input begins behind the output, or the output behind the input.
    """

    rows: int
    calls: int
    scratch: int
    at_once: tuple[int, ...] = ()
    up: int | None = None
    down: int | None = None


def ways(graph: Graph, node: Node) -> Iterator[Way]:
    """Those of a node whose kernel is chosen, the fewest calls first."""
    if not node.kernel:
        yield Way(0, 1, 0)
        return
    kernel = kernel_named(node.kernel)
    if parts_of(graph, node) is not None:
        yield Way(0, 1, node_scratch(graph, node, kernel))
        return
    yield Way(0, 1, kernel.scratch(graph, node), kernel.in_place(graph, node))
    if node.op not in CONVOLUTIONS:
        return
    slide = sliding(graph, node)
    for rows in _bands(graph, node, slide, _taken(graph, node, kernel)):
        yield _in_bands(graph, node, kernel, slide, rows)


def _taken(graph: Graph, node: Node, kernel: Kernel) -> int:
    """How many pixels of the input the kernel takes in before it writes the first output."""
    channels = graph.type_of(node.inputs[0]).shape[-1]
    if (kernel.op, kernel.isa) != ("Conv2D", DSP) or channels % 4:
        return 0
    return 2 * max(1, TAKEN_WORDS[kernel.weight or ""] // channels)


def _bands(graph: Graph, node: Node, slide: Sliding, taken: int) -> Sequence[int]:
    """Rows of a band, the most first, that are worth a call."""
    macs = OPS[node.op].macs(node.attrs, Site(graph, node).io, graph.params(node))
    cycles = MAC_CYCLES[node.op] * macs + OUTPUT_CYCLES * graph.type_of(node.outputs[0]).size
    found = {-(-slide.output_rows // parts) for parts in PARTS}
    if slide.pixels and taken:
        found.add(taken)
    return [
        rows
        for rows in sorted(found, reverse=True)
        if rows < slide.output_rows
        and cycles * rows >= LEAST_BAND_CYCLES * slide.output_rows
        and all(0 <= b.begin < b.end for b in slide.bands(rows))
    ]


def _in_bands(graph: Graph, node: Node, kernel: Kernel, slide: Sliding, rows: int) -> Way:
    bands = list(slide.bands(rows))
    parts = [alone(graph, node, band) for band in bands]
    scratch = max(kernel.scratch(part, part.nodes[0]) for part in parts)
    taken = slide.pixels and rows <= _taken(graph, node, kernel)
    return Way(rows, len(bands), scratch, (), slide.up(rows, taken), slide.down(rows, taken))
