"""Values that no one means, for every option and argument: one clear error, no traceback."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import click
import numpy as np
import pytest

import edgeq
from edgeq import nn
from edgeq.cli import cli
from tests.unit.cli.conftest import Run

LONG = "x" * 5_000
PORT = "hwgrep://(((("
CODES = (0, 2, 3, 4, 5, 6, 7)
# what a command must have, so that the value under test is what it fails for
REQUIRED = {
    "export": {"model": "absent.pt", "--target": "cortex-m4"},
    "report": {"runs": "absent"},
    "compare": {"run_a": "absent", "run_b": "absent"},
    "bench table": {"results": "absent.json", "--readme": "absent.md"},
    "completion": {"shell": "bash"},
    "flash": {"--firmware": "absent"},
    "profile": {"--firmware": "absent"},
    "listen": {"--firmware": "absent", "--wav": "absent.wav"},
    "estimate": {"source": "absent"},
    "inspect": {"model": "absent.pt"},
    "pareto": {"model": "absent.pt", "--board": "virtual_m4"},
    "advise": {"model": "absent.pt", "--board": "virtual_m4"},
    "search": {"space": "absent.py", "--board": "virtual_m4"},
    "plan": {"model": "absent.pt", "--board": "virtual_m4"},
    "bench kernels": {"--shape": "absent"},
}


def commands(
    group: click.Group, words: tuple[str, ...] = ()
) -> Iterator[tuple[str, click.Command]]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, (*words, name))
        else:
            yield " ".join((*words, name)), command


def parameters() -> list[tuple[str, str]]:
    """(command, option or argument) of the whole tree: a new one is covered as it comes."""
    return [
        (name, max(each.opts, key=len) if isinstance(each, click.Option) else str(each.name))
        for name, command in commands(cli)
        for each in command.params
        if not (isinstance(each, click.Option) and (each.is_flag or each.hidden))
    ]


def line(command: str, parameter: str, value: str) -> list[str]:
    given = {**REQUIRED.get(command, {}), parameter: value}
    words = command.split()
    for name, each in given.items():
        words += [name, each] if name.startswith("-") else [each]
    return words


def check(run: subprocess.CompletedProcess[str]) -> None:
    said = run.stdout + run.stderr
    assert run.returncode in CODES, said
    assert "Traceback" not in said
    assert "\x1b" not in said
    assert len(run.stderr) < 4_000, "a long value is abridged"
    assert run.returncode == 0 or run.stderr.strip(), "an error says something"


@pytest.mark.parametrize(("command", "parameter"), parameters())
def test_case_25_every_option_takes_any_text(
    edgeq: Run, tmp_path: Path, command: str, parameter: str
) -> None:
    (tmp_path / "file").write_text("text")
    (tmp_path / "folder").mkdir()
    values = (LONG, "\x1b[2J", "folder") if command != "doctor" else (LONG,)
    for value in values:
        check(edgeq(*line(command, parameter, value), COLUMNS="80"))
    assert {path.name for path in tmp_path.iterdir()} <= {"file", "folder", "edgeq"}


@pytest.mark.parametrize("port", [PORT, "", "/", "socket://", "spy://", "alt://x?class=y", LONG])
def test_case_25_ports_that_are_none(edgeq: Run, port: str, tmp_path: Path) -> None:
    from edgeq.errors import Link
    from edgeq.harness.port import Port

    with pytest.raises(Link):
        Port.open(port, 115200)


@pytest.mark.parametrize(
    ("text", "code", "says"),
    [
        (b"\xef\xbb\xbf[export]\ntarget = 'cortex-m4'\n", 0, "cortex-m4"),
        (b"[export]\ntarget = " + b"[" * 3_000 + b"]" * 3_000, 2, "nested too deep"),
        (b"[export]\nmodel = 'a\0b'\n", 2, "cannot be read"),
        (b'[export]\nmodel = "a\\u0000b"\n', 2, "holds a NUL"),
        (b"\xff\xfe[\0", 2, "cannot be read"),
        (b"#" * (1 << 21), 2, "too many"),
    ],
)
def test_case_25_project_files(
    edgeq: Run, tmp_path: Path, text: bytes, code: int, says: str
) -> None:
    (tmp_path / "edgeq.toml").write_bytes(text)
    run = edgeq("config", "export")
    assert (run.returncode, says in run.stdout + run.stderr) == (code, True), run.stderr
    assert "Traceback" not in run.stderr


def test_case_25_standard_output_that_is_full_or_closed(process: Run, tmp_path: Path) -> None:
    import sys

    for words in (["boards", "--json"], ["boards"], ["config"], ["--help"]):
        command = [sys.executable, "-m", "edgeq", *words]
        with open("/dev/full", "w") as full:
            run = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True)
        assert run.returncode == 2
        assert run.stderr == "edgeq: cannot write the result: No space left on device\n"
        reader, writer = os.pipe()
        os.close(reader)
        run = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True)
        os.close(writer)
        assert (run.returncode, run.stderr) == (141, "")


def test_case_25_without_a_home(process: Run) -> None:
    for words in (["boards"], ["config"]):
        run = process(*words, HOME="", XDG_RUNTIME_DIR="")
        assert run.returncode == 0, run.stderr


def test_case_30_exit_codes_go_by_what_is_wrong(edgeq: Run, tmp_path: Path) -> None:
    """A file that is not there is usage (2), one that cannot be used is the file's fault (3)."""
    (tmp_path / "bad.pt").write_bytes(b"no model")
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "export.json").write_text("{}")
    target = ("--target", "cortex-m4")
    for words, code in (
        (("export", "absent.pt", *target), 2),
        (("export", ".", *target), 2),
        (("export", "absent.pt", *target, "--calibration", "absent.npz"), 2),
        (("export", "bad.pt", *target), 3),
        (("estimate", "absent"), 2),
        (("estimate", "bad"), 3),
        (("estimate", "bad.pt", "--board", "virtual_m4"), 3),
        (("flash", "--board", "virtual_m4", "--firmware", "absent"), 2),
        (("flash", "--board", "virtual_m4", "--firmware", "bad"), 3),
        (("profile", "--port", "/dev/null", "--firmware", "absent"), 2),
        (("profile", "--port", "/dev/null", "--firmware", "bad"), 3),
        (("report", "absent"), 2),
        (("compare", "absent", "absent"), 2),
    ):
        run = edgeq(*words)
        assert run.returncode == code, (words, run.stderr)
        assert run.stderr.startswith("edgeq: ")


def test_case_30_a_bare_core_only_reports(tmp_path: Path) -> None:
    """4.5 M int8 weights, more than the virtual board whose port is borrowed has."""
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(4, 1000)).astype(np.float32)
    body = nn.Sequential(nn.Linear(1000, 4500, 8), nn.ReLU(), nn.Linear(4500, 2, 8))
    path = tmp_path / "m.pt"
    edgeq.save(nn.Model(body, (1000,), name="big", calibration=rows), path)
    report = edgeq.export(path, "cortex-m4", tmp_path / "out", accept_mismatch=True)
    assert report["flash_bytes"] > 4_500_000
    assert not report["enforced"]
    assert json.loads((tmp_path / "out" / "export.json").read_text())["target"] == "cortex-m4"
