"""The group of all commands, and what becomes of their errors."""

import sys

import click

from edgeq import __version__
from edgeq.cli.bench import bench
from edgeq.cli.boards import boards
from edgeq.cli.compare import compare
from edgeq.cli.doctor import doctor
from edgeq.cli.estimate import estimate
from edgeq.cli.export import export
from edgeq.cli.flash import flash
from edgeq.cli.profile import profile
from edgeq.cli.stop import stop
from edgeq.errors import EdgeqError, Toolchain

COMMANDS: tuple[click.Command, ...] = (
    export,
    estimate,
    flash,
    profile,
    compare,
    boards,
    stop,
    doctor,
    bench,
)


@click.group(
    commands={str(command.name): command for command in COMMANDS},
    context_settings={"max_content_width": 100},
)
@click.version_option(__version__)
def cli() -> None:
    """From a trained quantized mixture of experts to a microcontroller that runs it."""


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
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == "edgeq":
            raise  # a fault of edgeq, not of what is installed
        click.echo(f"edgeq: package {error.name} is missing; `edgeq doctor` has the fix", err=True)
        sys.exit(Toolchain.exit_code)
    except EdgeqError as error:
        click.echo(f"edgeq: {error}", err=True)
        sys.exit(error.exit_code)
