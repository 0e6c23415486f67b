"""int8 .tflite files that compute sizes of an open batch, as Keras's layers are written."""

from collections.abc import Mapping

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edgeq.emit.tflite_writer import SubgraphWriter, Value
from tests.tflite_files import MAP, SAME, Y, layer, unary, weights, written


def sizes_of(sg: SubgraphWriter, x: Value) -> Value:
    y = sg.value("sizes", (len(x.shape),), "int32")
    sg.op("SHAPE", [x], [y], schema.ShapeOptionsT(schema.TensorType.INT32))
    return y


def size_of(sg: SubgraphWriter, sizes: Value, axis: int) -> Value:
    """One of them, a scalar."""
    ends = [sg.constant(f"{axis}.{i}", np.array([n], np.int32)) for i, n in enumerate((0, 1, 1))]
    ends[0] = sg.constant(f"{axis}.first", np.array([axis], np.int32))
    ends[1] = sg.constant(f"{axis}.end", np.array([axis + 1], np.int32))
    y = sg.value(f"size_{axis}", (), "int32")
    sg.op("STRIDED_SLICE", [sizes, *ends], [y], schema.StridedSliceOptionsT(shrinkAxisMask=1))
    return y


def packed(sg: SubgraphWriter, sizes: list[Value | int]) -> Value:
    given = [
        sg.constant(f"part_{i}", np.array(n, np.int32)) if isinstance(n, int) else n
        for i, n in enumerate(sizes)
    ]
    y = sg.value("shape", (len(given),), "int32")
    sg.op("PACK", given, [y], schema.PackOptionsT(len(given), 0))
    return y


def reshaped_by_sizes(sg: SubgraphWriter, x: Value) -> Value:
    """As Keras's Reshape is written of an open batch."""
    shape = packed(sg, [size_of(sg, sizes_of(sg, x), 0), 12, 9])
    flat = sg.value("flat", (1, 12, 9), "int8", x.quant)
    sg.op("RESHAPE", [x, shape], [flat], schema.ReshapeOptionsT(newShape=[]))
    return unary("ABS")(sg, flat)


def rows_by_sizes(sg: SubgraphWriter, x: Value) -> Value:
    """As Keras's Dense on a sequence: rows, their product, and the sequence again."""
    sizes = sizes_of(sg, x)
    axes = sg.constant("axes", np.array([0, 1], np.int32))
    lead = sg.value("lead", (2,), "int32")
    sg.op("GATHER", [sizes, axes], [lead], schema.GatherOptionsT())
    count = sg.value("count", (), "int32")
    first = sg.constant("axis", np.array([0], np.int32))
    sg.op("REDUCE_PROD", [lead, first], [count], schema.ReducerOptionsT())
    rows = sg.value("rows", (5, 24), "int8", x.quant)
    sg.op("RESHAPE", [x, packed(sg, [count, 24])], [rows], schema.ReshapeOptionsT(newShape=[]))
    weight, options = weights((6, 24), 0, True), schema.FullyConnectedOptionsT()
    made = layer(sg, "FULLY_CONNECTED", rows, weight, (5, 6), options, name="made")
    ends = sg.value("ends", (3,), "int32")
    six = sg.constant("six", np.array([6], np.int32))
    sg.op("CONCATENATION", [lead, six], [ends], schema.ConcatenationOptionsT(axis=0))
    y = sg.value("y", (1, 5, 6), "int8", Y)
    sg.op("RESHAPE", [made, ends], [y], schema.ReshapeOptionsT(newShape=[]))
    return y


def transposed_by_sizes(sg: SubgraphWriter, x: Value) -> Value:
    """As Keras's Conv2DTranspose: twice the height and width."""
    sizes, two = sizes_of(sg, x), sg.constant("two", np.array(2, np.int32))
    wide: list[Value | int] = [size_of(sg, sizes, 0)]
    for axis in (1, 2):
        made = sg.value(f"twice_{axis}", (), "int32")
        sg.op("MUL", [size_of(sg, sizes, axis), two], [made], schema.MulOptionsT())
        wide.append(made)
    codes, quant = weights((5, 3, 2, x.shape[3]), 0)
    given = [packed(sg, [*wide, 5]), sg.constant("w", codes, quant), x]
    y = sg.value("y", (1, 12, 12, 5), "int8", Y)
    options = schema.TransposeConvOptionsT(SAME, 2, 2, 0, 0)
    sg.op("TRANSPOSE_CONV", given, [y], options, typed_by=1)
    return y


OPEN: Mapping[str, bytes] = {
    "rows of sizes": written((1, 5, 24), rows_by_sizes),
    "reshape of a size": written(MAP, reshaped_by_sizes),
    "transposed to sizes": written(MAP, transposed_by_sizes),
}
