"""The command line: one function per subcommand; the only place that prints or exits."""

import json
import sys
from typing import Any

import click

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


@click.group()
@click.version_option(__version__)
def cli() -> None:
    """From a trained quantized mixture of experts to a microcontroller that runs it."""


@cli.command()
@click.argument("model", type=click.Path())
@click.option("--target", required=True, help="A core (cortex-m4) or a board (nucleo_f446re).")
@click.option("--out", default="build/export", show_default=True, type=click.Path())
@click.option("--calibration", type=click.Path(), help="An .npz file with key x.")
@click.option("--method", default="mse", show_default=True, help="minmax, percentile or mse.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")
def export(
    model: str, target: str, out: str, calibration: str | None, method: str, as_json: bool
) -> None:
    """ONNX, TFLite and C firmware of a model, with sizes and equivalence checks."""
    from edgeq.pipeline import export as run

    _show(run(model, target, out, calibration, method), as_json)


@cli.command()
@click.option("--board", required=True)
@click.option("--firmware", default="build/export", show_default=True, type=click.Path())
@click.option("--compiler", default="auto", type=click.Choice(["auto", "gcc", "zig"]))
@click.option("--json", "as_json", is_flag=True)
def flash(board: str, firmware: str, compiler: str, as_json: bool) -> None:
    """Build the export for a board and start it (the virtual board for now)."""
    from edgeq.pipeline import flash as run

    _show(run(board, firmware, compiler), as_json)


@cli.command()
@click.option("--port", required=True)
@click.option("--firmware", default="build/export", show_default=True, type=click.Path())
@click.option("--data", type=click.Path(), help="An .npz file with keys x and y.")
@click.option("--json", "as_json", is_flag=True)
def profile(port: str, firmware: str, data: str | None, as_json: bool) -> None:
    """Stream a data set through the board: accuracy, routes, latency, energy."""
    from edgeq.pipeline import profile as run

    _show(run(port, firmware, data), as_json)


def main() -> None:
    """Entry point: one clear line for an error, and its exit code."""
    try:
        cli(standalone_mode=False)
    except click.exceptions.Abort:
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except EdgeqError as error:
        click.echo(f"edgeq: {error}", err=True)
        sys.exit(error.exit_code)
