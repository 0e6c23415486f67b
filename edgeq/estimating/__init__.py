"""What a model costs on a board before any flash: cycles, milliseconds, joules, memory."""

from edgeq.estimating.boards import Estimated, estimate_boards, of_folder
from edgeq.estimating.budget import Budget
from edgeq.estimating.cost import Shares
from edgeq.estimating.costed import Costed, Identity, within_budget

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
