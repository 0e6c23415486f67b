"""What a model costs on a board before any flash: cycles, milliseconds, joules, memory."""

from edgeq.estimate.boards import Estimated, estimate_boards, of_folder, on_board
from edgeq.estimate.cost import Shares

__all__ = ["Estimated", "Shares", "estimate_boards", "of_folder", "on_board"]
