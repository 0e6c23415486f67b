"""SVDF files of a frame: taken with a state of 16 and of 8 bits; what is refused of them."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from edgeq.emit.onnx_model import onnx_model
from edgeq.errors import UnsupportedOp
from edgeq.frontend.tflite_file import parse
from edgeq.frontend.tflite_loader import graph_of_tflite
from edgeq.ops.fixed_point import multiply_by_quantized_multiplier, quantize_multiplier
from edgeq.reference import random_rows, run
from tests import tflite_files as made
from tests.svdf_cases import FEATURES, MEMORY, RANK, UNITS, frames_file

FILTERS = UNITS * RANK


def parts(file: bytes) -> tuple[dict[str, np.ndarray], dict[str, float]]:
    """Constants and scales by the tensors' names."""
    read = parse(file)
    tensors = {t.name: t for t in read.subgraphs[0].tensors}
    values = {n: read.constant(t) for n, t in tensors.items() if n in ("feature", "time", "bias")}
    return values, {n: t.scale[0] for n, t in tensors.items() if t.scale}


def by_hand(file: bytes, x: np.ndarray, limit: int) -> np.ndarray:
    """svdf_common.cc: states shifted, the newest filters appended, sums over time and rank."""
    values, scales = parts(file)
    f32 = {name: np.float32(scale) for name, scale in scales.items()}
    first = quantize_multiplier(float(f32["x"] * f32["feature"] / f32["state"]))
    second = quantize_multiplier(float(f32["state"] * f32["time"] / f32["y0"]))
    state, found = np.zeros((FILTERS, MEMORY), np.int64), []
    for row in x.reshape(-1, FEATURES).astype(np.int64):
        sums = values["feature"].astype(np.int64) @ (row - made.X.zero_point)
        new = multiply_by_quantized_multiplier(sums, *map(np.int64, first))
        state = np.concatenate([state[:, 1:], np.clip(new, -limit - 1, limit)[:, None]], axis=1)
        over = (state * values["time"]).sum(axis=1).reshape(UNITS, RANK).sum(axis=1)
        wrapped = (over + values["bias"] + 2**31) % 2**32 - 2**31
        y = multiply_by_quantized_multiplier(wrapped, *map(np.int64, second)) - 11
        found.append(np.clip(y, -128, 127))
    return np.array(found)


@pytest.mark.parametrize(("dtype", "most"), [("int16", 127), ("int16", 32767), ("int8", 127)])
def test_a_file_of_one_frame_is_taken(dtype: str, most: int) -> None:
    """Its frames follow on one another; an export of it has an ONNX form."""
    file = frames_file(dtype, most=most)
    graph = graph_of_tflite(file, "one")
    ops = [node.op for node in graph.nodes]
    inner = ["SvdfFeature", "History", "SvdfTime"]
    assert [op for op in ops if op != "Reshape"] == (
        inner if dtype == "int16" else ["Conv2D", "History", "Conv2D"]
    )
    x = random_rows(graph, 25)
    wanted = by_hand(file, x, 32767 if dtype == "int16" else 127)
    np.testing.assert_array_equal(run(graph, x).output.reshape(wanted.shape), wanted)
    onnx_model(graph, "one")


def refused(change: Callable[[Any], None], said: str) -> None:
    with pytest.raises(UnsupportedOp, match=said):
        graph_of_tflite(made.changed(frames_file("int16"), change), "t")


def tensor(model: Any, name: str) -> Any:
    return next(t for t in model.subgraphs[0].tensors if t.name in (name, name.encode()))


CHANGES: dict[str, tuple[Callable[[Any], None], str]] = {
    "an activation": (
        lambda m: setattr(m.subgraphs[0].operators[0].builtinOptions, "fusedActivationFunction", 4),
        "another activation than none or ReLU",
    ),
    "a rank": (
        lambda m: setattr(m.subgraphs[0].operators[0].builtinOptions, "rank", 3),
        "8 filters, 8 over time, of rank 3",
    ),
    "no variable": (
        lambda m: setattr(tensor(m, "state"), "isVariable", False),
        "its input 4 is no state of its own",
    ),
    "a state of another size": (
        lambda m: setattr(tensor(m, "state"), "shape", [1, FILTERS]),
        r"its state is \[1, 8\] for 8 filters of 5 frames",
    ),
    "a state with a zero point": (
        lambda m: setattr(tensor(m, "state").quantization, "zeroPoint", [3]),
        "its state is int16 with zero point",
    ),
    "weights with a zero point": (
        lambda m: setattr(tensor(m, "feature").quantization, "zeroPoint", [3]),
        "its weights 'feature' are not int8 with one scale",
    ),
    "a fine output": (
        lambda m: setattr(tensor(m, "y0").quantization, "scale", [1e-7]),
        "finer than its sums",
    ),
}


@pytest.mark.parametrize("name", CHANGES)
def test_what_has_no_kernel_is_refused(name: str) -> None:
    refused(*CHANGES[name])


def test_a_state_of_several_operators_is_refused() -> None:
    with pytest.raises(UnsupportedOp, match="other operators have its state too"):
        graph_of_tflite(frames_file("int16", 3), "t")
