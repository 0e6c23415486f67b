"""What is shown and written while a sound is heard, without a board."""

import io
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from edgeq.errors import BadInput
from edgeq.files import adding_lines
from edgeq.listening.events import (
    FRAME_HEADER,
    HEADER,
    Ear,
    Event,
    Heard,
    csv_line,
    cut,
    event_line,
    fitted,
)
from edgeq.listening.figures import Line
from edgeq.listening.screen import bar, picture, screen
from edgeq.listening.words import summary_lines

NAMES = ("quiet", "dog", "a name that is longer than any column of a screen")


def heard(index: int, *scores: float) -> Heard:
    return Heard(index, index / 4, np.array(scores), 1, 0.25, 900, 0.0125)


def test_a_class_begins_at_the_threshold_and_ends_below_it() -> None:
    ear = Ear(NAMES, 0.5)
    told = [
        [(e.event, e.name) for e in ear.hear(heard(i, *scores))]
        for i, scores in enumerate(
            [(0.4, 0.4, 0.2), (0.5, 0.3, 0.2), (0.6, 0.4, 0), (0.3, 0.7, 0), (0.4, 0.45, 0.15)]
        )
    ]
    assert told == [
        [],
        [("begins", "quiet")],
        [],
        [("ends", "quiet"), ("begins", "dog")],
        [("ends", "dog")],
    ]
    (event,) = Ear(NAMES, 0.5).hear(heard(3, 0, 1, 0))
    assert event == Event(0.75, 3, "begins", "dog", 1.0, 1, 0.25, 900, 12.5)
    for wrong in (0, -1, 1.5, float("nan")):
        with pytest.raises(BadInput, match="above 0, up to 1"):
            Ear(NAMES, wrong)


def test_lines_fit_eighty_columns() -> None:
    event = Event(99_999.999, 10**6, "begins", NAMES[2], 1.0, 12, 255.0, 10**9, 9999.9)
    assert len(event_line(event)) <= 80
    wide = replace(event, name="犬の鳴き声と猫の鳴き声とその他", route=0)
    assert cell_len(event_line(wide, ["とても精密な専門家である"])) <= 80
    assert HEADER == b"time_s,hop,event,class,score,route,uncertainty,cycles,latency_ms\n"
    assert csv_line(event).count(b"\n") == 1
    assert FRAME_HEADER == b"time_s,hop,class,score,route,uncertainty,cycles,latency_ms\n"


def test_a_frame_is_kept_whatever_its_score() -> None:
    frame = Ear(NAMES, 0.9).frame(heard(3, 0.3, 0.5, 0.2))
    assert csv_line(frame) == b"0.75,3,dog,0.5,1,0.25,900,12.5\n"


def test_who_answered_is_told_by_name() -> None:
    event = Event(0.75, 3, "begins", "dog", 1.0, 1, 0.25, 900, 12.5)
    assert event_line(event, ["cheap", "dear"]).endswith(" 12.5 ms  dear")
    assert event_line(event).endswith(" 12.5 ms  route 1")
    assert event_line(replace(event, route=-1), ["cheap", "dear"]).endswith(" 12.5 ms")
    head = picture(NAMES, heard(3, 0.1, 0.9, 0), 1.0, 2.0, 80, 24, ["cheap", "dear"])[0]
    assert head.endswith("12.5 ms   dear, uncertainty 0.25")


@given(st.text(st.sampled_from("aé犬の 🎤"), max_size=30), st.integers(2, 20))
def test_names_are_as_wide_as_their_cells(name: str, columns: int) -> None:
    assert cell_len(fitted(name, columns)) == columns
    assert cell_len(cut(name, columns)) <= columns
    assert cell_len(name) > columns or cut(name, columns) == name


@given(
    scores=st.lists(st.floats(0, 1), min_size=2, max_size=40),
    columns=st.integers(20, 200),
    rows=st.integers(1, 50),
)
def test_a_picture_fits_its_screen(scores: list[float], columns: int, rows: int) -> None:
    names = tuple(f"{i}犬 " * 20 for i in range(len(scores)))
    lines = picture(names, heard(3, *scores), 1.0, 2.0, columns, rows, ["cheap", "精密な" * 9])
    assert all(cell_len(line) <= columns for line in lines)
    assert 2 <= len(lines) <= max(2, rows)
    assert len(picture(names, None, 0.0, 2.0, columns, rows)) == len(lines)
    assert {len(bar(score, 10)) for score in scores} == {10}


def test_without_a_terminal_nothing_is_drawn() -> None:
    file = io.StringIO()
    with screen(Console(file=file, width=80)) as shown:
        shown.begin(NAMES, 1.0)
        shown.answer(heard(3, 0.1, 0.2, 0.7), 0.75)
    assert file.getvalue() == ""


ENTRY: dict[str, Any] = {
    "heard_s": 6.976, "sound_s": 7.0, "hops": 218, "answers": 211, "hop_s": 0.032, "events": [],
    "latency_ms": {"mean": 21.0, "p95": 30.0, "worst": 41.0},
    "board_ms": {"mean": 0.3, "p95": 0.3, "worst": 0.3}, "board_share": 0.01,
    "joules_a_second": 0.00125, "joules_band": [0.001, 0.0025], "idle_counted": True,
    "board_source": "modelled", "real_time_factor": 1.5, "late_hops": 0, "behind_s": 0.0,
    "paced": True, "virtual": False, "baud": 115200, "line_carries": 2.0,
    "link": {"crc_errors": 0, "retries": 0}, "log": None,
}  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, "1.50x, every answer in time"),
        ({"late_hops": 3, "behind_s": 0.5}, "1.50x; 3 answers late, 0.5 s behind at the end"),
        ({"real_time_factor": 0.5, "board_share": 1.25}, "the board takes 1.25 of a hop"),
        ({"real_time_factor": 0.5, "virtual": True}, "the board itself would keep up"),
        ({"real_time_factor": 0.5, "line_carries": 0.25}, "115,200 baud carry 0.25 of it"),
        ({"real_time_factor": 0.5}, "try --baud 921600 here and in `edgeq flash`"),
        ({}, "power 1.25 mW mean [1, 2.5] (modelled), asleep between hops real time"),
        ({"idle_counted": False}, "asleep between hops, idling not counted"),
        ({"real_time_factor": None, "latency_ms": None, "board_ms": None}, "211"),
    ],
)
def test_what_is_slower_than_sound_is_named(changes: dict[str, Any], said: str) -> None:
    lines = summary_lines({**ENTRY, **changes, "answers": 7})
    text = " ".join(" ".join(lines).split())
    assert all(len(line) <= 80 for line in lines)
    assert said in text
    assert ("slower than sound" in text) == (changes.get("real_time_factor") == 0.5)


def test_routes_are_told_where_there_are_experts() -> None:
    doubt = {"mean": 0.5, "p95": 1.25, "max": 2.0}
    routed = {"routes": {"narrow": 30, "wide": 7}, "switches": 4, "uncertainty": doubt}
    text = "\n".join(summary_lines({**ENTRY, **routed, "frames": "f.csv"}))
    assert "narrow 30, wide 7; 4 times another one than before" in text
    assert "0.5 mean, 1.25 p95, 2 at most" in text
    assert "frames    f.csv" in text
    assert "routes" not in "\n".join(summary_lines(ENTRY))


def test_a_slow_line_is_told_before_the_first_hop() -> None:
    (said,) = Line(115_200, False, 0.24).words(True)
    assert "115,200 baud carry 0.24 of it" in said
    assert "--baud 921600" in said
    assert "--baud" not in Line(921_600, False, 0.9).words(False)[0]
    assert Line(115_200, False, 1.0).words(True) == Line(115_200, True, None).words(True) == ()


def test_a_log_is_new_and_grows_line_by_line(tmp_path: Path) -> None:
    path = tmp_path / "events.csv"
    with adding_lines(path) as add:
        for line in (b"a\n", b"b\n"):
            add(line)
            assert path.read_bytes().endswith(line)
    with pytest.raises(BadInput, match="holds something already"), adding_lines(path):
        pass
    assert path.read_bytes() == b"a\nb\n"
    with pytest.raises(BadInput, match="it is a folder"), adding_lines(tmp_path):
        pass
    with pytest.raises(BadInput, match="cannot write"), adding_lines(tmp_path / "no" / "x"):
        pass


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device that is always full")
def test_a_full_disk_is_one_error() -> None:
    with pytest.raises(BadInput, match="No space left"), adding_lines(Path("/dev/full")) as add:
        add(b"a\n")


def test_a_line_that_was_cut_is_taken_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write

    def half(descriptor: int, data: bytes) -> int:
        if data != b"second\n":
            if data == b"cond\n":
                raise OSError(28, "No space left on device")
            return write(descriptor, data)
        return write(descriptor, data[:2])

    monkeypatch.setattr(os, "write", half)
    with adding_lines(tmp_path / "x") as add:
        add(b"first\n")
        with pytest.raises(BadInput, match="No space"):
            add(b"second\n")
    assert (tmp_path / "x").read_bytes() == b"first\n"
