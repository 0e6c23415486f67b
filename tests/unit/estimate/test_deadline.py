"""A step fits in its hop, or the export says by how much it does not."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import edgeq
from edgeq import nn
from edgeq.emit.firmware import LayerInfo
from edgeq.errors import BadInput, CostBudget
from edgeq.estimating import deadline_entry, hop_seconds
from edgeq.ir import Stream
from edgeq.reporting.stream import deadline_words
from tests.command_line import run_told
from tests.port_graphs import with_history

GRAPH = replace(with_history(), stream=Stream(2, 20, 0, 0.01))
LAYERS = [LayerInfo(i, op, op, "k", None, 0, 0, None) for i, op in enumerate(("log_mel", "conv"))]


def cost(cycles: int) -> dict[str, Any]:
    """Of a core at 1 MHz; the front end takes 300 cycles."""
    worst = {"cycles": cycles, "latency_s": cycles / 1e6}
    return {"board": "b", "worst": worst, "layers": [{"cycles": 300}, {"cycles": cycles - 300}]}


def test_a_hop_is_the_streams_or_what_is_asked() -> None:
    assert hop_seconds(GRAPH, None) == 0.02
    assert hop_seconds(GRAPH, "20ms") == 0.02
    timeless = replace(GRAPH, stream=Stream(2, 20))
    assert hop_seconds(timeless, None) is None
    assert hop_seconds(timeless, "5ms") == 0.005
    assert hop_seconds(replace(GRAPH, stream=None), None) is None


@pytest.mark.parametrize(("hop", "said"), [("30ms", "is 20 ms"), ("2", "no budget")])
def test_other_hops_are_refused(hop: str, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        hop_seconds(GRAPH, hop)


def test_the_margin_is_stated() -> None:
    entry = deadline_entry(cost(2000), LAYERS, 0.008)
    assert entry["share"] == 0.25
    assert entry["margin_s"] == pytest.approx(0.006)
    assert entry["front_end_cycles"] == 300
    said = deadline_words(entry)
    assert "25.0% of a hop of 8 ms (2,000 cycles, 300 of them the front end's; modelled)" in said
    assert said.endswith("6 ms are left")


def test_exactly_a_hop_fits_and_a_cycle_more_does_not() -> None:
    assert deadline_entry(cost(8000), LAYERS, 0.008)["margin_s"] == 0
    with pytest.raises(CostBudget, match=r"8.001 ms, 100.0% of it \(8,001 cycles, 300 of them"):
        deadline_entry(cost(8001), LAYERS, 0.008)


@pytest.mark.full
def test_an_export_fails_with_the_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    torch.manual_seed(0)
    body = nn.Sequential(nn.Conv1d(4, 8, 3, 8), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 8, 3, 8))
    x = torch.randn(30, 4, 10)
    edgeq.save(nn.Model(body, (4, 10), calibration=x, frame_s=0.01), tmp_path / "m.pt")
    made = edgeq.export(tmp_path / "m.pt", "virtual_m4", tmp_path / "out", stream="hop=1")
    assert made["deadline"]["hop_s"] == 0.01
    assert 0 < made["deadline"]["share"] < 1
    assert made["deadline"]["worst_cycles"] == made["estimate"]["worst"]["cycles"]
    assert "deadline: the worst case takes" in (tmp_path / "out" / "report.txt").read_text()
    core = edgeq.export(tmp_path / "m.pt", "cortex-m4", tmp_path / "core", stream="hop=1")
    assert core["deadline"] is None
    asked = ("export", tmp_path / "m.pt", "--target", "virtual_m4", "--hop", "1us")
    ran = run_told(monkeypatch, capfd, *asked, "--out", tmp_path / "no")
    assert ran.code == 4
    assert "a hop of 0.001 ms is too short on virtual_m4" in ran.err
    assert not (tmp_path / "no").exists()
