"""Convolutions in bands of their output: what each reads and writes (edgeq_conv_2d_band.c).

A 1x1 kernel without stride and padding takes pixels one by one, so its bands are of pixels, not of
rows. A kernel that has taken in all of a band's input before it writes may write over it.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from edgeq.ir import Graph, Node

CONVOLUTIONS = ("Conv2D", "DepthwiseConv2D")


@dataclass(frozen=True)
class Band:
    """Rows [row, row + rows) of the output, from rows [begin, end) of the input with `top` rows of
    padding above them."""

    row: int
    rows: int
    begin: int
    end: int
    top: int


@dataclass(frozen=True)
class Sliding:
    """A convolution as its bands see it; with `pixels` a row is a pixel. Bytes are of a row."""

    input_rows: int
    output_rows: int
    kernel: int
    stride: int
    padding: int
    input_bytes: int
    output_bytes: int
    pixels: bool

    def bands(self, rows: int) -> Iterator[Band]:
        """All bands of so many rows; the last one may have less."""
        for row in range(0, self.output_rows, rows):
            count = min(rows, self.output_rows - row)
            first = row * self.stride - self.padding
            begin, top = max(0, first), max(0, -first)
            end = min(self.input_rows, first + (count - 1) * self.stride + self.kernel)
            yield Band(row, count, begin, end, top)

    def up(self, rows: int, taken: bool) -> int:
        """Least bytes that the input begins behind the output, the first band first.

        taken: a band's input is read before its output is written.
        """
        bands = list(self.bands(rows))
        read = [self.input_bytes * b.begin for b in bands]
        if taken:
            read = [*read[1:], self.input_bytes * self.input_rows]
        ends = [self.output_bytes * (b.row + b.rows) for b in bands]
        return max(end - begin for end, begin in zip(ends, read, strict=True))

    def down(self, rows: int, taken: bool) -> int:
        """Least bytes that the output begins behind the input, the last band first."""
        bands = list(self.bands(rows))
        read = [self.input_bytes * b.end for b in bands]
        if taken:
            read = [0, *read[:-1]]
        begins = [self.output_bytes * b.row for b in bands]
        return max(end - begin for end, begin in zip(read, begins, strict=True))


def sliding(graph: Graph, node: Node) -> Sliding:
    """Of a Conv2D or DepthwiseConv2D."""
    (height, width, channels), made = (
        graph.type_of(node.inputs[0]).shape,
        graph.type_of(node.outputs[0]).shape,
    )
    shape = graph.type_of(node.params["weight"]).shape
    kernel = shape[1:3] if node.op == "Conv2D" else shape[:2]
    if kernel == (1, 1) and node.attrs.stride == (1, 1) and not any(node.attrs.padding):
        pixels = height * width
        return Sliding(pixels, pixels, 1, 1, 0, channels, made[2], True)
    row_bytes = width * channels, made[1] * made[2]
    top = node.attrs.padding[0]
    return Sliding(height, made[0], kernel[0], node.attrs.stride[0], top, *row_bytes, False)


def alone(graph: Graph, node: Node, band: Band) -> Graph:
    """The graph of one band, a layer by itself: for what its shapes decide."""
    given, made = graph.type_of(node.inputs[0]), graph.type_of(node.outputs[0])
    rows = band.end - band.begin
    shapes: tuple[tuple[int, ...], tuple[int, ...]]
    if sliding(graph, node).pixels:
        shapes, padding = ((1, rows, given.shape[2]), (1, rows, made.shape[2])), (0, 0, 0, 0)
    else:
        shapes = (rows, *given.shape[1:]), (band.rows, *made.shape[1:])
        _, left, _, right = node.attrs.padding
        padding = (band.top, left, _below(graph, node, band), right)
    attrs = replace(node.attrs, padding=padding)
    types = {
        node.inputs[0]: replace(given, shape=shapes[0]),
        node.outputs[0]: replace(made, shape=shapes[1]),
    }
    return graph.with_tensors(types).with_nodes([replace(node, attrs=attrs)])


def _below(graph: Graph, node: Node, band: Band) -> int:
    """Rows of padding under a band."""
    slide = sliding(graph, node)
    wanted = (band.rows - 1) * slide.stride + slide.kernel
    return max(0, wanted - band.top - (band.end - band.begin))
