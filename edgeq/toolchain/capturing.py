"""A board whose firmware hears its microphone (docs/capture.md)."""

from edgeq.board import Board, all_boards
from edgeq.errors import BadInput

IRQ = "CAPTURE_IRQ"  # in the port's configuration of a firmware that captures, and of no other


def that_captures(board: Board) -> Board:
    """`board` with the capture driver's configuration. BadInput where it has no microphone."""
    if board.microphone is None:
        have = ", ".join(other.name for other in all_boards() if other.microphone is not None)
        raise BadInput(f"--microphone: no capture driver for {board.name}; there is for {have}")
    heard = {f"CAPTURE_{name}": value for name, value in board.microphone.config.items()}
    port = board.port.model_copy(update={"config": {**board.port.config, **heard}})
    return board.model_copy(update={"port": port})
