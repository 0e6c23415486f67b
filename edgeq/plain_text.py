"""Texts of strangers made harmless: names in a model, a board's strings, paths, keys of a file.

What steers a terminal (escape sequences, control characters, bidirectional overrides) is shown as
text, and a command that the user is told to run is quoted.
"""

import shlex
from typing import Any

from edgeq.errors import printable


def one_line(text: str) -> str:
    r"""Printable, and no line can be forged: line ends and tabs are escaped too.

    >>> one_line("a\nedgeq: ok")
    'a\\nedgeq: ok'
    """
    return printable(text).replace("\n", "\\n").replace("\t", "\\t")


def plain(value: Any) -> Any:
    """The same dicts, lists and numbers, every text and key in them as `one_line`."""
    if isinstance(value, str):
        return one_line(value)
    if isinstance(value, dict):
        return {plain(key): plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(map(plain, value)) if type(value) in (list, tuple) else value
    return value


def command(*words: object) -> str:
    """A command line for the user to copy; no word of it can be more than one word.

    >>> command("edgeq", "flash", "--board", "x; touch F #")
    "edgeq flash --board 'x; touch F #'"
    """
    return shlex.join(one_line(str(word)) for word in words)
