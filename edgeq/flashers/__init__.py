"""Brings a built firmware to its board: one file per tool."""

import json
import os
import subprocess
import sys
from typing import Any

from edgeq.board import Board, load_board
from edgeq.errors import Flash
from edgeq.toolchain import Firmware


def choose_board(name: str | None) -> Board:
    """The board called `name`."""
    return load_board(name or "virtual_m4")


def flash(
    firmware: Firmware, board: Board, tool: str | None = None, dry_run: bool = False
) -> dict[str, Any]:
    """Starts the virtual board."""
    elf = str(firmware.elf)
    command = [sys.executable, "-m", "edgeq.sim", elf, "--board", board.name, "--pty", "--json"]
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        env=os.environ.copy(),
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise Flash(f"the virtual board did not start; run {' '.join(command)} to see why")
    started: dict[str, Any] = json.loads(line)
    return {"tool": "virtual", "port": started["port"], "pid": started["pid"]}
