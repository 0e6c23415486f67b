"""TOML that people write: board files and edgeq.toml."""

import random
from pathlib import Path
from typing import Any

from tests.hostile import mutate
from tests.hostile.oracle import Case, Place, Surface


def _toml(value: Any) -> str:
    """A value as TOML, odd ones as odd as they are."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_key(k)} = {_toml(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_toml, value)) + "]"
    if isinstance(value, str):
        return _quoted(value)
    return str(value)  # None, inf and nan as Python says them


def _quoted(text: str) -> str:
    safe = "".join(c if c.isprintable() and c not in '"\\' else f"\\U{ord(c):08x}" for c in text)
    return f'"{safe}"'


def _key(name: Any) -> str:
    return str(name) if str(name).isidentifier() and str(name).isascii() else _quoted(str(name))


def _document(tree: Any) -> str:
    """A dict of dicts as tables, so that most of the text is as people write it."""
    if not isinstance(tree, dict):
        return _toml(tree)
    plain = [f"{_key(k)} = {_toml(v)}" for k, v in tree.items() if not isinstance(v, dict)]
    tables = [
        f"[{_key(k)}]\n" + "\n".join(f"{_key(n)} = {_toml(x)}" for n, x in v.items())
        for k, v in tree.items()
        if isinstance(v, dict)
    ]
    return "\n".join([*plain, *tables]) + "\n"


def _text(rng: random.Random, tree: Any) -> bytes:
    text = _document(mutate.tree_changed(rng, tree)).encode("utf-8", "surrogatepass")
    kind = rng.random()
    if kind < 0.15:
        return mutate.bytes_changed(rng, text)
    if kind < 0.18:
        return b"\xef\xbb\xbf" + text
    if kind < 0.2:
        depth = rng.choice((50, 3000, 50_000))
        return b"x = " + b"[" * depth + b"]" * depth + b"\n" + text
    return text.replace(b"\n", b"\r\n") if kind < 0.22 else text


def _boards(place: Place) -> list[tuple[str, Any]]:
    import tomllib

    from edgeq.resources import boards_dir

    names = ("virtual_m4", "nucleo_l4r5zi", "rpi_pico")
    return [(n, tomllib.loads((boards_dir() / f"{n}.toml").read_text())) for n in names]


def _board_case(rng: random.Random, base: list[tuple[str, Any]], place: Place) -> Case:
    name, tree = rng.choice(base)
    (place.case / f"{name}.toml").write_bytes(_text(rng, tree))

    def read() -> str:
        from edgeq.board import all_boards
        from edgeq.errors import printable
        from edgeq.reporting.clock_model import clock_model
        from edgeq.sim.config import MachineConfig
        from edgeq.toolchain.assemble import board_config, linker_script

        (board,) = all_boards(place.case)
        all_boards.__globals__["_read_folder"].cache_clear()
        board_config(board)
        clock_model(board)
        linker_script(board)
        MachineConfig.of(board)
        return printable(board.description)  # as the commands print it

    return read


PROJECT = {
    "export": {"target": "cortex-m4", "out": "build/x", "calibration": "c.npz"},
    "profile": {"port": "/dev/ttyACM0", "limit": 9, "resume": False, "volts": 3.0, "baud": 9600},
    "estimate": {"board": ["nucleo_l4r5zi"], "json": True},
    "bench": {"kernels": {"json": True}},
}


def _project_case(rng: random.Random, base: Any, place: Place) -> Case:
    path: Path = place.case / "edgeq.toml"
    path.write_bytes(_text(rng, PROJECT))

    def read() -> str:
        from edgeq.cli import cli
        from edgeq.cli.project import read_project

        read_project(cli, path)
        return ""

    return read


def _nothing(place: Place) -> None:
    """A surface whose cases need no base."""


SURFACES = (
    Surface("board", _boards, _board_case),
    Surface("project", _nothing, _project_case),
)
