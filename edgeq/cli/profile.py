"""`edgeq profile`: a data set goes through the board."""

from pathlib import Path

import click

from edgeq.cli import names
from edgeq.cli.options import firmware_option, json_option, probe_option
from edgeq.cli.output import say, say_json, show, stderr_console
from edgeq.plain_text import one_line


@click.command(short_help="Accuracy, routes, latency and energy on the board.")
@click.option(
    "--port",
    shell_complete=names.ports,
    help="The board's serial port; without it, the only board there is.",
)
@probe_option
@firmware_option
@click.option("--baud", default=115200, show_default=True, help="As `edgeq flash --baud`.")
@click.option("--data", type=click.Path(path_type=Path), help="An .npz file with keys x and y.")
@click.option("--limit", type=int, help="Only the first so many samples.")
@click.option(
    "--run",
    "run_folder",
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
@json_option
def profile(
    port: str | None,
    probe: str | None,
    firmware: Path,
    baud: int,
    data: Path | None,
    limit: int | None,
    run_folder: Path | None,
    resume: bool,
    trace: Path | None,
    parquet: Path | None,
    meter: str,
    meter_port: str | None,
    meter_rate: int | None,
    volts: float | None,
    windows: int,
    window_seconds: float,
    as_json: bool,
) -> None:
    """Stream a data set through the board: accuracy, routes, latency, energy."""
    from edgeq.pipeline import profile as run
    from edgeq.profiling import refuse_mismatches
    from edgeq.reporting.profile_files import written_line
    from edgeq.reporting.profile_text import profile_text
    from edgeq.reporting.progress import sample_bar

    if port is not None and probe is not None:
        raise click.UsageError("--port and --probe name the same thing; give one")
    stderr = stderr_console(quiet=as_json)
    with sample_bar(stderr) as watch:
        summary = run(
            port,
            firmware,
            data,
            probe=probe,
            run=run_folder,
            trace=trace,
            parquet=parquet,
            limit=limit,
            resume=resume,
            baud=baud,
            meter=meter,
            meter_port=meter_port,
            meter_rate=meter_rate,
            volts=volts,
            windows=windows,
            window_s=window_seconds,
            watch=watch,
            tell=lambda done, total, what: stderr.print(f"energy: {done}/{total} {what}"),
        )
    if as_json:
        say_json(summary)
    else:
        show(profile_text(summary))
        say(written_line(firmware, summary["run"]))
        say(f"the records of this run: {one_line(summary['run'])}")
    refuse_mismatches(summary)
