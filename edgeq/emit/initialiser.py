"""A C initialiser with nested designators, from flat paths: "window.stride" or "[0].plain.bias"."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from edgeq.emit.c_literals import INDENT

Fields = tuple[tuple[str, str], ...]


def initialiser_lines(fields: Fields) -> tuple[str, ...]:
    """The lines between the outer braces, in the order in which a path is first named.

    >>> print("\\n".join(initialiser_lines((("a", "1"), ("b.c", "2"), ("b.d", "3")))))
    .a = 1,
    .b = {
        .c = 2,
        .d = 3,
    },
    """
    tree: dict[str, Any] = {}
    for path, value in fields:
        *parents, last = (part for part in re.split(r"\.|(?=\[)", path) if part)
        level = tree
        for part in parents:
            level = level.setdefault(part, {})
        level[last] = value
    return tuple(_lines(tree))


def _lines(tree: Mapping[str, Any]) -> Iterator[str]:
    for part, value in tree.items():
        designator = part if part.startswith("[") else f".{part}"
        if isinstance(value, str):
            yield f"{designator} = {value},"
        else:
            yield f"{designator} = {{"
            yield from (INDENT + line for line in _lines(value))
            yield "},"
