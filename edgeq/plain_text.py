"""Texts of strangers made harmless: names in a model, a board's strings, paths, keys of a file.

What steers a terminal (escape sequences, control characters, bidirectional overrides) is shown as
text, and a command that the user is told to run is quoted.
"""

import shlex
from typing import TypeVar, cast

from edgeq.errors import printable


def one_line(text: str) -> str:
    r"""Printable, and no line can be forged: line ends and tabs are escaped too.

    >>> one_line("a\nedgeq: ok")
    'a\\nedgeq: ok'
    """
    return printable(text).replace("\n", "\\n").replace("\t", "\\t")


_Value = TypeVar("_Value")


def plain(value: _Value) -> _Value:
    """The same dicts, lists and numbers, every text and key in them as `one_line`."""
    return cast(_Value, _plain(value))  # of the very types that it had


def _plain(value: object) -> object:
    if isinstance(value, str):
        return one_line(value)
    if isinstance(value, dict):
        return {_plain(key): _plain(each) for key, each in value.items()}
    if type(value) is list:
        return list(map(_plain, value))
    return tuple(map(_plain, value)) if type(value) is tuple else value


def command(*words: object) -> str:
    """A command line for the user to copy; no word of it can be more than one word.

    >>> command("edgeq", "flash", "--board", "x; touch F #")
    "edgeq flash --board 'x; touch F #'"
    """
    return shlex.join(one_line(str(word)) for word in words)
