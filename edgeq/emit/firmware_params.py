"""The members of a parameter struct as C text: an op's fields with symbols and literals."""

import numpy as np

from edgeq.emit.c_literals import braces, integer
from edgeq.ops.op import Fields, Name, Pointer
from edgeq.weights import Key, PackedWeights, in_stream

Text = tuple[tuple[str, str], ...]
IN_THE_STREAM = "NULL /* among the weights */"
IN_THE_TABLE = "NULL /* beside the bias */"


def members(fields: Fields, packed: PackedWeights, owner: str, node: str) -> Text:
    """(member, text) of the struct of a node; `owner` is its expert's name or ""."""
    return tuple((name, _text(value, packed, (owner, node))) for name, value in fields)


def _text(value: object, packed: PackedWeights, layer: tuple[str, str]) -> str:
    if isinstance(value, Pointer):
        key: Key = (*layer, value.role)
        if key in packed.symbols or not in_stream(value.role):
            return packed.symbols[key]
        bias = value.role.replace("multiplier", "bias").replace("shift", "bias")
        return IN_THE_TABLE if (*layer, bias) in packed.symbols else IN_THE_STREAM
    if isinstance(value, Name):
        return value.text
    array = np.asarray(value)
    if array.ndim:
        return braces(array)
    return integer(int(array), "int32" if isinstance(value, int) else array.dtype.name)
