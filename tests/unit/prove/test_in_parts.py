"""Convolutions with groups and dilation through an export's proofs, one call a part."""

from pathlib import Path

import numpy as np
import pytest
import torch

import edgeq
from edgeq.errors import Mismatch
from tests.unit.prove.conftest import Spoil

SHAPE = (3, 11, 9)


class Network(torch.nn.Module):
    """Dilation alone, groups alone, depthwise, and both beside strides that do not divide."""

    def __init__(self) -> None:
        super().__init__()
        self.dilated = torch.nn.Conv2d(3, 8, 3, padding=2, dilation=2)
        self.grouped = torch.nn.Conv2d(8, 12, 3, padding=1, groups=4)
        self.depthwise = torch.nn.Conv2d(12, 12, 3, padding=3, dilation=3, groups=12)
        self.both = torch.nn.Conv2d(12, 10, (3, 2), stride=2, dilation=(3, 2), groups=2)
        self.head = torch.nn.Linear(10, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer in (self.dilated, self.grouped, self.depthwise, self.both):
            x = layer(x).relu()
        return self.head(x.mean((2, 3)))


def exported(folder: Path, weights: str, target: str) -> dict:
    torch.manual_seed(0)
    x = np.random.default_rng(0).normal(size=(24, *SHAPE)).astype(np.float32)
    network = Network().eval()
    model = edgeq.from_torch(network, torch.from_numpy(x[:1]), calibration=x, name="parts")
    return edgeq.export(edgeq.quantize(model, weights=weights), target, folder)


def check(report: dict, folder: Path) -> None:
    (proof,) = (c for c in report["checks"] if c["name"] == "firmware")
    assert proof["passed"], proof["said"]
    layers = report["layers"]
    assert f"every output of {len(layers)} layers" in proof["said"]
    assert [x["op"] for x in layers[:4]].count("conv_2d") == 3
    text = (folder / "firmware/model/parts.c").read_text()
    assert text.count("_in_parts(const") == 4
    assert not {"slice", "concat"} & {layer["op"] for layer in layers}


@pytest.mark.full
def test_an_export_in_parts_is_proven(tmp_path: Path) -> None:
    check(exported(tmp_path / "out", "int4", "virtual_m4"), tmp_path / "out")


@pytest.mark.full
@pytest.mark.parametrize("target", ["virtual_m4", "virtual_m0plus"])
@pytest.mark.parametrize("weights", ["int8", "int3", "ternary"])
def test_every_width_on_every_core(weights: str, target: str, tmp_path: Path) -> None:
    check(exported(tmp_path / "out", weights, target), tmp_path / "out")


@pytest.mark.full
@pytest.mark.parametrize(
    ("line", "instead"),
    [
        ("x += group * parts->channels;", "x += 0;"),
        ("y += group * parts->outputs;", "y += 0 * group;"),
        ("part->window.padding_top = down.padding;", "part->window.padding_top = 0;"),
    ],
    ids=["channels", "outputs", "padding"],
)
def test_a_wrong_part_is_a_mismatch(line: str, instead: str, tmp_path: Path, spoil: Spoil) -> None:
    spoil("edgeq_conv_2d_part.c", line, instead)
    with pytest.raises(Mismatch, match=r"layer \w+ \(edgeq_\w+\): \d+ of \d+ values"):
        exported(tmp_path / "out", "int8", "virtual_m4")
