"""What a model is for: how its proof, profile and report judge its answers."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import edgeq
from edgeq import nn
from edgeq.errors import BadInput
from edgeq.ops.graph_file import read_graph
from edgeq.profile_samples import Samples, read_samples
from edgeq.reporting.task import errors
from edgeq.task import checked_task

MAPS = np.random.default_rng(0).normal(size=(64, 2, 6, 5)).astype(np.float32)


class Halves(torch.nn.Module):
    """Down, up, and a map of three values a cell."""

    def __init__(self) -> None:
        super().__init__()
        self.down = torch.nn.Conv2d(2, 4, 3, padding=1)
        self.head = torch.nn.Conv2d(4, 3, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(torch.relu(self.down(x)))  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def maps(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An export whose answer is a map, built for its virtual board; nobody stated its task."""
    folder = tmp_path_factory.mktemp("maps")
    torch.manual_seed(0)
    model = edgeq.from_torch(Halves(), torch.zeros(1, 2, 6, 5), calibration=MAPS)
    edgeq.save(model, folder / "model.pt")
    edgeq.export(folder / "model.pt", "virtual_m4", folder / "out")
    return folder


def test_a_map_is_proven_by_its_values(maps: Path) -> None:
    """No cell is the answer, so that no top-1 is taken over all of them."""
    checks = json.loads((maps / "out" / "export.json").read_text())["checks"]
    assert [c["top1_agreement"] for c in checks if c["name"] != "firmware"] == [None] * 3
    assert "top-1" not in "".join(c["said"] for c in checks)
    assert "steps apart in the mean" in checks[0]["said"]


def test_a_map_is_profiled_beside_its_targets(maps: Path) -> None:
    folder, graph = maps / "out", read_graph(maps / "out" / "graph.npz")
    with torch.no_grad():
        wanted = edgeq.load(maps / "model.pt")(torch.from_numpy(MAPS[:8])).numpy()
    np.savez(maps / "data.npz", x=MAPS[:8], y=wanted + 1)
    flashed = edgeq.flash("virtual_m4", folder, tool="virtual")
    try:
        summary = edgeq.profile(flashed["port"], folder, maps / "data.npz")
    finally:
        edgeq.stop(flashed["port"])
    assert (summary["task"], summary["accuracy"], summary["mismatches"]) == (
        "segmentation",
        None,
        0,
    )
    step = graph.tensors[graph.outputs[0]].quant
    assert step is not None
    assert abs(summary["errors"]["mae"] - 1) < step.per_tensor
    said = edgeq.report(summary["run"], html=maps / "page.html")
    assert said
    assert "mean absolute error of 8 samples" in (maps / "page.html").read_text()
    assert "mean absolute error" in (folder / "profile.txt").read_text()


@pytest.mark.parametrize(
    ("task", "said"),
    [
        ("classification", r"answers \(6, 5, 3\)"),
        ("autoencoder", "takes 60 values and answers 90"),
        ("clustering", "choose from classification, regression"),
    ],
)
def test_a_task_that_the_shapes_rule_out_is_refused(maps: Path, task: str, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        edgeq.export(maps / "model.pt", "cortex-m4", maps / "none", task=task)
    assert not (maps / "none").exists()


def _samples_of(maps: Path, tmp_path: Path, y: Any, task: str | None) -> Samples:
    report = json.loads((maps / "out" / "export.json").read_text()) | {"task": task}
    given = {"x": MAPS[:4]} if y is None else {"x": MAPS[:4], "y": y}
    np.savez(tmp_path / "d.npz", **given)
    return read_samples(tmp_path / "d.npz", report, read_graph(maps / "out" / "graph.npz"))


@pytest.mark.parametrize(
    ("y", "task", "told"),
    [
        (np.zeros((4, 3, 6, 5)), None, "segmentation"),
        (np.zeros((4, 3, 6, 5)), "detection", "detection"),
        (None, "detection", "unlabelled"),
    ],
)
def test_a_run_has_the_task_that_was_stated(
    maps: Path, tmp_path: Path, y: Any, task: Any, told: str
) -> None:
    assert _samples_of(maps, tmp_path, y, task).task == told


@pytest.mark.parametrize(
    ("y", "said"),
    [
        (np.zeros((4, 6, 5, 3)), r"y has shape \(4, 6, 5, 3\)"),
        (np.full((4, 3, 6, 5), np.nan), "y holds NaN"),
        (np.zeros(4, int), r"the model's answer is \(N, 3, 6, 5\)"),
    ],
)
def test_targets_have_the_axes_of_the_answer(maps: Path, tmp_path: Path, y: Any, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        _samples_of(maps, tmp_path, y, "segmentation")


def test_targets_go_in_the_order_of_the_device(maps: Path, tmp_path: Path) -> None:
    report = json.loads((maps / "out" / "export.json").read_text())
    y = np.arange(2 * 90, dtype=np.float32).reshape(2, 3, 6, 5)
    np.savez(tmp_path / "d.npz", x=MAPS[:2], y=y)
    samples = read_samples(tmp_path / "d.npz", report, read_graph(maps / "out" / "graph.npz"))
    assert samples.targets is not None
    np.testing.assert_array_equal(samples.targets[1, :3], y[1, :, 0, 0])
    assert samples.first(1).targets is not None
    assert (samples.labels == -1).all()


def test_errors_by_hand() -> None:
    assert errors(np.zeros((2, 2)), np.array([[3.0, -3.0], [3.0, -3.0]])) == {"mae": 3, "rmse": 3}


def test_the_words_for_a_task() -> None:
    assert checked_task(None) is None
    assert checked_task("regression") == "regression"
    with pytest.raises(BadInput, match="'pose'"):
        checked_task("pose")


def test_the_model_file_keeps_task_and_targets(tmp_path: Path) -> None:
    body = nn.Sequential(nn.Linear(4, 2, "ptq"), nn.ReLU(), nn.Linear(2, 3, "ptq")).eval()
    x = np.random.default_rng(0).normal(size=(64, 4)).astype(np.float32)
    y = np.ones((64, 3), np.float32)
    model = nn.Model(body, (4,), calibration=x, evaluation=(x, y), task="regression")
    edgeq.save(model, tmp_path / "m.pt")
    again = edgeq.load(tmp_path / "m.pt")
    assert (again.task, edgeq.quantize(again, progress=False).task) == ("regression",) * 2
    assert again.evaluation is not None
    np.testing.assert_array_equal(again.evaluation[1], y)
    report = edgeq.export(tmp_path / "m.pt", "cortex-m4", tmp_path / "out")
    assert report["task"] == "regression"
    samples = read_samples(
        tmp_path / "out" / "evaluation.npz", report, read_graph(tmp_path / "out" / "graph.npz")
    )
    assert samples.task == "regression"
    np.testing.assert_array_equal(samples.targets, y)
    with pytest.raises(BadInput, match="or the 3 values of each answer"):
        nn.Model(body, (4,), evaluation=(x, y[:, :2]))
    with pytest.raises(BadInput, match="choose from classification"):
        nn.Model(body, (4,), task="pose")  # type: ignore[arg-type]
