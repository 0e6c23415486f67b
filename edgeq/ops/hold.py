"""Hysteresis of an escalation: `hold` rows after an unsure one are escalated, too.

Rows follow on one another. What is kept is a count for each decision: the rows that are still to be
escalated, int16, 0 after a reset.
"""

import numpy as np

from edgeq.ir import Quant, TensorType
from edgeq.ops.op import Array

MOST_HOLD = 10_000  # rows; a count and one more lie in int16


def counts(decisions: int) -> TensorType:
    """The type of what is kept of so many decisions."""
    return TensorType((decisions,), "int16", Quant((1.0,), 0))


def held(unsure: Array, left: int, hold: int) -> tuple[Array, int]:
    """Which of the rows (rows,) are escalated, and how many behind the last one still will be.

    `left`: how many the rows before leave.
    """
    rows = len(unsure)
    if not rows:
        return unsure, left
    at = np.arange(rows)
    last = np.maximum.accumulate(np.where(unsure, at, -1 - hold))
    escalated = (at - last <= hold) | (at < left)
    return escalated, max(hold - (rows - 1 - int(last[-1])), left - rows, 0)
