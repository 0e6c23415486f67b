"""The verbs that study a model before it ships, as functions of the Python API."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeq.files import path_of

if TYPE_CHECKING:
    from edgeq.nn import Model
    from edgeq.planning.weighing import Advised

Watch = Callable[[int, int, str], None]
Tell = Callable[[str], None]


def _unwatched(_done: int, _all: int, _name: str) -> None: ...


def _untold(_line: str) -> None: ...


def plan(
    model: "str | Path | Model",
    board: str,
    out: str | Path = "plan.toml",
    *,
    bits: str = "1.58,2,3,4,8",
    max_latency: str | None = None,
    max_energy: str | None = None,
    max_flash: str | None = None,
    max_ram: str | None = None,
    calibration: str | Path | None = None,
    sensitivity: str = "loss",
    learn: str | Path | None = None,
    against: str = "latency",
    price: float = 0.1,
    epochs: int = 10,
    ptq: str = "fast",
    compiler: str = "auto",
    run: str | Path | None = None,
    watch: Watch | None = None,
    tell: Tell | None = None,
) -> dict[str, Any]:
    """The width of each layer that loses least within budgets, as `edgeq plan`; writes `out`.

    Budgets carry units ("20ms", "1mJ", "128KB"). `calibration`: an .npz file with key x, and y for
    a loss against labels; default the model's own rows. `sensitivity`: "loss" or "hessian".
    `learn`: an .npz file (x, y) on which the widths are learned instead (DiffQ), `epochs` long, at
    a `price` on what all layers cost `against` "flash", "latency" or "energy", as a share of the
    widest widths' cost, beside the cross entropy.
    `run`: the folder for all that was found (docs/planning.md). `watch` hears of steps done, in
    all, and the next one's name; `tell` how long it will take. Raises BadInput, ModelFile,
    UnsupportedOp, Toolchain, and CostBudget where no plan meets the budgets: with the binding one
    and the least that would do.
    """
    from edgeq.board import load_board
    from edgeq.planning.limits import Allowed
    from edgeq.planning.planner import Asked
    from edgeq.planning.priced import Priced
    from edgeq.planning.rows import Rows
    from edgeq.planning.table import Bench
    from edgeq.planning.widths import read_widths
    from edgeq.planning.written import plan_written
    from edgeq.toolchain import find_compiler

    allowed = Allowed.read(max_latency, max_energy, max_flash, max_ram)
    kinds, named, found = read_widths(bits), load_board(board), find_compiler(compiler)
    given = Rows.of(model, path_of(calibration))
    priced = None if learn is None else Priced(Path(learn), against, price, epochs)
    asked = Asked(Bench(named, found, given.x, ptq), kinds, allowed, sensitivity, given.y, priced)
    return plan_written(given, asked, Path(out), run, watch or _unwatched, tell or _untold)


def plan_difference(a: str | Path, b: str | Path) -> dict[str, Any]:
    """What plan B changes against plan A: layers with other widths, and the predictions.

    Raises BadInput for a file that is no plan.
    """
    from edgeq.plan_file import difference, read_plan

    return difference(read_plan(a), read_plan(b))


def inspect(
    model: "str | Path | Model",
    *,
    bits: str = "1.58,2,3,4,8",
    calibration: str | Path | None = None,
    run: str | Path | None = None,
    watch: Watch | None = None,
    tell: Tell | None = None,
) -> dict[str, Any]:
    """What each layer of a float model carries and loses at each width, as `edgeq inspect`.

    Ranges, kurtosis, outlier channels, saturation, dead channels and bits of the accumulator; the
    loss at each of `bits`, alone, and the Hessian's mean diagonal; warnings with what to do. A row
    for each channel is kept in the folder `run` (docs/planning.md). `calibration`: an .npz file
    with key x, and y for a loss against labels. Raises BadInput, ModelFile, and UnsupportedOp for a
    mixture.
    """
    from edgeq.planning import folder as folders
    from edgeq.planning.inspect_report import told
    from edgeq.planning.inspector import inspect_model
    from edgeq.planning.rows import Rows
    from edgeq.planning.widths import read_widths

    kinds, given = read_widths(bits), Rows.of(model, path_of(calibration))
    folders.check_free(run)
    result, channels = inspect_model(given, kinds, watch or _unwatched, tell or _untold)
    return folders.kept(run, told(result, channels), given)


def pareto(
    model: "str | Path | Model",
    board: str,
    *,
    bits: str = "1,1.58,2,3,4,8",
    plans: Sequence[str | Path] = (),
    also: Sequence[str | Path] = (),
    data: str | Path | None = None,
    calibration: str | Path | None = None,
    ptq: str = "fast",
    compiler: str = "auto",
    run: str | Path | None = None,
    watch: Watch | None = None,
    tell: Tell | None = None,
) -> dict[str, Any]:
    """Accuracy, latency, energy and bytes of a float model at each of `bits`, as `edgeq pareto`.

    `plans` (files of `plan`) and `also` (finished models of the same rows and classes) are further
    candidates. All answer the same labelled rows, `data` (.npz, keys x and y; key groups makes
    clusters) or the model's evaluation set, in integers: paired bootstrap intervals, McNemar's test
    against the most accurate, and the fronts. Raises BadInput, ModelFile, UnsupportedOp, Toolchain.
    """
    return _weigh(model, board, bits, plans, also, data, calibration, ptq, compiler, run)(
        None, watch, tell
    )


def advise(
    model: "str | Path | Model",
    board: str,
    *,
    bits: str = "1,1.58,2,3,4,8",
    prefer: str = "latency",
    margin: float = 2.0,
    plans: Sequence[str | Path] = (),
    also: Sequence[str | Path] = (),
    data: str | Path | None = None,
    calibration: str | Path | None = None,
    ptq: str = "fast",
    compiler: str = "auto",
    run: str | Path | None = None,
    watch: Watch | None = None,
    tell: Tell | None = None,
) -> dict[str, Any]:
    """Which of the candidates of `pareto` to ship, with its evidence, as `edgeq advise`.

    The cheapest by `prefer` ("latency", "energy", "flash", "ram") whose accuracy is shown to be no
    more than `margin` points below the most accurate one's: the lower end of a paired 95 %
    interval. Raises as `pareto` does.
    """
    from edgeq.planning.weighing import Advised

    return _weigh(model, board, bits, plans, also, data, calibration, ptq, compiler, run)(
        Advised(prefer, margin / 100), watch, tell
    )


def _weigh(
    model: "str | Path | Model",
    board: str,
    bits: str,
    plans: Sequence[str | Path],
    also: Sequence[str | Path],
    data: str | Path | None,
    calibration: str | Path | None,
    ptq: str,
    compiler: str,
    run: str | Path | None,
) -> "Callable[[Advised | None, Watch | None, Tell | None], dict[str, Any]]":
    """What compares the candidates, once it is told whether advice is wanted."""
    from edgeq.board import load_board
    from edgeq.planning.rows import Rows
    from edgeq.planning.table import Bench
    from edgeq.planning.weighing import Weighing, weigh
    from edgeq.planning.widths import read_widths
    from edgeq.toolchain import find_compiler

    kinds, named, found = read_widths(bits), load_board(board), find_compiler(compiler)

    def weighed(
        advised: "Advised | None", watch: Watch | None, tell: Tell | None
    ) -> dict[str, Any]:
        if advised is not None:
            advised.check(named)
        given = Rows.of(model, path_of(calibration))
        bench = Bench(named, found, given.x, ptq)
        files = list(map(Path, plans)), list(map(Path, also))
        asked = Weighing(bench, kinds, *files, path_of(data), advised)
        return weigh(given, asked, run, watch or _unwatched, tell or _untold)

    return weighed


def search(
    space: str | Path,
    board: str,
    *,
    trials: int = 100,
    workers: int = 1,
    storage: str | None = None,
    study: str | None = None,
    objective: str = "accuracy",
    max_latency: str | None = None,
    max_energy: str | None = None,
    max_flash: str | None = None,
    max_ram: str | None = None,
    seed: int = 0,
    compiler: str = "auto",
    run: str | Path | None = None,
    watch: Watch | None = None,
    tell: Tell | None = None,
) -> dict[str, Any]:
    """Architectures and widths of a `space` searched under a board's caps, as `edgeq search`.

    `space`: a Python file with build(trial), train(model, report) and score(model), which is run
    (docs/planning.md). `trials` in all: a study that `storage` holds is gone on with. `storage`:
    what Optuna takes, by default SQLite in the folder `run`. `objective`: "accuracy", or with
    "latency", "flash" or "ram" beside it. `best_model` of the result is a file to export. Raises
    BadInput for a space that fails and for a storage that does not answer, Toolchain without
    Optuna.
    """
    from edgeq.searching.run import Given, searched

    caps = (max_latency, max_energy, max_flash, max_ram)
    given = Given(
        Path(space), board, trials, workers, storage, study, objective, caps, seed, compiler
    )
    return searched(given, run, watch or _unwatched, tell or _untold)
