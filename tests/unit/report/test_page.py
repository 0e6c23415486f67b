"""The page, its text and its command, without a browser."""

import html.parser
import io
import json
import re
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from edgeq.errors import Toolchain
from edgeq.reporting import browser, profile_files
from edgeq.reporting.figures import ReportedRun, figures_of, pareto, style
from edgeq.reporting.figures.current import envelope
from edgeq.reporting.figures.pareto import front
from edgeq.reporting.page import page, run_names
from edgeq.reporting.report_text import report_text
from tests.command_line import run_cli
from tests.unit.report.made import RECORDS, hard_run, subject, write_run

EVIL = "<script>alert('1')</script>\"&]]>\x07"
VOID = {"meta", "br", "img", "link", "input", "hr"}


class Reader(html.parser.HTMLParser):
    """Checks that tags nest; keeps names, attributes and the text that a reader sees."""

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

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not {"style", "script"} & set(self.open):
            self.text += data


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> ReportedRun:
    return write_run(tmp_path_factory.mktemp("plain") / "0001", subject())


@pytest.fixture(scope="module")
def hard(tmp_path_factory: pytest.TempPathFactory) -> ReportedRun:
    return hard_run(tmp_path_factory.mktemp("hard") / "0001")


def without_library(text: str) -> str:
    """The page without plotly, whose own text would answer for ours."""
    return re.sub(r'(<script type="text/plain" id="library">).*?</script>', r"\1</script>", text)


def plots(text: str) -> dict[str, dict[str, object]]:
    found = re.search(r'<script type="application/json" id="plots">(.*?)</script>', text)
    assert found
    plotted: dict[str, dict[str, object]] = json.loads(found[1])
    return plotted


def text_of(*subjects: ReportedRun) -> str:
    file = io.StringIO()
    names = run_names(subjects)
    Console(file=file, width=140, color_system=None).print(report_text(subjects, names))
    return file.getvalue()


def test_the_page_is_one_sound_file_that_fetches_nothing(plain: ReportedRun) -> None:
    text = page([plain])
    assert text == page([plain])
    reader = Reader(text)
    assert not {tag for tag, _ in reader.tags} & {"link", "img", "iframe", "object"}
    assert not [a for _, a in reader.tags if {"src", "onload"} & a.keys()]
    ours = without_library(text)
    assert "default-src 'none'" in ours
    assert "url(" not in ours
    assert "@import" not in ours
    assert not re.search(r"https?://", ours)
    for words in (
        "no silicon",
        "modelled, measured nJ per cycle",
        "a reason",
        "-DEDGEQ_PROFILE",
        "b" * 64,
        "27,764 B",
    ):
        assert words in reader.text
    assert len(text) < 3_000_000


def test_every_figure_says_where_it_comes_from(hard: ReportedRun) -> None:
    keys = [figure.key for figure in figures_of(hard)]
    assert keys == [
        *("latency", "routes", "uncertainty", "uncertainty_latency", "confusion", "layers"),
        *("risk_coverage", "energy_accuracy", "current", "current_detail", "flash", "arena"),
    ]
    for figure in figures_of(hard):
        assert re.search(r"silicon|modelled|linker|answers|exact|lpm01a", figure.source), figure.key
    text = Reader(page([hard])).text
    assert text.count("Source:") == len(keys)
    said = "timing rules of cortex-m4, virtual_m4: first_load_extra 0, 0 flash wait states, 1 MHz"
    assert said in text


def test_plotly_knows_every_key_of_every_figure(plain: ReportedRun, hard: ReportedRun) -> None:
    graph_objects = pytest.importorskip("plotly.graph_objects", reason="plotly is not installed")
    made = [*figures_of(plain), *figures_of(hard), *pareto([plain, hard], ["a", "b"])]
    for figure in made:
        graph_objects.Figure(figure.plot)  # raises ValueError for a key or value it does not know


def test_the_figures_hold_the_numbers_of_the_run(plain: ReportedRun) -> None:
    found = {figure.key: figure.plot for figure in figures_of(plain)}
    assert [sum(lane["y"]) for lane in found["latency"]["data"]] == [2, 2]
    assert found["routes"]["data"][0]["x"] == [50.0, 50.0, 0.0]
    assert sum(sum(bar["y"]) for bar in found["uncertainty"]["data"]) == len(RECORDS)
    wrong = found["uncertainty_latency"]["data"][-1]
    assert (wrong["name"], wrong["customdata"], wrong["y"]) == ("wrong answer", [3], [0.9])
    layers = {bar["name"]: bar["x"] for bar in found["layers"]["data"]}
    assert layers == {"shared": [200.0], "small": [300.0], "large": [700.0]}
    assert found["confusion"]["data"][0]["text"] == [["1", "", ""], ["", "1", ""], ["1", "", "1"]]
    assert sum(found["flash"]["data"][0]["x"]) == 27_764
    assert found["arena"]["data"][0]["base"] == [0, 64]


def test_an_emulator_without_a_clock_model_has_no_latency_figures(tmp_path: Path) -> None:
    made = write_run(tmp_path / "0001", subject("qemu_mps2_an386"))
    keys = {figure.key for figure in figures_of(made)}
    assert not keys & {"latency", "uncertainty_latency", "layers"}
    assert {"routes", "confusion", "flash"} <= keys
    assert "counts no cycles" in Reader(page([made])).text


def test_a_model_without_mixture_has_no_routes(tmp_path: Path) -> None:
    records = tuple(replace(r, route=-1) for r in RECORDS)
    made = write_run(tmp_path / "0001", replace(subject(), experts=()), records)
    keys = {figure.key for figure in figures_of(made)}
    assert not keys & {"routes", "uncertainty", "uncertainty_latency"}
    assert "latency" in keys
    assert "Routes" not in Reader(page([made])).text


def test_a_run_without_a_memory_map_has_no_figure_of_it(tmp_path: Path) -> None:
    made = write_run(tmp_path / "0001", subject())
    old = ReportedRun(made.run, made.summary.model_copy(update={"memory": None, "export": None}))
    assert not {f.key for f in figures_of(old)} & {"flash", "arena"}
    Reader(page([old]))
    assert "Flash" not in text_of(old)


def test_mismatches_are_named(tmp_path: Path) -> None:
    records = (RECORDS[0], replace(RECORDS[1], mismatch=True), *RECORDS[2:])
    made = write_run(tmp_path / "0001", subject(), records)
    assert "differ from the reference: 1" in Reader(page([made])).text


def test_names_cannot_inject_anything(tmp_path: Path) -> None:
    given = replace(subject(names=(EVIL, "dog", "cow")), experts=(EVIL, "large", "idle"))
    given = replace(given, info=replace(given.info, model=EVIL))
    made = write_run(tmp_path / "0001", given, more={"notes": [EVIL]})
    text = without_library(page([made]))
    assert "<script>alert" not in text
    assert "alert(&#39;1&#39;)" in text
    assert "</script>alert" not in text
    Reader(text)
    drawn = json.dumps(plots(text))
    assert "<script" not in drawn  # plotly would read tags
    assert "&lt;script&gt;alert" in drawn
    assert "alert" in text_of(made)


@given(st.text(max_size=40), st.integers(4, 30))
def test_short_names_are_text_of_that_length(name: str, most: int) -> None:
    found = style.short(name, most)
    assert "<" not in found
    assert len(html.unescape(found)) <= most
    if len(name) <= most and name.isprintable():
        assert html.unescape(found) == name


@pytest.mark.parametrize("back", ["#ffffff", "#14181c"])
def test_colours_stand_out_from_both_pages(back: str) -> None:
    for shade in (*style.SERIES, style.SHARED, style.WRONG):
        assert contrast(shade, back) >= 3, shade


def contrast(one: str, other: str) -> float:
    """WCAG 2.2: the ratio of relative luminances."""

    def luminance(shade: str) -> float:
        parts = [int(shade[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=20))
def test_the_front_is_what_no_point_beats(points: list[tuple[float, float]]) -> None:
    def beaten(p: tuple[float, float]) -> bool:
        return any(q != p and q[0] <= p[0] and q[1] >= p[1] for q in points)

    assert front(points) == sorted({p for p in points if not beaten(p)})


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=300), st.integers(1, 40))
def test_the_envelope_keeps_every_extreme(values: list[float], buckets: int) -> None:
    whole = np.array(values)
    at, kept = envelope(whole, buckets)
    assert np.array_equal(whole[at], kept)
    assert (np.diff(at) > 0).all()
    assert len(at) <= max(2 * buckets, 0)
    assert (kept.min(), kept.max()) == (whole.min(), whole.max())


def test_several_runs_are_set_beside_each_other(plain: ReportedRun, hard: ReportedRun) -> None:
    assert run_names([plain, hard]) == ["pets on virtual_m4", "hard on virtual_m4"]
    assert run_names([plain, plain])[0].endswith(str(plain.run.folder))
    text = page([plain, hard])
    assert {"pareto_latency-plot", "pareto_energy-plot"} <= plots(text).keys()
    assert "2 runs of edgeq" in Reader(text).text
    terminal = text_of(plain, hard)
    assert re.search(r"pets on virtual_m4 +\* +75\.0% +0\.7000", terminal)
    assert "weights, shared" in terminal


def test_without_the_plotting_library(
    plain: ReportedRun,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setitem(sys.modules, "plotly.offline", None)
    out = tmp_path / "out.html"
    run = str(plain.run.folder)
    assert run_cli(monkeypatch, "report", run, "--html", str(out)) == 7
    assert "pip install 'edgeq[report]'" in capsys.readouterr().err
    assert not out.exists()
    assert run_cli(monkeypatch, "report", run) == 0
    assert "pets on virtual_m4" in capsys.readouterr().out
    assert run_cli(monkeypatch, "report", run, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["written"] == []
    assert found["runs"][0]["summary"]["samples"] == 4


def test_a_profile_without_the_library_leaves_text_and_says_how_to_draw(
    plain: ReportedRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    profile_files.write_results(tmp_path, plain.run, plain.summary)
    assert (tmp_path / "report.html").is_file()
    monkeypatch.setattr(profile_files, "can_draw", lambda: False)
    profile_files.write_results(tmp_path, plain.run, plain.summary)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["profile.json", "profile.txt"]
    said = profile_files.written_line(tmp_path, "runs/0001")
    assert "edgeq[report]" in said
    assert "edgeq report runs/0001 --html report.html" in said


def test_the_command_writes_the_page_whole_or_not_at_all(
    plain: ReportedRun,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "deep" / "out.html"
    run = str(plain.run.folder)
    assert run_cli(monkeypatch, "report", run, "--html", str(out), "--json") == 0
    assert json.loads(capsys.readouterr().out)["written"] == [str(out)]
    assert out.read_text() == page([plain])
    assert run_cli(monkeypatch, "report", str(tmp_path)) == 2
    assert "holds no run" in capsys.readouterr().err
    assert run_cli(monkeypatch, "report", run, "--html", str(out / "below")) == 2
    assert "cannot write" in capsys.readouterr().err
    assert run_cli(monkeypatch, "report") == 2


def test_a_png_needs_a_browser_and_says_so(
    plain: ReportedRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "choreographer", None)
    with pytest.raises(Toolchain, match=r"edgeq\[report\]") as error, browser.browser_tab():
        pass
    assert error.value.exit_code == 7


def test_case_21_a_stack_of_unknown_depth_is_said_to_be_unknown(tmp_path):
    """stack_bytes 0 is what a board says that cannot measure it."""
    unmeasured = [replace(record, stack_bytes=0) for record in RECORDS]
    measured = write_run(tmp_path / "run", subject(), unmeasured)
    assert measured.summary.stack_bytes is None
    row = re.search(r"<tr><th>stack</th>.*?</tr>", page([measured]))
    assert row is not None
    assert ">unknown<" in row[0]
