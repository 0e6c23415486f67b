"""What commands print beside their result."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console


@contextmanager
def working(what: str) -> Iterator[None]:
    """A spinner on standard error while something takes seconds; nothing where no one looks."""
    with Console(stderr=True).status(f"{what} ..."):
        yield
