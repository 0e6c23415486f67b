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


def reported(tmp_path: Path, found: dict[str, Any] | None) -> ReportedRun:
    export = {**made.EXPORT, "threshold": found}
    return made.write_run(tmp_path / "run", made.subject(), more={"export": export})


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


def test_no_promise_no_curve(tmp_path: Path) -> None:
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
