"""Every error edgeq raises on purpose: what was given, what is allowed, the next step.

Each class carries the exit code of the command line (`edgeq --help` lists them).
"""

import re

_LONG = re.compile(r"[^\s]{1000,}")  # no path that a system takes in one name is as long


def abridged(text: str) -> str:
    """The text, and of words that no screen holds only their ends."""
    return _LONG.sub(lambda w: f"{w[0][:60]}[... {len(w[0]) - 120:,} characters]{w[0][-60:]}", text)


class EdgeqError(Exception):
    """Anything a user can act on. `exit_code` is what the command line returns.

    The message may quote a file, a board or a meter: what could steer a terminal is shown as text.
    """

    exit_code = 2

    def __init__(self, message: object = "") -> None:
        super().__init__(abridged(printable(str(message))))


def printable(text: str) -> str:
    r"""The text with whatever is no printable character as its escape; line ends stay.

    >>> printable("a\x1b[2Jb\u202ec")
    'a\\x1b[2Jb\\u202ec'
    """
    if text.isprintable():
        return text
    return "".join(
        c if c.isprintable() or c in "\n\t" else c.encode("unicode_escape").decode() for c in text
    )


class BadInput(EdgeqError):
    """A flag, a data set or a target that cannot be used as given, or a file that is not there."""

    exit_code = 2


class UnsupportedOp(EdgeqError):
    """Ops that edgeq has no kernel for; the message lists every one with its node name."""

    exit_code = 3


class ModelFile(EdgeqError):
    """A model file or export that is damaged, unsafe or not in edgeq's format."""

    exit_code = 3


class MemoryBudget(EdgeqError):
    """A model that does not fit flash or RAM; the message carries the numbers and largest parts."""

    exit_code = 4


class CostBudget(EdgeqError):
    """A model whose modelled latency or energy exceeds what was allowed; with the numbers."""

    exit_code = 4


class Link(EdgeqError):
    """No board, no port, or a port that does not speak the protocol."""

    exit_code = 5


class Taken(EdgeqError):
    """A board of a farm that another user holds; the message says who, and what to do."""

    exit_code = 8


class Flash(Link):
    """A board that could not be flashed."""


class Meter(EdgeqError):
    """A current meter that is absent, misbehaves, or whose capture cannot be trusted."""

    exit_code = 5


class Mismatch(EdgeqError):
    """Two implementations that must agree do not."""

    exit_code = 6


class Toolchain(EdgeqError):
    """No usable compiler or tool, or a build that failed."""

    exit_code = 7
