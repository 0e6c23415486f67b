"""One trial: built, counted, held to the caps, trained, ended early where behind, scored."""

import math
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgeq.board import Board
from edgeq.errors import BadInput
from edgeq.estimating.cost import figures
from edgeq.planning.counted import Counted, count_or_roomy
from edgeq.planning.program import Limits
from edgeq.reference import quantize_rows
from edgeq.searching.space import Space
from edgeq.searching.storage import FrozenTrial, Study, Trial, optuna_module
from edgeq.sources import Trained
from edgeq.toolchain import Compiler

if TYPE_CHECKING:
    from edgeq.nn import Model

STARTUP = 5  # finished trials before one may be ended early
OBJECTIVES = {"accuracy": "maximize", "latency": "minimize", "flash": "minimize", "ram": "minimize"}
COSTS = {"latency": "latency_s", "flash": "flash_bytes", "ram": "ram_bytes"}
OVER, EARLY, COST, WORKER, SECONDS, MODEL, ERROR = (
    "over",
    "early",
    "cost",
    "worker",
    "seconds",
    "model",
    "error",
)


@dataclass(frozen=True)
class Bounds:
    """What a trial is held to: the board's caps as `limits`, and what is optimised."""

    board: Board
    compiler: Compiler
    limits: Limits
    objectives: tuple[str, ...]

    def over(self, counted: Counted) -> dict[str, float]:
        """By how much of itself each limit is exceeded; below 0 where it is met."""
        limits = {n: v for n, v in vars(self.limits).items() if v < math.inf}
        return {name: getattr(counted, name) / limit - 1 for name, limit in limits.items()}


class Behind(Exception):
    """A trial that its early accuracy ends."""


def run_trial(
    study: Study, trial: Trial, space: Space, bounds: Bounds, models: Path
) -> tuple[float, ...]:
    """The values of the objectives. Raises optuna.TrialPruned for one over the caps, or behind."""
    optuna, start = optuna_module(), time.perf_counter()
    model = _built(space, trial)
    counted = counted_model(model, bounds)
    cost = {
        **figures(counted.cycles, bounds.board, bounds.board.energy),
        "cycles": counted.cycles,
        "flash_bytes": counted.flash_bytes,
        "ram_bytes": counted.ram_bytes,
    }
    over = bounds.over(counted)
    trial.set_user_attr(COST, cost)
    trial.set_user_attr(OVER, over)
    if any(more > 0 for more in over.values()):
        trial.set_user_attr(SECONDS, time.perf_counter() - start)
        raise optuna.TrialPruned("over the caps")
    early: dict[str, float] = {}

    def report(epoch: int, accuracy: float) -> None:
        early[str(epoch)] = float(accuracy)
        trial.set_user_attr(EARLY, early)
        if behind(study, epoch, float(accuracy)):
            raise Behind

    try:
        space.train(model, report)
    except Behind:
        trial.set_user_attr(SECONDS, time.perf_counter() - start)
        raise optuna.TrialPruned("behind the median") from None
    accuracy = float(space.score(model))
    if not 0 <= accuracy <= 1:
        raise BadInput(f"score(model) gave {accuracy}; an accuracy is 0 to 1")
    trial.set_user_attr("accuracy", accuracy)
    trial.set_user_attr(MODEL, _saved(model, models, trial.number))
    trial.set_user_attr(SECONDS, time.perf_counter() - start)
    return tuple(accuracy if o == "accuracy" else cost[COSTS[o]] for o in bounds.objectives)


def _built(space: Space, trial: Trial) -> "Model":
    from edgeq.nn import Model

    model = space.build(trial)
    if not isinstance(model, Model):
        raise BadInput(f"build(trial) gave {type(model).__name__}, not an edgeq.nn.Model")
    if model.calibration is None:
        raise BadInput("build(trial) gave a model without calibration rows: Model(calibration=x)")
    return model


def counted_model(model: "Model", bounds: Bounds) -> Counted:
    """What it costs untrained, which is what it costs trained: kernels go by shapes and widths."""
    model.eval()
    source = Trained("0" * 64, model)
    x = source.rows(None)
    graph = source.quantized(x, "mse", bounds.board.features, None).graph
    return count_or_roomy(graph, quantize_rows(graph, x[:1]), bounds.board, bounds.compiler)


def behind(study: Study, epoch: int, accuracy: float) -> bool:
    """Whether it is below the median of what finished trials had at this epoch.

    Optuna's own pruners know one objective only; this rule serves several.
    """
    optuna = optuna_module()
    done = study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,))
    others = [
        t.user_attrs[EARLY][str(epoch)] for t in done if str(epoch) in t.user_attrs.get(EARLY, {})
    ]
    return len(others) >= STARTUP and accuracy < statistics.median(others)


def _saved(model: "Model", models: Path, number: int) -> str:
    from edgeq.nn import save

    model.eval()
    model.calibrate()
    models.mkdir(parents=True, exist_ok=True)
    path = models / f"{number:05}.pt"
    save(model, path)
    return str(path)


def constraints(trial: FrozenTrial) -> Sequence[float]:
    """What Optuna's sampler is told of the caps: above 0 is over."""
    found: dict[str, float] = trial.user_attrs.get(OVER, {})
    return [float(value) for value in found.values()] or [0.0]
