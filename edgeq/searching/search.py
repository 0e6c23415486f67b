"""`edgeq search`: a study begun or gone on with, until it holds the trials asked for."""

import contextlib
import math
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import psutil

from edgeq.errors import BadInput
from edgeq.planning.planner import Tell, check_clock, duration
from edgeq.planning.table import Watch
from edgeq.searching.crew import Crew, Died
from edgeq.searching.space import load_space
from edgeq.searching.storage import Study, answering, open_storage, optuna_module, shown
from edgeq.searching.trial import OBJECTIVES, WORKER, Bounds
from edgeq.searching.worker import Ended, Lost, Order, identity, sampler

FAILURES = 3  # trials that fail before any other ends: then the space itself is at fault
DEATHS = 3  # likewise workers that die


@dataclass(frozen=True)
class Wanted:
    """What to search: `trials` in all, those that the study holds already among them."""

    space: Path
    bounds: Bounds
    trials: int
    workers: int
    storage: str
    study: str
    models: Path
    seed: int = 0

    def check(self) -> None:
        """BadInput for what can be told before anything runs."""
        if self.trials < 1 or not 1 <= self.workers <= 256:
            raise BadInput(
                f"{self.trials} trials, {self.workers} workers: give 1 or more, 256 at most"
            )
        odd = [name for name in self.bounds.objectives if name not in OBJECTIVES]
        if odd or "accuracy" not in self.bounds.objectives:
            raise BadInput(
                f"--objective {','.join(self.bounds.objectives)}: give accuracy, and some of "
                f"{', '.join(list(OBJECTIVES)[1:])} beside it"
            )
        check_clock(self.bounds.board)


def search(wanted: Wanted, watch: Watch, tell: Tell) -> Study:
    """Runs trials by worker processes; the study when it holds enough.

    A killed worker loses its one trial: that is marked as failed, another worker starts. Raises
    BadInput for a space that cannot run, one whose first trials all fail, and for a storage that
    is gone; what it held is there for the next call.
    """
    wanted.check()
    load_space(wanted.space)
    study = _study(wanted)
    lost = fail_orphans(study)
    done = _finished(study)
    more = f"; {done} are there already" if done else ""
    more += f", {lost} of a worker that is gone" if lost else ""
    tell(
        f"searching {wanted.trials} trials by {wanted.workers} workers on "
        f"{wanted.bounds.board.name}, in {shown(wanted.storage)}{more}; how long it takes is told "
        "after the first"
    )
    if done < wanted.trials:
        order = Order(
            wanted.space, wanted.storage, wanted.study, wanted.bounds, wanted.models, wanted.seed
        )
        size = min(wanted.workers, wanted.trials - done)
        with Crew(order, size) as crew:
            _Run(wanted, study, crew, watch, tell).until_done()
    return study


def _study(wanted: Wanted) -> Study:
    optuna = optuna_module()
    objectives = wanted.bounds.objectives
    with answering(wanted.storage):
        study = optuna.create_study(
            study_name=wanted.study,
            storage=open_storage(wanted.storage),
            load_if_exists=True,
            directions=[OBJECTIVES[name] for name in objectives],
            sampler=sampler(len(objectives), wanted.seed),
        )
        asked = {
            "board": wanted.bounds.board.name,
            "objectives": list(objectives),
            **{n: v for n, v in vars(wanted.bounds.limits).items() if v < math.inf},
        }
        before = study.user_attrs.get("edgeq")
        if before is not None and before != asked:
            apart = [key for key in {**before, **asked} if before.get(key) != asked.get(key)]
            raise BadInput(
                f"the study {wanted.study!r} in {shown(wanted.storage)} is of another "
                f"{', '.join(sorted(apart))}; give --study another name"
            )
        study.set_user_attr("edgeq", asked)
    return study


def fail_orphans(study: Study) -> int:
    """Running trials of this computer's processes that are gone become failed; how many.

    Those of other computers are left alone: whether they run cannot be told from here.
    """
    optuna = optuna_module()
    states = optuna.trial.TrialState
    host = identity().rsplit(" ", 2)[0]
    lost = 0
    for trial in study.get_trials(deepcopy=False, states=(states.RUNNING,)):
        name, pid, start = str(trial.user_attrs.get(WORKER, "? 0 0")).rsplit(" ", 2)
        if name == host and not _lives(int(pid), float(start)):
            lost += _fail(study, trial.number)
    return lost


def _lives(pid: int, start: float) -> bool:
    try:
        return abs(psutil.Process(pid).create_time() - start) < 1
    except psutil.Error:
        return False


def _fail(study: Study, number: int) -> int:
    optuna = optuna_module()
    with contextlib.suppress(ValueError):  # it was told meanwhile
        study.tell(number, state=optuna.trial.TrialState.FAIL)
        return 1
    return 0


def _finished(study: Study) -> int:
    """Trials that are complete or were pruned: those that count."""
    states = optuna_module().trial.TrialState
    return len(study.get_trials(deepcopy=False, states=(states.COMPLETE, states.PRUNED)))


class _Run:
    """The loop of the parent: tickets out, endings in."""

    def __init__(self, wanted: Wanted, study: Study, crew: Crew, watch: Watch, tell: Tell) -> None:
        self.wanted, self.study, self.crew = wanted, study, crew
        self.watch, self.tell = watch, tell
        self.failures = self.deaths = self.ended = 0
        self.began = time.perf_counter()

    def until_done(self) -> None:
        while (done := self._done()) < self.wanted.trials:
            self.watch(done, self.wanted.trials, self._words())
            self.crew.hand_out(self.wanted.trials - done - self.crew.busy)
            self._take(self.crew.events(lambda: None))
        self.watch(self.wanted.trials, self.wanted.trials, "")

    def _done(self) -> int:
        with answering(self.wanted.storage):
            return _finished(self.study)

    def _words(self) -> str:
        with contextlib.suppress(ValueError):
            if len(self.wanted.bounds.objectives) == 1:
                return f"best {self.study.best_value:.1%}"
        return ""

    def _take(self, events: Iterable[object]) -> None:
        for event in events:
            if isinstance(event, Lost):
                raise BadInput(event.said)
            if isinstance(event, Died):
                self._died(event)
            elif isinstance(event, Ended):
                self._ended(event)

    def _ended(self, event: Ended) -> None:
        if event.state == "FAIL":
            self.failures += 1
            self.tell(f"trial {event.number} failed: {event.said}")
            if self.failures >= FAILURES and not self.ended:
                raise BadInput(
                    f"the first {self.failures} trials of {self.wanted.space} failed, the last: "
                    f"{event.said}"
                )
            return
        if not self.ended:
            took = (time.perf_counter() - self.began) / max(1, len(self.crew.hands))
            left = self.wanted.trials - self._done()
            self.tell(f"the first trial is done; the other {left}: {duration(took * left)}")
        self.ended += 1

    def _died(self, event: Died) -> None:
        """Its trial is lost, no other is."""
        self.deaths += 1
        with answering(self.wanted.storage):
            lost = fail_orphans(self.study)
        self.tell(f"worker {event.pid} ended ({event.code}), {lost} trial lost; another starts")
        if self.deaths >= DEATHS and not self.ended:
            raise BadInput(
                f"{self.deaths} workers died before any trial ended (exit code {event.code}); does "
                f"{self.wanted.space} end its process, or take more memory than there is?"
            )
