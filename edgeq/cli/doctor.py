"""`edgeq doctor`: what this computer lacks, and what to do about it."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgeq.cli import names
from edgeq.cli.group import nearest_project
from edgeq.cli.options import json_option
from edgeq.cli.output import say_json, screen_width, show, working

if TYPE_CHECKING:
    from edgeq.diagnosing import Finding


@click.command(short_help="What this computer lacks, and how to get it.")
@click.option(
    "--port",
    shell_complete=names.ports,
    help="A serial port to look at, beside those of the attached boards.",
)
@json_option
def doctor(port: str | None, as_json: bool) -> None:
    """Compilers, tools, packages, rights, ports, meters: each finding with its fix."""
    from edgeq.diagnosing import examine, examine_json, refuse_errors
    from edgeq.diagnosing.text import doctor_text

    with working("looking around"):
        findings = (*examine(port), _project())
    if as_json:
        say_json(examine_json(findings))
    else:
        show(doctor_text(findings, screen_width()), soft_wrap=True)
    refuse_errors(findings)


def _project() -> "Finding":
    """The edgeq.toml that counts here, read as every other command reads it."""
    from edgeq.cli.project import read_project
    from edgeq.diagnosing import Finding
    from edgeq.errors import BadInput

    file = nearest_project(Path.cwd())
    root = click.get_current_context().find_root().command
    assert isinstance(root, click.Group)
    try:
        if file is not None:
            read_project(root, file)
    except BadInput as error:
        return Finding("project", "error", str(error), f"edit {file}")
    return Finding("project", "ok", str(file or "no edgeq.toml from here upwards"))
