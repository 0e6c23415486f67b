"""C literals: single numbers, and whole arrays quickly (a model may have millions of weights)."""

import numpy as np

from edgeq.ops.op import Array

INDENT = "    "
LINE_WIDTH = 100
_HEX_DIGITS = np.frombuffer(b"0123456789abcdef", np.uint8)


def c_type(values: Array) -> str:
    """The stdint name of an integer array's elements: int8_t, uint32_t ..."""
    if values.dtype.kind not in "iu":
        raise ValueError(f"only integers become C arrays, got {values.dtype}")
    return f"{values.dtype.name}_t"


def integer(value: int, dtype: str = "int32") -> str:
    """One number as a constant expression of exactly that type's range.

    The lowest number of a signed type has no literal in C: it is written as a difference.
    """
    low, high = int(np.iinfo(dtype).min), int(np.iinfo(dtype).max)
    if not low <= value <= high:
        raise ValueError(f"{value} is no {dtype}")
    if dtype == "int64":
        return f"INT64_C({value})" if value > low else f"(-INT64_C({high}) - 1)"
    if dtype == "int32" and value == low:
        return f"(-{high} - 1)"
    return f"{value}u" if dtype.startswith("u") else str(value)


def braces(values: Array) -> str:
    """A short array on one line: {1, -2, 3}."""
    dtype = values.dtype.name
    return "{" + ", ".join(integer(value, dtype) for value in values.ravel().tolist()) + "}"


def array_body(values: Array) -> str:
    """The lines between the braces of an array's initialiser, each indented and ended by ",\\n".

    Unsigned numbers are written in hexadecimal at full width, signed ones in decimal.
    """
    flat = np.ascontiguousarray(values).ravel()
    c_type(flat)
    return _hex_lines(flat) if flat.dtype.kind == "u" else _decimal_lines(flat)


def _hex_lines(flat: Array) -> str:
    """Text as one matrix of characters: row i is "0x" digits "," and a separator."""
    size = flat.dtype.itemsize
    octets = flat.astype(flat.dtype.newbyteorder(">")).view(np.uint8).reshape(-1, size)
    text = np.full((len(flat), 2 * size + 4), ord(" "), np.uint8)
    text[:, 0:2] = np.frombuffer(b"0x", np.uint8)
    text[:, 2 : 2 + 2 * size : 2] = _HEX_DIGITS[octets >> 4]
    text[:, 3 : 3 + 2 * size : 2] = _HEX_DIGITS[octets & 15]
    text[:, -2] = ord(",")
    step = (LINE_WIDTH - len(INDENT)) // text.shape[1]
    lines = (text[i : i + step].tobytes().decode().rstrip() for i in range(0, len(text), step))
    return "".join(f"{INDENT}{line}\n" for line in lines)


def _decimal_lines(flat: Array) -> str:
    dtype = flat.dtype.name  # numpy computes it anew each time
    words = [f"{integer(value, dtype)}," for value in flat.tolist()]
    lines, line = [], ""
    for word in words:
        if len(INDENT) + len(line) + 1 + len(word) > LINE_WIDTH:
            lines.append(line)
            line = ""
        line = f"{line} {word}" if line else word
    lines.append(line)
    return "".join(f"{INDENT}{text}\n" for text in lines if text)
