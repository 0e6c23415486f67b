"""`edgeq plan`: costs counted, losses weighed, the program solved, its plan built and held."""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from edgeq.board import Board
from edgeq.errors import BadInput, CostBudget
from edgeq.estimating.cost import figures
from edgeq.planning.counted import Counted
from edgeq.planning.limits import Allowed
from edgeq.planning.noise import ROWS, Weights
from edgeq.planning.priced import Priced
from edgeq.planning.program import Costs, Limits, Total, solve
from edgeq.planning.table import Bench, Watch, cost_table, uniform
from edgeq.sim.runnable import why_not_run

if TYPE_CHECKING:
    from edgeq.nn import Model
    from edgeq.nn.sensitivity import Weighed

BY = ("loss", "hessian")
MOST_TRIES = 4  # plans that are built, should one cost more than the table said
BUILD_S = 8.0  # of a firmware, and its run, on a plain computer: told before the first is timed
Tell = Callable[[str], None]


@dataclass(frozen=True)
class Asked:
    """What to plan: `kinds` narrowest first, `allowed` the budgets, `by` one of BY.

    `y`: labels of the rows `bench.x`, for a loss against them. `priced`: what learns the widths, in
    the place of the integer program.
    """

    bench: Bench
    kinds: tuple[str, ...]
    allowed: Allowed
    by: str = "loss"
    y: object = None
    priced: Priced | None = None

    def check(self) -> None:
        """BadInput for what can be told before anything runs."""
        if self.by not in BY:
            raise BadInput(f"--sensitivity is {self.by!r}; choose from {', '.join(BY)}")
        check_clock(self.bench.board)
        self.allowed.check(self.bench.board)
        if self.priced is not None:
            self.priced.check()


def check_clock(board: Board) -> None:
    """BadInput for a board on which nothing can be counted."""
    if (why := why_not_run(board)) is not None:
        raise BadInput(why)


def plan_widths(model: "Model", asked: Asked, watch: Watch, tell: Tell) -> dict[str, Any]:
    """The widths of `edgeq plan`, and all that they rest on, as plain JSON.

    `watch` hears of steps done, in all, the next one's name; `tell` a line before it starts. Raises
    CostBudget where no plan meets the budgets, with the binding one and the least that would do.
    """
    from edgeq.nn.sensitivity import weighed

    asked.check()
    start = time.perf_counter()
    of = weighed(model, asked.bench.x, asked.y, ROWS)
    tell(_expected(of, asked, time.perf_counter() - start))
    weights = _weights(of, asked, watch)
    counts = uniform(asked.bench, model, of.layers, asked.kinds, watch)
    costs = cost_table(of.layers, counts, weights.losses)
    learned = None if asked.priced is None else asked.priced.learned(model, costs)
    if learned is None:
        widths, counted = _held(model, asked, costs, watch)
    else:
        widths = learned.pop("widths")
        counted = _built(model, asked, widths)
    throughout = [_uniform(k, of.layers, costs, asked) for k in asked.kinds]
    rivals = [one["width"] for one in throughout if one["meets"]]
    return {
        "model": model.name,
        "board": asked.bench.board.name,
        "source": "modelled",
        "compiler": counted.compiler,
        "by": asked.by,
        "loss": of.judge.name if asked.by == "loss" else "half the mean Hessian",
        "learned": learned,
        "rows": len(of.rows),
        "labelled": asked.y is not None,
        "bits": list(asked.kinds),
        "ptq": asked.bench.ptq,
        "budget": asked.allowed.asked,
        "widths": widths,
        "predicted": _figures(costs.of(widths), asked.bench.board),
        "counted": _counted_figures(counted, costs.of(widths).loss, asked.bench.board),
        "cycles_error": costs.of(widths).cycles / counted.cycles - 1,
        "uniform": throughout,
        "against_uniform": None if learned else weights.against(widths, rivals),
        "layers": [_layer(n, costs, counts, widths[n], weights) for n in of.layers],
        "seconds": time.perf_counter() - start,
    }


def _expected(of: "Weighed", asked: Asked, once: float) -> str:
    """What it will take: the float run has been timed, as two runs."""
    runs = len(of.layers) * len(asked.kinds) if asked.by == "loss" else 24
    seconds = runs * once / 2 + (len(asked.kinds) + 1) * (BUILD_S + 2 * once)
    return (
        f"planning {len(of.layers)} layers at {len(asked.kinds)} widths on {len(of.rows)} rows, "
        f"{len(asked.kinds) + 1} firmwares for {asked.bench.board.name}: {duration(seconds)}"
    )


def duration(seconds: float) -> str:
    """ "about 40 s", "about 3 min".

    >>> duration(38), duration(170)
    ('about 40 s', 'about 3 min')
    """
    if seconds < 90:
        return f"about {max(10, round(seconds, -1)):.0f} s"
    return f"about {round(seconds / 60):,} min"


def _weights(of: "Weighed", asked: Asked, watch: Watch) -> Weights:
    from edgeq.nn.sensitivity import hessian_increases, hessian_traces, row_increases

    if asked.by == "loss":
        found = row_increases(of, asked.kinds, watch)
        return Weights.of_rows({n: {k: r.numpy() for k, r in o.items()} for n, o in found.items()})
    return Weights(hessian_increases(of, asked.kinds, hessian_traces(of, watch)))


def _held(
    model: "Model", asked: Asked, costs: Costs, watch: Watch
) -> tuple[dict[str, str], Counted]:
    """The plan whose own firmware meets the budgets, and that firmware.

    What the table says is held to the plan's firmware: of one that costs more by some cycles or
    bytes, that much is taken off the budget, and the program solved again.
    """
    limits = wanted = asked.allowed.limits(asked.bench.board)
    for attempt in range(MOST_TRIES):
        widths = solve(costs, limits)
        if widths is None:
            raise CostBudget(asked.allowed.unmeetable(costs, limits, asked.bench.board))
        watch(attempt, MOST_TRIES, "the plan's own firmware")
        counted = asked.bench.count(asked.bench.quantized(model, widths))
        over = _excess(counted, wanted)
        if not over:
            watch(MOST_TRIES, MOST_TRIES, "")
            return widths, counted
        limits = replace(limits, **{n: getattr(limits, n) - more for n, more in over.items()})
    raise CostBudget(
        f"{MOST_TRIES} plans that the table allows cost more when built: the last one "
        + ", ".join(f"{more:,.0f} {name} too many" for name, more in over.items())
        + "; allow a little more"
    )


def _built(model: "Model", asked: Asked, widths: Mapping[str, str]) -> Counted:
    """The firmware of widths that were learned; CostBudget where it is over a budget."""
    counted = asked.bench.count(asked.bench.quantized(model, widths))
    over = _excess(counted, asked.allowed.limits(asked.bench.board))
    if over:
        raise CostBudget(
            "the learned widths are over the budget by "
            + ", ".join(f"{more:,.0f} {name}" for name, more in over.items())
            + "; give a higher --price, or leave --learn out for the integer program"
        )
    return counted


def _excess(counted: Counted, limits: Limits) -> dict[str, float]:
    found = {name: getattr(counted, name) - limit for name, limit in vars(limits).items()}
    return {name: more for name, more in found.items() if more > 0 and more < math.inf}


def _figures(total: Total, board: Board) -> dict[str, Any]:
    return {
        **figures(total.cycles, board, board.energy),
        "cycles": total.cycles,
        "flash_bytes": total.flash_bytes,
        "ram_bytes": total.ram_bytes,
        "sensitivity": total.loss,
    }


def _counted_figures(counted: Counted, loss: float, board: Board) -> dict[str, Any]:
    return _figures(Total(counted.cycles, counted.flash_bytes, counted.ram_bytes, loss), board)


def _uniform(kind: str, layers: tuple[str, ...], costs: Costs, asked: Asked) -> dict[str, Any]:
    total = costs.of(dict.fromkeys(layers, kind))
    meets = asked.allowed.limits(asked.bench.board).met_by(total)
    return {"width": kind, **_figures(total, asked.bench.board), "meets": meets}


def _layer(
    name: str, costs: Costs, counts: Mapping[str, Counted], chosen: str, weights: Weights
) -> dict[str, Any]:
    kernels = {
        kind: next(layer for layer in found.layers if layer.name == name)
        for kind, found in counts.items()
    }
    return {
        "layer": name,
        "op": kernels[chosen].op,
        "width": chosen,
        "choices": [
            {
                "width": kind,
                "kernel": kernels[kind].kernel,
                "cycles": choice.cycles,
                "weight_bytes": choice.weight_bytes,
                "ram_bytes": choice.ram_bytes,
                "loss": choice.loss,
                "loss_error": weights.error(name, kind),
            }
            for kind, choice in costs.layers[name].items()
        ],
    }
