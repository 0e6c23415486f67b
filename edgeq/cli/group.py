"""A group whose commands can all show where their values come from: `--show-config`."""

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from edgeq.cli.output import say, say_json

SHOW = "--show-config"


class CommandGroup(click.Group):
    """click's group; `COMMAND ... --show-config` shows the command's values and runs nothing."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """In the order of their table, which is that of the work."""
        return list(self.commands)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command, or the one that shows its values."""
        name, command, rest = super().resolve_command(ctx, args)
        if SHOW in rest and command is not None and not isinstance(command, click.Group):
            return name, showing(command), [each for each in rest if each != SHOW]
        return name, command, rest


def settings(command: click.Command) -> Iterator[tuple[str, click.Parameter]]:
    """What a table may hold: each option by its long name, each argument by its name."""
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            longest = max(parameter.opts, key=lambda name: (name.startswith("--"), len(name)))
            yield longest.lstrip("-"), parameter
        else:
            yield str(parameter.name), parameter


def showing(command: click.Command) -> click.Command:
    """A command with the same parameters, none of them required, that prints their values."""
    parameters = [copy.copy(parameter) for parameter in command.params]
    for parameter in parameters:
        parameter.required = False

    def show(**_values: object) -> None:
        context = click.get_current_context()
        shown = values(context)
        if context.params.get("as_json"):
            facts = {"command": context.command_path, "file": project_file(context)}
            say_json({**facts, "values": shown})
        else:
            say("\n".join(lines(shown)))

    return click.Command(command.name, params=list(parameters), callback=show)


def values(context: click.Context) -> dict[str, dict[str, Any]]:
    """{setting: {value, source}} of the context's command."""
    return {
        key: {
            "value": _plain(context.params.get(str(parameter.name))),
            "source": _source(context, parameter),
        }
        for key, parameter in settings(context.command)
        if parameter.expose_value
    }


def lines(shown: dict[str, dict[str, Any]]) -> Iterator[str]:
    """A line for each setting, as TOML would have it, and its source."""
    for key, each in shown.items():
        value = "(not set)" if each["value"] is None else json.dumps(each["value"])
        yield f"{key} = {value}".ljust(44) + f"# {each['source']}"


def _plain(value: object) -> object:
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    return str(value) if isinstance(value, Path) else value


def _source(context: click.Context, parameter: click.Parameter) -> str:
    source = context.get_parameter_source(str(parameter.name))
    if source is ParameterSource.COMMANDLINE:
        return "command line"
    if source is ParameterSource.ENVIRONMENT:
        prefix = context.auto_envvar_prefix or ""
        return f"environment, {parameter.envvar or f'{prefix}_{parameter.name}'.upper()}"
    if source is ParameterSource.DEFAULT_MAP:
        return str(project_file(context))
    return "default"


def nearest_project(start: Path) -> Path | None:
    """The nearest edgeq.toml in `start` or above it; None without one."""
    return next((p for f in (start, *start.parents) if (p := f / "edgeq.toml").is_file()), None)


def project_file(context: click.Context) -> str | None:
    """The edgeq.toml in force, which the root group has read."""
    path = context.find_root().obj
    return None if path is None else str(path)
