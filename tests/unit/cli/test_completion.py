"""Completion: the scripts in the shells they are for, and what they offer."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.shell_completion import BashComplete

from edgeq.board import all_boards, find_boards
from edgeq.cli import cli
from edgeq.kernels import KERNELS
from tests.hang import HANG_S
from tests.unit.cli.conftest import ROOT, Run


def complete(process: Run, *words: str) -> list[str]:
    """What fits the last of `words`, by the protocol of the bash script."""
    words_now = " ".join(("edgeq", *words))
    ended = process(
        _EDGEQ_COMPLETE="bash_complete", COMP_WORDS=words_now, COMP_CWORD=str(len(words))
    )
    assert ended.returncode == 0, ended.stderr
    return [line.partition(",")[2] for line in ended.stdout.splitlines()]


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (("flash", "--board", "nuc"), {b.name for b in find_boards("nucleo")}),
        (("flash", "--board", ""), {board.name for board in all_boards()}),
        (("export", "--target", "cortex-m"), {"cortex-m4", "cortex-m0plus"}),
        (("export", "--target", "virt"), {"virtual_m4"}),
        (("bench", "kernels", "--kernel", "edgeq_"), {kernel.name for kernel in KERNELS}),
        (("bench", "kernels", "--board", ""), {"virtual_m4", "virtual_m0plus"}),
        (("bo",), {"boards"}),
        (("export", "--compiler", ""), {"auto", "gcc", "zig"}),
        (("flash", "--board", "nothing_like_it"), set()),
    ],
)
def test_what_is_offered(words: tuple[str, ...], wanted: set[str]) -> None:
    asked = BashComplete(cli, {}, "edgeq", "_EDGEQ_COMPLETE")
    offered = [item.value for item in asked.get_completions(list(words[:-1]), words[-1])]
    assert wanted <= set(offered)
    assert all(each.startswith(words[-1]) for each in offered)
    assert wanted or not offered


def test_a_wrong_project_file_does_not_break_it(process: Run, tmp_path: Path) -> None:
    (tmp_path / "edgeq.toml").write_text("[nowhere]\n")
    assert complete(process, "bo") == ["boards"]


# what a shell does when the tab key is pressed behind `edgeq flash --board nucleo_l`
_PRESS = {
    "bash": 'source "$1"; COMP_WORDS=(edgeq flash --board nucleo_l); COMP_CWORD=3; '
    '_edgeq_completion edgeq; echo "${COMPREPLY[@]}"',
    "zsh": 'autoload -U compinit; compinit -u -d "$1.dump"; source "$1"; '
    "compadd() { echo added ${(P)@[-1]} }; _describe() { echo described ${(P)3} }; "
    "words=(edgeq flash --board nucleo_l); CURRENT=4; _edgeq_completion",
    "fish": 'source "$argv[1]"; complete -C "edgeq flash --board nucleo_l"',
}


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_shell_itself_completes(edgeq: Run, shell: str, tmp_path: Path) -> None:
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"{shell} is not installed")
    script = edgeq("completion", shell).stdout
    (tmp_path / "script").write_text(script)
    (tmp_path / "edgeq").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m edgeq "$@"\n')
    (tmp_path / "edgeq").chmod(0o755)
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    env = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT), "HOME": str(tmp_path)}
    quiet = {"bash": ["--norc"], "zsh": ["-f"], "fish": ["--no-config"]}[shell]
    name = [] if shell == "fish" else [shell]
    command = [program, *quiet, "-c", _PRESS[shell], *name, str(tmp_path / "script")]
    run = subprocess.run(
        command, capture_output=True, text=True, timeout=HANG_S, env=env, cwd=tmp_path, check=False
    )
    assert "nucleo_l4r5zi" in run.stdout, run
    assert "nucleo_f446re" not in run.stdout


def test_an_unknown_shell_is_refused(edgeq: Run) -> None:
    ended = edgeq("completion", "tcsh")
    assert ended.returncode == 2
    assert "'bash', 'zsh', 'fish'" in ended.stderr
