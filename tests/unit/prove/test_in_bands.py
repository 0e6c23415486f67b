"""Layers that run in bands, over their input, through an export's proofs: trunk and experts."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import edgeq
from edgeq import nn, overlaps, pipeline
from edgeq.errors import Mismatch
from edgeq.kernels import ways
from tests.compilers import COMPILERS
from tests.unit.prove.conftest import Spoil

SHAPE = (3, 13, 10)


@pytest.fixture(autouse=True)
def every_band(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bands of a row, and for a byte that they save."""
    monkeypatch.setattr(ways, "LEAST_BAND_CYCLES", 0)
    monkeypatch.setattr(overlaps, "WORTH", 1 << 20)
    monkeypatch.setattr(overlaps, "SLACK", 1 << 20)


def separable(channels: int, out: int, kind: str, stride: int = 1) -> list[Any]:
    return [
        nn.Conv2d(channels, channels, 3, "int8", stride, padding=1, groups=channels),
        nn.ReLU(),
        nn.Conv2d(channels, out, 1, kind),
        nn.ReLU(),
    ]


def saved(body: Any, folder: Path) -> Path:
    x = np.random.default_rng(1).normal(size=(40, *SHAPE)).astype(np.float32)
    model = nn.Model(body, SHAPE, name="bands")
    model.calibrate(x)
    edgeq.save(model, folder / "m.pt")
    return folder / "m.pt"


def network() -> Any:
    """Equal maps, some that grow and some that shrink."""
    torch.manual_seed(1)
    return nn.Sequential(
        *(nn.Conv2d(3, 8, 3, "int4", padding=1), nn.ReLU()),
        *separable(8, 8, "int8"),
        *separable(8, 16, "ternary"),
        *separable(16, 16, "int4", 2),
        *(nn.Conv2d(16, 16, 3, "int8", padding=1), nn.ReLU()),
        nn.Residual(nn.Sequential(nn.Conv2d(16, 16, 3, "ternary", padding=1))),
        *(nn.GlobalAvgPool(), nn.Linear(16, 4)),
    )


def chain() -> Any:
    """Bands from the first row and bands from the last, wherever it runs."""
    torch.manual_seed(1)
    return nn.Sequential(
        *(nn.Conv2d(3, 8, 3, "int4", padding=1), nn.ReLU()),
        *separable(8, 16, "int8"),
        *separable(16, 16, "ternary"),
        *separable(16, 24, "int4", 2),
        *(nn.GlobalAvgPool(), nn.Linear(24, 4)),
    )


def mixture() -> Any:
    """Experts of maps; the trunk's map is read again by the router."""
    torch.manual_seed(2)
    kinds = ("ternary", "int8")
    experts = [
        nn.Sequential(*separable(8, 8, kind), nn.GlobalAvgPool(), nn.Linear(8, 4, kind))
        for kind in kinds
    ]
    router = nn.BayesianRouter(8, 2, hidden=(8, 4), passes=4)
    trunk = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), *separable(8, 8, "int8"))
    return nn.TrunkMixture(trunk, nn.Mixture(experts, router, kinds, rule="off"))


def firmware_text(folder: Path) -> str:
    return "".join(p.read_text() for p in (folder / "firmware" / "model").glob("bands.c"))


M0PLUS = pytest.param("virtual_m0plus", marks=pytest.mark.full)


@pytest.mark.parametrize("target", ["virtual_m4", M0PLUS])
@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize("body", [network, chain])
def test_an_export_in_bands_is_proven(
    body: Callable[[], Any], target: str, compiler: str, tmp_path: Path
) -> None:
    report = pipeline.export(saved(body(), tmp_path), target, tmp_path / "out", compiler=compiler)
    (proof,) = (c for c in report["checks"] if c["name"] == "firmware")
    assert proof["passed"], proof["said"]
    layers = [layer["name"] for layer in report["layers"]]
    assert f"every output of {len(layers)} layers" in proof["said"]
    text = firmware_text(tmp_path / "out")
    assert report["bands"]
    assert text.count("_in_bands(const") == len(report["bands"])
    assert body is network or ("row = 0;" in text and "row >= 0;" in text)


@pytest.mark.full
def test_experts_run_in_bands(tmp_path: Path) -> None:
    report = pipeline.export(saved(mixture(), tmp_path), "virtual_m4", tmp_path / "out")
    (proof,) = (c for c in report["checks"] if c["name"] == "firmware")
    assert proof["passed"], proof["said"]
    assert {name.partition("/")[0] for name in report["bands"] if "/" in name}
    assert "_in_bands(" in firmware_text(tmp_path / "out").partition("expert_0(")[2]


def test_a_wrong_band_is_a_mismatch(tmp_path: Path, spoil: Spoil) -> None:
    """The layer is named that ran in it."""
    spoil("edgeq_conv_2d_band.c", "band->padding_top = begin - first;", "band->padding_top = 0;")
    with pytest.raises(Mismatch, match=r"layer body\.\d+ \(edgeq_\w+\): \d+ of \d+ values"):
        pipeline.export(saved(network(), tmp_path), "virtual_m4", tmp_path / "out")
