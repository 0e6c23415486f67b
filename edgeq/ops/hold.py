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


def answering(unsure: Array, hold: int) -> Array:
    """(rows,) the stage that answers each row, the first of them after a reset: the first stage
    that is not `unsure` (rows, stages - 1) of it, or the last.
    """
    if not hold:
        return np.asarray(np.where(unsure.all(axis=1), unsure.shape[1], unsure.argmin(axis=1)))
    stage, reached = np.zeros(len(unsure), np.int64), np.ones(len(unsure), bool)
    for column in unsure.T:
        reached = reached & held(reached & column, 0, hold)[0]
        stage += reached
    return stage


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
