"""`edgeq search`: architecture and width under a board's caps."""

from functools import partial
from pathlib import Path
from typing import Any, cast

import click

from edgeq.cli import names
from edgeq.cli.options import compiler_option, json_option
from edgeq.cli.output import say, say_json, show, stderr_console
from edgeq.plain_text import one_line


@click.command(short_help="Architecture and width searched under a board's caps.")
@click.argument("space", type=click.Path(path_type=Path))
@click.option("--board", required=True, shell_complete=names.boards, help="Where it shall run.")
@click.option("--trials", default=100, show_default=True, help="In all, with those of before.")
@click.option("--workers", default=1, show_default=True, help="Processes on this computer.")
@click.option(
    "--storage",
    help="sqlite:///FILE, postgresql://..., journal:FILE, grpc://HOST:PORT.  [default: in the run]",
)
@click.option("--study", help="Its name in the storage.  [default: SPACE's name]")
@click.option(
    "--objective",
    default="accuracy",
    show_default=True,
    help="accuracy, or accuracy,latency (or flash, ram) for a front of both.",
)
@click.option("--max-latency", help="Of an inference, e.g. 20ms.")
@click.option("--max-energy", help="Of an inference, e.g. 1mJ (upper end of band).")
@click.option("--max-flash", help="Of the firmware, e.g. 128KB.  [default: the board's]")
@click.option("--max-ram", help="Of the firmware, e.g. 32KB.  [default: the board's]")
@click.option("--seed", default=0, show_default=True, help="Of the sampler.")
@click.option(
    "--run",
    type=click.Path(path_type=Path),
    help="The folder of this search, new or to go on with.  [default: build/search/SPACE]",
)
@click.option(
    "--out", type=click.Path(path_type=Path), help="Export the best model here.  [default: not]"
)
@compiler_option
@json_option
def search(
    space: Path, board: str, out: Path | None, compiler: str, as_json: bool, **options: object
) -> None:
    """Build, count, train and score the models of a SPACE until the study holds enough trials.

    SPACE is a Python file with build(trial), train(model, report) and score(model). Trials over the
    board's caps are pruned before they train. A search that was cut goes on.
    """
    from edgeq.reporting.progress import step_bar
    from edgeq.searching.report import search_text
    from edgeq.study_verbs import search as run

    stderr = stderr_console(quiet=as_json)
    given = cast(dict[str, Any], {**options, "compiler": compiler})
    with step_bar(stderr) as watch:
        tell = partial(stderr.print, soft_wrap=True)
        result = run(space, board, watch=watch, tell=tell, **given)
    result |= {"export": _exported(result, board, out, compiler)}
    if as_json:
        say_json(result)
        return
    show(search_text(result))
    say(f"trials, models and the page: {one_line(result['run'])}")
    if result["export"]:
        say(f"the best is exported to {one_line(result['export'])}")


def _exported(result: dict[str, Any], board: str, out: Path | None, compiler: str) -> str | None:
    """Where the best model was exported to."""
    if out is None or result["best_model"] is None:
        return None
    from edgeq.pipeline import export

    export(result["best_model"], board, out, compiler=compiler)
    return str(out)
