"""A worker: a process of its own that runs one trial for each ticket that it is handed."""

import contextlib
import os
import platform
import signal
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from edgeq.errors import EdgeqError
from edgeq.searching.space import Space, load_space, where
from edgeq.searching.storage import Study, answering, open_storage, optuna_module
from edgeq.searching.trial import ERROR, WORKER, Bounds, constraints, run_trial


@dataclass(frozen=True)
class Order:
    """What a worker needs, as it is sent to it. `seed` is the worker's own."""

    space: Path
    storage: str
    study: str
    bounds: Bounds
    models: Path
    seed: int


@dataclass(frozen=True)
class Ended:
    """How a trial ended: its state's name, and what went wrong in the user's own words."""

    number: int
    state: str
    said: str = ""


@dataclass(frozen=True)
class Lost:
    """A worker that cannot go on: its storage does not answer, or the space cannot run."""

    said: str


def identity() -> str:
    """This process, told from one that had its number before: "HOST PID START"."""
    import psutil

    return f"{platform.node()} {os.getpid()} {psutil.Process().create_time():.2f}"


def sampler(objectives: int, seed: int) -> Any:  # noqa: ANN401
    """TPE that knows the caps, and keeps workers off each other's running trials."""
    optuna = optuna_module()
    return optuna.samplers.TPESampler(
        seed=seed, constraints_func=constraints, constant_liar=True, multivariate=objectives > 1
    )


def work(order: Order, pipe: Connection) -> None:
    """Runs trials until None comes instead of a ticket, or its parent is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends it
    import torch

    torch.set_num_threads(1)
    try:
        optuna = optuna_module()
        space = load_space(order.space)
        with answering(order.storage):
            study = optuna.load_study(
                study_name=order.study,
                storage=open_storage(order.storage),
                sampler=sampler(len(order.bounds.objectives), order.seed),
            )
        with contextlib.suppress(EOFError, OSError):
            while pipe.recv() is not None:
                pipe.send(_one(study, space, order))
    except EdgeqError as error:
        with contextlib.suppress(OSError):
            pipe.send(Lost(str(error)))


def _one(study: Study, space: Space, order: Order) -> Ended:
    """One trial from Optuna's asking to its telling; an error of the user's code fails it."""
    optuna = optuna_module()
    states = optuna.trial.TrialState
    with answering(order.storage):
        trial = study.ask()
        trial.set_user_attr(WORKER, identity())
    values, state, said = None, states.COMPLETE, ""
    try:
        values = list(run_trial(study, trial, space, order.bounds, order.models))
    except optuna.TrialPruned as error:
        state, said = states.PRUNED, str(error)
    except Exception as error:
        state, said = states.FAIL, where(error, space.path)
    with answering(order.storage):
        if state == states.FAIL:
            trial.set_user_attr(ERROR, said)
        study.tell(trial, values, state=state)
    return Ended(trial.number, state.name, said)
