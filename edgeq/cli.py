"""The command line: one function per subcommand; the only place that prints or exits."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from edgeq import __version__
from edgeq.errors import EdgeqError


def _show(result: dict[str, Any], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(result))
        return
    for key, value in result.items():
        if not isinstance(value, list | dict):
            click.echo(f"{key:16} {value}")
        elif value:
            click.echo(f"{key}:")
            for item in value.items() if isinstance(value, dict) else enumerate(value):
                click.echo(f"  {item[0]}: {item[1]}")


@contextmanager
def _working(what: str) -> Iterator[None]:
    """A spinner on standard error while something takes seconds; nothing where no one looks."""
    with Console(stderr=True).status(f"{what} ..."):
        yield


_json = click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")
_compiler = click.option(
    "--compiler",
    default="auto",
    show_default=True,
    type=click.Choice(["auto", "gcc", "zig"]),
    help="auto: arm-none-eabi-gcc when it is on PATH, else the ziglang wheel.",
)
_out = click.option(
    "--out",
    default="build/export",
    show_default=True,
    type=click.Path(path_type=Path),
    help="The folder to write.",
)
_firmware = click.option(
    "--firmware",
    default="build/export",
    show_default=True,
    type=click.Path(path_type=Path),
    help="The folder that `edgeq export` wrote.",
)


@click.group(context_settings={"max_content_width": 100})
@click.version_option(__version__)
def cli() -> None:
    """From a trained quantized mixture of experts to a microcontroller that runs it."""


@cli.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.option("--target", required=True, help="A core (cortex-m4) or a board (nucleo_f446re).")
@_out
@click.option("--calibration", type=click.Path(path_type=Path), help="An .npz file with key x.")
@click.option(
    "--method",
    default="mse",
    show_default=True,
    type=click.Choice(["minmax", "percentile", "mse"]),
    help="How activation ranges come from the calibration rows.",
)
@click.option(
    "--optimize",
    default="latency",
    show_default=True,
    type=click.Choice(["latency", "size"]),
    help="Kernels by cycles, or by bytes of code.",
)
@_compiler
@_json
def export(
    model: Path,
    target: str,
    out: Path,
    calibration: Path | None,
    method: str,
    optimize: str,
    compiler: str,
    as_json: bool,
) -> None:
    """ONNX, TFLite and C firmware of MODEL, with sizes and equivalence checks."""
    from edgeq.pipeline import export as run

    with _working("exporting"):
        report = run(model, target, out, calibration, method, compiler, optimize)
    if as_json:
        click.echo(json.dumps(report))
    else:
        from edgeq.report.export import export_text

        Console().print(export_text(report, str(out)))


@cli.command()
@click.option("--board", help="A board's name; without it, the attached board.")
@_firmware
@_compiler
@click.option("--tool", help="The flasher to use instead of the board's first.")
@click.option("--dry-run", is_flag=True, help="Build, then print the commands without running.")
@_json
def flash(
    board: str | None, firmware: Path, compiler: str, tool: str | None, dry_run: bool, as_json: bool
) -> None:
    """Build the export for a board and flash it, or start it where the board is emulated."""
    from edgeq.pipeline import flash as run

    with _working("building and flashing"):
        result = run(board, firmware, compiler, tool, dry_run)
    if as_json:
        click.echo(json.dumps(result))
    else:
        from edgeq.flashers.text import flash_text

        click.echo(flash_text(result))


@cli.command()
@_json
def boards(as_json: bool) -> None:
    """The known boards and their evidence, the attached ones, the emulated ones that run."""
    from edgeq import flashers
    from edgeq.board import all_boards
    from edgeq.flashers.text import boards_json, boards_text

    attached = flashers.attached_boards(flashers.look())
    facts = boards_json(all_boards(), attached, flashers.running())
    click.echo(json.dumps(facts) if as_json else boards_text(facts))


@cli.command()
@click.argument("which", required=False, metavar="[PORT|PID]")
@click.option("--all", "everything", is_flag=True, help="Every emulated board that runs.")
@_json
def stop(which: str | None, everything: bool, as_json: bool) -> None:
    """Stop an emulated board that `edgeq flash` started: that of PORT or PID, or the only one."""
    from edgeq import flashers
    from edgeq.flashers.text import running_json, running_lines

    if which is not None and everything:
        raise click.UsageError("give a port, a pid or --all, not both")
    stopped = running_json(flashers.stop(which, everything))
    if as_json:
        click.echo(json.dumps({"stopped": stopped}))
    else:
        click.echo("\n".join(["stopped:", *running_lines(stopped)]) if stopped else "none ran")


@cli.group()
def bench() -> None:
    """Measurements of edgeq's own kernels."""


@bench.command("kernels")
@click.option("--board", default="virtual_m4", show_default=True, help="A virtual board.")
@click.option("--kernel", help="Only this kernel; without it, all that the board's core runs.")
@click.option("--shape", help="Only this shape, as 1536x640 or conv3x3.")
@_compiler
@_json
def bench_kernels(
    board: str, kernel: str | None, shape: str | None, compiler: str, as_json: bool
) -> None:
    """Cycles, bytes and mismatches of each kernel on each shape, modelled on a virtual board."""
    from edgeq.bench import bench_kernels as run
    from edgeq.bench.text import bench_text, refuse_differences
    from edgeq.report.progress import step_bar

    stderr = Console(stderr=True, quiet=as_json and not sys.stderr.isatty())
    with step_bar(stderr) as watch:
        result = run(board, kernel, compiler, shape=shape, watch=watch)
    if as_json:
        click.echo(json.dumps(result))
    else:
        Console().print(bench_text(result))
    refuse_differences(result)


@bench.command("table")
@click.argument("results", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--readme", required=True, type=click.Path(path_type=Path), help="Has the marks.")
def bench_table(results: tuple[Path, ...], readme: Path) -> None:
    """Write the table of RESULTS (the JSON of `edgeq bench kernels`) into a README."""
    from edgeq.bench.text import markdown, read_results
    from edgeq.report.markdown import write_table

    write_table(readme, markdown([read_results(path) for path in results]))


@cli.command()
@click.option("--port", help="The board's serial port; without it, the only board there is.")
@_firmware
@click.option("--data", type=click.Path(path_type=Path), help="An .npz file with keys x and y.")
@click.option("--limit", type=int, help="Only the first so many samples.")
@click.option("--trace", type=click.Path(path_type=Path), help="[default: FIRMWARE/trace.jsonl]")
@click.option("--resume", is_flag=True, help="Continue the trace of a run that was cut.")
@click.option("--parquet", type=click.Path(path_type=Path), help="The samples as a table, too.")
@_json
def profile(
    port: str | None,
    firmware: Path,
    data: Path | None,
    limit: int | None,
    trace: Path | None,
    resume: bool,
    parquet: Path | None,
    as_json: bool,
) -> None:
    """Stream a data set through the board: accuracy, routes, latency, energy."""
    from edgeq.pipeline import profile as run
    from edgeq.profiling import refuse_mismatches
    from edgeq.report.profile_text import profile_text
    from edgeq.report.progress import sample_bar

    stderr = Console(stderr=True, quiet=as_json and not sys.stderr.isatty())
    with sample_bar(stderr) as watch:
        summary = run(
            port,
            firmware,
            data,
            trace=trace,
            parquet=parquet,
            limit=limit,
            resume=resume,
            watch=watch,
        )
    if as_json:
        click.echo(json.dumps(summary))
    else:
        Console().print(profile_text(summary))
        Console().print(f"written to {firmware}: profile.json, profile.txt, report.html")
    refuse_mismatches(summary)


def main() -> None:
    """Entry point: one clear line for an error, and its exit code."""
    try:
        cli(standalone_mode=False)
    except (click.exceptions.Abort, KeyboardInterrupt):
        click.echo("edgeq: interrupted", err=True)
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except EdgeqError as error:
        click.echo(f"edgeq: {error}", err=True)
        sys.exit(error.exit_code)
