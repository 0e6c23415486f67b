"""`edgeq config`: the values that every command would take here."""

from collections.abc import Iterator

import click

from edgeq.cli.group import lines, project_file, showing, values
from edgeq.cli.options import json_option
from edgeq.cli.output import say, say_json


@click.command(short_help="Each command's values and where they come from.")
@click.argument("command", nargs=-1, metavar="[COMMAND]")
@json_option
@click.pass_context
def config(context: click.Context, command: tuple[str, ...], as_json: bool) -> None:
    """Each command's values and where they come from: edgeq.toml, environment or default.

    COMMAND narrows it down: edgeq config export; edgeq config bench kernels.
    """
    root = context.find_root()
    assert isinstance(root.command, click.Group)
    shown = {
        " ".join(words): values(each)
        for words, each in _contexts(root, root.command)
        if words[: len(command)] == command
    }
    if not shown:
        known = ", ".join(root.command.commands)
        raise click.UsageError(f"no command {' '.join(command)!r}; there are: {known}")
    file = project_file(context)
    if as_json:
        say_json({"file": file, "commands": shown})
        return
    say(f"# {file or 'no edgeq.toml from here upwards'}")
    for name, each in shown.items():
        if each:
            say("\n".join(["", f"[{name.replace(' ', '.')}]", *lines(each)]))


_OTHERS = ("config", "completion")  # no defaults worth keeping


def _contexts(
    parent: click.Context, group: click.Group, words: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Context]]:
    """A context of every command below `group`, as if it had been called without anything."""
    for name, command in group.commands.items():
        if name in _OTHERS:
            continue
        if isinstance(command, click.Group):
            inner = click.Context(command, info_name=name, parent=parent)
            yield from _contexts(inner, command, (*words, name))
        else:
            yield (*words, name), showing(command).make_context(name, [], parent=parent)
