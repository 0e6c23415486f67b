"""What every flasher is: how its program is found, its pure commands, and how they are run."""

import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgeq.board import Board
from edgeq.errors import Flash, Toolchain
from edgeq.flashers.attached import Surroundings
from edgeq.toolchain import Firmware

Commands = tuple[tuple[str, ...], ...]
FLASH_TIMEOUT_S = 180.0  # 2 MB at the slowest SWD clock, with the verify
_SHOWN_LINES = 20


@dataclass(frozen=True)
class Facts:
    """What a command depends on beside firmware and board.

    `program` starts the tool, `serial_number` names one probe, `volume` is the board's drive.
    """

    program: tuple[str, ...]
    serial_number: str | None = None
    volume: Path | None = None


@dataclass(frozen=True)
class Flasher:
    """One tool. Only `find` and `run` touch the machine.

    `find` gives the facts or raises Toolchain (not installed, with how to install it) or Link (no
    volume); `assumed` gives those of a dry run without the tool; `hint` is what to know before.
    """

    find: Callable[[Board, Surroundings], Facts]
    assumed: Callable[[Board], Facts]
    commands: Callable[[Firmware, Board, Facts], Commands]
    run: Callable[[Firmware, Board, Facts, Commands], dict[str, Any]]
    hint: Callable[[Board], str | None] = lambda _board: None


def run_commands(commands: Commands, timeout_s: float = FLASH_TIMEOUT_S) -> None:
    """Runs one command after the other; Flash with the tool's own words when one fails."""
    for command in commands:
        name = Path(command[0]).name
        try:
            run = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,  # a tool that asks which probe to take must not wait
                capture_output=True,
                text=True,
                errors="replace",
                timeout=timeout_s,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            said = last_words(_text(error.stdout), _text(error.stderr))
            raise Flash(f"{name} did not end within {timeout_s:g} s; stopped{said}") from None
        except OSError as error:
            raise Toolchain(f"{command[0]} cannot be run: {error}") from None
        if run.returncode != 0:
            said = last_words(run.stdout, run.stderr)
            raise Flash(f"{name} failed with exit code {run.returncode}{said}")


def last_words(*streams: str) -> str:
    """The last lines of a tool's output, to be appended to an error."""
    lines = [line for stream in streams for line in stream.splitlines() if line.strip()]
    return ":\n" + "\n".join(f"  {line}" for line in lines[-_SHOWN_LINES:]) if lines else ""


def _text(data: bytes | str | None) -> str:
    return data.decode(errors="replace") if isinstance(data, bytes) else data or ""
