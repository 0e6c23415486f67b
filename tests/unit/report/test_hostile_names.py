"""Names of strangers in every table, line and file: shown, never obeyed."""

import io
import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import RenderableType

import edgeq
from edgeq import nn
from edgeq.cli.output import say, say_json, show
from edgeq.comparing import compare
from edgeq.comparing.text import compare_text
from edgeq.diagnosing import Finding
from edgeq.diagnosing.text import doctor_text
from edgeq.flashers.text import boards_text, flash_text, running_lines
from edgeq.harness.meters.text import meters_text
from edgeq.plain_text import command, one_line, plain
from edgeq.reporting.estimate_text import estimate_text
from edgeq.reporting.page import run_names
from edgeq.reporting.profile_files import written_line
from edgeq.reporting.report_text import report_text
from edgeq.reporting.terminal import console
from tests.unit.report.made import subject, write_run

EVIL = (
    "\x1b[2J\x1b]0;owned\x07",
    "\x9b31mred",
    "a\nedgeq: all is well",
    "a\redgeq",
    "\u202eexe.elf\u2066",
    "zero\u200bwidth",
    "[bold red]x[/bold red][link=file:///etc]y[/link]",
    "[/]",
    ":bug:",
    "*/ int main; /*",
    "<script>alert(1)</script>",
    "$(touch F)`touch F`; touch F #",
    "\x7f\x08\x08",
    "long " * 40,
)
ALL = "".join(EVIL)
NAME = ALL[:190]  # as long as a file may have it


def printed(renderable: RenderableType, width: int = 80) -> str:
    file = io.StringIO()
    console(file=file, width=width, color_system="truecolor", force_terminal=True).print(renderable)
    return file.getvalue()


def check_harmless(text: str) -> None:
    """Only rich's own colours, and line ends."""
    bare = re.sub(r"\x1b\[[0-9;]*m", "", text)
    assert bare.replace("\n", "").isprintable(), ascii(bare)
    assert "edgeq: all is well" not in [line.strip() for line in bare.splitlines()]
    assert "\x1b[2J" not in text
    assert "\x1b]" not in text


def flood(value: Any, evil: str) -> Any:
    """The same object with every text in it ending in the evil one."""
    if isinstance(value, str):
        return value + evil
    if isinstance(value, dict):
        return {key: flood(each, evil) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [flood(each, evil) for each in value]
    return value


@pytest.fixture(scope="module")
def export(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A model that is called so, and so are its classes, exported; and what export said."""
    rows = np.random.default_rng(5).normal(size=(24, 4)).astype(np.float32)
    body = nn.Sequential(nn.Linear(4, 6, "ternary"), nn.ReLU(), nn.Linear(6, 2, 8))
    names = tuple(f"{NAME}{i}" for i in range(2))
    folder = tmp_path_factory.mktemp("evil")
    model = nn.Model(body, (4,), name=NAME, class_names=names, calibration=rows)
    edgeq.save(model, folder / "m.pt")
    return folder, edgeq.export(folder / "m.pt", "virtual_m4", folder / ALL[:40].replace("/", ""))


def test_case_24_an_export_is_harmless(
    export: tuple[Path, dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    from edgeq.reporting.export import export_text

    folder, report = export
    (out,) = (path for path in folder.iterdir() if path.is_dir())
    check_harmless(printed(export_text(report, str(out))))
    check_harmless((out / "report.txt").read_text())
    for path in (out / "firmware").rglob("*.*"):
        if path.suffix in (".c", ".h", ".md", ".txt", ".ld") and path.is_file():
            check_harmless(path.read_text().replace("\t", " "))
    say_json(report)
    said = capsys.readouterr().out
    assert said.isascii()
    assert json.loads(said)["model"] == NAME


def test_case_24_no_name_ends_a_comment_of_the_generated_code(
    export: tuple[Path, dict[str, Any]],
) -> None:
    """Without comments and strings, nothing of a name is left; and it was compiled above."""
    folder, _ = export
    (single,) = folder.rglob("model/*_single.c")
    prefix = single.name.removesuffix("_single.c")  # letters, digits and _ of the name, by intent
    for path in (*folder.rglob("model/*.c"), *folder.rglob("model/*.h")):
        code = re.sub(r'/\*.*?\*/|"(\\.|[^"\\\n])*"', "", path.read_text(), flags=re.S)
        code = re.sub(rf"(?i)\b{prefix}\w*", "", code)
        for word in ("owned", "int main", "alert", "touch", "bug"):
            assert word not in code, path


@pytest.mark.parametrize("evil", [*EVIL, ALL])
def test_case_24_every_table_is_harmless(
    tmp_path: Path, export: tuple[Path, dict[str, Any]], evil: str
) -> None:
    from edgeq.reporting.export import export_text

    given = replace(subject(names=(evil, "dog", "cow")), experts=(evil, "large", "idle"))
    given = replace(given, info=replace(given.info, model=evil))
    runs = [write_run(tmp_path / name, given, more={"notes": [evil]}) for name in ("a", "b")]
    check_harmless(printed(report_text(runs, run_names(runs))))
    result = compare(tmp_path / "a", tmp_path / "b")
    check_harmless(printed(compare_text(result | {"notes": [evil]})))
    check_harmless(printed(doctor_text([Finding(evil, "error", evil, evil)])))
    flooded = {"class_names": [evil], "notes": [evil], "model": evil, "target": evil}
    check_harmless(printed(export_text(export[1] | flooded, evil)))


@pytest.mark.parametrize("evil", [*EVIL, ALL])
def test_case_24_every_line_is_harmless(evil: str, capsys: pytest.CaptureFixture[str]) -> None:
    built = {"board": "b", "evidence": "emulator", "compiler": "c", "elf": "e", "tool": "t"}
    built |= {"flash_bytes": 1, "ram_bytes": 1, "dry_run": False, "commands": ["x"], "pid": 1}
    built |= {"port": "/dev/x", "verified": True, "hint": "h"}
    say(flash_text(flood(built, evil) | {"evidence": "emulator"}))
    boards = edgeq.boards()
    running = [{"board": evil, "tool": evil, "port": evil, "pid": 1, "started": "", "elf": evil}]
    ports = [{"port": evil, "usb_id": evil, "serial_number": evil}]
    devices = [{"what": evil, "kind": evil, "name": evil, "usb_id": evil}]
    devices[0]["serial_number"] = evil
    seen = {"ports": ports, "drives": [evil], "devices": devices, "running": running}
    say(boards_text({**boards, **seen}))
    say("\n".join(running_lines(running)))
    say(meters_text(flood(edgeq.meters(), evil)))
    say(written_line(Path(evil), evil))
    out = capsys.readouterr().out
    assert out.replace("\n", "").isprintable()
    assert "edgeq: all is well" not in [line.strip() for line in out.splitlines()]


def test_case_24_an_estimate_is_harmless(export: tuple[Path, dict[str, Any]]) -> None:
    folder, _ = export
    result = edgeq.estimate(folder / "m.pt", ["virtual_m4"])
    result["boards"][0]["notes"] = [ALL]
    result["boards"][0]["layers"][0]["name"] = ALL
    check_harmless(printed(estimate_text(result)))


def test_case_24_what_no_builder_has_cleaned_is_cleaned_at_the_end(
    capsys: pytest.CaptureFixture[str],
) -> None:
    check_harmless(printed(ALL))
    assert ":bug:" in printed(":bug:")
    assert "[bold red]x" in printed(EVIL[6], 200)
    show(ALL)
    say(ALL)
    assert "\x1b" not in capsys.readouterr().out


def test_case_24_suggested_commands_are_quoted() -> None:
    assert command("edgeq", "x; touch F #") == "edgeq 'x; touch F #'"
    for evil in EVIL:
        assert command("edgeq", evil).isprintable()
    assert one_line("\t\n\x00") == "\\t\\n\\x00"
    assert plain({"a\n": [("b\x1b", 1, None)]}) == {"a\\n": [("b\\x1b", 1, None)]}


def test_json_holds_no_number_that_json_has_not(capsys: pytest.CaptureFixture[str]) -> None:
    say_json({"a": [float("nan"), float("inf"), 1.5], "b": (1,)})
    assert json.loads(capsys.readouterr().out) == {"a": [None, None, 1.5], "b": [1]}


def test_case_24_the_page_is_harmless(tmp_path: Path, plotly_page: Callable[..., str]) -> None:
    given = replace(subject(names=(ALL, "dog", "cow")), experts=(ALL, "large", "idle"))
    made = write_run(tmp_path / "a", replace(given, info=replace(given.info, model=ALL)))
    text = plotly_page([made])
    seen = re.sub(r"<script[^>]*>.*?</script>", "", text, flags=re.S)
    assert seen.replace("\n", "").replace("\t", "").isprintable()
    assert "<script>alert" not in text


@pytest.fixture
def plotly_page() -> Callable[..., str]:
    pytest.importorskip("plotly")
    from edgeq.reporting.page import page

    return page
