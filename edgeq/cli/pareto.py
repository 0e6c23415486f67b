"""`edgeq pareto` and `edgeq advise`: precisions compared on the same rows."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, cast

import click

from edgeq.cli import names
from edgeq.cli.options import compiler_option, json_option, run_option
from edgeq.cli.output import say, say_json, show, stderr_console
from edgeq.plain_text import one_line

_Function = TypeVar("_Function", bound=Callable[..., Any])


def _weighing(function: _Function) -> _Function:
    """The argument and options of both commands."""
    for option in reversed(
        (
            click.argument("model", type=click.Path(path_type=Path)),
            click.option(
                "--board", required=True, shell_complete=names.boards, help="Where it shall run."
            ),
            click.option(
                "--bits",
                default="1,1.58,2,3,4,8",
                show_default=True,
                help="The widths, each throughout the model.",
            ),
            click.option(
                "--plan",
                "plans",
                multiple=True,
                type=click.Path(path_type=Path),
                help="A file of `edgeq plan` as one more candidate; may be given again.",
            ),
            click.option(
                "--also",
                multiple=True,
                type=click.Path(path_type=Path),
                help="A finished model, such as a trained one, as one more; may be given again.",
            ),
            click.option(
                "--data",
                type=click.Path(path_type=Path),
                help="An .npz file with keys x and y (default: MODEL's evaluation set).",
            ),
            click.option(
                "--calibration", type=click.Path(path_type=Path), help="An .npz file with key x."
            ),
            click.option(
                "--ptq",
                default="fast",
                show_default=True,
                type=click.Choice(["fast", "best"]),
                help="Rounding to the nearest in seconds, or learned in minutes.",
            ),
            run_option,
            compiler_option,
            json_option,
        )
    ):
        function = option(function)
    return function


@click.command(short_help="Accuracy, latency, energy and bytes of each width.")
@_weighing
def pareto(model: Path, board: str, as_json: bool, **options: object) -> None:
    """A float MODEL at each width on the same labelled rows: accuracy, latency, energy, bytes.

    With paired intervals and McNemar's test against the most accurate, and the fronts.
    """
    from edgeq.study_verbs import pareto as run

    _shown(run, model, board, as_json, options)


@click.command(short_help="Which precision to ship, with its evidence.")
@_weighing
@click.option(
    "--prefer",
    default="latency",
    show_default=True,
    type=click.Choice(["latency", "energy", "flash", "ram"]),
    help="The cost that counts.",
)
@click.option(
    "--margin", default=2.0, show_default=True, help="Points of accuracy that may be lost at most."
)
def advise(model: Path, board: str, as_json: bool, **options: object) -> None:
    """Which precision of a float MODEL to ship: the cheapest that is shown to be no worse."""
    from edgeq.study_verbs import advise as run

    _shown(run, model, board, as_json, options)


def _shown(
    run: Callable[..., dict[str, Any]],
    model: Path,
    board: str,
    as_json: bool,
    options: dict[str, object],
) -> None:
    from edgeq.planning.pareto_report import pareto_text
    from edgeq.reporting.progress import step_bar

    stderr = stderr_console(quiet=as_json)
    with step_bar(stderr) as watch:
        tell = partial(stderr.print, soft_wrap=True)
        result = run(model, board, watch=watch, tell=tell, **cast(dict[str, Any], options))
    if as_json:
        say_json(result)
        return
    show(pareto_text(result))
    say(f"the page: {one_line(result['run'])}")
