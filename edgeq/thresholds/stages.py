"""What stages of rising cost say of the same rows, and which of them would answer."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgeq.errors import BadInput
from edgeq.ops.hold import answering
from edgeq.ops.op import Array

MOST_STEPS = 1024
Thresholds = tuple[int, ...]


@dataclass(frozen=True)
class Stages:
    """Every stage's word on each row, as if all had run.

    doubts (rows, stages - 1) integers: a row goes on from stage j where its doubt exceeds
    threshold j. differs (rows, stages) bool: the stage's answer is another than the last one's.
    costs (rows, stages): of all that has run when stage j answers, in one unit, e.g. cycles.
    `lowest` is the least doubt that any row can have, one for each stage but the last. `hold`: the
    rows follow on one another, and so many go on behind one that does (ops/hold.py).
    """

    doubts: Array
    differs: Array
    costs: Array
    lowest: Thresholds
    hold: int = 0

    def __post_init__(self) -> None:
        rows, stages = self.differs.shape
        shapes = (self.doubts.shape, self.costs.shape, len(self.lowest))
        if shapes != ((rows, stages - 1), (rows, stages), stages - 1) or stages < 2:
            raise BadInput(
                f"doubts, costs and lowest doubts of shapes {shapes} do not belong to "
                f"{rows} rows of {stages} stages"
            )
        if rows and (self.doubts < self.lowest).any():
            raise BadInput(f"some doubts lie below the least that there can be, {self.lowest}")

    @property
    def rows(self) -> int:
        return len(self.differs)

    @property
    def last(self) -> int:
        """Index of the stage that is asked last."""
        return int(self.differs.shape[1]) - 1

    def part(self, rows: Array) -> "Stages":
        """These rows alone, none of which follows on another."""
        return Stages(self.doubts[rows], self.differs[rows], self.costs[rows], self.lowest)

    def answering(self, thresholds: Sequence[int]) -> Array:
        """(rows,) the stage that answers each row: the first that is not in doubt, or the last."""
        return answering(self.doubts > np.asarray(thresholds, dtype=np.int64), self.hold)

    def disagreements(self, thresholds: Sequence[int]) -> int:
        """Rows whose answer would be another than the last stage's."""
        return int(self._taken(self.differs, thresholds).sum())

    def mean_cost(self, thresholds: Sequence[int]) -> float:
        """Over the rows, in the unit of `costs`."""
        return float(self._taken(self.costs, thresholds).mean())

    def shares(self, thresholds: Sequence[int]) -> tuple[float, ...]:
        """Of the rows, the part that each stage answers."""
        counts = np.bincount(self.answering(thresholds), minlength=self.last + 1)
        return tuple((counts / self.rows).tolist())

    def _taken(self, table: Array, thresholds: Sequence[int]) -> Array:
        stage = self.answering(thresholds)
        return np.asarray(np.take_along_axis(table, stage[:, None], axis=1)[:, 0])


def steps_of(doubts: Array, lowest: Thresholds, most: int = MOST_STEPS) -> tuple[Thresholds, ...]:
    """Thresholds from "always go on" to "stop where any of these rows stops", in rising order.

    doubts (rows, stages - 1). With two stages every value that occurs is a step (of more than
    `most`, evenly many); with more, all stages move together along their own quantiles. Their order
    is fixed before anything is known of disagreements, as a test of them one after the other needs.
    """
    ordered = np.sort(np.asarray(doubts, dtype=np.int64), axis=0)
    if ordered.shape[1] == 1:
        ordered = np.unique(ordered)[:, None]
    at = np.unique(np.linspace(0, len(ordered) - 1, min(most, len(ordered))).round().astype(int))
    never = tuple(low - 1 for low in lowest)
    found = [never, *(tuple(row) for row in ordered[at].tolist())]
    return tuple(dict.fromkeys(found))
