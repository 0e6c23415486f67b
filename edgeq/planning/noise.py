"""What so many rows can tell of losses: their standard errors, and whether a plan is shown better.

Losses of widths are of the same rows, so differences are taken row by row (paired).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgeq.ops.op import Array

SURE = 2.0  # standard errors that a difference is shown by
ROWS = 2048  # that losses are weighed on at most
MANY = 100_000  # rows that nobody collects for it
RowLosses = Mapping[str, Mapping[str, Array]]  # layer -> kind -> (N,)
Losses = dict[str, dict[str, float]]


@dataclass(frozen=True)
class Weights:
    """Losses for the integer program, and of each row for what they are worth; rows None: unknown.

    A wider layer never loses more: where the rows say it does, both have the mean of what they say.
    """

    losses: Mapping[str, Mapping[str, float]]
    rows: RowLosses | None = None

    @classmethod
    def of_rows(cls, rows: RowLosses) -> "Weights":
        """`rows`: kinds narrowest first."""
        means = {n: {k: float(r.mean()) for k, r in own.items()} for n, own in rows.items()}
        return cls({n: falling(own) for n, own in means.items()}, rows)

    def error(self, layer: str, kind: str) -> float | None:
        """Standard error of one loss."""
        return None if self.rows is None else standard_error(self.rows[layer][kind])

    def against(self, plan: Mapping[str, str], rivals: Sequence[str]) -> dict[str, Any] | None:
        """The plan beside the best of the widths throughout, by paired rows; None without any.

        `rows_needed`: at which a difference of that size would be shown, None where it is or where
        it is none.
        """
        others = [k for k in rivals if any(kind != k for kind in plan.values())]
        if self.rows is None or not others:
            return None
        rows = self.rows
        own = np.sum([rows[n][k] for n, k in plan.items()], 0)
        throughout = {k: np.sum([rows[n][k] for n in plan], 0) for k in others}
        best = min(others, key=lambda k: float(throughout[k].mean()))
        more = throughout[best] - own
        difference, error = float(more.mean()), standard_error(more)
        shown = difference >= SURE * error
        needed = None if shown or difference <= 0 else needed_rows(difference, error, len(more))
        return {
            "width": best,
            "difference": difference,
            "error": error,
            "shown": shown,
            "rows_needed": needed,
        }


def standard_error(rows: Array) -> float:
    """Of the mean of (N,); 0 of a single row, which says nothing."""
    return float(np.std(rows, ddof=1) / math.sqrt(len(rows))) if len(rows) > 1 else 0.0


def needed_rows(difference: float, error: float, rows: int) -> int:
    """Rows at which the error, which falls with their root, is half of the difference; two digits.

    >>> needed_rows(0.1, 0.1, 60), needed_rows(0.1, 0.06, 60)
    (240, 87)
    """
    most = rows * (SURE * error / difference) ** 2
    unit = int(10 ** max(0, math.floor(math.log10(most)) - 1))
    return math.ceil(round(most / unit, 6)) * unit


def falling(losses: Mapping[str, float]) -> dict[str, float]:
    """The nearest losses that never rise with the width (pool adjacent violators).

    >>> falling({"ternary": 3.0, "int4": 1.0, "int8": 2.0})
    {'ternary': 3.0, 'int4': 1.5, 'int8': 1.5}
    """
    pools: list[list[float]] = []  # [mean, how many]
    for loss in losses.values():
        pools.append([loss, 1])
        while len(pools) > 1 and pools[-2][0] < pools[-1][0]:
            (a, n), (b, m) = pools[-2:]
            pools[-2:] = [[(a * n + b * m) / (n + m), n + m]]
    means = [mean for mean, many in pools for _ in range(int(many))]
    return dict(zip(losses, means, strict=True))
