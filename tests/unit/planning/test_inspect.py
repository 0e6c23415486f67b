"""`edgeq inspect`: planted outliers, dead channels, known sums; the folder and the command."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import edgeq
from edgeq import nn
from edgeq.errors import BadInput
from edgeq.nn.inspection import inspected, kurtosis
from edgeq.nn.sensitivity import weighed
from edgeq.reporting.study import read_study
from tests.command_line import run_told
from tests.unit.planning.blobs import network


def dense(scale: float = 1.0) -> nn.Model:
    """Two dense layers; one hidden channel is `scale` times as large, one is never above 0."""
    torch.manual_seed(5)
    body = nn.Sequential(nn.Linear(8, 12, "ptq"), nn.ReLU(), nn.Linear(12, 3, "ptq"))
    with torch.no_grad():
        body[0].weight[4] *= scale
        body[0].weight[7] = 0.0
        body[0].bias[7] = -1.0
    x = np.random.default_rng(5).normal(size=(128, 8)).astype(np.float32)
    return nn.Model(body, (8,), name="dense", calibration=x)


def test_an_outlier_channel_is_seen_and_told_what_to_do(tmp_path: Path) -> None:
    quiet = edgeq.inspect(dense(), bits="4,8", run=tmp_path / "a")
    loud = edgeq.inspect(dense(40.0), bits="4,8", run=tmp_path / "b")
    assert [w["kind"] for w in quiet["warnings"]] == ["dead"]
    kinds = {w["kind"]: w for w in loud["warnings"]}
    assert kinds["outliers"]["layer"] == "body.2"
    assert "equalise it with the layer before" in kinds["outliers"]["said"]
    assert loud["layers"][1]["top_share"] > 0.9 > quiet["layers"][1]["top_share"]
    changes = edgeq.compare(tmp_path / "a", tmp_path / "b")["changes"]
    touched = {tuple(c["row"]) for c in changes}
    assert ("body.2", "input", "4") in touched
    assert ("body.2", "input", "3") not in touched


def test_dead_channels_and_sums_are_exact() -> None:
    of = weighed(dense())
    first, second = inspected(of)
    assert (first.dead, first.outputs, second.dead) == (1, 12, 0)
    dead = [c for c in first.channels if c.side == "output" and c.dead]
    assert [c.channel for c in dead] == [7]
    assert len(first.channels) == 8 + 12
    codes = edgeq.quantize(dense(), weights="int8").body.layers["body.0"]
    assert isinstance(codes, torch.nn.Module)
    for one in (first, second):
        assert 8 < one.accumulator_bits <= one.bound_bits <= 32
    x = of.rows.double()
    assert (first.low, first.high) == (pytest.approx(float(x.min())), pytest.approx(float(x.max())))
    shares = sorted(x.square().mean(0).tolist(), reverse=True)
    assert first.top_share == pytest.approx(shares[0] / sum(shares))
    assert first.even == 1 / 8


def test_the_sum_of_one_row_by_hand() -> None:
    """Two weights of 127 and two inputs at the ends of their range: 127 * 255 and no more."""
    body = nn.Sequential(nn.Linear(2, 1, "ptq", bias=False))
    with torch.no_grad():
        body[0].weight.fill_(1.0)
    x = np.array([[0.0, 0.0], [1.0, 0.0], [0.5, 0.5]] * 8, np.float32)
    (one,) = inspected(weighed(nn.Model(body, (2,), calibration=x, task="regression")))
    assert one.accumulator_bits == (127 * 255).bit_length() + 1
    assert one.bound_bits == (2 * 127 * 255).bit_length() + 1


def test_kurtosis_of_known_shapes() -> None:
    assert kurtosis(torch.tensor([-1.0, 1.0] * 50)) == pytest.approx(1.0)
    assert kurtosis(torch.full((10,), 3.0)) == 0.0
    normal = torch.from_numpy(np.random.default_rng(0).normal(size=200_000))
    assert kurtosis(normal) == pytest.approx(3.0, abs=0.05)


def test_saturation_is_the_share_beyond_the_chosen_range() -> None:
    made = dense()
    assert made.calibration is not None
    made.calibration[0, 0] = 500.0  # the least squared error of a range clips the rest for it or it
    (first, _) = inspected(weighed(made))
    x, layer = weighed(made).rows, weighed(made).body.layers["body.0"]
    low, high = float(layer.act.low), float(layer.act.high)
    assert first.saturated == pytest.approx(float(((x < low) | (x > high)).double().mean()))


def test_the_command_and_its_folder(tmp_path: Path, monkeypatch: Any, capfd: Any) -> None:
    monkeypatch.chdir(tmp_path)
    edgeq.save(network(), "model.pt")
    ended = run_told(monkeypatch, capfd, "inspect", "model.pt", "--bits", "1.58,8", "--json")
    result = json.loads(ended.out)
    assert ended.code == 0
    assert [list(one["losses"]) for one in result["layers"]] == [["ternary", "int8"]] * 4
    assert all(one["trace"] is not None for one in result["layers"])
    study = read_study(tmp_path / "build" / "studies" / "0001")
    assert (study.manifest.kind, study.manifest.rows) == ("inspect", 160)
    assert "what its layers carry" in (study.folder / "page.html").read_text()
    ended = run_told(monkeypatch, capfd, "inspect", "model.pt", "--bits", "8")
    assert "inspecting 4 layers at 1 widths on 160 rows: about" in ended.err
    assert "build/studies/0002" in ended.out
    assert "top 1 % energy" in ended.out
    y = np.arange(160) % 7
    model = network()
    np.savez("bad.npz", x=model.calibration, y=y)
    ended = run_told(monkeypatch, capfd, "inspect", "model.pt", "--calibration", "bad.npz")
    assert (ended.code, "labels must be whole numbers of 0 to 3" in ended.err) == (2, True)


def test_no_rows_is_an_error() -> None:
    model = dense()
    model.calibration = None
    with pytest.raises(BadInput, match="stores no calibration set"):
        edgeq.inspect(model)
