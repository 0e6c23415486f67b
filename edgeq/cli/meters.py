"""`edgeq meters`: the current meters that edgeq reads, and which of them are plugged in."""

import json

import click

from edgeq.cli.options import json_option


@click.command(short_help="The current meters: attached ones, rates, markers.")
@json_option
def meters(as_json: bool) -> None:
    """The current meters: which are attached and where, their rates, what they see of the marker.

    `edgeq profile --meter NAME` measures with one; docs/energy.md has the wiring.
    """
    from edgeq.flashers import look
    from edgeq.flashers.usb import usb_devices
    from edgeq.harness.meters import meters_json
    from edgeq.harness.meters.text import meters_text

    serial = [(device.port, device.usb_id) for device in look().devices]
    facts = meters_json(serial, [device.usb_id for device in usb_devices()])
    click.echo(json.dumps(facts) if as_json else meters_text(facts))
