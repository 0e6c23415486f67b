"""Every table on 80 columns, beside itself on 1,000: nothing is folded, nothing is made up."""

import io
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import RenderableType

import edgeq
from edgeq.bench.text import bench_text, networks_text
from edgeq.comparing.text import compare_text
from edgeq.diagnosing.finding import Finding
from edgeq.diagnosing.text import doctor_text
from edgeq.harness.meters.text import meters_text
from edgeq.reporting.estimate_text import estimate_text
from edgeq.reporting.export import checks_text, export_text
from edgeq.reporting.page import run_names
from edgeq.reporting.report_text import report_text
from edgeq.reporting.terminal import console
from tests.unit.report import wide
from tests.unit.report.made import hard_run, subject, write_run

SHORT = {"edgeq_": "", "fully_connected": "fc", "depthwise": "dw"}  # as kernel_words writes them
TEXTS: dict[str, RenderableType] = {
    "export": export_text(wide.export(), "build/esc10"),
    **{f"estimate {n}": estimate_text(wide.estimate(n)) for n in range(1, 5)},
    "verify": checks_text(wide.verified()),
    "bench kernels": bench_text(wide.bench()),
    "bench networks": networks_text(wide.networks()),
    "compare": compare_text(wide.comparison()),
}
# what a narrow screen leaves out: a column that another one repeats, or a line says
LEFT_OUT = {"export": {"weights", "s8", "t2", "s16", "-"}, "estimate": {"rests", "on", "op"}}
LEFT_OUT["estimate"] |= {"datasheet", "current", *(op for op, _, _ in wide.KINDS)}


def printed(text: RenderableType, width: int) -> str:
    file = io.StringIO()
    console(file=file, width=width, color_system=None).print(text, crop=False)
    return file.getvalue()


def tokens(text: str) -> set[str]:
    return set(text.split())


def shortened(word: str) -> str:
    for long, short in SHORT.items():
        word = word.replace(long, short)
    return word


def check(narrow: str, full: str, left_out: set[str]) -> None:
    """No line is too long; each word stands in both, or is a name with its middle left out."""
    assert all(len(line) <= 80 for line in narrow.splitlines())
    there, expected = tokens(narrow), tokens(full)
    cut = {word for word in there if "…" in word}
    assert there - cut <= expected | set(map(shortened, expected)), "something was folded"
    for word in expected - there - left_out:
        ends = [short.split("…") for short in cut]
        said = (word, shortened(word))
        named = any(w.startswith(e[0]) and w.endswith(e[1]) for w in said for e in ends)
        assert named or said[1] in there, f"{word} is not there"


@pytest.mark.parametrize("name", TEXTS)
def test_case_29_no_table_folds_a_word_or_a_number(name: str) -> None:
    text = TEXTS[name]
    check(printed(text, 80), printed(text, 1_000), LEFT_OUT.get(name.split()[0], set()))


def test_case_29_the_check_sees_a_folded_name() -> None:
    with pytest.raises(AssertionError, match="folded"):
        check("ternar\ny 100.0%", "ternary 100.0%", set())
    with pytest.raises(AssertionError, match="not there"):
        check("tern…ry", "ternary 100.0%", set())


def test_case_29_a_report_of_several_runs(tmp_path: Path) -> None:
    folder = tmp_path / "a_run_in_a_folder_with_a_long_name_of_its_own"
    runs = [hard_run(folder), write_run(tmp_path / "b", subject())]
    text = report_text(runs, run_names(runs))
    narrow = printed(text, 80)
    assert all(len(line) <= 80 for line in narrow.splitlines())
    numbers = {w for w in tokens(narrow) if re.fullmatch(r"[\d,.]+%?", w)}
    columns = {str(i) for i in range(12)}  # classes by number, where their names are too wide
    assert numbers <= tokens(printed(text, 1_000)) | columns
    assert "11 class with a long name 11" in narrow


def test_case_29_findings_and_meters() -> None:
    found = "arm-none-eabi-gcc 12.2 cannot compile: " + "a long story " * 8
    fix = 'echo \'SUBSYSTEM=="usb", MODE="0666"\' | sudo tee -a /etc/udev/rules.d/60.rules'
    findings = [Finding("tool.stm32_programmer_cli", "warning", found, fix)]
    lines = doctor_text(findings, 80).plain.splitlines()
    assert [line for line in lines if len(line) > 80] == [f"        fix: {fix}"]
    assert tokens("\n".join(lines)) == tokens(doctor_text(findings).plain)
    facts = edgeq.meters()
    assert all(len(line) <= 80 for line in meters_text(facts).splitlines())


def test_different_layers_keep_different_names() -> None:
    lines = printed(TEXTS["export"], 80).splitlines()
    first = lines.index(next(line for line in lines if line.startswith("name "))) + 1
    names = [line.split()[0] for line in lines[first : first + len(wide.layers())]]
    assert len(set(names)) == len(wide.layers())


@pytest.mark.parametrize(
    ("render", "given", "hidden"),
    [
        (lambda d, v: export_text(d, "out", v), wide.export(), ("recalled", "wait_states", "-O2")),
        (estimate_text, wide.estimate(2), ("recalled", "wait_states", "-O2", "5,765")),
        (bench_text, wide.bench(), ("-Wshadow",)),
        (networks_text, wide.networks(), ("-Wshadow",)),
    ],
)
def test_provenance_is_said_when_asked_for(
    render: Any, given: dict[str, Any], hidden: tuple[str, ...]
) -> None:
    short, full = (printed(render(given, verbose), 80) for verbose in (False, True))
    assert "--verbose" in short
    assert "--verbose" not in full
    for words in hidden:
        assert words not in short
        assert words in full
    assert "modelled" in short
    assert all(len(line) <= 80 for line in full.splitlines())


def test_the_source_of_a_run_is_said_when_asked_for(tmp_path: Path) -> None:
    runs = [write_run(tmp_path / "a", subject())]
    short, full = (printed(report_text(runs, run_names(runs), v), 80) for v in (False, True))
    for words in ("-DEDGEQ_PROFILE", "b" * 12, "timing rules of", "first_load_extra"):
        assert words not in short
        assert words in full
    assert "modelled" in short
    assert "no silicon" in short
    assert "note: latency comes from a clock model, not from silicon\n" in short


@given(
    st.lists(st.text("abc./_", min_size=1, max_size=60), min_size=1, max_size=5),
    st.lists(st.integers(0, 10**9), min_size=1, max_size=9),
    st.integers(40, 120),
)
def test_a_table_is_never_wider_than_its_screen(
    names: list[str], numbers: list[int], width: int
) -> None:
    from edgeq.reporting.fitted import Column, name_column, table

    columns = [name_column("name"), *(Column(f"c{i}") for i in range(len(numbers)))]
    cells = [f"{number:,}" for number in numbers]
    said = printed(table("T", columns, [(name, *cells) for name in names]), width)
    assert all(len(line) <= width for line in said.splitlines())
    assert set(cells) <= tokens(said)
