"""`edgeq boards`: what is known, attached and running."""

import json

import click

from edgeq.cli.options import json_option


@click.command(short_help="Known, attached and running boards.")
@json_option
def boards(as_json: bool) -> None:
    """The known boards and their evidence; what is attached; the emulated boards that run."""
    from edgeq import flashers
    from edgeq.board import all_boards
    from edgeq.flashers.text import attached_json, boards_json, boards_text
    from edgeq.flashers.usb import known_devices

    around = flashers.look()
    attached = flashers.attached_boards(around)
    facts = boards_json(all_boards(), attached, flashers.running())
    facts |= attached_json(around, known_devices(around))
    click.echo(json.dumps(facts) if as_json else boards_text(facts))
