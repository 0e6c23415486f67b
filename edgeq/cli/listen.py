"""`edgeq listen`: a board hears a WAV file."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from edgeq.cli.options import json_option, seat_options
from edgeq.cli.output import Interrupted, say, say_json, stderr_console

if TYPE_CHECKING:
    from edgeq.listening import Watch
    from edgeq.listening.events import Event
    from edgeq.listening.screen import Screen
    from edgeq.sound import Sound


@click.command(short_help="A board hears a WAV file: scores, events, latency.")
@seat_options
@click.option("--wav", type=click.Path(path_type=Path), required=True, help="The sound.")
@click.option(
    "--log", type=click.Path(path_type=Path), help="A new CSV file for the events, as they come."
)
@click.option(
    "--labels", type=click.Path(path_type=Path), help="A text file with a class name a line."
)
@click.option(
    "--threshold", default=0.5, show_default=True, help="The score from which a class is heard."
)
@click.option("--hop", help="Of an export of whole windows: one every so often, as 250ms.")
@click.option(
    "--pace/--no-pace",
    default=True,
    show_default=True,
    help="Send as a microphone would, or as fast as answers come.",
)
@click.option(
    "--truth", type=click.Path(path_type=Path), help="When the wake word is said: a JSON file."
)
@click.option(
    "--frames", type=click.Path(path_type=Path), help="A new CSV file of every answer, as it comes."
)
@click.option("--wake", metavar="CLASS", help="The wake word; without it, the first class.")
@json_option
def listen(as_json: bool, **options: object) -> None:
    """Send a sound to the board hop by hop: live scores, events, latency, real-time factor."""
    from edgeq import listening
    from edgeq.listening.screen import screen
    from edgeq.listening.words import summary_lines

    if options["port"] is not None and options["probe"] is not None:
        raise click.UsageError("--port and --probe name the same thing; give one")
    request = listening.ListenRequest(**cast(dict[str, Any], options))  # click made every value
    ended: list[dict[str, Any]] = []
    try:
        with screen(stderr_console()) as shown:
            listening.listen(request, _watch(shown, ended, as_json))
    except KeyboardInterrupt as error:
        click.echo(err=True)  # ends the line of the ^C, as click does
        left = f"the events so far are in {request.log}" if request.log else ""
        raise Interrupted(*([left] if left else [])) from error
    finally:
        for entry in ended:
            if as_json:
                say_json(entry)
            else:
                say("\n".join(summary_lines(entry)))


def _watch(shown: "Screen", ended: list[dict[str, Any]], as_json: bool) -> "Watch":
    """Bars and events on a terminal's standard error; else events are lines of standard output,
    or, with JSON there, of standard error.
    """
    from edgeq.listening import Watch
    from edgeq.listening.events import event_line
    from edgeq.listening.words import start_lines

    plain = not (sys.stderr.isatty() and (as_json or sys.stdout.isatty()))

    names = list[str]()

    def begins(
        classes: tuple[str, ...], sound: "Sound", notes: tuple[str, ...], experts: tuple[str, ...]
    ) -> None:
        for line in start_lines(sound, notes):
            say(line, err=True)
        names.extend(experts)
        shown.begin(classes, sound.seconds, experts)

    def event(happened: "Event") -> None:
        if plain:
            say(event_line(happened, names), err=as_json)
        else:
            shown.event(happened)

    return Watch(begins, shown.answer, event, ended.append)
