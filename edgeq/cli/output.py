"""All that commands print: results for people, results as JSON, and that something is going on."""

import json
import math
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from edgeq.errors import printable

if TYPE_CHECKING:
    from rich.console import Console, RenderableType


class Interrupted(click.exceptions.Abort):
    """Ctrl-C in a command that has something to say of what it leaves."""


def say(text: str, err: bool = False) -> None:
    """Plain lines; what could steer a terminal is shown as text."""
    click.echo(printable(text), err=err)


def say_json(value: object) -> None:
    """One JSON object on one line of ASCII. What is no number in JSON is null."""
    click.echo(json.dumps(_finite(value), allow_nan=False))


def show(renderable: "RenderableType", soft_wrap: bool = False) -> None:
    """A table, or several, on standard output."""
    from edgeq.reporting.terminal import console

    console(soft_wrap=soft_wrap).print(renderable, crop=False)  # a long path stays whole


def screen_width() -> int:
    """Columns of the terminal, of the variable COLUMNS, or 80."""
    from edgeq.reporting.terminal import console

    return console().width


def stderr_console(quiet: bool = False) -> "Console":
    """Where progress is shown: nowhere where `quiet` is asked for and no one looks."""
    from edgeq.reporting.terminal import console

    return console(stderr=True, quiet=quiet and not sys.stderr.isatty())


@contextmanager
def working(what: str) -> Iterator[None]:
    """A spinner on standard error while something takes seconds; nothing where no one looks."""
    if not sys.stderr.isatty():
        yield
        return
    with stderr_console().status(f"{what} ..."):
        yield


def _finite(value: object) -> object:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    return value
