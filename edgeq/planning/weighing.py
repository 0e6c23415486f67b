"""`edgeq pareto` and `edgeq advise`: candidates made, judged on the same rows, compared."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgeq.board import Board
from edgeq.errors import BadInput
from edgeq.planning import folder as folders
from edgeq.planning.compared import COSTS, advice, compared
from edgeq.planning.judged import Labelled, candidates, expected, judge
from edgeq.planning.pareto_report import told_of
from edgeq.planning.planner import Tell, check_clock
from edgeq.planning.rows import Rows
from edgeq.planning.table import Bench, Watch


@dataclass(frozen=True)
class Advised:
    """What advice is asked: which cost counts, and how much accuracy may be lost, a share."""

    prefer: str
    margin: float

    def check(self, board: Board) -> None:
        """BadInput for another cost, one that the board knows nothing of, or no margin."""
        if self.prefer not in COSTS:
            raise BadInput(f"--prefer is {self.prefer!r}; choose from {', '.join(COSTS)}")
        if self.prefer == "energy" and board.energy is None:
            raise BadInput(
                f"the board file of {board.name} has no energy figures; --prefer latency"
            )
        if not 0 <= self.margin < 1:
            raise BadInput(f"--margin is {100 * self.margin:g} points; give 0 or more, below 100")


@dataclass(frozen=True)
class Weighing:
    """What to compare: widths throughout, plans, and finished models, on the rows of `data`."""

    bench: Bench
    kinds: tuple[str, ...]
    plans: Sequence[Path] = ()
    also: Sequence[Path] = ()
    data: Path | None = None
    advised: Advised | None = None


def weigh(
    given: Rows, asked: Weighing, run: str | Path | None, watch: Watch, tell: Tell
) -> dict[str, Any]:
    """The object of `edgeq pareto --json`; with `advised` that of `edgeq advise --json`."""
    from edgeq.nn.post_training import weighted_layers

    board = asked.bench.board
    if asked.advised is not None:
        asked.advised.check(board)
    check_clock(board)
    folders.check_free(run)
    on = Labelled.of(given.model, asked.data)
    many = len(asked.kinds) + len(asked.plans) + len(asked.also)
    tell(expected(many, len(weighted_layers(given.model)), len(on.y), board.name))
    made = candidates(given, asked.bench, asked.kinds, asked.plans, asked.also)
    found = judge(made, on, asked.bench, watch, tell)
    entries = compared(found, on, board)
    result: dict[str, Any] = {
        "model": given.model.name,
        "model_digest": given.digest,
        "board": board.name,
        "source": "modelled",
        "compiler": found[0].counted.compiler,
        "ptq": asked.bench.ptq,
        "data": on.source,
        "rows": len(on.y),
        "clusters": on.clusters.count,
        "candidates": entries,
    }
    kind = "pareto"
    if asked.advised is not None:
        kind, how = "advise", asked.advised
        sizes = len(on.y), on.clusters.count
        result["advice"] = advice(entries, how.prefer, how.margin, *sizes)
    return folders.kept(run, told_of(kind, result), given)
