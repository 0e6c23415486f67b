"""The summary and its text, from records made by hand."""

import io
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from edgeq.board import load_board
from edgeq.errors import BadInput
from edgeq.harness.profile_summary import Summary, read_summary
from edgeq.harness.record import SampleRecord
from edgeq.reporting.markdown import profile_rows
from edgeq.reporting.profile import Profiled, slower_clock, summarize
from edgeq.reporting.profile_text import joules, profile_text
from edgeq.reporting.run import finished_run
from edgeq.reporting.task import reconstruction, task_of
from tests.unit.report.made import RECORDS, subject, write_run


def summary_of(given: Profiled, records: tuple[SampleRecord, ...] = RECORDS) -> dict[str, Any]:
    return summarize(given, records).entry


def text_of(summary: dict[str, Any]) -> str:
    file = io.StringIO()
    Console(file=file, width=140, color_system=None).print(
        profile_text(Summary.model_validate(summary))
    )
    return file.getvalue()


def test_a_cascades_route_is_every_expert_that_ran() -> None:
    given = subject()
    layers = (replace(given.layers[0], name="signal", op="cascade"), *given.layers[1:])
    found = summary_of(replace(given, layers=layers))
    assert found["routes"] == {"small": 2, "small+large": 2, "small+large+idle": 0}
    assert [e["name"] for e in found["experts"]] == ["small", "large", "idle"]


def test_the_summary_by_hand() -> None:
    found = summary_of(subject())
    assert (found["samples"], found["accuracy"], found["mismatches"]) == (4, 0.75, 0)
    assert found["macro_f1"] == pytest.approx((2 / 3 + 1 + 2 / 3) / 3)
    assert found["latency"]["mean"] == pytest.approx(0.7)  # (500 + 500 + 900 + 900) / 4 at 1 MHz
    small, large, idle = found["experts"]
    assert [e["count"] for e in found["experts"]] == [2, 2, 0]
    assert [e["accuracy"] for e in found["experts"]] == [1.0, 0.5, None]
    assert small["latency"]["mean"] == pytest.approx(0.5)
    assert large["latency"]["max"] == pytest.approx(0.9)
    assert idle["latency"] | {"unit": "ms", "source": "modelled"} == idle["latency"]
    assert idle["latency"]["mean"] is None
    assert idle["energy_joules_mean"] is None
    router, first, second = found["layers"]
    assert (router["name"], router["cycles"], router["count"]) == ("router", 200.0, 4)
    assert (first["name"], first["cycles"], first["count"]) == ("small/fc", 300.0, 2)
    assert sum(i["share"] for i in (router, first, second)) == pytest.approx(1.0)
    assert found["routes"] == {"small": 2, "large": 2, "idle": 0}
    assert found["confusion"]["matrix"] == [[1, 0, 0], [0, 1, 0], [1, 0, 1]]
    assert found["energy"]["joules_mean"] == pytest.approx(700 * 0.34e-9)
    assert found["uncertainty"]["mean_when_wrong"] == 0.75
    assert (found["stack_bytes"], found["firmware_digest"]) == (380, "b" * 64)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("version", None), "it has no version, as an older edgeq wrote it; this one reads 1"),
        (("version", 2), "its version is '2', this edgeq reads 1"),
        (("version", "1"), "its version is '1', this edgeq reads 1"),
        (("version", True), "its version is 'True', this edgeq reads 1"),
        (("energy", {}), "energy.source: Field required"),
        (("latency", None), "latency: Input should be an object"),
    ],
)
def test_an_older_or_damaged_summary_is_one_clear_error(
    change: tuple[str, Any], said: str, tmp_path: Path
) -> None:
    run = write_run(tmp_path / "run", subject()).run.folder
    key, value = change
    tree = json.loads((run / "profile.json").read_text())
    tree = {k: v for k, v in (tree | {key: value}).items() if (k, v) != ("version", None)}
    (run / "profile.json").write_text(json.dumps(tree))
    with pytest.raises(BadInput) as error:
        finished_run(run)
    assert said in str(error.value)
    assert "remove it, then continue with `edgeq profile --resume`" in str(error.value)
    assert "\n" not in str(error.value)


def test_the_value_on_disk_is_the_value_in_hand(tmp_path: Path) -> None:
    made = write_run(tmp_path / "run", subject(), current=True)
    assert finished_run(made.run.folder)[1] == made.summary
    assert Summary.model_validate(made.summary.entry) == made.summary
    assert made.summary.entry["version"] == 1


ERRORS = {"mse": 0.25, "mse_normal": 0.125, "mse_odd": 0.5, "auc": 0.9}


@pytest.mark.parametrize(
    ("task", "more", "said"),
    [
        ("autoencoder", {"reconstruction": ERRORS}, "mean squared error 0.25, AUC 0.900"),
        ("autoencoder", {"reconstruction": ERRORS | {"auc": None}}, "squared error 0.25, 0 mis"),
        ("regression", {}, "regression, no accuracy"),
    ],
)
def test_case_13_what_has_no_classes_has_no_accuracy(
    task: Any, more: dict[str, Any], said: str, tmp_path: Path
) -> None:
    found = summary_of(replace(subject(), task=task)) | more
    assert (found["accuracy"], found["macro_f1"], found["confusion"]["classes"]) == (None, None, [])
    assert [e["accuracy"] for e in found["experts"]] == [None, None, None]
    assert any("the labels of a" in note for note in found["notes"])
    text = text_of(found)
    assert said in re.sub(r"\s+", " ", text)
    assert "accuracy 0" not in text
    assert "75.0%" not in text
    (tmp_path / "s.json").write_text(json.dumps(found))
    assert read_summary(tmp_path / "s.json") is not None
    assert not [row for row in profile_rows(found) if "accuracy" in row[0]]
    (tmp_path / "s.json").write_text(json.dumps(found | {"accuracy": 0.0, "macro_f1": 0.0}))
    with pytest.raises(ValueError, match="the task and the accuracy do not agree"):
        read_summary(tmp_path / "s.json")


@pytest.mark.parametrize(
    ("inputs", "outputs", "names", "labels", "task"),
    [
        (640, 640, None, (0, 1, 1), "autoencoder"),
        (640, 640, None, (0, 1, 2), "classification"),
        (640, 640, ("x",) * 640, (0, 1), "classification"),
        (2, 2, None, (0, 1), "classification"),
        (64, 10, None, (0, 1), "classification"),
        (64, 1, None, (0, 0), "regression"),
    ],
)
def test_case_13_the_task_is_told_by_shapes_names_and_labels(
    inputs: int, outputs: int, names: Any, labels: tuple[int, ...], task: str
) -> None:
    assert task_of(inputs, outputs, names, np.array(labels)) == task


def test_case_13_errors_of_an_autoencoder_by_hand() -> None:
    inputs, outputs = np.zeros((4, 2)), np.array([[0, 0], [2, 0], [2, 2], [2, 0]])
    found = reconstruction(inputs, outputs, np.array([0, 0, 1, 1]))
    assert found == {"mse": 2.0, "mse_normal": 1.0, "mse_odd": 3.0, "auc": (1 + 1 + 1 + 0.5) / 4}
    assert reconstruction(inputs, outputs, np.zeros(4))["auc"] is None


def test_a_board_that_fell_back_to_a_slower_clock_says_so() -> None:
    board = load_board("nucleo_f446re")
    assert slower_clock(board.clock_hz, board) == []
    (note,) = slower_clock(16_000_000, board)
    assert note.startswith("nucleo_f446re runs at 16 MHz, not at its 180: an oscillator or PLL did")


def test_an_emulator_without_a_clock_model_gives_no_times() -> None:
    found = summary_of(subject("qemu_mps2_an386"))
    assert found["latency"] == {"unit": "ms", "source": "none"} | dict.fromkeys(
        ("mean", "std", "p50", "p95", "p99", "max")
    )
    assert all(i["cycles"] is None for i in found["layers"])
    assert found["energy"]["joules_mean"] is None
    assert any("cycle counter" in note for note in found["notes"])
    assert "counts no cycles" in text_of(found)


def test_a_modelled_energy_says_what_it_rests_on() -> None:
    for board, kind, words in (
        ("nrf52840dk", "datasheet", "modelled, datasheet current; band"),
        ("virtual_m4", "measured", "modelled, measured nJ per cycle; band"),
    ):
        found = summary_of(subject(board))
        assert (found["energy"]["source"], found["energy"]["kind"]) == ("modelled", kind)
        assert words in text_of(found)


def test_a_model_without_mixture_has_no_experts() -> None:
    records = tuple(replace(r, route=-1) for r in RECORDS)
    found = summary_of(replace(subject(), experts=()), records)
    assert (found["experts"], found["routes"], found["uncertainty"]) == ([], {}, None)
    assert "Experts" not in text_of(found)


def test_mismatches_are_counted_and_named() -> None:
    records = (RECORDS[0], replace(RECORDS[1], mismatch=True), *RECORDS[2:])
    found = summary_of(subject(), records)
    assert (found["mismatches"], found["mismatch_samples"]) == (1, [1])
    assert "1 mismatches" in text_of(found)


def test_the_text_says_where_numbers_come_from() -> None:
    text = text_of(summary_of(subject()))
    for words in (
        "no silicon",
        "0.7000 ± 0.2000 ms (modelled)",
        "modelled, measured nJ per cycle; band",
        "accuracy 75.0%",
    ):
        assert words in text
    assert re.search(r"small/fc +fully_connected +2 +300 +21\.4%", text)


def test_rich_markup_in_names_is_text() -> None:
    given = replace(subject(names=("[bold]a", "b[/]", "c")), experts=("[red]x", "y", "[/red]z"))
    text = text_of(summary_of(given))
    assert "[red]x" in text
    assert "[/red]z" in text


def test_a_big_confusion_matrix_is_left_to_the_page() -> None:
    names = tuple(f"class {i}" for i in range(50))
    found = summary_of(subject(names=names))
    assert "Confusion" not in text_of(found)


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "-"), (2.0, "2 J"), (5.6e-5, "56 uJ"), (0.0012, "1.2 mJ"), (3e-9, "3 nJ")],
)
def test_joules_in_readable_units(value: float | None, text: str) -> None:
    assert joules(value) == text
