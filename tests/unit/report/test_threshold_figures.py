"""The promise's curves on the page: every threshold of the export, and the one that shipped."""

import json
from pathlib import Path
from typing import Any

import pytest

from edgeq.errors import ModelFile
from edgeq.export_folder import read_report
from edgeq.harness.profile_summary import read_summary
from edgeq.reporting.figures import figures_of
from edgeq.reporting.figures.figure import ReportedRun
from edgeq.reporting.page import page
from tests.tiny_export import tiny_report_folder
from tests.unit.report import made


def threshold(labelled: bool = True, joules: bool = True) -> dict[str, Any]:
    return {
        "limit": 0.02,
        "confidence": 0.95,
        "against": "<i>int8",
        "source": "rows.npz",
        "chosen": 1,
        "curve": [
            {
                "share": 1 - i / 4,
                "disagreement": i / 100,
                "latency_s": (9 - i) / 1000,
                "energy_j": (9 - i) * 1e-6 if joules else None,
                "accuracy": 0.9 - i / 50 if labelled else None,
            }
            for i in range(4)
        ],
    }


def alone(joules: bool = True) -> dict[str, Any]:
    """What a cascade of the run's two experts did, and would have done at other thresholds."""

    def figures(cost: float, accuracy: float = 0.9) -> dict[str, Any]:
        told = {"accuracy": accuracy, "cycles": 1e3 * cost, "latency_ms": cost}
        return {**told, "joules": 1e-6 * cost if joules else None}

    def point(share: float) -> dict[str, Any]:
        return {**figures(2 + 8 * share), "share": share, "disagreement": (1 - share) / 10}

    said = "a gain against <b>large alone"
    gain = dict.fromkeys(("accuracy_interval", "cost", "cost_interval", "beaten_by"))
    return {
        "rows": 4,
        "clusters": 4,
        "experts": [{"name": "small", **figures(2, 0.8)}, {"name": "<b>large", **figures(8)}],
        "mixture": figures(4),
        "best": "<b>large",
        "oracle": figures(3, 0.95),
        "gain": {**gain, "against": "<b>large", "accuracy": 0.0, "shown": True, "said": said},
        "curve": {
            "signal": "gap",
            "against": "<b>large",
            "points": [point(share) for share in (1.0, 0.5, 0.0)],
            "shipped": point(0.25),
        },
    }


def reported(
    tmp_path: Path, found: dict[str, Any] | None, beside: dict[str, Any] | None = None
) -> ReportedRun:
    more = {"export": {**made.EXPORT, "threshold": found}, "alone": beside}
    return made.write_run(tmp_path / "run", made.subject(), more=more)


def test_a_run_without_a_promise_draws_its_own_rows(tmp_path: Path) -> None:
    run = reported(tmp_path, None, alone())
    figures = {figure.key: figure for figure in figures_of(run)}
    curve, point = figures["risk_coverage"].plot["data"]
    assert curve["x"] == [0.0, 50.0, 100.0]
    assert curve["y"] == [0.0, 5.0, 10.0]
    assert (point["x"], point["y"]) == ([75.0], [7.5])
    assert "Nothing is promised" in figures["risk_coverage"].caption
    chart = figures["energy_accuracy"]
    curve, point, small, large, oracle = chart.plot["data"]
    assert (curve["x"], point["x"]) == (pytest.approx([10, 6, 2]), pytest.approx([4]))
    marks = [(mark["x"], mark["y"]) for mark in (small, large, oracle)]
    assert marks == [([2.0], [80.0]), ([8.0], [90.0]), ([3.0], [95.0])]
    assert "a gain against" in chart.caption
    assert "modelled" in chart.source
    assert "<b>large" not in page([run])


def test_a_promise_keeps_its_rows_and_the_gain_those_of_the_run(tmp_path: Path) -> None:
    figures = {f.key: f for f in figures_of(reported(tmp_path, threshold(), alone()))}
    assert "rows.npz" in figures["risk_coverage"].source
    assert "rows of the run" in figures["energy_accuracy"].source


def test_without_energy_the_chart_is_of_latency(tmp_path: Path) -> None:
    figures = {f.key: f for f in figures_of(reported(tmp_path, None, alone(joules=False)))}
    figure = figures["energy_accuracy"]
    assert "latency" in figure.title
    assert figure.plot["data"][0]["x"] == pytest.approx([10, 6, 2])
    assert figure.plot["data"][2]["x"] == [2.0]


def test_curves_with_the_shipped_point(tmp_path: Path) -> None:
    run = reported(tmp_path, threshold())
    figures = {figure.key: figure for figure in figures_of(run)}
    limit, curve, point = figures["risk_coverage"].plot["data"]
    assert limit["y"] == [2.0, 2.0]
    assert curve["x"] == [0.0, 25.0, 50.0, 75.0]
    assert curve["y"] == [0.0, 1.0, 2.0, 3.0]
    assert (point["x"], point["y"]) == ([25.0], [1.0])
    curve, point = figures["energy_accuracy"].plot["data"]
    assert curve["x"] == pytest.approx([9, 8, 7, 6])
    assert curve["y"] == pytest.approx([90, 88, 86, 84])
    assert (point["x"], point["y"]) == (curve["x"][1:2], curve["y"][1:2])
    assert read_summary(run.run.folder / "profile.json") is not None
    assert "<i>int8" not in page([run])


@pytest.mark.parametrize(("labelled", "joules"), [(False, True), (True, False)])
def test_without_labels_or_joules(tmp_path: Path, labelled: bool, joules: bool) -> None:
    figures = {f.key: f for f in figures_of(reported(tmp_path, threshold(labelled, joules)))}
    figure = figures["energy_accuracy"]
    assert ("Agreement with" in figure.title) is not labelled
    assert ("latency" in figure.title) is not joules
    if not labelled:
        assert figure.plot["data"][0]["y"] == [100.0, 99.0, 98.0, 97.0]


def test_neither_promise_nor_threshold_no_curve(tmp_path: Path) -> None:
    keys = {figure.key for figure in figures_of(reported(tmp_path, None))}
    assert not keys & {"risk_coverage", "energy_accuracy"}


@pytest.mark.parametrize(
    "broken", [{"chosen": 4}, {"curve": []}, {"limit": "2%"}, {"curve": [{"share": 2}]}]
)
def test_a_damaged_promise_is_refused(tmp_path: Path, broken: dict[str, Any]) -> None:
    folder = tiny_report_folder(tmp_path / "export")
    report = json.loads((folder / "export.json").read_text())
    good = {**report, "threshold": threshold()}
    (folder / "export.json").write_text(json.dumps(good))
    assert read_report(folder)["threshold"]["chosen"] == 1
    (folder / "export.json").write_text(json.dumps({**good, "threshold": threshold() | broken}))
    with pytest.raises(ModelFile, match="damaged: threshold"):
        read_report(folder)
