"""The TensorFlow Lite form of ops that broadcast, join or move cells."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from ai_edge_litert import (  # type: ignore[import-untyped,unused-ignore]
    schema_py_generated as schema,
)

from edgeq.emit import tflite_steps as step
from edgeq.emit.tflite_writer import SubgraphWriter, Value
from edgeq.errors import UnsupportedOp
from edgeq.ir import Graph, Node, Quant
from edgeq.ops.copies import pad_code
from edgeq.ops.op import quant_of
from edgeq.ops.prelu import slopes
from edgeq.ops.resize_linear import tflite_positions
from edgeq.ops.site import Site

LEAST_SLOPE = 1e-12
Emit = Callable[[SubgraphWriter, Graph, Node, list[Value]], Value]


def _out(graph: Graph, node: Node) -> Quant:
    return quant_of(graph.tensors[node.outputs[0]])


def _made(sg: SubgraphWriter, graph: Graph, node: Node) -> Value:
    kind = graph.tensors[node.outputs[0]]
    return sg.value(node.outputs[0], (1, *kind.shape), "int8", kind.quant)


def _numbers(sg: SubgraphWriter, node: Node, what: str, values: Sequence[int]) -> Value:
    return sg.constant(f"{node.name}.{what}", np.array(values, np.int32))


def _operands(sg: SubgraphWriter, graph: Graph, node: Node, x: list[Value]) -> tuple[Value, Value]:
    if len(x) == 2:
        return x[0], x[1]
    name = node.params["other"]
    codes = graph.constants[name]
    return x[0], sg.constant(name, codes[None], graph.tensors[name].quant)


def _added(sg: SubgraphWriter, graph: Graph, node: Node, x: list[Value]) -> Value:
    first, second = node.attrs.sign
    a, b = _operands(sg, graph, node, x)
    given = node.outputs[0], _out(graph, node), node.attrs.activation
    if first == second == 1:
        return step.add(sg, given[0], a, b, *given[1:])
    if first == second:
        raise UnsupportedOp(f"TFLite: no form of -x - constant ({node.name})")
    return step.subtract(sg, given[0], *((a, b) if first == 1 else (b, a)), *given[1:])


def _squared(sg: SubgraphWriter, graph: Graph, node: Node, x: list[Value]) -> Value:
    y = _made(sg, graph, node)
    given = list(_operands(sg, graph, node, x))
    sg.op("SQUARED_DIFFERENCE", given, [y], schema.SquaredDifferenceOptionsT())
    return y


def _multiplied(sg: SubgraphWriter, graph: Graph, node: Node, x: list[Value]) -> Value:
    a, b = _operands(sg, graph, node, x)
    return step.multiply(sg, node.outputs[0], a, b, _out(graph, node), node.attrs.activation)


def _extreme(op: str) -> Emit:
    def emit(sg: SubgraphWriter, graph: Graph, node: Node, x: list[Value]) -> Value:
        y = _made(sg, graph, node)
        sg.op(op, x, [y], schema.MaximumMinimumOptionsT())
        return y

    return emit


def _concat(sg: SubgraphWriter, graph: Graph, node: Node, x: list[Value]) -> Value:
    y = _made(sg, graph, node)
    sg.op("CONCATENATION", x, [y], schema.ConcatenationOptionsT(axis=node.attrs.axis + 1))
    return y


def _transpose(sg: SubgraphWriter, graph: Graph, node: Node, x: list[Value]) -> Value:
    y = _made(sg, graph, node)
    perm = _numbers(sg, node, "perm", [0, *(i + 1 for i in node.attrs.perm)])
    sg.op("TRANSPOSE", [x[0], perm], [y], schema.TransposeOptionsT())
    return y


def _slice(sg: SubgraphWriter, graph: Graph, node: Node, x: list[Value]) -> Value:
    """STRIDED_SLICE where a step is not 1; an end before the first cell is said by a mask."""
    attrs, y = node.attrs, _made(sg, graph, node)
    begin = _numbers(sg, node, "begin", [0, *attrs.start])
    if set(attrs.step) == {1}:
        size = _numbers(sg, node, "size", [1, *attrs.size])
        sg.op("SLICE", [x[0], begin, size], [y], schema.SliceOptionsT())
        return y
    stops = [a + n * s for a, n, s in zip(attrs.start, attrs.size, attrs.step, strict=True)]
    end = _numbers(sg, node, "end", [1, *(max(stop, 0) for stop in stops)])
    steps = _numbers(sg, node, "steps", [1, *attrs.step])
    mask = sum(1 << (i + 1) for i, stop in enumerate(stops) if stop < 0)
    options = schema.StridedSliceOptionsT(endMask=mask)
    sg.op("STRIDED_SLICE", [x[0], begin, end, steps], [y], options)
    return y


def _expand(sg: SubgraphWriter, graph: Graph, node: Node, x: list[Value]) -> Value:
    y = _made(sg, graph, node)
    shape = _numbers(sg, node, "shape", [1, *node.attrs.shape])
    sg.op("BROADCAST_TO", [x[0], shape], [y], schema.BroadcastToOptionsT())
    return y


def _resize(sg: SubgraphWriter, graph: Graph, node: Node, x: list[Value]) -> Value:
    y = _made(sg, graph, node)
    size = _numbers(sg, node, "size", y.shape[1:3])
    options = schema.ResizeNearestNeighborOptionsT(alignCorners=False, halfPixelCenters=False)
    sg.op("RESIZE_NEAREST_NEIGHBOR", [x[0], size], [y], options)
    return y


def _gather(sg: SubgraphWriter, graph: Graph, node: Node, x: list[Value]) -> Value:
    y = _made(sg, graph, node)
    places = _numbers(sg, node, "places", node.attrs.places)
    options = schema.GatherOptionsT(axis=node.attrs.axis + 1, batchDims=0)
    sg.op("GATHER", [x[0], places], [y], options)
    return y


def _embedding(sg: SubgraphWriter, graph: Graph, node: Node, x: list[Value]) -> Value:
    """GATHER from the table, its ids held inside."""
    y, name, types = _made(sg, graph, node), node.name, schema.TensorType
    codes, shape = graph.param(node, "table"), x[0].shape
    ids = sg.value(f"{name}.whole", shape, "int32")
    sg.op("CAST", x, [ids], schema.CastOptionsT(types.INT16, types.INT32))
    for op, end in (("MAXIMUM", 0), ("MINIMUM", len(codes) - 1)):
        bound = sg.constant(f"{name}.{op.lower()}", np.full((1,) * len(shape), end, np.int32))
        held = sg.value(f"{name}.{op.lower()}.ids", shape, "int32")
        sg.op(op, [ids, bound], [held], schema.MaximumMinimumOptionsT())
        ids = held
    table = sg.constant(node.params["table"], codes, _out(graph, node))
    sg.op("GATHER", [table, ids], [y], schema.GatherOptionsT(axis=0, batchDims=0))
    return y


def _batch_matmul(sg: SubgraphWriter, graph: Graph, node: Node, x: list[Value]) -> Value:
    y = _made(sg, graph, node)
    options = schema.BatchMatMulOptionsT(adjX=False, adjY=node.attrs.transpose)
    sg.op("BATCH_MATMUL", x, [y], options)
    return y


def _prelu(sg: SubgraphWriter, graph: Graph, node: Node, x: list[Value]) -> Value:
    """Its slopes are int8 there."""
    y, found = _made(sg, graph, node), slopes(Site(graph, node))
    scale = float(np.float32(max(float(np.abs(found).max()), LEAST_SLOPE) / 127))
    codes = np.clip(np.round(found / scale), -127, 127).astype(np.int8)
    shape = (*[1] * (len(x[0].shape) - 1 - codes.ndim), *codes.shape)
    alpha = sg.constant(f"{node.name}.slope", codes.reshape(shape), Quant((scale,), 0))
    sg.op("PRELU", [x[0], alpha], [y])
    return y


def _l2_normalize(sg: SubgraphWriter, graph: Graph, node: Node, x: list[Value]) -> Value:
    y = _made(sg, graph, node)
    sg.op("L2_NORMALIZATION", x, [y], schema.L2NormOptionsT())
    return y


def _log_softmax(sg: SubgraphWriter, graph: Graph, node: Node, x: list[Value]) -> Value:
    y = _made(sg, graph, node)
    sg.op("LOG_SOFTMAX", x, [y], schema.LogSoftmaxOptionsT())
    return y


def _arg_max(sg: SubgraphWriter, graph: Graph, node: Node, x: list[Value]) -> Value:
    """TensorFlow Lite has the first of equal ones, as int32."""
    if node.attrs.last:
        raise UnsupportedOp(f"TFLite: no form of ArgMax that takes the last place ({node.name})")
    name, shape, types = node.name, x[0].shape[:-1], schema.TensorType
    axis = sg.constant(f"{name}.axis", np.array(len(shape), np.int32))
    place = sg.value(f"{name}.place", shape, "int32")
    sg.op("ARG_MAX", [x[0], axis], [place], schema.ArgMaxOptionsT(types.INT32))
    least = sg.constant(f"{name}.least", np.full((1,) * len(shape), -128, np.int32))
    wide = sg.value(f"{name}.wide", shape, "int32")
    code = sg.value(f"{name}.code", shape, "int8", _out(graph, node))
    sg.op("ADD", [place, least], [wide], schema.AddOptionsT(0, False))
    sg.op("CAST", [wide], [code], schema.CastOptionsT(types.INT32, types.INT8))
    return step.reshape(sg, node.outputs[0], code, (*shape, 1))


def _resize_linear(sg: SubgraphWriter, graph: Graph, node: Node, x: list[Value]) -> Value:
    """Where TensorFlow Lite counts the coordinates so."""
    y, attrs = _made(sg, graph, node), node.attrs
    for align, half in ((False, True), (False, False), (True, False)):
        sides = (x[0].shape[1], y.shape[1]), (x[0].shape[2], y.shape[2])
        down, across = (tflite_positions(*side, align, half) for side in sides)
        if (down, across) == (attrs.down, attrs.across):
            size = _numbers(sg, node, "size", y.shape[1:3])
            options = schema.ResizeBilinearOptionsT(alignCorners=align, halfPixelCenters=half)
            sg.op("RESIZE_BILINEAR", [x[0], size], [y], options)
            return y
    raise UnsupportedOp(f"TFLite: RESIZE_BILINEAR has no such coordinates ({node.name})")


def _depth_to_space(sg: SubgraphWriter, graph: Graph, node: Node, x: list[Value]) -> Value:
    """TensorFlow has the order DCR alone; the other is a TRANSPOSE of blocks."""
    block = node.attrs.block
    if not node.attrs.crd:
        y = _made(sg, graph, node)
        sg.op("DEPTH_TO_SPACE", x, [y], schema.DepthToSpaceOptionsT(blockSize=block))
        return y
    _, height, width, channels = x[0].shape
    depth = channels // block**2
    blocks = step.reshape(sg, node.name + ".blocks", x[0], (height, width, depth, block, block))
    moved = sg.value(node.name + ".moved", (height, block, width, block, depth), "int8", x[0].quant)
    perm = _numbers(sg, node, "perm", (0, 3, 1, 4, 2))
    sg.op("TRANSPOSE", [blocks, perm], [moved], schema.TransposeOptionsT())
    shape = (1, height * block, width * block, depth)
    return step.reshape(sg, node.outputs[0], moved, shape)


def _space_to_depth(sg: SubgraphWriter, graph: Graph, node: Node, x: list[Value]) -> Value:
    y = _made(sg, graph, node)
    sg.op("SPACE_TO_DEPTH", x, [y], schema.SpaceToDepthOptionsT(blockSize=node.attrs.block))
    return y


def _pad(sg: SubgraphWriter, graph: Graph, node: Node, x: list[Value]) -> Value:
    """PAD fills with the zero point, PADV2 with a code."""
    y, attrs = _made(sg, graph, node), node.attrs
    amounts = [(0, 0), *zip(attrs.before, attrs.after, strict=True)]
    by = sg.constant(f"{node.name}.amounts", np.array(amounts, np.int32))
    if attrs.value == 0:
        sg.op("PAD", [x[0], by], [y], schema.PadOptionsT())
        return y
    code = np.array([pad_code(attrs, Site(graph, node).io)], np.int8)
    value = sg.constant(f"{node.name}.value", code, x[0].quant)
    sg.op("PADV2", [x[0], by, value], [y], schema.PadV2OptionsT())
    return y


def _quantize(sg: SubgraphWriter, graph: Graph, node: Node, x: list[Value]) -> Value:
    return step.quantize(sg, node.outputs[0], x[0], "int8", _out(graph, node))


SHAPE_LAYERS: Mapping[str, Emit] = {
    "AddBroadcast": _added,
    "Sub": _added,
    "AddConstant": _added,
    "SquaredDifference": _squared,
    "SquaredDifferenceConstant": _squared,
    "Mul": _multiplied,
    "MulConstant": _multiplied,
    "Minimum": _extreme("MINIMUM"),
    "Maximum": _extreme("MAXIMUM"),
    "Concat": _concat,
    "ConcatInPlace": _concat,
    "Transpose": _transpose,
    "Slice": _slice,
    "Expand": _expand,
    "ResizeNearest": _resize,
    "Gather": _gather,
    "Embedding": _embedding,
    "ResizeLinear": _resize_linear,
    "BatchMatMul": _batch_matmul,
    "PRelu": _prelu,
    "LogSoftmax": _log_softmax,
    "L2Normalize": _l2_normalize,
    "ArgMax": _arg_max,
    "DepthToSpace": _depth_to_space,
    "SpaceToDepth": _space_to_depth,
    "Pad": _pad,
    "Quantize": _quantize,
    "Narrow": _quantize,
}
