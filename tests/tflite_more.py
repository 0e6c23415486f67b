"""More .tflite files as others write them: groups, reductions, PRELU, rows."""

from collections.abc import Mapping

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edgeq.emit.tflite_writer import SubgraphWriter, Value
from edgeq.ir import Quant
from tests.tflite_files import (
    MAP,
    RELU,
    SAME,
    SQUARE,
    VALID,
    Make,
    X,
    Y,
    conv_options,
    depthwise,
    depthwise_options,
    layer,
    rng,
    softmax,
    unary,
    weights,
    written,
)
from tests.tflite_sizes import OPEN

FINER = Quant((0.02,), -40)
CENTRED = Quant((0.05,), 0)  # TensorFlow Lite Micro's SPACE_TO_BATCH_ND pads with the code 0


def grouped(groups: int, depth: int, out: int) -> Make:
    """A convolution of groups of `depth` channels, with a stride and a ReLU."""

    def make(sg: SubgraphWriter, x: Value) -> Value:
        weight = weights((out, 3, 3, depth), 0)
        return layer(sg, "CONV_2D", x, weight, (1, 3, 3, out), conv_options(SAME, 2, RELU))

    return make


def by_batches(
    block: tuple[int, int],
    pads: list[list[int]],
    crops: list[list[int]],
    *,
    depthwise: bool = False,
    stride: int = 1,
    again: tuple[int, int] | None = None,
    end: str = "BATCH_TO_SPACE_ND",
) -> Make:
    """A convolution of rows of the batch: every so many cells of the map, as dilation once was."""

    def make(sg: SubgraphWriter, x: Value) -> Value:
        sizes = sg.constant("blocks", np.array(block, np.int32))
        high, wide = (x.shape[1 + i] + sum(pads[i]) for i in (0, 1))
        rows = block[0] * block[1], high // block[0], wide // block[1]
        last = sg.constant("last", np.array(again or block, np.int32))
        apart = sg.value("apart", (*rows, x.shape[3]), "int8", x.quant)
        ends = sg.constant("pads", np.array(pads, np.int32))
        sg.op("SPACE_TO_BATCH_ND", [x, sizes, ends], [apart], schema.SpaceToBatchNDOptionsT())
        out = rows[0], rows[1] - 2, rows[2] - 2
        if depthwise:
            weight, options = weights((1, 3, 3, x.shape[3]), 3), depthwise_options(VALID, 1, 1)
            made = layer(sg, "DEPTHWISE_CONV_2D", apart, weight, (*out, x.shape[3]), options)
        else:
            weight, options = weights((5, 3, 3, x.shape[3]), 0), conv_options(VALID, stride, RELU)
            made = layer(sg, "CONV_2D", apart, weight, (*out, 5), options)
        left = [block[i] * out[1 + i] - sum(crops[i]) for i in (0, 1)]
        y = sg.value("together", (1, *left, made.shape[3]), "int8", made.quant)
        ends = sg.constant("crops", np.array(crops, np.int32))
        given = [made, last, ends] if end == "BATCH_TO_SPACE_ND" else [made]
        sg.op(end, given, [y], schema.BatchToSpaceNDOptionsT() if len(given) > 1 else None)
        return y

    return make


def transposed(padding: int, stride: int, size: tuple[int, int], *, bias: bool = True) -> Make:
    """TRANSPOSE_CONV with a kernel of 3x2, five outputs."""

    def make(sg: SubgraphWriter, x: Value) -> Value:
        codes, quant = weights((5, 3, 2, x.shape[3]), 0)
        out = (1, *size, 5)
        given = [sg.constant("size", np.array(out, np.int32)), sg.constant("w", codes, quant), x]
        if bias:
            scales = Quant(tuple(x.q.per_tensor * s for s in quant.scale), 0, 0)
            added = rng(3).integers(-900, 900, 5).astype(np.int32)
            given.append(sg.constant("b", added, scales))
        y = sg.value("y", out, "int8", Y)
        options = schema.TransposeConvOptionsT(padding, stride, stride, 0, 0)
        sg.op("TRANSPOSE_CONV", given, [y], options, typed_by=1)
        return y

    return make


def squared(other: str, out: Quant = Y, quant: Quant = FINER) -> Make:
    """SQUARED_DIFFERENCE with the mean over the channels, or with a constant in another scale."""

    def make(sg: SubgraphWriter, x: Value) -> Value:
        if other == "mean":
            b = reduced("MEAN", (3,), (*x.shape[:3], 1), quant, keep=True)(sg, x)
        else:
            b = sg.constant("b", rng(5).integers(-128, 128, x.shape).astype(np.int8), quant)
        y = sg.value("square", x.shape, "int8", out)
        pair = [b, x] if other == "constant first" else [x, b]
        sg.op("SQUARED_DIFFERENCE", pair, [y], schema.SquaredDifferenceOptionsT())
        return y

    return make


def reduced(
    op: str, axes: tuple[int, ...], out: tuple[int, ...], quant: Quant = X, keep: bool = False
) -> Make:
    def make(sg: SubgraphWriter, x: Value) -> Value:
        y = sg.value("y", out, "int8", quant)
        axis = sg.constant("axes", np.array(axes, np.int32))
        sg.op(op, [x, axis], [y], schema.ReducerOptionsT(keepDims=keep))
        return y

    return make


def prelu(shape: tuple[int, ...], zero_point: int = 0, quant: Quant = Y) -> Make:
    def make(sg: SubgraphWriter, x: Value) -> Value:
        codes = rng(6).integers(-128, 128, shape).astype(np.int8)
        alpha = sg.constant("alpha", codes, Quant((0.0117,), zero_point))
        y = sg.value("y", x.shape, "int8", quant)
        sg.op("PRELU", [x, alpha], [y])
        return y

    return make


def summed(count: int, quant: Quant = X) -> Make:
    """ADD_N of the input and of it moved, which has the scale `quant`."""

    def make(sg: SubgraphWriter, x: Value) -> Value:
        others = [sg.value(f"moved_{i}", x.shape, "int8", quant) for i in range(1, count)]
        for i, other in enumerate(others):
            by = sg.constant(f"by_{i}", rng(i).integers(-128, 128, x.shape).astype(np.int8), Y)
            sg.op("ADD", [x, by], [other], schema.AddOptionsT())
        y = sg.value("sum", x.shape, "int8", Y)
        sg.op("ADD_N", [x, *others], [y], schema.AddNOptionsT())
        return y

    return make


def at_places(places: list[list[int]]) -> Make:
    """GATHER_ND of rows of places."""

    def make(sg: SubgraphWriter, x: Value) -> Value:
        at = sg.constant("places", np.array(places, np.int32))
        y = sg.value("y", (len(places), *x.shape[len(places[0]) :]), "int8", x.quant)
        sg.op("GATHER_ND", [x, at], [y], schema.GatherNdOptionsT())
        return y

    return make


def held(op: str, first: bool, code: int) -> Make:
    """MINIMUM or MAXIMUM with one constant, which stands first or last."""

    def make(sg: SubgraphWriter, x: Value) -> Value:
        bound = sg.constant("bound", np.full((), code, np.int8), x.quant)
        y = sg.value("y", x.shape, "int8", x.quant)
        options = schema.MaximumMinimumOptionsT()
        sg.op(op, [bound, x] if first else [x, bound], [y], options)
        return y

    return make


def mirrored(mode: int) -> Make:
    def make(sg: SubgraphWriter, x: Value) -> Value:
        by = sg.constant("by", np.array([[0, 0], [1, 2], [2, 0], [0, 1]], np.int32))
        y = sg.value("y", (1, 9, 8, 4), "int8", x.quant)
        sg.op("MIRROR_PAD", [x, by], [y], schema.MirrorPadOptionsT(mode))
        return y

    return make


def apart_and_together(sg: SubgraphWriter, x: Value) -> Value:
    """UNPACK along the height, some of the rows PACKed behind the width."""
    rows = [sg.value(f"row_{i}", (1, 6, 3), "int8", x.quant) for i in range(6)]
    sg.op("UNPACK", [x], rows, schema.UnpackOptionsT(6, 1))
    y = sg.value("y", (1, 6, 2, 3), "int8", x.quant)
    sg.op("PACK", [rows[4], rows[1]], [y], schema.PackOptionsT(2, 2))
    return y


def tiled(sg: SubgraphWriter, x: Value) -> Value:
    y = sg.value("y", (1, 12, 6, 9), "int8", x.quant)
    repeats = sg.constant("repeats", np.array([1, 2, 1, 3], np.int32))
    sg.op("TILE", [x, repeats], [y])
    return y


def placed(op: str, axis: int, *, shaped: tuple[int, ...] = ()) -> Make:
    """ARG_MAX or ARG_MIN, its whole numbers the output, `shaped` anew."""

    def make(sg: SubgraphWriter, x: Value) -> Value:
        left = tuple(n for i, n in enumerate(x.shape) if i != axis % len(x.shape))
        y = sg.value("place", left, "int32")
        kind = schema.ArgMaxOptionsT if op == "ARG_MAX" else schema.ArgMinOptionsT
        axes = sg.constant("axis", np.array([axis], np.int32))
        sg.op(op, [x, axes], [y], kind(outputType=schema.TensorType.INT32))
        if not shaped:
            return y
        again = sg.value("again", shaped, "int32")
        sg.op("RESHAPE", [y], [again], schema.ReshapeOptionsT(newShape=list(shaped)))
        return again

    return make


def tabled(table: tuple[int, ...] = (256,), middle: int = 128) -> Make:
    """A table of every code, as edgeq writes functions that have no int8 operator."""

    def make(sg: SubgraphWriter, x: Value) -> Value:
        types = schema.TensorType
        wide, place = (sg.value(name, x.shape, "int32") for name in ("wide", "place"))
        sg.op("CAST", [x], [wide], schema.CastOptionsT(types.INT8, types.INT32))
        sg.op("ADD", [wide, sg.constant("middle", np.array([middle], np.int32))], [place],
              schema.AddOptionsT(0))  # fmt: skip
        codes = rng(12).integers(-128, 128, table).astype(np.int8)
        y = sg.value("y", x.shape, "int8", Y)
        sg.op("GATHER", [sg.constant("table", codes, Y), place], [y], schema.GatherOptionsT())
        return y

    return make


def turned(sg: SubgraphWriter, x: Value) -> Value:
    y = sg.value("y", x.shape, "int8", x.quant)
    axes = sg.constant("axes", np.array([2], np.int32))
    sg.op("REVERSE_V2", [x, axes], [y], schema.ReverseV2OptionsT())
    return y


def dense_rows(sg: SubgraphWriter, x: Value) -> Value:
    """FULLY_CONNECTED that keeps its axes, on five rows of 24."""
    options = schema.FullyConnectedOptionsT(keepNumDims=True, fusedActivationFunction=RELU)
    return layer(sg, "FULLY_CONNECTED", x, weights((6, 24), 0, True), (1, 5, 6), options)


unit_norm = unary("L2_NORMALIZATION", Quant((1 / 128,), 0), schema.L2NormOptionsT())
CODES = (1, 4, 8, 8)  # as many cells as there are codes
log_softmax = unary("LOG_SOFTMAX", Quant((1 / 16,), 127), schema.LogSoftmaxOptionsT())
MORE: Mapping[str, bytes] = {
    "depthwise multiplied, of many": written(
        MAP, depthwise(3, 3, 2, depthwise_options(SAME, 2, 2, RELU), 3)
    ),
    "conv in groups": written((1, 6, 6, 8), grouped(2, 4, 6)),
    "conv in groups of one": written((1, 6, 6, 4), grouped(4, 1, 8)),
    "dilated by batches": written(
        MAP, by_batches((2, 2), [[2, 2], [2, 2]], [[0, 0], [0, 0]]), CENTRED
    ),
    "dilated by batches, cropped": written(
        MAP, by_batches((3, 2), [[2, 4], [1, 3]], [[0, 2], [1, 1]]), CENTRED
    ),
    "depthwise by batches": written(
        MAP, by_batches((1, 3), [[1, 1], [3, 3]], [[0, 0], [0, 0]], depthwise=True), CENTRED
    ),
    "transposed same": written(MAP, transposed(SAME, 2, (12, 12))),
    "transposed same, odd": written(MAP, transposed(SAME, 2, (11, 11))),
    "transposed valid": written(MAP, transposed(VALID, 2, (13, 12))),
    "transposed, no bias": written(MAP, transposed(VALID, 1, (8, 7), bias=False)),
    "transposed, apart": written(MAP, transposed(VALID, 4, (23, 22))),
    "mean": written(SQUARE, reduced("MEAN", (1, 2), (1, 3))),
    "mean of another scale": written(MAP, reduced("MEAN", (1, 2), (1, 3), Quant((0.021,), -9))),
    "mean that keeps axes": written(MAP, reduced("MEAN", (2, 1), (1, 1, 1, 3), Y, keep=True)),
    "mean of channels": written((1, 7, 5), reduced("MEAN", (-1,), (1, 7), Y)),
    "mean of rows": written(MAP, reduced("MEAN", (1,), (1, 6, 3), Quant((0.004,), 3))),
    "sum of cells": written(MAP, reduced("SUM", (1, 2), (1, 3), Quant((1.3,), -9))),
    "squared difference of the mean": written((1, 5, 6, 4), squared("mean")),
    "squared difference, finer": written(CODES, squared("constant", Quant((0.01,), -128))),
    "squared difference, coarse": written(
        CODES, squared("constant first", Quant((9.0,), -100), Quant((0.9,), 60))
    ),
    "unit norm": written((1, 40), unit_norm),
    "unit norms of a map": written(CODES, unit_norm, Quant((0.41,), -20)),
    "unit norms of all from the least code": written((1, 3, 5, 700), unit_norm, Quant((1.0,), 127)),
    "sum of two": written(CODES, summed(2, CENTRED), CENTRED),
    "rows at places": written(MAP, at_places([[0, 5], [0, 0], [0, 5]])),
    "cells at places": written(MAP, at_places([[0, 1, 2, 0], [0, 5, 5, 2], [0, 0, 0, 1]])),
    "largest of all": written(MAP, reduced("REDUCE_MAX", (1, 2), (1, 3))),
    "least of channels": written(MAP, reduced("REDUCE_MIN", (3,), (1, 6, 6))),
    "prelu": written(MAP, prelu((1, 1, 3))),
    "prelu of every cell": written((1, 8, 32), prelu((8, 32), 5, Quant((0.031,), 20))),
    "prelu, fine": written((1, 64), prelu((64,), 0, Quant((0.0009,), 0))),
    "held below": written(MAP, held("MINIMUM", False, 40)),
    "held above": written(MAP, held("MAXIMUM", True, -30)),
    "mirrored": written(MAP, mirrored(schema.MirrorPadMode.REFLECT)),
    "mirrored, edge again": written(MAP, mirrored(schema.MirrorPadMode.SYMMETRIC)),
    "apart and together": written(MAP, apart_and_together),
    "place of the largest": written((1, 24), placed("ARG_MAX", 1)),
    "places of channels": written(MAP, placed("ARG_MAX", -1, shaped=(1, 36))),
    "places of the least": written(MAP, placed("ARG_MIN", 1), Quant((0.02,), -17)),
    "table": written((1, 4, 8, 8), tabled()),
    "turned around": written(MAP, turned),
    "relu of another scale": written((1, 4, 8, 8), unary("RELU", Y)),
    "relu, finer": written((1, 4, 8, 8), unary("RELU", Quant((0.021,), -100))),
    "dense on rows": written((1, 5, 24), dense_rows),
    "softmax on rows": written((1, 5, 12), softmax()),
    "log softmax": written((1, 40), log_softmax),
    "log softmax on rows": written((1, 3, 5, 12), log_softmax, Quant((0.41,), -20)),
    "log softmax of steps of hundreds": written((1, 9), log_softmax, Quant((300.0,), 0)),
    **{name: data for name, data in OPEN.items() if name != "rows of sizes"},  # has no REDUCE_PROD
    "rsqrt": written((1, 4, 8, 8), unary("RSQRT", Quant((0.03,), -128)), Quant((0.02,), -128)),
}

POSITIVE = Quant((0.02,), -128)
LITERT_ALONE: Mapping[str, bytes] = {  # TensorFlow Lite Micro has no int8 kernel for these
    "gelu": written(CODES, unary("GELU", Y, schema.GeluOptionsT(False))),
    "gelu by tanh": written(CODES, unary("GELU", Quant((0.03,), -60), schema.GeluOptionsT(True))),
    "exp": written(CODES, unary("EXP", Quant((0.06,), -128), schema.ExpOptionsT()), Quant((0.02,))),
    "exp, past float32": written(CODES, unary("EXP", Y, schema.ExpOptionsT()), Quant((1.2,), 3)),
    "log": written(CODES, unary("LOG", Quant((0.04,), 20)), POSITIVE),
    "log of less than nothing": written(CODES, unary("LOG", Quant((0.04,), 20)), X),
    "sqrt": written(CODES, unary("SQRT", Quant((0.01,), -128)), POSITIVE),
    "neg": written(CODES, unary("NEG", Quant((0.05,), -7), schema.NegOptionsT())),
    "held by one": written(CODES, unary("RELU_N1_TO_1", X)),
    "held by nothing and one": written(CODES, unary("RELU_0_TO_1", X)),
}
