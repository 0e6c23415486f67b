"""The whole command line: hints on what goes wrong, plain output, and no colour."""

import os
import pty
import re
import select
import subprocess
import sys
from pathlib import Path

import pytest

from edgeq.cli import cli
from tests.unit.cli.conftest import ROOT, Run

COLOUR = re.compile(rb"\x1b\[[0-9;]*m")


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("bords",), 2, "Did you mean 'boards'?"),
        (("flash", "--firmwere", "x"), 2, "Did you mean '--firmware'?"),
        (("bench", "kernel"), 2, "Did you mean 'kernels'?"),
        (("export", "m.pt", "--target", "nucelo_f446re"), 2, "did you mean 'nucleo_f446re'?"),
        (("export", "m.pt", "--target", "cortex-m5"), 2, "There are: cortex-m0plus"),
        (("bench", "kernels", "--board", "virtual_m5"), 2, "did you mean 'virtual_m4'?"),
        (("flash", "--board", "virtual_m4"), 2, "run `edgeq export MODEL --out"),
        (("doctor", "--port", "/dev/nowhere"), 5, "port./dev/nowhere"),
    ],
)
def test_a_known_mistake_gets_a_hint(
    edgeq: Run, arguments: tuple[str, ...], code: int, says: str
) -> None:
    ended = edgeq(*arguments)
    assert ended.returncode == code
    assert says in ended.stderr
    assert "Traceback" not in ended.stderr


def test_without_a_compiler_the_message_says_how_to_get_one(process: Run, tmp_path: Path) -> None:
    (tmp_path / "ziglang.py").write_text("")  # found first, and of no use
    path = os.pathsep.join((str(tmp_path), str(ROOT)))
    ended = process("bench", "kernels", "--compiler", "zig", PATH="/nowhere", PYTHONPATH=path)
    assert ended.returncode == 7
    assert "pip install 'edgeq[zig]'" in ended.stderr


def test_a_missing_package_is_one_line(process: Run, tmp_path: Path) -> None:
    hidden = tmp_path / "hidden" / "serial"
    hidden.mkdir(parents=True)
    raising = "raise ModuleNotFoundError('No module named serial', name='serial')"
    (hidden / "__init__.py").write_text(raising)
    ended = process("boards", PYTHONPATH=os.pathsep.join((str(hidden.parent), str(ROOT))))
    assert ended.returncode == 7
    assert ended.stderr == "edgeq: package serial is missing; `edgeq doctor` has the fix\n"


def on_a_terminal(tmp_path: Path, *arguments: str, **env: str) -> bytes:
    """What a terminal gets from the command's standard output."""
    master, slave = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "edgeq", *arguments],
        stdout=slave,
        stderr=subprocess.DEVNULL,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm-256color", **env},
    ) as process:
        os.close(slave)
        text = b""
        while select.select([master], [], [], 120)[0]:
            try:
                text += os.read(master, 65536)
            except OSError:  # the last writer is gone
                break
    os.close(master)
    assert process.returncode == 0
    return text


def test_colour_is_for_terminals_that_want_it(process: Run, tmp_path: Path) -> None:
    env = {"PATH": "/nowhere"}  # zig is asked, nothing else
    plain = process("doctor", **env)
    assert b"\x1b" not in plain.stdout.encode() + plain.stderr.encode()
    coloured = on_a_terminal(tmp_path, "doctor", **env)
    assert COLOUR.search(coloured)
    bare = on_a_terminal(tmp_path, "doctor", NO_COLOR="1", **env)
    # rich keeps bold under NO_COLOR, as no-color.org allows
    assert set(COLOUR.findall(bare)) <= {b"\x1b[1m", b"\x1b[0m"}


def test_the_help_lists_every_command_in_the_order_of_the_work(edgeq: Run) -> None:
    text = edgeq("--help").stdout
    places = [text.index(f"\n  {name} ") for name in cli.commands]
    assert places == sorted(places)
    assert "..." not in text.partition("Commands:")[2], "a line of help is cut"
    assert "130 interrupted" in text
