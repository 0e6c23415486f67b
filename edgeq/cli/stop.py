"""`edgeq stop`: emulated boards end."""

import click

from edgeq.cli.options import json_option
from edgeq.cli.output import say, say_json


@click.command(short_help="Stop an emulated board.")
@click.argument("which", required=False, metavar="[PORT|PID]")
@click.option("--all", "everything", is_flag=True, help="Every emulated board that runs.")
@json_option
def stop(which: str | None, everything: bool, as_json: bool) -> None:
    """Stop an emulated board that `edgeq flash` started: that of PORT or PID, or the only one."""
    from edgeq.flashers.text import running_lines
    from edgeq.verbs import stop as run

    if which is not None and everything:
        raise click.UsageError("give a port, a pid or --all, not both")
    stopped = run(which, everything)
    if as_json:
        say_json({"stopped": stopped})
    else:
        say("\n".join(["stopped:", *running_lines(stopped)]) if stopped else "none ran")
