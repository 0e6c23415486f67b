"""ONNX files of several inputs and outputs: by name, from the file to the proofs of an export."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

import edgeq
from edgeq.errors import UnsupportedOp

RNG = np.random.default_rng(0)
IMAGE, FACTS = (1, 2, 6, 5), (1, 3)


def _value(name: str, shape: Any) -> Any:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def _file(path: Path, outputs: tuple[str, ...] = ("kind/logits", "place")) -> Path:
    """A map and a row of numbers; a class and two coordinates."""
    held = {
        "w": RNG.normal(size=(4, 2, 3, 3)),
        "k": RNG.normal(size=(5, 7)),
        "p": RNG.normal(size=(7, 2)),
    }
    nodes = [
        helper.make_node("Conv", ["image", "w"], ["c"], pads=[1] * 4),
        helper.make_node("Relu", ["c"], ["r"]),
        helper.make_node("GlobalAveragePool", ["r"], ["g"]),
        helper.make_node("Flatten", ["g"], ["f"]),
        helper.make_node("Concat", ["f", "facts"], ["j"], axis=1),
        helper.make_node("Gemm", ["j", "k"], ["kind/logits"], transB=1),
        helper.make_node("MatMul", ["j", "p"], ["place"]),
    ]
    ends = {"kind/logits": (1, 5), "place": (1, 2), "image": IMAGE}
    graph = helper.make_graph(
        nodes,
        "two",
        [_value("image", ("N", *IMAGE[1:])), _value("facts", ("N", *FACTS[1:]))],
        [_value(name, ends[name]) for name in outputs],
        [numpy_helper.from_array(v.astype(np.float32), k) for k, v in held.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, path)
    return path


def test_two_inputs_and_two_outputs_go_by_name(tmp_path: Path) -> None:
    path = _file(tmp_path / "two.onnx")
    model = edgeq.from_onnx(path)
    assert model.inputs == {"image": IMAGE[1:], "facts": FACTS[1:]}
    assert model.outputs == {"kind_logits": (5,), "place": (2,)}
    x = {
        "image": RNG.normal(size=(48, *IMAGE[1:])).astype(np.float32),
        "facts": RNG.normal(size=(48, *FACTS[1:])).astype(np.float32),
    }
    with torch.no_grad():
        got = model({name: torch.from_numpy(part[:1]) for name, part in x.items()})
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    wanted = session.run(None, {name: part[:1] for name, part in x.items()})
    for one, other in zip(got.values(), wanted, strict=True):
        np.testing.assert_allclose(one.numpy(), other, rtol=1e-4, atol=1e-5)
    np.savez(tmp_path / "x.npz", **x)
    report = edgeq.export(path, "cortex-m4", tmp_path / "out", tmp_path / "x.npz")
    assert [entry["name"] for entry in report["inputs"]] == ["image", "facts"]
    assert [entry["name"] for entry in report["outputs"]] == ["kind_logits", "place"]
    assert all(check["passed"] for check in report["checks"]), report["checks"]


def test_an_output_that_is_an_input_beside_others_is_told(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedOp, match="two of its outputs"):
        edgeq.from_onnx(_file(tmp_path / "two.onnx", ("place", "place")))
