"""Small .tflite files as others write them, oddities included: what the loader has to take."""

from collections.abc import Callable, Mapping
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edgeq.emit.tflite_writer import ModelWriter, SubgraphWriter, Value
from edgeq.ir import Quant

Array = np.ndarray[Any, Any]
X = Quant((0.05,), 7)
Y = Quant((0.11,), -9)
RELU, RELU6 = schema.ActivationFunctionType.RELU, schema.ActivationFunctionType.RELU6
SAME, VALID = schema.Padding.SAME, schema.Padding.VALID
Make = Callable[[SubgraphWriter, Value], Value]


def written(shape: tuple[int, ...], make: Make, quant: Quant = X) -> bytes:
    """One input of `shape` (batch included), what `make` appends, one output."""
    model = ModelWriter()
    sg = model.subgraph("main")
    x = sg.value("x", shape, "int8", quant)
    y = make(sg, x)
    sg.finish([x], [y])
    return model.to_bytes("made by a test", {"input": x}, {"logits": y}, {})


def changed(data: bytes, change: Callable[[Any], None]) -> bytes:
    """The file after `change` of its object tree."""
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(data, 0))
    change(model)
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def weights(shape: tuple[int, ...], axis: int, per_tensor: bool = False, low: int = -127) -> Any:
    """(codes, quant)."""
    codes = rng(1).integers(low, 128, shape).astype(np.int8)
    count = 1 if per_tensor else shape[axis]
    return codes, Quant(tuple(rng(2).uniform(0.001, 0.004, count).tolist()), 0, axis)


def layer(
    sg: SubgraphWriter,
    op: str,
    x: Value,
    weight: tuple[Array, Quant],
    out: tuple[int, ...],
    options: Any,
    *,
    bias: bool = True,
    dtype: str | None = None,
    name: str = "y",
) -> Value:
    codes, quant = weight
    w = sg.constant(f"{name}.weight", codes, quant, dtype)
    inputs = [x, w]
    if bias:
        scales = Quant(tuple(x.q.per_tensor * s for s in quant.scale), 0, 0)
        outputs = out[-1]
        inputs.append(
            sg.constant(
                f"{name}.bias", rng(3).integers(-900, 900, outputs).astype(np.int32), scales
            )
        )
    y = sg.value(name, out, "int8", Y)
    sg.op(op, inputs, [y], options, typed_by=1)
    return y


def conv_options(padding: int, stride: int, activation: int = 0, dilation: int = 1) -> Any:
    return schema.Conv2DOptionsT(
        padding=padding,
        strideH=stride,
        strideW=stride,
        fusedActivationFunction=activation,
        dilationHFactor=dilation,
        dilationWFactor=dilation,
    )


def depthwise_options(padding: int, stride: int, multiplier: int, activation: int = 0) -> Any:
    return schema.DepthwiseConv2DOptionsT(
        padding=padding,
        strideH=stride,
        strideW=stride,
        depthMultiplier=multiplier,
        fusedActivationFunction=activation,
        dilationHFactor=1,
        dilationWFactor=1,
    )


def pool_options(padding: int, kernel: int, stride: int, activation: int = 0) -> Any:
    return schema.Pool2DOptionsT(
        padding=padding,
        strideH=stride,
        strideW=stride,
        filterHeight=kernel,
        filterWidth=kernel,
        fusedActivationFunction=activation,
    )


def dense(
    inputs: int, outputs: int, *, per_tensor: bool = True, low: int = -127, **more: Any
) -> Make:
    def make(sg: SubgraphWriter, x: Value) -> Value:
        weight = weights((outputs, inputs), 0, per_tensor, low)
        options = schema.FullyConnectedOptionsT(fusedActivationFunction=more.pop("activation", 0))
        return layer(sg, "FULLY_CONNECTED", x, weight, (1, outputs), options, **more)

    return make


def conv(
    size: int, kernel: int, channels: int, options: Any, out: int, low: int = -127, **more: Any
) -> Make:
    """A square map of `size` with `channels`, five outputs."""

    def make(sg: SubgraphWriter, x: Value) -> Value:
        weight = weights((5, kernel, kernel, channels), 0, more.pop("per_tensor", False), low)
        return layer(sg, "CONV_2D", x, weight, (1, out, out, 5), options, **more)

    return make


def depthwise(kernel: int, channels: int, multiplier: int, options: Any, out: int) -> Make:
    def make(sg: SubgraphWriter, x: Value) -> Value:
        outputs = channels * multiplier
        weight = weights((1, kernel, kernel, outputs), 3)
        return layer(sg, "DEPTHWISE_CONV_2D", x, weight, (1, out, out, outputs), options)

    return make


def pool(op: str, options: Any, out: int) -> Make:
    def make(sg: SubgraphWriter, x: Value) -> Value:
        y = sg.value("y", (1, out, out, x.shape[3]), "int8", x.quant)
        sg.op(op, [x], [y], options)
        return y

    return make


def softmax(beta: float = 1.0) -> Make:
    def make(sg: SubgraphWriter, x: Value) -> Value:
        y = sg.value("y", x.shape, "int8", Quant((1 / 256,), -128))
        sg.op("SOFTMAX", [x], [y], schema.SoftmaxOptionsT(beta=beta))
        return y

    return make


def with_constant(op: str, shape: tuple[int, ...], first: bool, options: Any) -> Make:
    """The input and a constant, which stands first or last."""

    def make(sg: SubgraphWriter, x: Value) -> Value:
        codes = rng(5).integers(-128, 128, shape).astype(np.int8)
        other = sg.constant("other", codes, Quant((0.013,), 5))
        y = sg.value("y", x.shape, "int8", Y)
        sg.op(op, [other, x] if first else [x, other], [y], options)
        return y

    return make


def split_and_joined(sg: SubgraphWriter, x: Value) -> Value:
    """Parts of the channels in another order, one of them in another scale and back."""
    sizes = sg.constant("sizes", np.array([1, 2], np.int32))
    axis = sg.constant("axis", np.array(3, np.int32))
    parts = [sg.value(f"p{n}", (1, 6, 6, n), "int8", x.quant) for n in (1, 2)]
    sg.op("SPLIT_V", [x, sizes, axis], parts, schema.SplitVOptionsT(numSplits=2))
    other = sg.value("other", parts[1].shape, "int8", Y)
    again = sg.value("again", parts[1].shape, "int8", x.quant)
    sg.op("QUANTIZE", [parts[1]], [other], schema.QuantizeOptionsT())
    sg.op("QUANTIZE", [other], [again], schema.QuantizeOptionsT())
    y = sg.value("y", (1, 6, 6, 3), "int8", x.quant)
    sg.op("CONCATENATION", [again, parts[0]], [y], schema.ConcatenationOptionsT(axis=3))
    return y


def unary(op: str, quant: Quant = Y, options: Any = None) -> Make:
    """A function of one number."""

    def make(sg: SubgraphWriter, x: Value) -> Value:
        y = sg.value("y", x.shape, "int8", quant)
        sg.op(op, [x], [y], options)
        return y

    return make


def added(activation: int) -> Make:
    """The input and a convolution of it."""

    def make(sg: SubgraphWriter, x: Value) -> Value:
        options = conv_options(SAME, 1)
        weight = weights((3, 3, 3, 3), 0)
        a = layer(sg, "CONV_2D", x, weight, (1, 6, 6, 3), options, name="a")
        y = sg.value("sum", a.shape, "int8", Quant((0.13,), 4))
        sg.op("ADD", [x, a], [y], schema.AddOptionsT(activation))
        return y

    return make


def flattened(how: str) -> Make:
    """RESHAPE that says its shape as `how`: "options", "input", "nothing"; then a layer."""

    def make(sg: SubgraphWriter, x: Value) -> Value:
        y = sg.value("flat", (1, 48), "int8", x.quant)
        shape = [sg.constant("shape", np.array([-1, 48], np.int32))] if how == "input" else []
        options = schema.ReshapeOptionsT(newShape=[-1, 48]) if how == "options" else None
        sg.op("RESHAPE", [x, *shape], [y], options)
        return dense(48, 4)(sg, y)

    return make


def padded(sg: SubgraphWriter, x: Value) -> Value:
    """PAD, then a convolution with a stride over it."""
    y = sg.value("padded", (1, 9, 8, 3), "int8", x.quant)
    amounts = np.array([[0, 0], [1, 2], [2, 0], [0, 0]], np.int32)
    sg.op("PAD", [x, sg.constant("amounts", amounts)], [y], schema.PadOptionsT())
    options, weight = conv_options(VALID, 2), weights((5, 3, 3, 3), 0)
    return layer(sg, "CONV_2D", y, weight, (1, 4, 3, 5), options)


def any_batch(data: bytes) -> bytes:
    """The batch of input and output is said to be -1."""

    def change(model: Any) -> None:
        for index in (*model.subgraphs[0].inputs, *model.subgraphs[0].outputs):
            tensor = model.subgraphs[0].tensors[index]
            tensor.shapeSignature = [-1, *tensor.shape[1:]]

    return changed(data, change)


def scales_along(data: bytes, axis: int) -> bytes:
    """The scales of every tensor are said to lie along `axis`."""

    def change(model: Any) -> None:
        for tensor in model.subgraphs[0].tensors:
            if tensor.quantization is not None:
                tensor.quantization.quantizedDimension = axis

    return changed(data, change)


MAP, SQUARE = (1, 6, 6, 3), (1, 7, 7, 3)
TAKEN: Mapping[str, bytes] = {
    "dense per tensor": written((1, 24), dense(24, 6)),
    "dense per channel": written((1, 24), dense(24, 6, per_tensor=False)),
    "dense relu6": written((1, 24), dense(24, 6, activation=RELU6)),
    "dense without bias": written((1, 24), dense(24, 6, bias=False)),
    "dense on a map": written((1, 2, 4, 3), dense(24, 6)),
    "dense of -128": written((1, 24), dense(24, 6, low=-128)),
    "conv same": written(MAP, conv(6, 3, 3, conv_options(SAME, 1, RELU), 6)),
    "conv same asymmetric": written(MAP, conv(6, 3, 3, conv_options(SAME, 2), 3)),
    "conv one scale": written(MAP, conv(6, 3, 3, conv_options(VALID, 1), 4, per_tensor=True)),
    "conv of -128": written(MAP, conv(6, 3, 3, conv_options(VALID, 1), 4, low=-128)),
    "conv dilated": written(SQUARE, conv(7, 3, 3, conv_options(VALID, 1, 0, 2), 3)),
    "conv dilated same": written(SQUARE, conv(7, 3, 3, conv_options(SAME, 1, 0, 2), 7)),
    "conv without bias": written(MAP, conv(6, 1, 3, conv_options(VALID, 1), 6, bias=False)),
    "depthwise same": written(MAP, depthwise(3, 3, 1, depthwise_options(SAME, 2, 1, RELU), 3)),
    "depthwise multiplied": written(
        (1, 6, 6, 1), depthwise(3, 1, 4, depthwise_options(SAME, 2, 4), 3)
    ),
    "average": written(MAP, pool("AVERAGE_POOL_2D", pool_options(VALID, 3, 1), 4)),
    "average same": written(MAP, pool("AVERAGE_POOL_2D", pool_options(SAME, 3, 2, RELU), 3)),
    "largest same": written(MAP, pool("MAX_POOL_2D", pool_options(SAME, 3, 2, RELU6), 3)),
    "add constant": written(MAP, with_constant("ADD", (3,), False, schema.AddOptionsT(RELU))),
    "constant minus": written(MAP, with_constant("SUB", (1, 1, 6, 1), True, schema.SubOptionsT())),
    "minus constant": written(MAP, with_constant("SUB", MAP, False, schema.SubOptionsT(RELU6))),
    "times constant": written(MAP, with_constant("MUL", (), True, schema.MulOptionsT())),
    "split and joined": written(MAP, split_and_joined),
    "logistic": written((1, 4, 8, 8), unary("LOGISTIC", Quant((1 / 256,), -128))),
    "tanh": written((1, 4, 8, 8), unary("TANH", Quant((1 / 128,), 0))),
    "elu": written((1, 4, 8, 8), unary("ELU", Quant((0.04,), -90))),
    "abs": written((1, 4, 8, 8), unary("ABS", Quant((0.04,), -90))),
    "abs of the same scale": written((1, 4, 8, 8), unary("ABS", X)),
    "leaky relu": written((1, 4, 8, 8), unary("LEAKY_RELU", Y, schema.LeakyReluOptionsT(0.3))),
    "hard swish": written((1, 4, 8, 8), unary("HARD_SWISH", Y, schema.HardSwishOptionsT())),
    "softmax": written((1, 12), softmax()),
    "sum": written(MAP, added(RELU)),
    "reshape by options": written((1, 4, 4, 3), flattened("options")),
    "reshape by input": written((1, 4, 4, 3), flattened("input")),
    "reshape by nothing": written((1, 4, 4, 3), flattened("nothing")),
    "pad": written(MAP, padded),
    "any batch": any_batch(written(MAP, conv(6, 3, 3, conv_options(SAME, 2), 3))),
}
