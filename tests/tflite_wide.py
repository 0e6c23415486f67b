"""Small .tflite files of int16 activations and int8 weights (16x8), as converters write them."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edgeq.emit.tflite_writer import ModelWriter, SubgraphWriter, Value
from edgeq.frontend.tflite_loader import graph_of_tflite
from edgeq.ir import Graph, Quant
from tests.tflite_files import (
    RELU,
    RELU6,
    SAME,
    VALID,
    Make,
    conv_options,
    pool_options,
    rng,
    weights,
)

X16 = Quant((0.00031,), 0)
Y16 = Quant((0.00052,), 0)
MAP = (1, 7, 6, 3)


def written(shape: tuple[int, ...], make: Make, quant: Quant = X16, dtype: str = "int16") -> bytes:
    """One input of `shape` (batch included), what `make` appends, one output."""
    model = ModelWriter()
    sg = model.subgraph("main")
    x = sg.value("x", shape, dtype, quant)
    y = make(sg, x)
    sg.finish([x], [y])
    return model.to_bytes("made by a test", {"input": x}, {"logits": y}, {})


def layer(
    sg: SubgraphWriter,
    op: str,
    x: Value,
    weight: tuple[Any, Quant],
    out: tuple[int, ...],
    options: Any,
    *,
    bias: str = "int64",
    name: str = "y",
    quant: Quant = Y16,
    largest: int = 900_000,
) -> Value:
    """`bias`: its type, "" for none."""
    codes, scales = weight
    inputs: list[Value | None] = [x, sg.constant(f"{name}.weight", codes, scales)]
    if bias:
        added = rng(3).integers(-largest, largest, out[-1]).astype(bias)
        both = Quant(tuple(x.q.per_tensor * s for s in scales.scale), 0, 0)
        inputs.append(sg.constant(f"{name}.bias", added, both))
    y = sg.value(name, out, "int16", quant)
    sg.op(op, inputs, [y], options)
    return y


def dense(inputs: int, outputs: int, *, per_tensor: bool = True, **more: Any) -> Make:
    def make(sg: SubgraphWriter, x: Value) -> Value:
        activation = more.get("activation", 0)
        options = schema.FullyConnectedOptionsT(fusedActivationFunction=activation)
        own = {k: v for k, v in more.items() if k != "activation"}
        weight = weights((outputs, inputs), 0, per_tensor, -128)
        return layer(sg, "FULLY_CONNECTED", x, weight, (1, outputs), options, **own)

    return make


def conv(shape: tuple[int, ...], options: Any, out: tuple[int, int], **more: Any) -> Make:
    """`shape` (out, height, width, in / groups)."""

    def make(sg: SubgraphWriter, x: Value) -> Value:
        weight = weights(shape, 0, False, -128)
        return layer(sg, "CONV_2D", x, weight, (1, *out, shape[0]), options, **more)

    return make


def depthwise(
    times: int,
    padding: int,
    out: tuple[int, int],
    *,
    stride: int = 1,
    dilation: int = 1,
    activation: int = 0,
    **more: Any,
) -> Make:
    def make(sg: SubgraphWriter, x: Value) -> Value:
        outputs = x.shape[3] * times
        options = schema.DepthwiseConv2DOptionsT(
            padding, stride, stride, times, activation, dilation, dilation
        )
        weight = weights((1, 3, 2, outputs), 3)
        return layer(sg, "DEPTHWISE_CONV_2D", x, weight, (1, *out, outputs), options, **more)

    return make


def reshaped(sg: SubgraphWriter, x: Value) -> Value:
    """A RESHAPE in front of a layer."""
    return dense(int(np.prod(x.shape)), 4)(sg, flat(sg, x))


def flat(sg: SubgraphWriter, x: Value) -> Value:
    y = sg.value("flat", (1, int(np.prod(x.shape))), "int16", x.quant)
    sg.op("RESHAPE", [x], [y], schema.ReshapeOptionsT(newShape=[*y.shape]))
    return y


def padded(sg: SubgraphWriter, x: Value) -> Value:
    """PAD, then a convolution with a stride over it."""
    y = sg.value("padded", (1, 10, 8, 3), "int16", x.quant)
    amounts = np.array([[0, 0], [1, 2], [2, 0], [0, 0]], np.int32)
    sg.op("PAD", [x, sg.constant("amounts", amounts)], [y], schema.PadOptionsT())
    return conv((5, 3, 3, 3), conv_options(VALID, 2), (4, 3))(sg, y)


def rows(sg: SubgraphWriter, x: Value) -> Value:
    weight = weights((6, 20), 0, True)
    return layer(
        sg, "FULLY_CONNECTED", x, weight, (3, 6), schema.FullyConnectedOptionsT(keepNumDims=False)
    )


def pooled(op: str, options: Any, out: tuple[int, int]) -> Make:
    def make(sg: SubgraphWriter, x: Value) -> Value:
        y = sg.value("y", (1, *out, x.shape[3]), "int16", x.quant)
        sg.op(op, [x], [y], options)
        return y

    return make


def added(activation: int = 0, quant: Quant = Y16, general: bool = True) -> Make:
    """The input and a convolution of it."""

    def make(sg: SubgraphWriter, x: Value) -> Value:
        a = conv((3, 1, 1, 3), conv_options(SAME, 1), (7, 6), name="a")(sg, x)
        y = sg.value("sum", a.shape, "int16", quant)
        options = schema.AddOptionsT(activation, potScaleInt16=not general)
        sg.op("ADD", [a, x], [y], options)
        return y

    return make


def rescaled(dtype: str, quant: Quant) -> Make:
    def make(sg: SubgraphWriter, x: Value) -> Value:
        y = sg.value("y", x.shape, dtype, quant)
        sg.op("QUANTIZE", [x], [y], schema.QuantizeOptionsT())
        return y

    return make


def network(sg: SubgraphWriter, x: Value) -> Value:
    """Two convolutions around a depthwise one, and a layer of classes."""
    options, fine = conv_options(SAME, 1, RELU), Quant((0.0004,), 0)
    x = conv((6, 3, 3, 2), options, (8, 8), name="stem", quant=fine)(sg, x)
    x = depthwise(1, SAME, (4, 4), stride=2, activation=RELU, name="apart", quant=fine)(sg, x)
    x = conv((8, 1, 1, 6), options, (4, 4), name="joined", quant=fine)(sg, x)
    return dense(128, 5, name="classes", quant=Quant((0.0009,), 0))(sg, flat(sg, x))


NETWORK = written((1, 8, 8, 2), network, Quant((0.00004,), 0))
# TensorFlow Lite Micro ends at it, LiteRT takes no bias for 0
DEPTHWISE_ALONE = written(MAP, depthwise(1, SAME, (7, 6), bias=""))
LAYERS: Mapping[str, bytes] = {
    "dense": written((1, 20), dense(20, 7)),
    "dense per channel, relu": written((1, 20), dense(20, 7, per_tensor=False, activation=RELU)),
    "dense without bias": written((1, 33), dense(33, 4, bias="")),
    "dense, large bias": written((1, 9), dense(9, 5, largest=1 << 36)),
    "dense of rows": written((1, 3, 20), rows),
    "dense relu6": written((1, 20), dense(20, 7, activation=RELU6, quant=Quant((0.0011,), 0))),
    "conv": written(MAP, conv((5, 3, 3, 3), conv_options(SAME, 1), (7, 6))),
    "conv stride, relu": written(MAP, conv((5, 3, 2, 3), conv_options(VALID, 2, RELU), (3, 3))),
    "conv dilated": written(MAP, conv((4, 3, 3, 3), conv_options(SAME, 1, RELU6, 2), (7, 6))),
    "conv 1x1": written(MAP, conv((4, 1, 1, 3), conv_options(SAME, 1), (7, 6))),
    "conv grouped": written((1, 7, 6, 4), conv((6, 3, 3, 2), conv_options(SAME, 1), (7, 6))),
    "conv without bias": written(MAP, conv((5, 3, 3, 3), conv_options(SAME, 1), (7, 6), bias="")),
    "conv bias int32": written(
        MAP, conv((5, 3, 3, 3), conv_options(SAME, 1), (7, 6), bias="int32")
    ),
    "depthwise": written(MAP, depthwise(1, SAME, (7, 6), activation=RELU)),
    "depthwise times 2": written(MAP, depthwise(2, VALID, (5, 5))),
    "depthwise dilated": written(MAP, depthwise(1, SAME, (7, 6), dilation=2)),
    "depthwise of one channel": written((1, 7, 6, 1), depthwise(4, SAME, (7, 6))),
    "reshape": written((1, 2, 3, 4), reshaped),
    "pad": written(MAP, padded),
}
OTHERS: Mapping[str, bytes] = {
    "max pool": written(MAP, pooled("MAX_POOL_2D", pool_options(SAME, 3, 2), (4, 3))),
    "max pool valid": written(MAP, pooled("MAX_POOL_2D", pool_options(VALID, 2, 1), (6, 5))),
    "mean pool": written(MAP, pooled("AVERAGE_POOL_2D", pool_options(SAME, 3, 2), (4, 3))),
    "mean pool, relu": written(
        MAP, pooled("AVERAGE_POOL_2D", pool_options(VALID, 2, 1, RELU), (6, 5))
    ),
    "mean pool, relu6": written(
        MAP, pooled("AVERAGE_POOL_2D", pool_options(SAME, 2, 1, RELU6), (7, 6))
    ),
    "mean of a large map": written(
        (1, 20, 20, 2), pooled("AVERAGE_POOL_2D", pool_options(VALID, 20, 1), (1, 1))
    ),
    "add": written(MAP, added()),
    "add, powers of two": written(MAP, added(general=False)),
    "add, relu": written(MAP, added(RELU, Quant((0.0007,), 0))),
    "add, relu6": written(MAP, added(RELU6, Quant((0.0003,), 0))),
    "widen": written(MAP, rescaled("int16", Quant((0.0017,), 0)), Quant((0.05,), 7), "int8"),
    "widen coarsely": written(
        MAP, rescaled("int16", Quant((0.13,), 0)), Quant((0.05,), -9), "int8"
    ),
    "widen, saturating": written(MAP, rescaled("int16", X16), Quant((0.09,), 7), "int8"),
    "narrow": written(MAP, rescaled("int8", Quant((0.07,), -5))),
}
WIDE: Mapping[str, bytes] = {**LAYERS, **OTHERS}
WIDE_CASES: Mapping[str, Callable[[], Graph]] = {
    f"wide {name}": partial(graph_of_tflite, file, "wide") for name, file in WIDE.items()
}
