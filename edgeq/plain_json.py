"""JSON from strangers: what Python's own reader lets through, and no program of ours means.

Refused: bytes that are no UTF-8, lone surrogates, NaN and infinities, numbers that no 64-bit type
holds, one key twice, nesting beyond MAX_DEPTH, and files beyond a stated size.
"""

import json
import math
import re
import stat
from pathlib import Path
from typing import Any

MAX_DEPTH = 32
MAX_BYTES = 64 << 20


def read_json(path: Path, most_bytes: int = MAX_BYTES) -> object:
    """The value in a file. Raises OSError without one, ValueError for what is no JSON."""
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):  # a FIFO would block for ever
        raise ValueError("it is no regular file")
    if status.st_size > most_bytes:
        raise ValueError(f"it has {status.st_size:,} bytes, at most {most_bytes:,} are read")
    return decode_json(path.read_bytes())


def decode_json(data: bytes) -> object:
    """The value of a JSON text in UTF-8. Raises ValueError, with the reason, for anything else."""
    if _depth(data) > MAX_DEPTH:
        raise ValueError(f"it is nested deeper than {MAX_DEPTH}")
    text = data.decode("utf-8")
    if "\\u" in text and not _is_text(json.loads(text)):
        raise ValueError("it holds half a character")
    return json.loads(
        text,
        parse_int=_whole,
        parse_float=_finite,
        parse_constant=_constant,
        object_pairs_hook=_object,
    )


def _depth(data: bytes) -> int:
    deepest = level = 0
    for byte in _STRING.sub(b"", data).translate(None, _NO_BRACKETS):
        level += 1 if byte in b"[{" else -1
        deepest = max(deepest, level)
    return deepest


_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))


def _is_text(value: object) -> bool:
    """Whether no string of the value has a lone surrogate."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def _whole(text: str) -> int:
    value = int(text) if len(text) <= 20 else 2**64
    if not -(2**63) <= value < 2**64:
        raise ValueError(f"the number {text[:24]} leaves 64 bits")
    return value


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"the number {text[:24]} is infinite")
    return value


def _constant(text: str) -> float:
    raise ValueError(f"{text} is no number")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = next(k for i, (k, _) in enumerate(pairs) if k in dict(pairs[:i]))
        raise ValueError(f"the key {twice[:60]!r} stands twice")
    return found
