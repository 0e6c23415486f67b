"""What one proof found: an entry of an export's `checks`."""

from dataclasses import asdict, dataclass
from typing import Any

from edgeq.ir import Graph
from edgeq.ir.ports import ends_in_map, inputs_of, outputs_of
from edgeq.task import Task

LEAST_TOP1, LEAST_ROUTES, MOST_MEAN = 0.98, 0.95, 2.0  # shares, and steps


@dataclass(frozen=True)
class Check:
    """One form beside the integer reference. `said` is the finding in words.

    `mismatches`: rows in which any output, the route or the uncertainty differs; `max_lsb` and
    `mean_lsb`: steps of the output; `top1_agreement`: None where no row has a top-1 that counts.
    `counted`: the rows that count for it; `filled`: the rows that were made up; `by`: what ran the
    form, `failed` why nothing could; `routes`: rows run on each route; `forced`: how many of all
    rows were sent there; `departs`: the first layer that differs; `accepted`: it failed, and was
    written all the same.
    """

    name: str
    samples: int
    mismatches: int
    max_lsb: int | None
    top1_agreement: float | None
    route_agreement: float | None
    mean_lsb: float | None = None
    passed: bool = True
    said: str = ""
    counted: int | None = None
    filled: int = 0
    by: str | None = None
    routes: dict[str, int] | None = None
    forced: int = 0
    departs: str | None = None
    accepted: bool = False
    failed: str | None = None

    @classmethod
    def of_nothing(cls, name: str, said: str, failed: str | None = None) -> "Check":
        """The check of a form that nothing could run; it did not pass."""
        return cls(name, 0, 0, None, None, None, passed=False, said=said, failed=failed)

    @property
    def strays(self) -> bool:
        """Whether outputs or routes are another model's, not steps away."""
        return (self.mean_lsb or 0.0) > MOST_MEAN or (self.route_agreement or 0.0) < LEAST_ROUTES

    @property
    def entry(self) -> dict[str, Any]:
        """The JSON object; "failed" is there only with its reason."""
        return {k: v for k, v in asdict(self).items() if k != "failed" or v is not None}


def has_classes(graph: Graph, task: Task | None) -> bool:
    """Whether the largest output of the first port is the answer: the task says so. Where none is
    stated: there are several, no map of them, and they are not the only input over again.
    """
    if task is not None:
        return task == "classification"
    result = outputs_of(graph).ports[0].size
    return result > 1 and not ends_in_map(graph) and result != inputs_of(graph).values
