"""`edgeq bench`: measurements of edgeq's own kernels."""

from pathlib import Path

import click

from edgeq.cli import names
from edgeq.cli.group import CommandGroup
from edgeq.cli.options import compiler_option, json_option, verbose_option
from edgeq.cli.output import say_json, show, stderr_console


@click.group(cls=CommandGroup)
def bench() -> None:
    """Measurements of edgeq's own kernels."""


@bench.command("kernels")
@click.option(
    "--board",
    default="virtual_m4",
    show_default=True,
    shell_complete=names.virtual_boards,
    help="A virtual board.",
)
@click.option(
    "--kernel",
    shell_complete=names.kernels,
    help="Only this kernel; without it, all that the board's core runs.",
)
@click.option("--shape", help="Only this shape, as 1536x640 or conv3x3.")
@compiler_option
@verbose_option
@json_option
def bench_kernels(
    board: str,
    kernel: str | None,
    shape: str | None,
    compiler: str,
    verbose: bool,
    as_json: bool,
) -> None:
    """Cycles, bytes and mismatches of each kernel on each shape, modelled on a virtual board."""
    from edgeq.bench import bench_kernels as run
    from edgeq.bench.text import bench_text, refuse_differences
    from edgeq.reporting.progress import step_bar

    stderr = stderr_console(quiet=as_json)
    with step_bar(stderr) as watch:
        result = run(board, kernel, compiler, shape=shape, watch=watch)
    if as_json:
        say_json(result)
    else:
        show(bench_text(result, verbose))
    refuse_differences(result)


@bench.command("networks")
@click.option(
    "--board",
    default="virtual_m4",
    show_default=True,
    shell_complete=names.boards,
    help="A board whose core has a clock model.",
)
@click.option("--network", help="Only this one: kws, ic, vww, ad or sww.")
@click.option("--weights", help="Only this width: int8, int4 or ternary.")
@compiler_option
@verbose_option
@json_option
def bench_networks(
    board: str,
    network: str | None,
    weights: str | None,
    compiler: str,
    verbose: bool,
    as_json: bool,
) -> None:
    """Whole networks of MLPerf Tiny at three widths: cycles, arena, bytes; modelled."""
    from edgeq.bench.networks import bench_networks as run
    from edgeq.bench.text import networks_text
    from edgeq.reporting.progress import step_bar

    with step_bar(stderr_console(quiet=as_json)) as watch:
        result = run(board, network, weights, compiler, watch=watch)
    if as_json:
        say_json(result)
    else:
        show(networks_text(result, verbose))


@bench.command("table")
@click.argument("results", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--readme", required=True, type=click.Path(path_type=Path), help="Has the marks.")
def bench_table(results: tuple[Path, ...], readme: Path) -> None:
    """Write the table of RESULTS (the JSON of `edgeq bench kernels`) into a README."""
    from edgeq.bench.text import markdown, read_results
    from edgeq.reporting.markdown import write_table

    write_table(readme, markdown([read_results(path) for path in results]))
