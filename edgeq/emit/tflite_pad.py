"""Explicit padding in TensorFlow Lite's words: SAME or VALID where they fit, else written out."""

import numpy as np
from ai_edge_litert import (  # type: ignore[import-untyped,unused-ignore]
    schema_py_generated as schema,
)

from edgeq.emit.tflite_writer import SubgraphWriter, Value
from edgeq.errors import UnsupportedOp
from edgeq.ir import Node
from edgeq.ops.window import Padding, output_size

NOTHING = (0, 0, 0, 0)


def padded(
    sg: SubgraphWriter, node: Node, x: Value, kernel: tuple[int, int], lowest: bool = False
) -> tuple[Value, str]:
    """(source, "SAME" or "VALID") for a windowed node on x (1, H, W, C).

    Other paddings become a PAD, which fills with the real number zero; with `lowest` (a max pool,
    where padding never wins) a CONCATENATION with rows and columns of -128.
    """
    size = x.shape[1], x.shape[2]
    scheme = scheme_of(size, node, kernel)
    if scheme is not None:
        return x, scheme
    used = used_padding(size, kernel, node.attrs.stride, node.attrs.padding)
    if lowest and x.dtype == "int16":
        raise UnsupportedOp(f"TFLite: no padding {used} of an int16 max pool ({node.name})")
    if not lowest or x.q.zero_point == -128:
        return _pad(sg, node.name, x, used), "VALID"
    tall = _framed(sg, node.name + ".tall", x, 1, (used[0], used[2]))
    return _framed(sg, node.name + ".framed", tall, 2, (used[1], used[3])), "VALID"


def scheme_of(size: tuple[int, int], node: Node, kernel: tuple[int, int]) -> str | None:
    """ "SAME" or "VALID" where one of them is the node's padding on a map of `size`."""
    stride, padding = node.attrs.stride, node.attrs.padding
    if used_padding(size, kernel, stride, padding) == NOTHING:
        return "VALID"
    return "SAME" if _is_same(size, kernel, stride, padding) else None


def used_padding(
    size: tuple[int, int], kernel: tuple[int, int], stride: tuple[int, int], padding: Padding
) -> Padding:
    """The padding that some window reads: with a stride the last cells may go unread.

    A negative end would mean unread input, which VALID leaves out by itself.
    """
    out = output_size(size, kernel, stride, padding)
    last = [(out[i] - 1) * stride[i] + kernel[i] - size[i] - padding[i] for i in (0, 1)]
    return padding[0], padding[1], max(last[0], 0), max(last[1], 0)


def same_padding(
    size: tuple[int, int], kernel: tuple[int, int], stride: tuple[int, int]
) -> Padding:
    """What SAME means: ceil(size / stride) outputs, the odd cell at the end."""
    total = [
        max((-(-size[i] // stride[i]) - 1) * stride[i] + kernel[i] - size[i], 0) for i in (0, 1)
    ]
    before = [t // 2 for t in total]
    return before[0], before[1], total[0] - before[0], total[1] - before[1]


def _is_same(
    size: tuple[int, int], kernel: tuple[int, int], stride: tuple[int, int], padding: Padding
) -> bool:
    out = output_size(size, kernel, stride, padding)
    wanted = tuple(-(-size[i] // stride[i]) for i in (0, 1))
    used = used_padding(size, kernel, stride, padding)
    return out == wanted and used == same_padding(size, kernel, stride)


def _pad(sg: SubgraphWriter, name: str, x: Value, padding: Padding) -> Value:
    top, left, bottom, right = padding
    _, height, width, channels = x.shape
    shape = (1, height + top + bottom, width + left + right, channels)
    y = sg.value(name + ".padded", shape, x.dtype, x.quant)
    amounts = np.array([[0, 0], [top, bottom], [left, right], [0, 0]], dtype=np.int32)
    sg.op("PAD", [x, sg.constant(name + ".padding", amounts)], [y], schema.PadOptionsT())
    return y


def _framed(sg: SubgraphWriter, name: str, x: Value, axis: int, cells: tuple[int, int]) -> Value:
    """x with `cells` of -128 before and after it on `axis`."""
    parts = [_lowest(sg, f"{name}.{i}", x, axis, n) for i, n in enumerate(cells)]
    pieces = [v for v in (parts[0], x, parts[1]) if v is not None]
    if len(pieces) == 1:
        return x
    shape = [n + sum(cells) if i == axis else n for i, n in enumerate(x.shape)]
    y = sg.value(name, shape, "int8", x.quant)
    sg.op("CONCATENATION", pieces, [y], schema.ConcatenationOptionsT(axis=axis))
    return y


def _lowest(sg: SubgraphWriter, name: str, x: Value, axis: int, cells: int) -> Value | None:
    if not cells:
        return None
    shape = [cells if i == axis else n for i, n in enumerate(x.shape)]
    return sg.constant(name, np.full(shape, -128, dtype=np.int8), x.quant)
