"""`edgeq estimate`: what a model costs on boards, before any flash."""

from pathlib import Path

import click

from edgeq.cli import names
from edgeq.cli.options import compiler_option, json_option, verbose_option
from edgeq.cli.output import say_json, show, working


@click.command(short_help="Time, energy and memory on boards, before any flash.")
@click.argument(
    "source",
    required=False,
    default="build/export",
    type=click.Path(path_type=Path),
    metavar="[EXPORT|MODEL]",
)
@click.option(
    "--board",
    "boards",
    multiple=True,
    shell_complete=names.boards,
    help="A board; may be given several times.",
)
@click.option("--calibration", type=click.Path(path_type=Path), help="An .npz file with key x.")
@click.option(
    "--prove",
    is_flag=True,
    help="Trace the input to every branch: does any decide by it? Takes up to a minute a board.",
)
@click.option(
    "--explain",
    "explain",
    multiple=True,
    metavar="LAYER",
    help="Why a layer runs on its kernel: the others' cycles, its loop against the cache.",
)
@click.option(
    "--overlay",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="Also write cycles and widths as node data for Google's Model Explorer.",
)
@compiler_option
@verbose_option
@json_option
def estimate(
    source: Path,
    boards: tuple[str, ...],
    calibration: Path | None,
    prove: bool,
    explain: tuple[str, ...],
    overlay: Path | None,
    compiler: str,
    verbose: bool,
    as_json: bool,
) -> None:
    """Cycles, ms, joules and memory on boards, before any flash; all of it modelled.

    Of the folder that `edgeq export` wrote (by default build/export), or of a model file.
    """
    from edgeq.pipeline import estimate as run

    with working("estimating"):
        result = run(
            source,
            boards,
            calibration=calibration,
            compiler=compiler,
            prove=prove,
            explain=explain,
        )
    if overlay is not None:
        from edgeq.pipeline import overlay as write

        write(source, result, overlay)
    if as_json:
        say_json(result)
    else:
        from edgeq.reporting.estimate_text import estimate_text

        show(estimate_text(result, verbose))
