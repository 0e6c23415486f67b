"""`edgeq compare` on runs with planted differences, and on runs it must refuse."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rich.console import Console

from edgeq.comparing import compare, refuse_failures
from edgeq.comparing.fail_if import parse_rule
from edgeq.comparing.text import compare_text
from edgeq.errors import BadInput, Mismatch
from tests.command_line import run_cli
from tests.unit.compare.runs import record, write_run
from tests.unit.report.made import WINDOW

BASE = np.random.default_rng(2).integers(90_000, 110_000, 200)


def run_of(
    folder: Path, cycles: Any, wrong: tuple[int, ...] = (), route: int = 0, **rest: Any
) -> Path:
    records = [record(i, int(c), i not in wrong, route) for i, c in enumerate(cycles)]
    return write_run(folder, records, **rest)


def metric(result: dict[str, Any], name: str) -> dict[str, Any]:
    return next(m for m in result["metrics"] if m["name"] == name)


def text_of(result: dict[str, Any], width: int = 80) -> str:
    file = io.StringIO()
    Console(file=file, width=width, color_system=None).print(compare_text(result))
    return file.getvalue()


def test_a_planted_slowdown_is_found(tmp_path: Path) -> None:
    a = run_of(tmp_path / "a", BASE, flash_bytes=30_000)
    b = run_of(tmp_path / "b", BASE * 1.07, flash_bytes=33_000)
    result = compare(a, b)
    latency = metric(result, "latency")
    assert latency["change"] == pytest.approx(0.07, abs=1e-4)
    assert latency["interval"][0] <= latency["ratio"] <= latency["interval"][1]
    assert (latency["shown"], latency["source"]) == (True, "modelled")
    assert latency["verdict"] == "B takes 7.00% more"
    assert metric(result, "energy")["change"] == pytest.approx(0.07, abs=1e-4)
    assert metric(result, "accuracy")["verdict"] == "no difference shown"
    assert metric(result, "flash")["verdict"] == "B takes 3,000 B more (+10.00%)"
    assert metric(result, "ram")["verdict"] == "the same"


def test_noise_is_not_a_difference(tmp_path: Path) -> None:
    rng = np.random.default_rng(7)
    a = run_of(tmp_path / "a", BASE + rng.integers(-3_000, 3_000, 200), wrong=(1, 2, 3))
    b = run_of(tmp_path / "b", BASE + rng.integers(-3_000, 3_000, 200), wrong=(2, 3, 4, 5))
    result = compare(a, b)
    for name in ("latency", "p50", "spread", "energy", "accuracy"):
        assert metric(result, name)["verdict"] == "no difference shown", name
    accuracy = metric(result, "accuracy")
    assert (accuracy["only_a_right"], accuracy["only_b_right"]) == (2, 1)
    assert "no difference shown" in text_of(result)


def test_a_cycle_is_the_finest_difference(tmp_path: Path) -> None:
    half = np.arange(200) % 2  # half a cycle in the mean, the same way in every resample
    a, b = run_of(tmp_path / "a", BASE), run_of(tmp_path / "b", BASE + half)
    found = metric(compare(a, b), "latency")
    assert found["interval"][0] > 1
    assert found["verdict"] == "no difference shown"


def test_energies_of_a_meter_differ_when_their_windows_do(tmp_path: Path) -> None:
    def measured(name: str, joules: float, band: tuple[float, float]) -> Path:
        folder = run_of(tmp_path / name, BASE)
        summary = json.loads((folder / "profile.json").read_text())
        energy = {"source": "silicon", "joules_mean": joules, "band": band, "windows": [WINDOW] * 3}
        energy |= {"net_joules_mean": joules, "coulombs_mean": joules / 3, "volts": 3.0}
        energy |= {"idle_w": 0.01, "figures": "a meter"}
        (folder / "profile.json").write_text(json.dumps(summary | {"energy": energy}))
        return folder

    a = measured("a", 1.0e-3, (0.98e-3, 1.02e-3))
    near = measured("near", 1.02e-3, (1.01e-3, 1.03e-3))
    far = measured("far", 1.1e-3, (1.09e-3, 1.12e-3))
    assert metric(compare(a, near), "energy")["verdict"] == "no difference shown"
    found = metric(compare(a, far), "energy")
    assert (found["verdict"], found["source"]) == ("B takes 10.00% more", "silicon")
    assert found["interval"] is None
    assert metric(compare(far, a), "energy")["verdict"] == "B takes 9.09% less"


def test_a_wider_spread_and_worse_answers_are_found(tmp_path: Path) -> None:
    a = run_of(tmp_path / "a", BASE)
    b = run_of(tmp_path / "b", BASE.mean() + (BASE - BASE.mean()) * 2, tuple(range(20)), route=1)
    result = compare(a, b)
    assert metric(result, "spread")["verdict"] == "B spreads wider"
    assert metric(result, "spread")["p"] < 1e-6
    accuracy = metric(result, "accuracy")
    assert accuracy["verdict"] == "B is less accurate by 10.00 points"
    assert accuracy["p"] == pytest.approx(2 / 2**20)
    assert result["routes_changed"] == 200


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.tuples(st.integers(1, 10**6), st.booleans()), min_size=2, max_size=30))
def test_a_run_does_not_differ_from_itself(
    tmp_path_factory: pytest.TempPathFactory, samples: list[tuple[int, bool]]
) -> None:
    records = [record(i, cycles, right) for i, (cycles, right) in enumerate(samples)]
    folder = write_run(tmp_path_factory.mktemp("runs") / "a", records, flash_bytes=30_000)
    result = compare(folder, folder)
    assert not [m for m in result["metrics"] if m["shown"]]
    assert {m["change"] for m in result["metrics"]} <= {0.0, None}


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(
        st.tuples(st.integers(1, 10**6), st.booleans(), st.integers(1, 10**6), st.booleans()),
        min_size=2,
        max_size=30,
    )
)
def test_exchanging_the_runs_turns_every_change_round(
    tmp_path_factory: pytest.TempPathFactory, samples: list[tuple[int, bool, int, bool]]
) -> None:
    where = tmp_path_factory.mktemp("runs")
    a = write_run(where / "a", [record(i, s[0], s[1]) for i, s in enumerate(samples)])
    b = write_run(where / "b", [record(i, s[2], s[3]) for i, s in enumerate(samples)])
    there, back = compare(a, b), compare(b, a)
    for one, other in zip(there["metrics"], back["metrics"], strict=True):
        assert one["shown"] == other["shown"], one["name"]
        if one["ratio"] and other["ratio"]:
            assert one["ratio"] * other["ratio"] == pytest.approx(1)
        if one["interval"] and other["interval"]:
            turned = [1 / end for end in reversed(other["interval"])]
            assert one["interval"] == pytest.approx(turned, rel=0.05)
    assert metric(there, "accuracy")["change"] == -metric(back, "accuracy")["change"]


def test_runs_of_different_data_are_refused_with_the_numbers(tmp_path: Path) -> None:
    a = run_of(tmp_path / "a", BASE)
    with pytest.raises(BadInput, match=r"200 samples of data dddd.*50 samples of data eeee"):
        compare(a, run_of(tmp_path / "b", BASE[:50], data="e" * 64))
    with pytest.raises(BadInput, match=r"needs 2 inputs in both runs: .*200 samples.*1 samples"):
        compare(a, run_of(tmp_path / "c", BASE[:1]))


def test_what_is_no_run_is_refused(tmp_path: Path) -> None:
    a = run_of(tmp_path / "a", BASE[:4])
    with pytest.raises(BadInput, match="holds no run"):
        compare(a, tmp_path / "nowhere")
    (a / "profile.json").unlink()
    with pytest.raises(BadInput, match=r"not finished: 4 of 4 samples.*--run .*/a --resume"):
        compare(a, a)
    (a / "profile.json").write_text("{")
    with pytest.raises(BadInput, match=r"profile\.json is damaged"):
        compare(a, a)


def test_an_export_folder_stands_for_its_newest_run(tmp_path: Path) -> None:
    run_of(tmp_path / "export" / "runs" / "0009", BASE)
    run_of(tmp_path / "export" / "runs" / "0010", BASE * 2)
    result = compare(tmp_path / "export" / "runs" / "0009", tmp_path / "export")
    assert result["b"]["folder"].endswith("0010")
    assert metric(result, "latency")["change"] == 1


def test_the_inputs_in_both_are_compared_and_the_rest_is_said(tmp_path: Path) -> None:
    a, b = run_of(tmp_path / "a", BASE), run_of(tmp_path / "b", BASE[:150])
    result = compare(a, b)
    assert result["pairs"] == 150
    assert metric(result, "latency")["change"] == 0
    assert any("50 of 200 inputs" in note for note in result["notes"])
    assert any("no sizes" in note for note in result["notes"])


def test_a_board_without_a_counter_leaves_the_answers_to_compare(tmp_path: Path) -> None:
    a = run_of(tmp_path / "a", BASE, board="qemu_mps2_an386")
    result = compare(a, run_of(tmp_path / "b", BASE))
    assert [m["name"] for m in result["metrics"]] == ["accuracy"]
    assert any("counts no cycles" in note for note in result["notes"])
    assert any("differ in board" in note for note in result["notes"])
    with pytest.raises(BadInput, match="give no change of latency; they have accuracy"):
        compare(a, a, ["latency>+5%"])


@pytest.mark.parametrize(
    ("text", "change", "holds"),
    [
        ("latency>+5%", 0.051, True),
        ("latency>+5%", 0.05, False),
        ("latency>=+5%", 0.05, True),
        ("accuracy<-1pt", -0.02, True),
        ("accuracy < -0.5 pt", 0.02, False),
        ("p99<=-10%", -0.1, True),
    ],
)
def test_rules(text: str, change: float, holds: bool) -> None:
    assert parse_rule(text).holds(change) is holds


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("latency", "write METRIC>"),
        ("latency>5%", "write METRIC>"),
        ("latency>+5", "write METRIC>"),
        ("latency>+5%; rm", "write METRIC>"),
        ("speed>+5%", "no metric 'speed'; there are latency, p50"),
        ("latency>+5pt", r"latency changes in percent \(%\), not in pt"),
        ("accuracy<-1%", r"accuracy changes in points \(pt\), not in %"),
    ],
)
def test_rules_that_cannot_be_read(text: str, said: str) -> None:
    with pytest.raises(BadInput, match=said) as error:
        parse_rule(text)
    assert error.value.exit_code == 2


def test_the_command_and_its_exit_codes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    a = str(run_of(tmp_path / "a", BASE))
    b = str(run_of(tmp_path / "b", BASE * 1.07, wrong=(0, 1, 2, 3)))
    assert run_cli(monkeypatch, "compare", a, b) == 0
    assert "latency" in capsys.readouterr().out
    rules = ("--fail-if", "latency>+5%", "--fail-if", "accuracy<-5pt")
    assert run_cli(monkeypatch, "compare", a, b, "--json", *rules) == 6
    out, err = capsys.readouterr()
    assert [r["holds"] for r in json.loads(out)["fail_if"]] == [True, False]
    assert "latency>+5% (measured +7.00%)" in err
    assert "accuracy" not in err
    assert run_cli(monkeypatch, "compare", b, a, *rules) == 0
    assert run_cli(monkeypatch, "compare", a, b, "--fail-if", "latency>lots") == 2


def test_refusing_names_both_folders(tmp_path: Path) -> None:
    a, b = run_of(tmp_path / "a", BASE), run_of(tmp_path / "b", BASE * 2)
    result = compare(a, b, ["latency>+5%", "energy>+200%"])
    with pytest.raises(Mismatch, match=r"/b against .*/a: latency>\+5% \(measured \+100"):
        refuse_failures(result)
    refuse_failures(compare(a, b, ["energy>+200%"]))


def test_a_narrow_terminal_keeps_every_column(tmp_path: Path) -> None:
    a = run_of(tmp_path / "a", BASE, flash_bytes=30_000)
    b = run_of(tmp_path / "b", BASE * 1.07, flash_bytes=30_000)
    lines = text_of(compare(a, b)).splitlines()
    assert max(map(len, lines)) <= 80
    assert any(line.startswith("latency, ms") and "more" in line for line in lines)
    assert "…" not in "".join(lines)
