"""`edgeq flash`: the export goes to a board."""

import json
from pathlib import Path

import click

from edgeq.cli import names
from edgeq.cli.options import compiler_option, firmware_option, json_option
from edgeq.cli.output import working


@click.command(short_help="Build the export for a board and bring it there.")
@click.option(
    "--board", shell_complete=names.boards, help="A board's name; without it, the attached board."
)
@firmware_option
@compiler_option
@click.option("--tool", help="The flasher to use instead of the board's first.")
@click.option("--dry-run", is_flag=True, help="Build, then print the commands without running.")
@json_option
def flash(
    board: str | None, firmware: Path, compiler: str, tool: str | None, dry_run: bool, as_json: bool
) -> None:
    """Build the export for a board and flash it, or start it where the board is emulated."""
    from edgeq.pipeline import flash as run

    with working("building and flashing"):
        result = run(board, firmware, compiler, tool, dry_run)
    if as_json:
        click.echo(json.dumps(result))
    else:
        from edgeq.flashers.text import flash_text

        click.echo(flash_text(result))
