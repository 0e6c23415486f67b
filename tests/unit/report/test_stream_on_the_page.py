"""The page shows what a stream is to live with, and nothing of it for other runs."""

from pathlib import Path
from typing import Any

from edgeq.harness.stream_figures import StreamFigures
from edgeq.reporting.page import page
from edgeq.reporting.stream import stream_words
from tests.unit.report.made import subject, write_run
from tests.unit.report.test_page import Reader, without_library

STREAM: dict[str, Any] = {
    "hop": 2,
    "window": 20,
    "lookahead": 0,
    "period_s": 0.02,
    "hops": 40,
    "answers": 31,
    "changes": 3,
    "cycles_a_hop": 5000.0,
    "cycles_a_frame": 2500.0,
    "worst_cycles": 5400,
    "worst_hop": 17,
    "duty_cycle": 0.125,
    "worst_share": 0.135,
    "joules_a_second": 1e-3,
    "joules_band": [8e-4, 1.2e-3],
    "idle_counted": False,
}


def shown(folder: Path, more: dict[str, Any]) -> str:
    return Reader(without_library(page([write_run(folder, subject(), more=more)]))).text


def test_a_stream_has_its_table(tmp_path: Path) -> None:
    text = shown(tmp_path / "run", {"stream": StreamFigures.model_validate(STREAM)})
    for said in (
        "Stream",
        "cycles a frame",
        "2,500",
        "5,400 cycles (hop 17)",
        "12.50% of the time",
    ):
        assert said in text
    assert "1 mW mean [0.8, 1.2] (modelled), asleep between hops, idling not counted" in text


def test_another_run_has_none(tmp_path: Path) -> None:
    assert "cycles a frame" not in shown(tmp_path / "run", {})


def test_cycles_a_hop_are_told_where_a_hop_is_more_than_a_frame() -> None:
    named = dict(stream_words(StreamFigures.model_validate(STREAM)))
    assert named["cycles a hop"] == "5,000"
    single = dict(stream_words(StreamFigures.model_validate({**STREAM, "hop": 1})))
    assert "cycles a hop" not in single
