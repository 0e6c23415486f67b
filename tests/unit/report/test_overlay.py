"""Overlays for Model Explorer: keyed by what model.tflite writes, a value a layer."""

import json
from pathlib import Path

import pytest

import edgeq
from edgeq.errors import BadInput
from edgeq.pipeline import overlay
from edgeq.reporting.overlay import overlays

WRITTEN = ("body.1.map", "body.1.map_out", "body.10.out", "logits")


def entry(*layers: tuple[str, float]) -> dict[str, object]:
    return {
        "board": "virtual_m4",
        "source": "modelled",
        "fits": True,
        "layers": [{"name": name, "cycles": cycles} for name, cycles in layers],
    }


def test_a_layer_is_shown_at_its_last_operator() -> None:
    report = {
        "layers": [
            {"name": "body.1", "weight_format": "t2"},
            {"name": "body.10", "weight_format": None},
        ]
    }
    made = overlays(report, entry(("body.1", 5.0), ("body.10", 7.0), ("twin", 9.0)), WRITTEN)
    assert set(made) == {"virtual_m4.cycles.json", "widths.json"}
    cycles = made["virtual_m4.cycles.json"]
    assert cycles["name"] == "cycles, virtual_m4 (modelled)"
    assert cycles["results"] == {"body.1.map_out": {"value": 5.0}, "body.10.out": {"value": 7.0}}
    assert [stop["stop"] for stop in cycles["gradient"]] == [0, 1]
    assert made["widths.json"]["results"] == {"body.1.map_out": {"value": "t2"}}


def test_without_a_tflite_file_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"model\.tflite.*export it first"):
        overlay(tmp_path, {"boards": []}, tmp_path / "over")
    assert not (tmp_path / "over").exists()


@pytest.mark.full
def test_every_layer_of_an_export_has_its_place(tmp_path: Path) -> None:
    """Of a small network, and by the command line's path."""
    torch = pytest.importorskip("torch")
    from edgeq import nn

    torch.manual_seed(0)
    body = nn.Sequential(nn.Linear(8, 6, "ternary"), nn.ReLU(), nn.Linear(6, 3, 8))
    model = nn.Model(body, (8,), name="five", calibration=torch.randn(32, 8).numpy())
    edgeq.save(model, tmp_path / "five.pt")
    report = edgeq.export(tmp_path / "five.pt", "cortex-m4", tmp_path / "five")
    estimated = edgeq.estimate(tmp_path / "five", ["virtual_m4", "nrf52840dk"])
    files = overlay(tmp_path / "five", estimated, tmp_path / "over")
    assert len(files) == 3
    cycles = json.loads((tmp_path / "over" / "virtual_m4.cycles.json").read_text())["results"]
    layers = estimated["boards"][0]["layers"]
    assert sum(v["value"] for v in cycles.values()) == sum(each["cycles"] for each in layers)
    widths = json.loads((tmp_path / "over" / "widths.json").read_text())["results"]
    assert [v["value"] for v in widths.values()] == [x["weight_format"] for x in report["layers"]]
