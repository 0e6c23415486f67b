"""`edgeq profile`: a data set goes through the board."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from edgeq.cli import names
from edgeq.cli.options import json_option, seat_options, verbose_option
from edgeq.cli.output import Interrupted, say, say_json, show, stderr_console
from edgeq.plain_text import one_line

if TYPE_CHECKING:
    from rich.console import Console

    from edgeq.metering import Tell


@click.command(short_help="Accuracy, routes, latency and energy on the board.")
@seat_options
@click.option("--data", type=click.Path(path_type=Path), help="An .npz file with keys x and y.")
@click.option(
    "--stream",
    type=click.Path(path_type=Path),
    help="An .npz file with a recording as key x, which goes hop by hop.",
)
@click.option(
    "--hop", type=int, help="Of --stream and whole windows: frames from one window to the next."
)
@click.option("--limit", type=int, help="Only the first so many samples.")
@click.option(
    "--run",
    type=click.Path(path_type=Path),
    help="The folder of this run.  [default: the next of FIRMWARE/runs]",
)
@click.option("--resume", is_flag=True, help="Continue the run that was cut: --run, or the newest.")
@click.option("--trace", type=click.Path(path_type=Path), help="The records as JSON lines, too.")
@click.option("--parquet", type=click.Path(path_type=Path), help="The records as one table, too.")
@click.option(
    "--meter",
    default="model",
    show_default=True,
    shell_complete=names.meters,
    help="What energy comes from: model (the board file), lpm01a, ppk2, joulescope.",
)
@click.option(
    "--meter-port",
    shell_complete=names.ports,
    help="The meter's serial port; without it, the only one there is.",
)
@click.option("--meter-rate", type=int, help="Samples a second.  [default: the meter's own]")
@click.option("--volts", type=float, help="The supply, where the meter gives it.  [default: 3.3]")
@click.option("--windows", default=5, show_default=True, help="Captures, an odd number.")
@click.option("--window-seconds", default=10.0, show_default=True, help="Of each, 10 or more.")
@verbose_option
@json_option
def profile(verbose: bool, as_json: bool, **options: object) -> None:
    """Stream a data set through the board: accuracy, routes, latency, energy."""
    from edgeq import profiling
    from edgeq.profile_request import ProfileRequest
    from edgeq.reporting.profile_files import written_line
    from edgeq.reporting.profile_text import profile_text
    from edgeq.reporting.progress import sample_bar

    if options["stream"] is not None and options["data"] is not None:
        raise click.UsageError("--stream and --data are both what is sent; give one")
    if options["hop"] is not None and options["stream"] is None:
        raise click.UsageError("--hop goes with --stream X.npz")
    request = ProfileRequest(**cast(dict[str, Any], options))  # click has made every value
    if request.port is not None and request.probe is not None:
        raise click.UsageError("--port and --probe name the same thing; give one")
    stderr = stderr_console(quiet=as_json)
    left: list[str] = []
    try:
        with sample_bar(stderr) as watch:
            summary = profiling.profile(request, watch, _tell(stderr), left.append)
    except KeyboardInterrupt as error:
        click.echo(err=True)  # ends the line of the ^C, as click does
        raise Interrupted(*left) from error
    if as_json:
        say_json(summary.entry)
    else:
        show(profile_text(summary, verbose))
        say(written_line(request.firmware, str(summary.run)))
        say(f"the records of this run: {one_line(str(summary.run))}")
    profiling.refuse_mismatches(summary)


def _tell(stderr: "Console") -> "Tell":
    return lambda done, total, what: stderr.print(f"energy: {done}/{total} {what}")
