"""The marker pin's edges as a file that another program may follow while the board runs.

One JSON object a line: "cycles" since reset, "level" 0 or 1, and "hz", the core clock at that edge.
"""

import json
import stat
from pathlib import Path
from typing import Self

from edgeq.errors import BadInput


class MarkerFile:
    """Every edge is there for a reader at once. Use as a context manager."""

    def __init__(self, path: Path) -> None:
        """Begins a new file. BadInput where none can be written, or something else lies."""
        self._path = path
        try:
            if path.exists() and not stat.S_ISREG(path.stat().st_mode):
                raise BadInput(f"{path} is no regular file: name a file for the marker's edges")
            self._file = path.open("w", encoding="ascii", buffering=1)
        except OSError as error:
            raise self._cannot(error) from None

    def edge(self, cycles: int, level: int, hz: int) -> None:
        """The pin has another level. BadInput when it cannot be written down."""
        try:
            self._file.write(json.dumps({"cycles": cycles, "level": level, "hz": hz}) + "\n")
        except OSError as error:
            raise self._cannot(error) from None

    def _cannot(self, error: OSError) -> BadInput:
        return BadInput(f"cannot write the marker's edges to {self._path}: {error.strerror}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._file.close()
        except OSError:  # a full disk, which edge() has told
            return
