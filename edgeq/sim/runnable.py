"""Which boards the emulator can count on: a clock of the core, and a twin of the port."""

from typing import TYPE_CHECKING

from edgeq.sim.cores import CORES, RISCV_CORES
from edgeq.sim.families import FAMILIES

if TYPE_CHECKING:
    from edgeq.board import Board


def why_not_run(board: "Board") -> str | None:
    """Why nothing can be counted on a board: no clock of its core, or no twin of its port."""
    if board.core not in CORES:
        instead = (
            "; `edgeq profile` counts its instructions on its virtual board"
            if board.core in RISCV_CORES
            else ""
        )
        return f"no clock model of {board.core}, only of {', '.join(CORES)}{instead}"
    if board.port.family not in FAMILIES:
        return (
            f"no virtual twin of {board.name}: its port {board.port.family!r} was only compiled; "
            f"`edgeq export --target {board.core}` estimates a bare core"
        )
    return None
