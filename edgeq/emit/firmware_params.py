"""The members of a parameter struct as C text: an op's fields with symbols and literals."""

import numpy as np

from edgeq.emit.c_literals import braces, integer
from edgeq.ops.op import Fields, Name, Pointer
from edgeq.weights import IN_STREAMS, Key, PackedWeights

Text = tuple[tuple[str, str], ...]
IN_THE_STREAM = "NULL /* among the weights */"


def members(fields: Fields, packed: PackedWeights, owner: str, node: str) -> Text:
    """(member, text) of the struct of a node; `owner` is its expert's name or ""."""
    return tuple((name, _text(value, packed, (owner, node))) for name, value in fields)


def _text(value: object, packed: PackedWeights, layer: tuple[str, str]) -> str:
    if isinstance(value, Pointer):
        key: Key = (*layer, value.role)
        joined = value.role in IN_STREAMS and key not in packed.symbols  # they stand in the weights
        return IN_THE_STREAM if joined else packed.symbols[key]
    if isinstance(value, Name):
        return value.text
    array = np.asarray(value)
    if array.ndim:
        return braces(array)
    return integer(int(array), "int32" if isinstance(value, int) else array.dtype.name)
