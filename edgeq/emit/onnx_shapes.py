"""The ONNX form of ops that broadcast, join or move cells: maps are channels-first there."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from onnx import TensorProto

from edgeq.emit.onnx_builder import OnnxBuilder, Shape, channels_first
from edgeq.ir import Graph, Node
from edgeq.ops.op import Array, quant_of
from edgeq.ops.prelu import slopes
from edgeq.ops.resize_linear import ONE
from edgeq.ops.site import Site

Form = Callable[[OnnxBuilder, Graph, Node, list[str]], str]
FIRST = (2, 3, 1)  # where the axes of a map (H, W, C) are in ONNX, its batch in front


def _axis(axis: int, rank: int) -> int:
    return FIRST[axis] if rank == 3 else axis + 1


def _aligned(b: OnnxBuilder, node: Node, value: str, shape: Shape, rank: int, index: int) -> str:
    """The operand with axes of 1 in front of its own."""
    target = (1,) * (rank - len(shape)) + shape
    name = f"{node.name}.operand_{index}"
    return value if target == shape else b.reshape(value, shape, target, name)


def _broadcast(op: str) -> Form:
    def form(b: OnnxBuilder, graph: Graph, node: Node, x: list[str]) -> str:
        shapes = [graph.tensors[name].shape for name in node.inputs]
        rank = max(len(shape) for shape in shapes)
        pairs = enumerate(zip(x, shapes, strict=True))
        both = [_aligned(b, node, value, shape, rank, i) for i, (value, shape) in pairs]
        return b.node(op, both, f"{node.name}.{op.lower()}")

    return form


def _square(b: OnnxBuilder, node: Node, value: str) -> str:
    return b.node("Mul", [value, value], f"{node.name}.square")


def _squared_difference(b: OnnxBuilder, graph: Graph, node: Node, x: list[str]) -> str:
    return _square(b, node, _broadcast("Sub")(b, graph, node, x))


def _with_constant(b: OnnxBuilder, graph: Graph, node: Node, x: list[str]) -> str:
    rank, name = len(graph.tensors[node.inputs[0]].shape), node.params["other"]
    codes, quant = graph.constants[name], quant_of(graph.tensors[name])
    shape = (1,) * (rank - codes.ndim) + codes.shape
    codes = codes.reshape(1, *shape)
    codes = codes.transpose(0, 3, 1, 2) if rank == 3 else codes
    real = (codes.astype(np.float64) - quant.zero_point) * quant.per_tensor
    other = b.constant(f"{node.name}.other", real, np.float32)
    if node.op == "MulConstant":
        return b.node("Mul", [x[0], other], f"{node.name}.mul")
    if node.op == "SquaredDifferenceConstant":
        return _square(b, node, b.node("Sub", [x[0], other], f"{node.name}.sub"))
    first, second = node.attrs.sign
    op, inputs = ("Add", [x[0], other]) if first == second else ("Sub", [x[0], other][::first])
    value = b.node(op, inputs, f"{node.name}.{op.lower()}")
    return b.node("Neg", [value], f"{node.name}.neg") if first == second == -1 else value


def _concat(b: OnnxBuilder, graph: Graph, node: Node, x: list[str]) -> str:
    rank = len(graph.tensors[node.outputs[0]].shape)
    return b.node("Concat", x, f"{node.name}.concat", axis=_axis(node.attrs.axis, rank))


def _transpose(b: OnnxBuilder, _graph: Graph, node: Node, x: list[str]) -> str:
    """A map's axes go by their places there, so that one node does it."""
    rank = len(node.attrs.perm)
    if rank != 3:
        return b.node(
            "Transpose", x, f"{node.name}.transpose", perm=[0, *(i + 1 for i in node.attrs.perm)]
        )
    perm = [0, *(FIRST[node.attrs.perm[i]] for i in (2, 0, 1))]
    return b.node("Transpose", x, f"{node.name}.transpose", perm=perm)


def _slice(b: OnnxBuilder, _graph: Graph, node: Node, x: list[str]) -> str:
    attrs, rank = node.attrs, len(node.attrs.start)
    stops = [a + n * s for a, n, s in zip(attrs.start, attrs.size, attrs.step, strict=True)]
    least = -(2**31)
    given = {
        "start": list(attrs.start),
        "stop": [stop if stop >= 0 else least for stop in stops],
        "axes": [_axis(i, rank) for i in range(rank)],
        "step": list(attrs.step),
    }
    names = [b.constant(f"{node.name}.{n}", v, np.int64) for n, v in given.items()]
    return b.node("Slice", [*x, *names], f"{node.name}.slice")


def _expand(b: OnnxBuilder, _graph: Graph, node: Node, x: list[str]) -> str:
    shape = b.constant(f"{node.name}.shape", [1, *channels_first(node.attrs.shape)], np.int64)
    return b.node("Expand", [*x, shape], f"{node.name}.expand")


def _resize(b: OnnxBuilder, _graph: Graph, node: Node, x: list[str]) -> str:
    scales = b.constant(f"{node.name}.scales", [1, 1, *node.attrs.factor], np.float32)
    return b.node(
        "Resize",
        [x[0], "", scales],
        f"{node.name}.resize",
        mode="nearest",
        coordinate_transformation_mode="asymmetric",
        nearest_mode="floor",
    )


def _gather(b: OnnxBuilder, graph: Graph, node: Node, x: list[str]) -> str:
    rank = len(graph.tensors[node.inputs[0]].shape)
    places = b.constant(f"{node.name}.places", node.attrs.places, np.int64)
    axis = _axis(node.attrs.axis, rank)
    return b.node("Gather", [x[0], places], f"{node.name}.gather", axis=axis)


def _embedding(b: OnnxBuilder, graph: Graph, node: Node, x: list[str]) -> str:
    """Gather from the table, its ids held inside."""
    name, kind = node.name, graph.tensors[node.params["table"]]
    quant, codes = quant_of(kind), graph.param(node, "table")
    held = b.constant(f"{name}.table", codes, np.int8)
    scale = b.constant(f"{name}.table.scale", quant.per_tensor, np.float32)
    zero = b.constant(f"{name}.table.zero_point", quant.zero_point, np.int8)
    table = b.node("DequantizeLinear", [held, scale, zero], f"{name}.table.dequantized")
    ends = [
        b.constant(f"{name}.{n}", end, np.int64)
        for n, end in (("first", 0), ("last", len(codes) - 1))
    ]
    ids = b.node("Cast", [x[0]], f"{name}.whole", to=TensorProto.INT64)
    ids = b.node("Clip", [ids, *ends], f"{name}.ids")
    made = b.node("Gather", [table, ids], f"{name}.rows", axis=0)
    rank = len(graph.tensors[node.outputs[0]].shape)
    return b.to_channels_first(made, name) if rank == 3 else made


def _resize_linear(b: OnnxBuilder, graph: Graph, node: Node, x: list[str]) -> str:
    """A product with a matrix from either side: Resize knows its own coordinates alone."""
    height, width, _ = graph.tensors[node.inputs[0]].shape
    down = b.constant(f"{node.name}.down", _shares(node.attrs.down, height), np.float32)
    across = b.constant(f"{node.name}.across", _shares(node.attrs.across, width).T, np.float32)
    rows = b.node("MatMul", [down, x[0]], f"{node.name}.rows")
    return b.node("MatMul", [rows, across], f"{node.name}.columns")


def _prelu(b: OnnxBuilder, graph: Graph, node: Node, x: list[str]) -> str:
    rank, found = len(graph.tensors[node.inputs[0]].shape), slopes(Site(graph, node))
    found = found.reshape(*[1] * (rank - found.ndim), *found.shape)
    found = found.transpose(2, 0, 1) if rank == 3 else found
    slope = b.constant(f"{node.name}.slope", found, np.float32)
    return b.node("PRelu", [x[0], slope], f"{node.name}.prelu")


def _batch_matmul(b: OnnxBuilder, graph: Graph, node: Node, x: list[str]) -> str:
    """Stacks of matrices are no maps: their axes stay where they are."""
    rank = len(graph.tensors[node.inputs[0]].shape)
    if rank == 3:
        x = [b.to_channels_last(v, f"{node.name}.operand_{i}") for i, v in enumerate(x)]
    if node.attrs.transpose:
        perm = [*range(rank - 1), rank, rank - 1]
        x = [x[0], b.node("Transpose", [x[1]], f"{node.name}.turned", perm=perm)]
    made = b.node("MatMul", x, f"{node.name}.matmul")
    return b.to_channels_first(made, node.name) if rank == 3 else made


def _shares(places: Sequence[int], size: int) -> Array:
    """(made, size): what each cell adds to each output."""
    at, made = np.array(places), np.arange(len(places))
    shares = np.zeros((len(at), size))
    np.add.at(shares, (made, at // ONE), 1 - at % ONE / ONE)
    np.add.at(shares, (made, -(-at // ONE)), at % ONE / ONE)
    return shares


def _depth_to_space(b: OnnxBuilder, _graph: Graph, node: Node, x: list[str]) -> str:
    mode = "CRD" if node.attrs.crd else "DCR"
    block = node.attrs.block
    return b.node("DepthToSpace", x, f"{node.name}.spread", blocksize=block, mode=mode)


def _space_to_depth(b: OnnxBuilder, _graph: Graph, node: Node, x: list[str]) -> str:
    return b.node("SpaceToDepth", x, f"{node.name}.gathered", blocksize=node.attrs.block)


def _pad(b: OnnxBuilder, _graph: Graph, node: Node, x: list[str]) -> str:
    before, after = channels_first(node.attrs.before), channels_first(node.attrs.after)
    pads = b.constant(f"{node.name}.pads", [0, *before, 0, *after], np.int64)
    value = b.constant(f"{node.name}.value", node.attrs.value, np.float32)
    return b.node("Pad", [x[0], pads, value], f"{node.name}.pad")


def _same(_b: OnnxBuilder, _graph: Graph, _node: Node, x: list[str]) -> str:
    return x[0]  # emit_node appends the scale


SHAPE_OPS: Mapping[str, Form] = {
    "AddBroadcast": _broadcast("Add"),
    "Sub": _broadcast("Sub"),
    "SquaredDifference": _squared_difference,
    "Mul": _broadcast("Mul"),
    "Minimum": _broadcast("Min"),
    "Maximum": _broadcast("Max"),
    "AddConstant": _with_constant,
    "MulConstant": _with_constant,
    "SquaredDifferenceConstant": _with_constant,
    "Concat": _concat,
    "ConcatInPlace": _concat,
    "Transpose": _transpose,
    "Slice": _slice,
    "Expand": _expand,
    "ResizeNearest": _resize,
    "Gather": _gather,
    "Embedding": _embedding,
    "ResizeLinear": _resize_linear,
    "PRelu": _prelu,
    "BatchMatMul": _batch_matmul,
    "DepthToSpace": _depth_to_space,
    "SpaceToDepth": _space_to_depth,
    "Pad": _pad,
    "Quantize": _same,
    "Rescale": _same,
    "Narrow": _same,
    "Widen": _same,
}
