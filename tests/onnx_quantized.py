"""Quantised .onnx files: by onnxruntime.quantization, and in the forms of Brevitas and PT2E."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import (
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_static,
)

from tests import onnx_files as made

Array = np.ndarray[Any, Any]
MAP = (1, 3, 8, 8)


class _Rows(CalibrationDataReader):  # type: ignore[misc]
    def __init__(self, x: Array) -> None:
        self.rows: Iterator[Array] = iter(x)

    def get_next(self) -> dict[str, Array] | None:
        row = next(self.rows, None)
        return None if row is None else {"x": row[None]}


def static(name: str, folder: Path, activation: QuantType) -> bytes:
    """One of `onnx_files.NETS`, quantised by ONNX Runtime: weights int8, a scale a channel."""
    data, shape = made.net(name)
    given, out = folder / f"{name}.onnx", folder / f"{name}.int8.onnx"
    given.write_bytes(data)
    x = np.random.default_rng(0).normal(size=(20, *shape)).astype(np.float32)
    quantize_static(
        given,
        out,
        _Rows(x),
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        weight_type=QuantType.QInt8,
        activation_type=activation,
    )
    return out.read_bytes()


class Writer:
    """Nodes and constants of a file that grows."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.held: list[Any] = []
        self.rng = np.random.default_rng(5)

    def constant(self, values: object, kind: int | None = None) -> str:
        name = f"c{len(self.held)}"
        if kind is None:
            self.held.append(numpy_helper.from_array(np.asarray(values), name))
        else:
            flat = np.asarray(values).reshape(-1).tolist()
            self.held.append(helper.make_tensor(name, kind, np.shape(values), flat))
        return name

    def node(self, op: str, inputs: Sequence[str], out: str = "", **attributes: Any) -> str:
        name = out or f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, inputs, [name], f"n{len(self.nodes)}", **attributes))
        return name

    def activation(
        self,
        x: str,
        scale: float,
        zero: Any,
        out: str = "",
        clip: tuple[Any, Any] | None = None,
    ) -> str:
        """QuantizeLinear, Clip where narrower, DequantizeLinear."""
        both = [self.constant(np.float32(scale)), self.constant(zero)]
        codes = self.node("QuantizeLinear", [x, *both])
        if clip is not None:
            codes = self.node("Clip", [codes, *(self.constant(n) for n in clip)])
        return self.node("DequantizeLinear", [codes, *both], out)

    def weights(self, shape: tuple[int, ...], axis: int, step: float, *, form: str) -> str:
        """Codes of 4 bits with a scale for each cell of `axis`."""
        scale = (step * self.rng.uniform(0.5, 1.5, shape[axis])).astype(np.float32)
        codes = self.rng.integers(-7, 8, shape).astype(np.int8)
        if form == "int4":
            zero = self.constant(np.zeros(shape[axis]), TensorProto.INT4)
            held = self.constant(codes, TensorProto.INT4)
        else:
            zero = self.constant(np.zeros(shape[axis], np.int8))
            ends = [self.constant(np.int8(n)) for n in (-7, 7)]
            held = self.node("Clip", [self.constant(codes), *ends])
        return self.node("DequantizeLinear", [held, self.constant(scale), zero], axis=axis)

    def file(self, opset: int = 21) -> bytes:
        return made.model(self.nodes, MAP, self.held, opset)


def brevitas() -> bytes:
    """As Brevitas 0.13.4 exports QuantConv2d and QuantReLU (export_onnx_qcdq): weights of 4 bits
    are DequantizeLinear of a Clip, activations QuantizeLinear - Clip - DequantizeLinear.
    """
    w = Writer()
    x = w.activation("x", 0.03, np.int8(0))
    weight = w.weights((8, 3, 3, 3), 0, 0.03, form="clip")
    bias = w.constant(w.rng.normal(0, 0.2, 8).astype(np.float32))
    x = w.node("Relu", [w.node("Conv", [x, weight, bias], pads=[1, 1, 1, 1])])
    x = w.activation(x, 0.2, np.uint8(0), clip=(np.uint8(0), np.uint8(15)))
    weight = w.weights((8, 1, 3, 3), 0, 0.05, form="clip")
    x = w.node("Relu", [w.node("Conv", [x, weight], group=8)])
    w.activation(x, 0.3, np.uint8(0), "y0", (np.uint8(0), np.uint8(15)))
    return w.file(17)


def pt2e() -> bytes:
    """As PyTorch exports PT2E: asymmetric int8 activations, weights stored as INT4."""
    w = Writer()
    x = w.activation("x", 0.025, np.int8(-9))
    x = w.node("Conv", [x, w.weights((6, 3, 3, 3), 0, 0.03, form="int4")], strides=[2, 2])
    x = w.activation(w.node("Relu", [x]), 0.017, np.int8(-128))
    x = w.node("Flatten", [x])
    x = w.node("MatMul", [x, w.weights((54, 5), 1, 0.02, form="int4")])
    w.activation(x, 0.05, np.int8(17), "y0")
    return w.file(21)


def one(zero: object, scale: object) -> bytes:
    """One activation."""
    w = Writer()
    both = [w.constant(scale), w.constant(zero)]
    codes = w.node("QuantizeLinear", [w.node("Neg", ["x"]), *both])
    w.node("DequantizeLinear", [codes, *both], "y0")
    return w.file()


def on_codes() -> bytes:
    """An operator that reads codes."""
    w = Writer()
    both = [w.constant(np.float32(0.1)), w.constant(np.int8(0))]
    codes = w.node("QuantizeLinear", ["x", *both])
    pooled = w.node("MaxPool", [codes], kernel_shape=[2, 2])
    w.node("DequantizeLinear", [pooled, *both], "y0")
    return w.file()
