"""Models whose numbers make an interpreter abort are exported; what happened is told."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import edgeq
from edgeq import nn, pipeline
from edgeq.emit import tflite_ops
from edgeq.errors import Toolchain
from edgeq.report.export import export_text
from tests.tflm.agreement import assert_agrees
from tests.tflm.cases import quantized
from tests.tflm.interpreter import tflm_is_here


def with_small_logits(factor: float) -> nn.Model:
    """Two logits of about that size, then a softmax."""
    torch.manual_seed(0)
    layer = nn.Linear(8, 2)
    with torch.no_grad():
        layer.weight.mul_(factor)
        layer.bias.mul_(factor)
    model = nn.Model(nn.Sequential(layer, nn.Softmax()), (8,))
    model.calibrate(np.random.default_rng(0).normal(size=(40, 8)).astype(np.float32))
    return model


def exported(model: nn.Model, folder: Path) -> dict[str, Any]:
    edgeq.save(model, folder / "model.pt")
    try:
        return pipeline.export(folder / "model.pt", "cortex-m4", folder / "out")
    except Toolchain as error:
        pytest.skip(str(error))


def test_case_10_a_small_logit_scale_before_softmax_exports(tmp_path: Path) -> None:
    report = exported(with_small_logits(1e-7), tmp_path)
    (check,) = (c for c in report["checks"] if c["name"] == "tflite")
    assert check["samples"] == 40
    assert check["max_lsb"] <= 1


@pytest.mark.parametrize("factor", [1e-5, 1e-6, 1e-7, 1e-12])
def test_case_10_tensorflow_lite_micro_runs_it_too(factor: float) -> None:
    graph = quantized(with_small_logits(factor))
    if not tflm_is_here():
        pytest.skip("TensorFlow Lite Micro needs the wheel mcufit and node: one is not here")
    rows = np.random.default_rng(1).integers(-128, 128, (3, 8), dtype=np.int8)
    assert_agrees(graph, rows)


def test_case_10_an_abort_of_litert_is_an_entry_and_a_note(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the cure taken out LiteRT aborts: its child ends, the export does not."""
    monkeypatch.setattr(tflite_ops, "LEAST_LOGIT_STEP", 0.0)
    report = exported(with_small_logits(1e-7), tmp_path)
    (check,) = (c for c in report["checks"] if c["name"] == "tflite")
    assert "LiteRT ended its process with signal SIGABRT" in check["failed"]
    assert check["samples"] == 0
    assert check["top1_agreement"] is None
    assert [n for n in report["notes"] if n.startswith("tflite was not compared: LiteRT ended")]
    assert export_text(report, "out") is not None
    assert (tmp_path / "out" / "model.tflite").is_file()
