"""The honest table: what each expert does alone, and no gain where none is shown."""

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from edgeq.comparing import compare
from edgeq.comparing.text import compare_text
from edgeq.errors import BadInput
from edgeq.harness.profile_summary import Summary, read_summary
from edgeq.ops.graph_file import read_graph
from edgeq.profile_request import ProfileRequest
from edgeq.profiling import profile
from edgeq.reference import quantize_rows, run
from edgeq.reporting import alone as table
from edgeq.reporting.profile_text import profile_text
from edgeq.reporting.terminal import console
from tests.tiny_export import served, tiny_export

SAMPLES = 40


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_export(tmp_path_factory.mktemp("alone") / "export", SAMPLES)


@pytest.fixture(scope="module")
def port(folder: Path) -> Iterator[str]:
    with served(folder) as (name, _):
        yield name


@pytest.fixture(scope="module")
def summary(folder: Path, port: str) -> dict[str, Any]:
    return profile(ProfileRequest(folder, port)).entry


def test_experts_alone_are_the_reference_without_the_router(
    summary: dict[str, Any], folder: Path
) -> None:
    graph, data = read_graph(folder / "graph.npz"), np.load(folder / "evaluation.npz")
    rows = quantize_rows(graph, data["x"])
    node = next(n for n in graph.nodes if n.op == "Mixture")
    right = []
    for found, expert in zip(summary["alone"]["experts"], node.attrs.experts, strict=True):
        answers = run(expert.graph, rows).output.argmax(axis=1)
        right.append(answers == data["y"])
        assert (found["name"], found["accuracy"]) == (expert.name, right[-1].mean())
    assert summary["alone"]["oracle"]["accuracy"] == np.any(right, axis=0).mean()
    assert summary["alone"]["mixture"]["accuracy"] == summary["accuracy"]
    best = max(range(3), key=lambda e: right[e].sum())
    named = next(e for e in summary["alone"]["experts"] if e["name"] == summary["alone"]["best"])
    assert named["accuracy"] == right[best].mean()


def test_alone_an_expert_costs_its_route_without_the_router(
    summary: dict[str, Any], folder: Path
) -> None:
    router = next(layer["cycles"] for layer in summary["layers"] if layer["op"] == "mixture")
    per_ms = summary["clock_hz"] / 1e3
    ran = [e for e in summary["experts"] if e["count"]]
    assert ran
    for route in ran:
        found = next(e for e in summary["alone"]["experts"] if e["name"] == route["name"])
        assert found["cycles"] == pytest.approx(route["latency"]["mean"] * per_ms - router, abs=3)
        assert found["latency_ms"] == pytest.approx(found["cycles"] / per_ms)
        assert 0 < found["joules"] < route["energy_joules_mean"]


def test_an_expert_that_never_ran_has_the_estimates_cycles_or_none(
    summary: dict[str, Any], folder: Path, port: str, tmp_path: Path
) -> None:
    idle = [e["name"] for e in summary["experts"] if not e["count"]]
    report = json.loads((folder / "export.json").read_text())
    for found in summary["alone"]["experts"]:
        assert (found["cycles"] is None) == (found["name"] in idle)
    layers = [{"cycles": 1000} for _ in summary["layers"]]
    for board, known in (("virtual_m4", True), ("nucleo_l4r5zi", False)):
        changed = {**report, "estimate": {"board": board}, "layers": layers}
        (folder / "export.json").write_text(json.dumps(changed))
        again = profile(ProfileRequest(folder, port, run=tmp_path / board)).entry
        for found in again["alone"]["experts"]:
            assert (found["cycles"] is not None) == (known or found["name"] not in idle)
    (folder / "export.json").write_text(json.dumps(report))


def test_every_signal_has_its_auroc(summary: dict[str, Any]) -> None:
    of = {(s["of"], s["signal"]) for s in summary["signals"]}
    experts = {e["name"] for e in summary["experts"]}
    for name in ("gap", "entropy", "1 - p_max"):
        assert {(e, name) for e in {"answer", *experts}} <= of
        assert ("answer", f"router's {name}") in of
    assert ("answer", "router's uncertainty") in of
    for signal in summary["signals"]:
        if signal["interval"]:
            assert 0 <= signal["interval"][0] <= signal["auroc"] <= signal["interval"][1] <= 1


def test_text_page_and_comparison_show_it(
    summary: dict[str, Any], folder: Path, port: str, tmp_path: Path
) -> None:
    assert read_summary(folder / "profile.json") is not None
    said = summary["alone"]["gain"]["said"]
    page = (folder / "report.html").read_text()
    assert "Each expert alone on the same rows" in page
    assert said.split(":")[0] in page
    for text in (
        _text(profile_text(Summary.model_validate(summary))),
        _text(compare_text(_compared(summary))),
    ):
        assert said in " ".join(text.split())
        assert "oracle" in text
        assert "What tells an error" in text


def _compared(summary: dict[str, Any]) -> dict[str, Any]:
    result = compare(summary["run"], summary["run"])
    assert result["a"]["alone"] == result["b"]["alone"] == summary["alone"]
    assert result["a"]["signals"] == result["b"]["signals"] == summary["signals"]
    return result


def _text(what: Any) -> str:
    import io

    file = io.StringIO()
    console(file=file, width=140, color_system=None).print(what)
    return file.getvalue()


def test_groups_of_the_data_are_clusters(folder: Path, port: str, tmp_path: Path) -> None:
    data = dict(np.load(folder / "evaluation.npz"))
    np.savez(tmp_path / "grouped.npz", **data, groups=np.arange(SAMPLES) // 4)
    found = profile(
        ProfileRequest(folder, port, data=tmp_path / "grouped.npz", run=tmp_path / "run")
    ).entry
    assert (found["alone"]["rows"], found["alone"]["clusters"]) == (SAMPLES, SAMPLES // 4)
    np.savez(tmp_path / "wrong.npz", **data, groups=np.arange(3))
    with pytest.raises(BadInput, match="one whole number a row in key groups"):
        profile(ProfileRequest(folder, port, data=tmp_path / "wrong.npz", run=tmp_path / "other"))


def gain(
    mixed: list[bool], singles: list[list[bool]], cycles: list[float | None], mean: float
) -> dict[str, Any]:
    rows, right = len(mixed), np.array(singles).T
    subject: Any = SimpleNamespace(
        clusters=table.Clusters.read(None, rows), cycles=np.full(rows, mean)
    )
    best = max(range(len(singles)), key=lambda e: (right[:, e].sum(), -(cycles[e] or 0)))
    names = [f"e{i}" for i in range(len(singles))]
    return table._gain(subject, np.array(mixed), right, cycles, best, names)


RIGHT = [True] * 950 + [False] * 50
WORSE = [True] * 900 + [False] * 100


def test_cheaper_and_as_good_is_a_gain() -> None:
    found = gain(RIGHT, [WORSE, RIGHT], [100.0, 200.0], 120.0)
    assert found["shown"]
    assert found["cost"] == pytest.approx(-0.4)
    assert found["said"].startswith("a gain against e1 alone, the best single model: +0.0 points")
    assert "-40.0 % energy" in found["said"]


def test_as_good_on_a_few_rows_is_no_gain() -> None:
    """80 rows without a difference do not show that none of 1.5 points is there."""
    for rows, shown in ((80, False), (359, True)):
        right = [True] * rows
        found = gain(right, [[False] * rows, right], [100.0, 200.0], 120.0)
        assert found["shown"] is shown
        assert found["accuracy_interval"][0] < 0 < found["accuracy_interval"][1]


def test_more_accurate_at_a_price_is_a_gain() -> None:
    assert gain(RIGHT, [WORSE, WORSE], [100.0, 90.0], 150.0)["shown"]


@pytest.mark.parametrize(
    ("mixed", "singles", "cycles", "mean"),
    [
        (RIGHT, [RIGHT, WORSE], [100.0, 50.0], 100.0),  # the same at the same price
        (WORSE, [RIGHT, WORSE], [100.0, 80.0], 90.0),  # cheaper, but 5 points worse
        (RIGHT, [RIGHT, WORSE], [None, 50.0], 90.0),  # nobody knows what the best one costs
    ],
)
def test_no_gain_is_shown(
    mixed: list[bool], singles: list[list[bool]], cycles: list[float | None], mean: float
) -> None:
    found = gain(mixed, singles, cycles, mean)
    assert not found["shown"]
    assert found["said"].startswith("no gain shown against e0 alone")


def test_case_42_a_mixture_dearer_than_each_of_its_experts_says_so() -> None:
    """The digits mixture cost 79 to 92 % more than any of them alone, and no table said it."""
    found = gain(RIGHT, [RIGHT, RIGHT, WORSE], [100.0, 104.0, 97.0], 179.0)
    assert not found["shown"]
    assert found["beaten_by"] == "e0"
    assert "+79.0 % energy" in found["said"]
    assert "e0 alone answers no fewer rows right and costs no more" in found["said"]


def test_a_cheaper_single_that_is_as_good_beats_it() -> None:
    """Against the best one it is cheaper and as good as no worse; a third one is better in both."""
    best = [True] * 952 + [False] * 48
    found = gain(RIGHT, [best, RIGHT], [200.0, 50.0], 100.0)
    assert (found["beaten_by"], found["shown"]) == ("e1", False)
    assert found["said"].endswith("e1 alone answers no fewer rows right and costs no more")


def test_the_oracle_takes_the_cheapest_that_is_right() -> None:
    costs = table.Costs((), None, 1000, None, True)
    right = np.array([[True, True], [False, True], [False, False]])
    found = table._oracle(right, [10.0, 40.0], costs)
    assert found["accuracy"] == 2 / 3
    assert found["cycles"] == 20
    assert table._oracle(right, [10.0, None], costs)["cycles"] is None
