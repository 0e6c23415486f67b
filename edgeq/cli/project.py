"""`edgeq.toml`: a project's defaults, a table for each command."""

import difflib
import os
from pathlib import Path
from typing import Any, Literal, cast

import click
from pydantic import TypeAdapter, ValidationError

from edgeq.cli.group import settings
from edgeq.errors import BadInput
from edgeq.toml_file import read_toml


def read_project(root: click.Group, path: Path) -> dict[str, Any]:
    """Reads and checks `path`: click's default map, command -> parameter name -> value.

    Paths in the file are relative to its folder. BadInput names each wrong key and what is allowed.
    """
    return _group(root, read_toml(path, "project file"), path, "")


def _group(group: click.Group, tables: dict[str, Any], path: Path, where: str) -> dict[str, Any]:
    """The default map of a group; every table must be one of its commands."""
    found: dict[str, Any] = {}
    for name, table in tables.items():
        command = group.commands.get(name)
        if command is None:
            known = [f"[{where}{each}]" for each in sorted(group.commands)]
            raise BadInput(f"{path}: {_unknown('table', f'[{where}{name}]', known)}")
        if not isinstance(table, dict):
            raise BadInput(f"{path}: {where}{name} is no table; write [{where}{name}] and its keys")
        if isinstance(command, click.Group):
            found[name] = _group(command, table, path, f"{where}{name}.")
        else:
            found[name] = _command(command, table, path, where + name)
    return found


def _command(
    command: click.Command, table: dict[str, Any], path: Path, where: str
) -> dict[str, Any]:
    parameters = dict(settings(command))
    for key in table:
        if key not in parameters:
            raise BadInput(f"{path}: [{where}] {_unknown('key', key, list(parameters))}")
    found = {}
    for key, value in table.items():
        parameter = parameters[key]
        try:
            checked = TypeAdapter[object](_type(parameter)).validate_python(value, strict=True)
        except ValidationError as error:
            said = "; ".join(each["msg"] for each in error.errors())
            raise BadInput(f"{path}: [{where}] {key} = {value!r}: {said}") from None
        if "\0" in str(checked):
            raise BadInput(f"{path}: [{where}] {key} = {value!r}: it holds a NUL")
        found[str(parameter.name)] = _placed(parameter, checked, path.parent)
    return found


def _unknown(kind: str, given: str, known: list[str]) -> str:
    close = difflib.get_close_matches(given, known, n=1)
    meant = f"; did you mean {close[0]}?" if close else "."
    return f"unknown {kind} {given}{meant} Allowed: {', '.join(known) or 'none'}"


def _type(parameter: click.Parameter) -> type[object]:
    """The Python type of one value in TOML."""
    if isinstance(parameter, click.Option) and parameter.is_flag:
        return bool
    if isinstance(parameter.type, click.Choice):
        return cast(type[object], Literal[tuple(parameter.type.choices)])
    one: type[object] = {click.INT: int, click.FLOAT: float, click.BOOL: bool}.get(
        parameter.type, str
    )
    return list[one] if parameter.multiple or parameter.nargs != 1 else one  # type: ignore[valid-type]


def _placed(parameter: click.Parameter, value: object, folder: Path) -> object:
    """Paths as seen from here."""
    if isinstance(value, list):
        return [_placed(parameter, each, folder) for each in value]
    if isinstance(parameter.type, click.Path) and not Path(str(value)).is_absolute():
        return os.path.relpath(folder / str(value))
    return value
