"""Models whose numbers make an interpreter abort are exported; what happened is told."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import edgeq
from edgeq import nn, pipeline
from edgeq.emit import tflite_ops
from edgeq.emit.apart import Apart
from edgeq.emit.tflite_model import tflite_model
from edgeq.errors import Toolchain, UnsupportedOp
from edgeq.reference import run
from edgeq.reporting.export import export_text
from tests.factory import input_rows
from tests.tflm.agreement import assert_agrees
from tests.tflm.cases import from_torch, quantized
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


def scaled(layers: list[torch.nn.Module], shape: tuple[int, ...], i: int, by: float) -> nn.Model:
    """A chain whose layer i has its constants times `by`."""
    with torch.no_grad():
        for parameter in layers[i].parameters():
            parameter.mul_(by)
    return nn.Model(nn.Sequential(*layers), shape)


def small_relu6(by: float) -> nn.Model:
    """A relu6 whose 6 is beyond an int32 of steps."""
    layers = [nn.Conv2d(1, 3, 3), nn.ReLU6(), nn.Flatten(), nn.Linear(12, 3)]
    return scaled(layers, (1, 4, 4), 0, by)


def small_gamma(by: float) -> nn.Model:
    layers = [nn.Linear(8, 12), nn.LayerNorm(12), nn.ReLU(), nn.Linear(12, 3)]
    return scaled(layers, (8,), 1, by)


def cancelling_sum(by: float) -> nn.Model:
    """A residual block that takes away all of its input but a part `by`."""
    inner = nn.Conv2d(2, 2, 1)
    with torch.no_grad():
        inner.weight.copy_(-torch.eye(2).reshape(2, 2, 1, 1) * (1 + by))
        assert inner.bias is not None
        inner.bias.zero_()
    layers = [nn.Residual(inner), nn.Flatten(), nn.Linear(32, 3)]
    return nn.Model(nn.Sequential(*layers), (2, 4, 4))


def one_output(kind: int | str, weight: float, first: torch.nn.Module) -> nn.Model:
    """Equal weights of a norm of two, which is +1 and -1, leave float noise; none leave 0."""
    last = nn.Linear(2, 1, kind, bias=False)
    with torch.no_grad():
        last.weight.fill_(weight)
    return nn.Model(nn.Sequential(first, last), (2,))


def steep_router(by: float, top_k: int = 1, gate: str = "none") -> nn.Model:
    """A router of which one logit step decides alone."""
    kinds = ("ternary", 8)
    experts = [nn.Sequential(nn.Linear(8, 6, k), nn.ReLU(), nn.Linear(6, 3)) for k in kinds]
    router = nn.BayesianRouter(8, 2, hidden=(6, 5), passes=4)
    with torch.no_grad():
        for parameter in router.parameters():
            parameter.mul_(by)
    mixture = nn.Mixture(experts, router, kinds, top_k=top_k, gate=gate)
    return nn.Model(mixture, (8,))


DEGENERATE: dict[str, Callable[[], nn.Model]] = {
    "relu6": lambda: small_relu6(1e-7),
    "relu6-dead": lambda: small_relu6(0.0),
    "gamma": lambda: small_gamma(1e-18),
    "gamma-zero": lambda: small_gamma(0.0),
    "sum": lambda: cancelling_sum(1e-9),
    "sum-zero": lambda: cancelling_sum(0.0),
    "silent": lambda: one_output(8, 0.0, nn.Linear(2, 2)),
    "silent-ternary": lambda: one_output("ternary", 0.0, nn.Linear(2, 2)),
    "router": lambda: steep_router(1e3),
    "router-gate": lambda: steep_router(1e3, gate="probability"),
    "router-sum": lambda: steep_router(1e6, top_k=2, gate="probability"),
}


@pytest.mark.parametrize("name", DEGENERATE)
def test_case_10_no_interpreter_aborts_on_degenerate_ranges(name: str) -> None:
    """LiteRT, in a child, and TensorFlow Lite Micro run the file and agree with the reference."""
    graph = from_torch(DEGENERATE[name])
    rows = input_rows(np.random.default_rng(1), graph, 20)
    with Apart() as apart:
        got, wanted = apart.tflite(tflite_model(graph, "t"), rows), run(graph, rows)
    assert np.array_equal(got.route, wanted.route)
    assert np.abs(got.logits - wanted.output.astype(int)).max() <= 2
    if tflm_is_here():
        assert_agrees(graph, rows[:3])


def test_case_10_a_layer_norm_beyond_float32_has_no_tflite() -> None:
    layers = [nn.Linear(8, 12), nn.LayerNorm(12), nn.Linear(12, 3)]
    graph = from_torch(lambda: scaled(layers, (8,), 0, 1e25))
    with pytest.raises(UnsupportedOp, match=r"TFLite: body\.1 \(LayerNorm\) reads steps of"):
        tflite_model(graph, "t")


@pytest.mark.parametrize("kind", ["ternary", 8])
def test_a_layer_of_noise_alone_is_not_refused(kind: int | str) -> None:
    """Its scale said less than LiteRT's check of the bias allows. A step of the norm says all."""
    graph = from_torch(lambda: one_output(kind, -0.55412728, nn.LayerNorm(2)))
    rows = input_rows(np.random.default_rng(1), graph, 20)
    with Apart() as apart:
        apart.tflite(tflite_model(graph, "t"), rows)


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
