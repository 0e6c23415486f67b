"""`edgeq boards`: what is known, attached and running."""

import json

import click

from edgeq.cli.options import json_option


@click.command(short_help="Known, attached and running boards.")
@json_option
def boards(as_json: bool) -> None:
    """The known boards and their evidence, the attached ones, the emulated ones that run."""
    from edgeq import flashers
    from edgeq.board import all_boards
    from edgeq.flashers.text import boards_json, boards_text

    attached = flashers.attached_boards(flashers.look())
    facts = boards_json(all_boards(), attached, flashers.running())
    click.echo(json.dumps(facts) if as_json else boards_text(facts))
