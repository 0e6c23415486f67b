"""What an export's header and files say of classes and weights, as they were asked for."""

from pathlib import Path

import numpy as np
import pytest
import torch

import edgeq
from edgeq import nn, pipeline
from edgeq.errors import BadInput

NAMES = ("left", 'ri"ght', "*/ none")


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("header") / "m.pt"
    x = np.random.default_rng(0).normal(size=(60, 80)).astype(np.float32)
    body = nn.Sequential(nn.Linear(80, 64), nn.ReLU(), nn.Linear(64, 3))
    edgeq.save(nn.Model(body, (80,), NAMES, calibration=x, name="turns"), path)
    return path


def test_the_header_names_the_classes_harmlessly(saved: Path, tmp_path: Path) -> None:
    edgeq.export(saved, "virtual_m4", tmp_path / "out")
    header = (tmp_path / "out" / "firmware" / "model" / "turns.h").read_text()
    assert '#define TURNS_CLASS_NAMES {"left", "ri_ght", "_/ none"}' in header
    assert "#define TURNS_INPUT_SHAPE {80}" in header


def test_weights_stand_where_they_were_asked_to(saved: Path, tmp_path: Path) -> None:
    for form in ("c", "binary"):
        report = pipeline.export(saved, "virtual_m4", tmp_path / form, weights_as=form)
        assert all(check["passed"] for check in report["checks"])
        file = tmp_path / form / "firmware" / "model" / "turns_weights.bin"
        assert file.exists() == (form == "binary")
    with pytest.raises(BadInput, match="auto, c, binary"):
        pipeline.export(saved, "virtual_m4", tmp_path / "x", weights_as="hex")
