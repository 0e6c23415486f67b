"""`edgeq plan`: a width for each layer, by integer program."""

from functools import partial
from pathlib import Path
from typing import Any, cast

import click

from edgeq.cli import names
from edgeq.cli.options import (
    bits_option,
    compiler_option,
    json_option,
    labelled_option,
    run_option,
)
from edgeq.cli.output import say, say_json, show, stderr_console
from edgeq.plain_text import one_line


@click.command(short_help="The width of each layer that loses least within budgets.")
@click.argument("model", required=False, type=click.Path(path_type=Path))
@click.option("--board", shell_complete=names.boards, help="Where the model shall run.")
@click.option(
    "--out",
    "-o",
    default="plan.toml",
    show_default=True,
    type=click.Path(path_type=Path),
    help="The plan to write.",
)
@bits_option
@click.option("--max-latency", help="Of an inference, e.g. 20ms.")
@click.option("--max-energy", help="Of an inference, e.g. 1mJ (upper end of band).")
@click.option("--max-flash", help="Of the firmware, e.g. 128KB.  [default: the board's]")
@click.option("--max-ram", help="Of the firmware, e.g. 32KB.  [default: the board's]")
@labelled_option
@click.option(
    "--sensitivity",
    default="loss",
    show_default=True,
    type=click.Choice(["loss", "hessian"]),
    help="What a width loses: by running the model, or by its Hessian's trace.",
)
@click.option(
    "--learn",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Learn the widths instead, on this .npz file (keys x, y).",
)
@click.option(
    "--against",
    default="latency",
    show_default=True,
    type=click.Choice(["flash", "latency", "energy"]),
    help="Of --learn: what the price is on.",
)
@click.option(
    "--price",
    default=0.1,
    show_default=True,
    type=float,
    help="Of --learn: beside the cross entropy; higher is cheaper.",
)
@click.option("--epochs", default=10, show_default=True, type=int, help="Of --learn.")
@click.option(
    "--ptq",
    default="fast",
    show_default=True,
    type=click.Choice(["fast", "best"]),
    help="Rounding of the firmwares that are counted.",
)
@run_option
@click.option(
    "--diff",
    nargs=2,
    type=click.Path(path_type=Path),
    metavar="A B",
    help="Compare two plans instead, without MODEL.",
)
@compiler_option
@json_option
def plan(
    model: Path | None,
    board: str | None,
    diff: tuple[Path, Path] | None,
    as_json: bool,
    **options: str | float | Path | None,
) -> None:
    """The width of each layer of a float MODEL that loses least on a board within budgets.

    Cycles, bytes and RAM are the virtual twin's, modelled. The plan is a file that `edgeq quantize
    --plan` and `edgeq export --plan` take, and that may be edited.
    """
    if diff:
        _compare(model, board, diff, as_json)
        return
    if model is None or board is None:
        raise click.UsageError("give MODEL and --board, or --diff A B")
    from edgeq.planning.plan_report import plan_text
    from edgeq.reporting.progress import step_bar
    from edgeq.study_verbs import plan as run

    stderr = stderr_console(quiet=as_json)
    with step_bar(stderr) as watch:
        told = partial(stderr.print, soft_wrap=True)
        result = run(model, board, watch=watch, tell=told, **cast(dict[str, Any], options))
    if as_json:
        say_json(result)
        return
    show(plan_text(result))
    say(f"wrote {one_line(result['out'])}; all of it: {one_line(result['run'])}")


def _compare(model: Path | None, board: str | None, diff: tuple[Path, Path], as_json: bool) -> None:
    if model is not None or board is not None:
        raise click.UsageError("--diff compares two plans; leave MODEL and --board out")
    from edgeq.planning.diff_text import diff_text
    from edgeq.study_verbs import plan_difference

    found = plan_difference(*diff)
    if as_json:
        say_json(found)
    else:
        show(diff_text(found, *diff))
