"""Netron's own parsers, run by node from its Python package, open the emitted ONNX and TFLite."""

import importlib.util
import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from edgeq.emit.onnx_model import onnx_model
from edgeq.emit.tflite_model import tflite_model
from tests.factory import fc_graph, smallest_mixture
from tests.hang import HANG_S

READ = Path(__file__).with_name("read.mjs")
FOUND = importlib.util.find_spec("netron")
pytestmark = [
    pytest.mark.full,
    pytest.mark.skipif(FOUND is None, reason="pip install netron: its parsers are JavaScript"),
    pytest.mark.skipif(shutil.which("node") is None, reason="no node here"),
]


def nodes(kind: str, model: bytes, folder: Path) -> subprocess.CompletedProcess[str]:
    """What Netron finds in the file."""
    assert FOUND is not None
    assert FOUND.origin is not None
    (folder / f"model.{kind}").write_bytes(model)
    command = ["node", READ, Path(FOUND.origin).parent, kind, folder / f"model.{kind}"]
    return subprocess.run(command, capture_output=True, text=True, timeout=HANG_S, check=False)


@pytest.mark.parametrize("mixture", [False, True], ids=["one", "mixture"])
def test_it_opens_both_forms(mixture: bool, tmp_path: Path) -> None:
    graph = smallest_mixture() if mixture else fc_graph(np.random.default_rng(1))
    onnx = nodes("onnx", onnx_model(graph, "t", "").SerializeToString(), tmp_path)
    assert onnx.returncode == 0, onnx.stderr
    assert {"QuantizeLinear", "Gemm"} & set(json.loads(onnx.stdout))
    tflite = nodes("tflite", tflite_model(graph, "t"), tmp_path)
    assert tflite.returncode == 0, tflite.stderr
    assert {"FullyConnected", "FULLY_CONNECTED"} & set(json.loads(tflite.stdout))


@pytest.mark.parametrize("kind", ["onnx", "tflite"])
def test_what_is_no_model_it_refuses(kind: str, tmp_path: Path) -> None:
    assert nodes(kind, b"no model" * 8, tmp_path).returncode != 0
