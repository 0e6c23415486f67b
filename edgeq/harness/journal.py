"""An append-only file of JSON lines, each behind its CRC-32; docs/traces.md has the form.

    1c291ca3 {"index":0,"label":3}

A process that dies can cut the last line only. Such a line is dropped; a line that is damaged and
is not the last one is an error, never skipped.
"""

import json
import os
import zlib
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

from edgeq.errors import BadInput
from edgeq.plain_json import MAX_BYTES, decode_json


def encode_line(value: dict[str, Any]) -> bytes:
    """One line: eight hexadecimal digits of CRC-32, a space, the JSON object, a line feed."""
    text = json.dumps(value, separators=(",", ":")).encode()
    return b"%08x %s\n" % (zlib.crc32(text), text)


def decode_line(line: bytes) -> dict[str, Any] | None:
    """The object of a whole line; None when it is cut or damaged."""
    crc, _, text = line.removesuffix(b"\n").partition(b" ")
    if not line.endswith(b"\n") or crc != b"%08x" % zlib.crc32(text):
        return None
    try:
        value = decode_json(text)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


class Journal:
    """Appends lines; each is with the system, in one call, when `add` returns."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: BinaryIO = path.open("xb", buffering=0)

    def add(self, value: dict[str, Any]) -> None:
        """Appends one object; it survives the death of this process, not a power cut at once."""
        line = encode_line(value)
        while line:
            line = line[self._file.write(line) :]

    def close(self) -> None:
        """Waits until the disk has the lines, then closes."""
        if not self._file.closed:
            os.fsync(self._file.fileno())
            self._file.close()

    def __enter__(self) -> "Journal":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self.close()


def read_journal(path: Path) -> list[dict[str, Any]]:
    """The whole lines. Raises BadInput for a file that is damaged inside, OSError without one."""
    size = path.stat().st_size
    if size > MAX_BYTES:
        raise BadInput(f"{path} has {size:,} bytes, a journal at most {MAX_BYTES:,}")
    lines = path.read_bytes().splitlines(keepends=True)
    values = []
    for number, line in enumerate(lines, start=1):
        value = decode_line(line)
        if value is not None:
            values.append(value)
        elif number < len(lines):
            raise BadInput(f"{path} is damaged at line {number}: its checksum does not match")
    return values
