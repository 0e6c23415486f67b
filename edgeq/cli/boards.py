"""`edgeq boards`: what is known, attached and running."""

import click

from edgeq.cli.options import json_option, probe_option
from edgeq.cli.output import say, say_json


@click.command(short_help="Known, attached and running boards.")
@probe_option
@json_option
def boards(probe: str | None, as_json: bool) -> None:
    """The known boards and their evidence; what is attached; the emulated boards that run."""
    from edgeq.flashers.text import boards_text
    from edgeq.verbs import boards as run

    facts = run(probe)
    if as_json:
        say_json(facts)
    else:
        say(boards_text(facts))
