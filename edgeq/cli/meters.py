"""`edgeq meters`: the current meters that edgeq reads, and which of them are plugged in."""

import click

from edgeq.cli.options import json_option
from edgeq.cli.output import say, say_json


@click.command(short_help="The current meters: attached ones, rates, markers.")
@json_option
def meters(as_json: bool) -> None:
    """The current meters: which are attached and where, their rates, what they see of the marker.

    `edgeq profile --meter NAME` measures with one; docs/energy.md has the wiring.
    """
    from edgeq.harness.meters.text import meters_text
    from edgeq.verbs import meters as look

    facts = look()
    if as_json:
        say_json(facts)
    else:
        say(meters_text(facts))
