"""`edgeq farm`: boards that are shared, and models run over all of them."""

from pathlib import Path

import click

from edgeq.cli.group import CommandGroup
from edgeq.cli.options import compiler_option, coordinator_option, json_option, labgrid_option
from edgeq.cli.output import Interrupted, say, say_json, show, stderr_console
from edgeq.plain_text import command


@click.group(cls=CommandGroup, short_help="Models on all boards of a shelf.")
def farm() -> None:
    """Boards that are shared: who holds them, and models run over all of them."""


@farm.command("run")
@click.argument("matrix", type=click.Path(path_type=Path))
@click.option(
    "--out",
    default="build/farm",
    show_default=True,
    type=click.Path(path_type=Path),
    help="The folder of exports, runs, journal and results.",
)
@click.option("--resume", is_flag=True, help="Go on with the run of --out: what it did is done.")
@compiler_option
@coordinator_option
@labgrid_option
@json_option
def farm_run(
    matrix: Path,
    out: Path,
    resume: bool,
    compiler: str,
    coordinator: str | None,
    labgrid: Path | None,
    as_json: bool,
) -> None:
    """Export, flash and profile each model of MATRIX on each of its boards."""
    from edgeq.farming.run import farm_run as run
    from edgeq.farming.run import refuse_failures
    from edgeq.farming.text import run_text
    from edgeq.reporting.progress import step_bar

    try:
        with step_bar(stderr_console(quiet=as_json)) as watch:
            result = run(
                matrix,
                out,
                resume=resume,
                labgrid=labgrid,
                coordinator=coordinator,
                compiler=compiler,
                watch=watch,
                tell=lambda line: say(f"edgeq: {line}", err=True),
            )
    except KeyboardInterrupt as error:
        click.echo(err=True)  # ends the line of the ^C, as click does
        again = command("edgeq", "farm", "run", matrix, "--out", out, "--resume")
        raise Interrupted(f"go on with: {again}") from error
    if as_json:
        say_json(result)
    else:
        show(run_text(result))
    refuse_failures(result)


@farm.command("list")
@coordinator_option
@labgrid_option
@json_option
def farm_list(coordinator: str | None, labgrid: Path | None, as_json: bool) -> None:
    """The places of a labgrid coordinator, and who holds them."""
    from edgeq.farming.listing import farm_list as run
    from edgeq.farming.text import list_text

    result = run(labgrid, coordinator)
    if as_json:
        say_json(result)
    else:
        show(list_text(result))
