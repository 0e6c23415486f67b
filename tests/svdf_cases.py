"""A lowered graph for each way of an SVDF: SVDF_CASES is the table; and files of one."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edgeq import nn
from edgeq.emit.tflite_writer import SubgraphWriter, Value
from edgeq.ir import Graph, Node, Quant, TensorType
from edgeq.ops.svdf_feature import SvdfFeature
from edgeq.ops.svdf_time import SvdfTime
from edgeq.passes import quantize
from tests import tflite_files as made


@dataclass(frozen=True)
class Size:
    frames: int
    features: int
    units: int
    memory: int
    rank: int = 1
    activation: str = "none"
    alike: bool = False  # weights of one sign


SIZES: Mapping[str, Size] = {
    "svdf": Size(9, 7, 5, 4),
    "svdf of rank 2": Size(8, 6, 3, 5, 2),
    "svdf of rank 3, clamped": Size(7, 5, 4, 3, 3, "relu"),
    "svdf up to 6": Size(6, 5, 4, 3, 1, "relu6"),
    "svdf of one frame in memory": Size(4, 9, 3, 1, 2),
    "svdf of a long memory": Size(12, 3, 6, 12),
    "svdf that saturates": Size(3, 40, 2, 2, alike=True),  # by an input of one end alone
}


def float_graph(name: str) -> Graph:
    """From x to y; the taps stand in the node "one"."""
    size = SIZES[name]
    rng, filters = np.random.default_rng(3), size.units * size.rank
    constants = {
        "weight": rng.normal(0.0, 0.7, (filters, size.features)),
        "taps": rng.normal(0.0, 0.7, (size.memory, filters)),
        "bias": rng.normal(0.0, 0.7, size.units),
    }
    if size.alike:
        constants["weight"] = np.abs(constants["weight"])
    held = {name: value.astype(np.float32) for name, value in constants.items()}
    tensors = {name: TensorType(value.shape) for name, value in held.items()}
    tensors |= {
        "x": TensorType((1, size.frames, size.features)),
        "f": TensorType((1, size.frames, filters)),
        "y": TensorType((1, size.frames, size.units)),
    }
    feature = Node("filters", "SvdfFeature", ("x",), ("f",), SvdfFeature())
    attrs = SvdfTime(size.rank, size.memory - 1, size.activation)
    time = Node("one", "SvdfTime", ("f",), ("y",), attrs, {"taps": "taps", "bias": "bias"})
    nodes = (_with(feature, {"feature_weight": "weight"}), time)
    return Graph("g", ("x",), ("y",), nodes, tensors, held)


def _with(node: Node, params: Mapping[str, str]) -> Node:
    return Node(node.name, node.op, node.inputs, node.outputs, node.attrs, dict(params))


def rows_of(name: str, rows: int = 12) -> np.ndarray:
    """Real inputs."""
    size = SIZES[name]
    shape = (rows, 1, size.frames, size.features)
    return np.random.default_rng(4).normal(0.0, 1.0, shape).astype(np.float32)


def _lowered(name: str) -> Callable[[], Graph]:
    return lambda: quantize(float_graph(name), rows_of(name), "minmax", frozenset()).graph


SVDF_CASES: Mapping[str, Callable[[], Graph]] = {name: _lowered(name) for name in SIZES}

FEATURES, UNITS, MEMORY, RANK = 6, 4, 5, 2


def frames_file(dtype: str, frames: int = 1, most: int = 127) -> bytes:
    """An SVDF of one frame, or of several that its variable follows, as converters write it; taps
    and state of `dtype`, taps up to `most`.
    """
    rng, filters = made.rng(11), UNITS * RANK

    def make(sg: SubgraphWriter, x: Value) -> Value:
        codes = rng.integers(-127, 128, (filters, FEATURES)).astype(np.int8)
        weight = sg.constant("feature", codes, Quant((0.013,)))
        over = rng.integers(-most, most + 1, (filters, MEMORY)).astype(dtype)
        time = sg.constant("time", over, Quant((1.1 / most,)))
        state = Quant((0.0011,) if dtype == "int16" else (0.21,))
        scale = float(np.float32(state.per_tensor) * np.float32(1.1 / most))
        bias = sg.constant("bias", rng.integers(-99, 99, UNITS).astype(np.int32), Quant((scale,)))
        kept = sg.variable("state", (1, MEMORY * filters), dtype, state)
        answers = []
        for at in range(frames):
            row = x if frames == 1 else _row(sg, x, at)
            y = sg.value(f"y{at}", (1, UNITS), "int8", Quant((0.12,), -11))
            options = schema.SVDFOptionsT(RANK, made.RELU, False)
            sg.op("SVDF", [row, weight, time, bias, kept], [y], options)
            answers.append(y)
        if frames == 1:
            return answers[0]
        y = sg.value("y", (frames, UNITS), "int8", Quant((0.12,), -11))
        sg.op("CONCATENATION", answers, [y], schema.ConcatenationOptionsT(axis=0))
        return y

    return made.written((frames, FEATURES), make)


def _row(sg: SubgraphWriter, x: Value, at: int) -> Value:
    row = sg.value(f"x{at}", (1, FEATURES), "int8", x.quant)
    begin = sg.constant(f"x{at}.begin", np.array([at, 0], np.int32))
    size = sg.constant(f"x{at}.size", np.array([1, FEATURES], np.int32))
    sg.op("SLICE", [x, begin, size], [row], schema.SliceOptionsT())
    return row


def svdf_net() -> nn.Model:
    """Frames' filters over time, their last frame's classes."""
    body = nn.Sequential(nn.SVDF(5, 6, 4, 4, rank=2), nn.ReLU(), nn.SVDF(6, 4, 3, last=True))
    return nn.Model(body, (5, 8))
