"""`edgeq doctor`: what this computer lacks, and what to do about it."""

import json

import click
from rich.console import Console

from edgeq.cli import names
from edgeq.cli.options import json_option


@click.command(short_help="What this computer lacks, and how to get it.")
@click.option(
    "--port",
    shell_complete=names.ports,
    help="A serial port to look at, beside those of the attached boards.",
)
@json_option
def doctor(port: str | None, as_json: bool) -> None:
    """Compilers, tools, packages, rights, ports, meters: each finding with its fix."""
    from edgeq.cli.output import working
    from edgeq.doctor import examine, examine_json, refuse_errors
    from edgeq.doctor.text import doctor_text

    with working("looking around"):
        findings = examine(port)
    if as_json:
        click.echo(json.dumps(examine_json(findings)))
    else:
        Console(soft_wrap=True).print(doctor_text(findings))
    refuse_errors(findings)
