"""`edgeq flash`: the export goes to a board."""

from pathlib import Path

import click

from edgeq.cli import names
from edgeq.cli.options import (
    compiler_option,
    coordinator_option,
    firmware_option,
    json_option,
    labgrid_option,
    place_option,
    probe_option,
)
from edgeq.cli.output import say, say_json, stderr_console


@click.command(short_help="Build the export for a board and bring it there.")
@click.option(
    "--board", shell_complete=names.boards, help="A board's name; without it, the attached board."
)
@firmware_option
@compiler_option
@click.option(
    "--with",
    "--tool",
    "tool",
    metavar="TOOL",
    shell_complete=names.tools,
    help="The flashing tool to use instead of the board's first.",
)
@click.option(
    "--marker",
    default="levels",
    show_default=True,
    type=click.Choice(["levels", "pulses"]),
    help="How the marker pin shows an inference; the LPM01A meter needs pulses.",
)
@click.option(
    "--marker-file",
    type=click.Path(path_type=Path),
    help="Where a virtual board writes its marker pin's edges, a JSON object a line.",
)
@click.option(
    "--microphone", is_flag=True, help="A firmware that hears the board's microphone (`start%`)."
)
@click.option(
    "--sound",
    metavar="FILE.wav",
    type=click.Path(path_type=Path),
    help="What the microphone of a virtual board hears.",
)
@probe_option
@click.option("--baud", type=int, help="The speed of the serial port, instead of the board's.")
@click.option(
    "--virtual", is_flag=True, help="Run the same ELF on the board's virtual twin; no hardware."
)
@click.option("--dry-run", is_flag=True, help="Build, then print the commands without running.")
@click.option(
    "--verify/--no-verify",
    default=True,
    show_default=True,
    help="Ask the board for the digest of what it runs.",
)
@click.option("--port", shell_complete=names.ports, help="Where to ask it.")
@click.option(
    "--serve",
    metavar="HOST:PORT",
    help="Of a virtual board: its serial port at this address, not on a pseudo-terminal.",
)
@place_option
@coordinator_option
@labgrid_option
@json_option
def flash(
    board: str | None,
    firmware: Path,
    compiler: str,
    tool: str | None,
    marker: str,
    marker_file: Path | None,
    microphone: bool,
    sound: Path | None,
    probe: str | None,
    baud: int | None,
    virtual: bool,
    dry_run: bool,
    verify: bool,
    port: str | None,
    serve: str | None,
    place: str | None,
    coordinator: str | None,
    labgrid: Path | None,
    as_json: bool,
) -> None:
    """Build the export for a board and flash it, or start it where the board is emulated."""
    from edgeq.farming.flashing import HowToFlash, flash_at
    from edgeq.pipeline import flash as run
    from edgeq.reporting.progress import flash_bar

    if virtual and tool not in (None, "virtual"):
        raise click.UsageError(f"--virtual starts the board's twin; --with {tool} flashes")
    tool = "virtual" if virtual else tool
    how = HowToFlash(firmware, compiler, tool, verify, marker, baud, probe)
    with flash_bar(stderr_console()) as watch:
        if place is not None:
            _refuse_with_place(
                port=port, serve=serve, marker_file=marker_file, dry_run=dry_run,
                microphone=microphone, sound=sound,
            )  # fmt: skip
            result = flash_at(place, board, how, watch, labgrid=labgrid, coordinator=coordinator)
        else:
            asked = (board, firmware, compiler, tool, dry_run, port, verify)
            result = run(*asked, watch, marker, baud, probe, marker_file, serve, microphone, sound)
    if as_json:
        say_json(result)
    else:
        from edgeq.flashers.text import flash_text

        say(flash_text(result))


def _refuse_with_place(**given: object) -> None:
    """What a place has of its own, or what would hold it for nothing."""
    for name, value in given.items():
        if value:
            raise click.UsageError(f"--{name.replace('_', '-')} does not go with --place")
