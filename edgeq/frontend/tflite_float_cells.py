"""Float operators of .tflite files that move, cut, join and enlarge, as ONNX has them."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from edgeq.frontend.cells import continued
from edgeq.frontend.findings import Refused
from edgeq.frontend.tflite_file import Operator
from edgeq.frontend.tflite_writing import Writer, Writing, slid

LARGEST = 1 << 20  # of an axis: far beyond every tensor


def _axis(axis: int, rank: int) -> int:
    """Counted from the front. Raises Refused."""
    if not -rank <= axis < rank:
        raise Refused(f"it has axis {axis} of {rank}")
    return axis % rank


def _split(w: Writing, op: Operator) -> None:
    """SPLIT has its axis first and equal parts; SPLIT_V names their sizes."""
    data, place = (1, 0) if op.op == "SPLIT" else (0, 2)
    (axis,) = w.numbers(op, place)
    axis = _axis(axis, len(w.tensor(op, data).shape))
    _apart(w, op, data, axis, [w.made(op, i)[axis] for i in range(len(op.outputs))])


def _unpack(w: Writing, op: Operator) -> None:
    axis = _axis(int(op.option(1, "i")), len(w.tensor(op, 0).shape))
    _apart(w, op, 0, axis, [1] * len(op.outputs))


def _apart(w: Writing, op: Operator, data: int, axis: int, sizes: list[int]) -> None:
    """Parts along an axis, each under the shape of its output."""
    count = len(sizes)
    found = w.parts("Split", w.given(op, data), w.whole(sizes), count=count, axis=axis)
    for place, part in enumerate(found):
        w.end(op, w.add("Reshape", part, w.whole(w.made(op, place))), place=place)


def _pack(w: Writing, op: Operator) -> None:
    """Tensors side by side along an axis that they have not got."""
    axis = _axis(int(op.option(1, "i")), len(w.made(op)))
    shape = [1 if i == axis else n for i, n in enumerate(w.made(op))]
    parts = [w.add("Reshape", w.given(op, i), w.whole(shape)) for i in range(len(op.inputs))]
    w.end(op, w.add("Concat", *parts, axis=axis))


def _gather(w: Writing, op: Operator) -> None:
    """Constant places along one axis, or rows by an input's whole numbers."""
    if op.inputs[1] in w.ids:
        return w.end(op, w.add("Gather", w.given(op, 0), w.given(op, 1), axis=0))
    axis, shape = _axis(int(op.option(0, "i")), len(w.tensor(op, 0).shape)), w.made(op)
    if op.option(1, "i"):
        raise Refused("it gathers along the batch")
    places = w.numbers(op, 1)
    made = w.add("Gather", w.given(op, 0), w.whole(places), axis=axis)
    return w.end(op, w.add("Reshape", made, w.whole(shape)))


def _embedding_lookup(w: Writing, op: Operator) -> None:
    w.end(op, w.add("Gather", w.given(op, 1), w.given(op, 0), axis=0))


def _strided_slice(w: Writing, op: Operator) -> None:
    shape, (begin, end, step) = w.tensor(op, 0).shape, (w.numbers(op, i) for i in (1, 2, 3))
    masks = [int(op.option(i, "i")) for i in range(5)]
    if len(begin) != len(shape) or masks[2] or masks[3] or not all(step):
        raise Refused("it has an ellipsis, a new axis or fewer axes than its input")
    starts, ends, steps = [], [], []
    for i, n in enumerate(shape):
        first = None if masks[0] >> i & 1 else begin[i]
        last = None if masks[1] >> i & 1 else end[i]
        if masks[4] >> i & 1:
            first, last, step[i] = begin[i], (begin[i] + 1) or None, 1
        start, stop, by = slice(first, last, step[i]).indices(n)
        starts.append(start)
        ends.append(stop if stop >= 0 else -LARGEST)
        steps.append(by)
    given = (w.whole(v) for v in (starts, ends, range(len(shape)), steps))
    w.end(op, w.add("Reshape", w.add("Slice", w.given(op, 0), *given), w.whole(w.made(op))))


def _reversed(w: Writing, op: Operator) -> None:
    axes = [_axis(a, len(w.tensor(op, 0).shape)) for a in w.numbers(op, 1)]
    given = (w.whole([n] * len(axes)) for n in (-1, -LARGEST))
    back = w.whole([-1] * len(axes))
    w.end(op, w.add("Slice", w.given(op, 0), *given, w.whole(axes), back))


def _mirror_pad(w: Writing, op: Operator) -> None:
    """Cells continued at both ends of each axis, with the last one again or without."""
    mode, name = "symmetric" if op.option(0, "b") else "reflect", w.given(op, 0)
    by = w.value(op, 1).astype(int)
    for axis, (n, pair) in enumerate(zip(w.tensor(op, 0).shape, by, strict=True)):
        if pair.any():
            places = w.whole(continued(n, (int(pair[0]), int(pair[1])), mode))
            name = w.add("Gather", name, places, axis=axis)
    w.end(op, name)


def _broadcast_to(w: Writing, op: Operator) -> None:
    w.end(op, w.add("Expand", w.given(op, 0), w.whole(w.made(op))))


def _resized(nearest: bool) -> Writer:
    """The ways of TensorFlow Lite by the names that ONNX has for them."""

    def write(w: Writing, op: Operator) -> None:
        first = 0 if nearest else 2  # the others had the size once
        align, half = bool(op.option(first, "b")), bool(op.option(first + 1, "b"))
        if align and half:
            raise Refused("it has aligned corners and half pixels")
        _, height, width, _ = w.made(op)
        (_, _, _, channels) = w.tensor(op, 0).shape
        how = "align_corners" if align else "half_pixel" if half else "asymmetric"
        rounding = "round_prefer_ceil" if align or half else "floor"
        mode: dict[str, Any] = {"mode": "linear"}
        if nearest:
            mode = {"mode": "nearest", "nearest_mode": rounding}
        sizes = w.whole((1, channels, height, width))
        y = slid(w, op, "Resize", "", "", sizes, coordinate_transformation_mode=how, **mode)
        w.end(op, y)

    return write


def _transpose_conv(w: Writing, op: Operator) -> None:
    """Its operands are the output's size, the filters and the map."""
    weight, (_, height, width, _) = w.value(op, 1), w.made(op)
    if weight.ndim != 4 or len(w.tensor(op, 2).shape) != 4:
        raise Refused(f"its weights have shape {list(weight.shape)}")
    bias = [w.given(op, 3)] if w.has(op, 3) else []
    y = slid(
        w, op, "ConvTranspose", w.constant(weight.transpose(3, 0, 1, 2)), *bias, source=2,
        auto_pad="SAME_UPPER", output_shape=(height, width),
        strides=(int(op.option(2, "i")), int(op.option(1, "i"))),
    )  # fmt: skip
    w.end(op, y, op.option(3, "b"))


def _batch_matmul(w: Writing, op: Operator) -> None:
    """Either side may come with its last two axes exchanged."""
    names = []
    for place in (0, 1):
        name, rank = w.given(op, place), len(w.tensor(op, place).shape)
        if op.option(place, "b"):
            perm = (*range(rank - 2), rank - 1, rank - 2)
            name = w.add("Transpose", name, perm=perm)
        names.append(name)
    w.end(op, w.add("MatMul", *names))


def _arg_max(w: Writing, op: Operator) -> None:
    """The least is the largest of what is negated."""
    (axis,) = w.numbers(op, 1)
    axis = _axis(axis, len(w.tensor(op, 0).shape))
    x = w.given(op, 0)
    x = w.add("Neg", x) if op.op == "ARG_MIN" else x
    w.end(op, w.add("ArgMax", x, axis=axis, keepdims=0))


def _l2_normalization(w: Writing, op: Operator) -> None:
    """The root of a mean of squares is that of their sum over the root of their count."""
    n = w.tensor(op, 0).shape[-1]
    gain = w.constant(np.full(n, n**-0.5, np.float32))
    y = w.add("RMSNormalization", w.given(op, 0), gain, axis=-1, epsilon=1e-12 / n)
    w.end(op, y, op.option(0, "b"))


CELL_WRITERS: Mapping[str, Writer] = {
    "SPLIT": _split,
    "SPLIT_V": _split,
    "UNPACK": _unpack,
    "PACK": _pack,
    "GATHER": _gather,
    "EMBEDDING_LOOKUP": _embedding_lookup,
    "STRIDED_SLICE": _strided_slice,
    "REVERSE_V2": _reversed,
    "MIRROR_PAD": _mirror_pad,
    "BROADCAST_TO": _broadcast_to,
    "RESIZE_NEAREST_NEIGHBOR": _resized(nearest=True),
    "RESIZE_BILINEAR": _resized(nearest=False),
    "TRANSPOSE_CONV": _transpose_conv,
    "BATCH_MATMUL": _batch_matmul,
    "ARG_MAX": _arg_max,
    "ARG_MIN": _arg_max,
    "L2_NORMALIZATION": _l2_normalization,
}
