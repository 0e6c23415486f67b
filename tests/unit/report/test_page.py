"""The summary, its text and its page, from records made by hand."""

import copy
import html.parser
import io
import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from edgeq.board import load_board
from edgeq.emit.firmware import LayerInfo
from edgeq.harness.messages import Info
from edgeq.harness.trace import SampleRecord
from edgeq.report import svg
from edgeq.report.page import page
from edgeq.report.profile import Subject, summarize
from edgeq.report.profile_text import joules, profile_text

EVIL = "<script>alert('1')</script>\"&]]>\x07"
VOID = {"meta", "br", "img", "link", "input", "hr"}
EXPORT = {
    "target": "virtual_m4",
    "flash_bytes": 30_000,
    "weight_bytes": 20_000,
    "ram_bytes": 17_000,
    "arena_bytes": 136,
    "notes": ["no .tflite: a reason"],
    "checks": [
        {
            "name": "onnx",
            "samples": 4,
            "mismatches": 0,
            "max_lsb": 0,
            "top1_agreement": 1.0,
            "route_agreement": 1.0,
        }
    ],
}


def layer(index: int, name: str, expert: str | None) -> LayerInfo:
    return LayerInfo(index, name, "fully_connected", "k", "s8", 10, 10, expert)


def subject(board: str = "virtual_m4", names: tuple[str, ...] = ("cat", "dog", "cow")) -> Subject:
    info = Info(1, 4, 1_000_000, 4, 3, 3, "a" * 64, "b" * 64, board, "pets")
    layers = (layer(0, "router", None), layer(1, "fc", "small"), layer(2, "fc", "large"))
    build = {"compiler": "gcc 12", "flags": ["-O2", "-DEDGEQ_PROFILE"]}
    return Subject(info, load_board(board), layers, ("small", "large", "idle"), names, build)


def record(index: int, label: int, answer: int, route: int) -> SampleRecord:
    output = tuple(100 if c == answer else -100 for c in range(3))
    inside = (300, 700)[route]
    cycles = (0, inside, 0) if route == 0 else (0, 0, inside)
    layers = (200, *cycles[1:])
    return SampleRecord(
        index, label, output, route, 0.25 * index, 0.5, 200 + inside, 380, layers, False
    )


RECORDS = (record(0, 0, 0, 0), record(1, 1, 1, 0), record(2, 2, 2, 1), record(3, 2, 0, 1))


def summary_of(given: Subject, records: tuple[SampleRecord, ...] = RECORDS) -> dict[str, Any]:
    return summarize(given, records)


def text_of(summary: dict[str, Any]) -> str:
    file = io.StringIO()
    Console(file=file, width=140, color_system=None).print(profile_text(summary))
    return file.getvalue()


class Reader(html.parser.HTMLParser):
    """Checks that tags nest; keeps names, attributes and the text outside of <style>."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(source)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.text += data


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


def test_an_emulator_without_a_clock_model_gives_no_times() -> None:
    found = summary_of(subject("qemu_mps2_an386"))
    assert found["latency"] == {"unit": "ms", "source": "none"} | dict.fromkeys(
        ("mean", "std", "p50", "p95", "p99", "max")
    )
    assert all(i["cycles"] is None for i in found["layers"])
    assert found["energy"]["joules_mean"] is None
    assert any("cycle counter" in note for note in found["notes"])
    assert "counts no cycles" in text_of(found)
    Reader(page(EXPORT, found, RECORDS))


def test_a_model_without_mixture_has_no_experts() -> None:
    records = tuple(replace(r, route=-1) for r in RECORDS)
    found = summary_of(replace(subject(), experts=()), records)
    assert (found["experts"], found["routes"], found["uncertainty"]) == ([], {}, None)
    assert "Experts" not in text_of(found)
    assert "Routes" not in Reader(page(EXPORT, found, records)).text


def test_mismatches_are_counted_and_named() -> None:
    records = (RECORDS[0], replace(RECORDS[1], mismatch=True), *RECORDS[2:])
    found = summary_of(subject(), records)
    assert (found["mismatches"], found["mismatch_samples"]) == (1, [1])
    assert "1 mismatches" in text_of(found)
    assert "differ from the reference: 1" in Reader(page(EXPORT, found, records)).text


def test_the_text_says_where_numbers_come_from() -> None:
    text = text_of(summary_of(subject()))
    for words in (
        "no silicon",
        "0.7000 ± 0.2000 ms (modelled)",
        "modelled; band",
        "accuracy 75.0%",
    ):
        assert words in text
    assert re.search(r"small/fc +fully_connected +2 +300 +21\.4%", text)


def test_the_page_is_one_sound_file_that_fetches_nothing() -> None:
    found = summary_of(subject())
    text = page(EXPORT, found, RECORDS)
    assert text == page(copy.deepcopy(EXPORT), copy.deepcopy(found), RECORDS)
    reader = Reader(text)
    assert not {tag for tag, _ in reader.tags} & {"script", "link", "img", "iframe", "object"}
    assert not [a for _, a in reader.tags if {"src", "href", "onload"} & a.keys()]
    assert "url(" not in text
    assert "@import" not in text
    for words in ("no silicon", "modelled", "a reason", "-DEDGEQ_PROFILE", "b" * 64):
        assert words in reader.text
    charts = re.findall(r"<svg.*?</svg>", text, re.DOTALL)
    assert len(charts) == 4
    for chart in charts:
        ET.fromstring(chart)


def test_names_cannot_inject_anything() -> None:
    given = replace(subject(names=(EVIL, "dog", "cow")), experts=(EVIL, "large", "idle"))
    given = replace(given, info=replace(given.info, model=EVIL))
    text = page(EXPORT | {"notes": [EVIL]}, summary_of(given), RECORDS)
    assert "<script" not in text
    assert "alert(&#39;1&#39;)" in text
    Reader(text)
    for chart in re.findall(r"<svg.*?</svg>", text, re.DOTALL):
        ET.fromstring(chart)
    assert "alert" in text_of(summary_of(given))


def test_rich_markup_in_names_is_text() -> None:
    given = replace(subject(names=("[bold]a", "b[/]", "c")), experts=("[red]x", "y", "[/red]z"))
    text = text_of(summary_of(given))
    assert "[red]x" in text
    assert "[/red]z" in text


@given(st.text(max_size=40), st.floats(0, 1e9))
def test_charts_are_xml_whatever_the_names(name: str, value: float) -> None:
    charts = (
        svg.bars([svg.Bar(name, value, name, 1, name)], name),
        svg.histogram([(name, [value, value / 2]), ("empty", [])], name, "ms"),
        svg.scatter([(value, 0, True), (0.0, 0, False)], [name], name, name),
        svg.heat_map([name, "b"], [[3, 0], [1, 2]], name),
    )
    for chart in charts:
        ET.fromstring(chart)


def test_a_big_confusion_matrix_is_left_to_the_page() -> None:
    names = tuple(f"class {i}" for i in range(50))
    found = summary_of(subject(names=names))
    assert "Confusion" not in text_of(found)
    ET.fromstring(svg.heat_map(names, found["confusion"]["matrix"], "many"))


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "-"), (2.0, "2 J"), (5.6e-5, "56 uJ"), (0.0012, "1.2 mJ"), (3e-9, "3 nJ")],
)
def test_joules_in_readable_units(value: float | None, text: str) -> None:
    assert joules(value) == text
