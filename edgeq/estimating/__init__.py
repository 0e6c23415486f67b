"""What a model costs on a board before any flash: cycles, milliseconds, joules, memory."""

from edgeq.estimating.boards import Estimated, estimate_boards, of_folder
from edgeq.estimating.budget import Budget
from edgeq.estimating.cost import Shares
from edgeq.estimating.costed import Costed, Identity, within_budget
from edgeq.estimating.deadline import deadline_entry, hop_seconds
from edgeq.estimating.promised import Promised

__all__ = [
    "Budget",
    "Costed",
    "Estimated",
    "Identity",
    "Promised",
    "Shares",
    "deadline_entry",
    "estimate_boards",
    "hop_seconds",
    "of_folder",
    "within_budget",
]
