"""What a model costs on a board before any flash: cycles, milliseconds, joules, memory."""

from edgeq.estimate.boards import Estimated, estimate_boards, of_folder
from edgeq.estimate.budget import Budget
from edgeq.estimate.cost import Shares
from edgeq.estimate.costed import Costed, Identity, within_budget

__all__ = [
    "Budget",
    "Costed",
    "Estimated",
    "Identity",
    "Shares",
    "estimate_boards",
    "of_folder",
    "within_budget",
]
