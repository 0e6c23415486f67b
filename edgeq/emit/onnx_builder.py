"""Collects the nodes and initialisers of one ONNX graph in QDQ form.

Feature maps are NCHW here (ONNX's convention), channels-last in the edgeq graph.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from onnx import GraphProto, NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

from edgeq.ir import Quant
from edgeq.ops.int4 import pack_int4
from edgeq.ops.op import Array

OPSET = 21  # the first with INT4 and int16 DequantizeLinear
IR_VERSION = 10  # what opset 21 came with

Shape = tuple[int, ...]

# Packing tokens -> container. Codes of 4 bits or fewer all fit INT4, two to a byte.
WEIGHT_CONTAINER: dict[str, int] = {
    "s16": TensorProto.INT16,
    "s8": TensorProto.INT8,
    "s4": TensorProto.INT4,
    "s3": TensorProto.INT4,
    "s2": TensorProto.INT4,
    "t2": TensorProto.INT4,
    "b1": TensorProto.INT4,
}


def channels_first(shape: Shape) -> Shape:
    """ONNX shape of an edgeq shape, both without batch: maps (H, W, C) become (C, H, W)."""
    return (shape[2], shape[0], shape[1]) if len(shape) == 3 else shape


def order_matters(shape: Shape) -> bool:
    """True when (H, W, C) and (C, H, W) lay their cells out differently."""
    return len(shape) == 3 and shape[2] > 1 and shape[0] * shape[1] > 1


class OnnxBuilder:
    """`values` maps an edgeq activation to the float ONNX tensor that holds it, dequantised.

    `prefix` stands before every name, so that a branch shadows nothing of the outer graph.
    """

    def __init__(self, prefix: str = "") -> None:
        self.prefix = prefix
        self.nodes: list[NodeProto] = []
        self.initializers: list[TensorProto] = []
        self.values: dict[str, str] = {}

    def node(self, op: str, inputs: Sequence[str], name: str, **attrs: Any) -> str:
        """Adds a node with one output; node and output are both called prefix + name."""
        full = self.prefix + name
        self.nodes.append(helper.make_node(op, list(inputs), [full], name=full, **attrs))
        return full

    def several(
        self, op: str, inputs: Sequence[str], name: str, more: Sequence[str], **attrs: Any
    ) -> str:
        """As `node`, with more outputs, which are called as it is with these endings."""
        full = self.prefix + name
        outputs = [full, *(full + ending for ending in more)]
        self.nodes.append(helper.make_node(op, list(inputs), outputs, name=full, **attrs))
        return full

    def rename(self, value: str, output: str) -> None:
        """Gives a tensor the name of a model output."""
        self.nodes.append(helper.make_node("Identity", [value], [output], name=output))

    def constant(self, name: str, value: Any, dtype: Any) -> str:
        """Adds an initialiser of a numpy dtype; a Python number becomes a scalar."""
        array = np.ascontiguousarray(value, dtype=dtype).reshape(np.shape(value))
        self.initializers.append(numpy_helper.from_array(array, self.prefix + name))
        return self.prefix + name

    def integers(
        self, name: str, codes: Array, container: int, scale: Sequence[float], axis: int = 0
    ) -> str:
        """Integer initialiser and its DequantizeLinear; several scales lie on `axis`."""
        full = self.prefix + name
        if container == TensorProto.INT4:
            raw = pack_int4(codes)
        else:
            raw = codes.astype(helper.tensor_dtype_to_np_dtype(container)).tobytes()
        self.initializers.append(helper.make_tensor(full, container, codes.shape, raw, raw=True))
        one = len(scale) == 1
        scales = self.constant(f"{name}.scale", scale[0] if one else scale, np.float32)
        attrs = {} if one else {"axis": axis}
        return self.node("DequantizeLinear", [full, scales], f"{name}.dequantized", **attrs)

    def requantize(
        self, value: str, name: str, quant: Quant, dtype: str = "int8"
    ) -> tuple[str, str]:
        """QuantizeLinear and DequantizeLinear after a float tensor: (integer name, float name)."""
        scale = self.constant(f"{name}.scale", quant.per_tensor, np.float32)
        zero = self.constant(f"{name}.zero_point", quant.zero_point, np.dtype(dtype))
        q = self.node("QuantizeLinear", [value, scale, zero], f"{name}.{dtype}")
        return q, self.node("DequantizeLinear", [q, scale, zero], f"{name}.float")

    def activation(self, kind: str, value: str, name: str) -> str:
        """The fused activation ("none", "relu", "relu6") as a node of its own."""
        if kind == "relu":
            return self.node("Relu", [value], f"{name}.relu")
        if kind == "relu6":
            low = self.constant(f"{name}.low", 0.0, np.float32)
            high = self.constant(f"{name}.high", 6.0, np.float32)
            return self.node("Clip", [value, low, high], f"{name}.relu6")
        return value

    def best(self, score: str, count: int, name: str) -> str:
        """Indices int64 (1, count) of the best scores (1, E); TopK gives a tie to the lower one."""
        full = f"{self.prefix}{name}.best"
        inputs = [score, self.constant(f"{name}.count", [count], np.int64)]
        outputs = [f"{full}.scores", f"{full}.indices"]
        self.nodes.append(helper.make_node("TopK", inputs, outputs, name=full))
        return outputs[1]

    def reshape(self, value: str, source: Shape, target: Shape, name: str) -> str:
        """Reshape in channels-last order between edgeq shapes, batch kept."""
        if order_matters(source):
            value = self.to_channels_last(value, name)
        swapped = order_matters(target)
        shape = (0, *(target if swapped else channels_first(target)))
        value = self.node(
            "Reshape", [value, self.constant(f"{name}.shape", shape, np.int64)], f"{name}.reshape"
        )
        return self.to_channels_first(value, name) if swapped else value

    def to_channels_last(self, value: str, name: str) -> str:
        return self.node("Transpose", [value], f"{name}.channels_last", perm=[0, 2, 3, 1])

    def to_channels_first(self, value: str, name: str) -> str:
        return self.node("Transpose", [value], f"{name}.channels_first", perm=[0, 3, 1, 2])

    def graph(
        self, name: str, inputs: Sequence[ValueInfoProto], outputs: Sequence[ValueInfoProto]
    ) -> GraphProto:
        return helper.make_graph(self.nodes, name, inputs, outputs, self.initializers)
