"""A search as it is asked for, from its words to its run folder."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgeq.board import load_board
from edgeq.errors import BadInput
from edgeq.planning import folder as folders
from edgeq.planning.limits import Allowed
from edgeq.planning.planner import Tell
from edgeq.planning.table import Watch
from edgeq.reporting.study import is_study
from edgeq.searching.report import told
from edgeq.searching.result import best_model, search_result
from edgeq.searching.search import Wanted, search
from edgeq.searching.storage import default_url, optuna_module
from edgeq.searching.trial import Bounds
from edgeq.toolchain import find_compiler

SEARCHES = Path("build/search")


@dataclass(frozen=True)
class Given:
    """The arguments of `edgeq search`; `caps`: latency, energy, flash, RAM as texts."""

    space: Path
    board: str
    trials: int
    workers: int
    storage: str | None
    study: str | None
    objective: str
    caps: tuple[str | None, str | None, str | None, str | None]
    seed: int
    compiler: str

    def wanted(self, folder: Path) -> Wanted:
        """Checked; `folder` is the run's."""
        board, allowed = load_board(self.board), Allowed.read(*self.caps)
        allowed.check(board)
        objectives = tuple(part.strip() for part in self.objective.split(","))
        bounds = Bounds(board, find_compiler(self.compiler), allowed.limits(board), objectives)
        made = Wanted(
            self.space,
            bounds,
            self.trials,
            self.workers,
            self.storage or default_url(folder),
            self.study or self.space.stem or "search",
            folder / "models",
            self.seed,
        )
        made.check()
        return made


def searched(given: Given, run: str | Path | None, watch: Watch, tell: Tell) -> dict[str, Any]:
    """The object of `edgeq search --json`. The folder may be that of an earlier call, whose trials
    in it are gone on with.
    """
    optuna_module()
    folder = Path(run) if run is not None else SEARCHES / (given.space.stem or "search")
    wanted = given.wanted(folder)
    if not wanted.space.is_file():
        raise BadInput(f"{wanted.space} is no file; give a Python file with build, train and score")
    _refuse_strange(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(f"cannot make {folder}: {error.strerror or error}") from None
    study = search(wanted, watch, tell)
    result = search_result(study, wanted)
    best = best_model(result)
    result |= {"best_model": None if best is None else str(best)}
    page = folders.write(folder, told(result), digest=None, data=str(given.space), rows=None)
    return result | {"run": str(folder), "page": page}


OWN = {"search.db", "models", "search.journal"}


def _refuse_strange(folder: Path) -> None:
    """BadInput for a folder that holds something else."""
    try:
        names = {p.name for p in folder.iterdir()} if folder.exists() else set()
    except (OSError, ValueError) as error:
        raise BadInput(f"cannot write into {folder}: {error}; choose another --run") from None
    known = any(name.split("-")[0] in OWN for name in names)
    if names and not known and not is_study(folder):
        raise BadInput(f"{folder} holds no search, and is not empty; give --run another folder")
