"""The arrays of a model as C text, each headed by whose it is, its shape and its format."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from edgeq.emit.c_literals import array_body, c_type
from edgeq.emit.firmware_layers import Layer
from edgeq.errors import BadInput
from edgeq.kernels import kernel_named
from edgeq.weights import OUTPUT_TABLE, Constant, Key, PackedWeights

WEIGHTS_AS = ("auto", "c", "binary")
BINARY_FROM_BYTES = 256 * 1024  # of all constants: C literals of more take a compiler seconds
LEAST_BINARY_BYTES = 4096  # of one array in a binary file; smaller ones stay readable
ALIGNMENT_BYTES = 8


@dataclass(frozen=True)
class ArrayCode:
    """One array: C literals in `body`, or, where that is None, `bytes` at `offset` of the file."""

    comment: str
    ctype: str
    symbol: str
    count: int
    body: str | None
    offset: int = 0
    bytes: int = 0


@dataclass(frozen=True)
class Arrays:
    """Every array of a model, and the binary file that some of them stand in (empty: none)."""

    codes: tuple[ArrayCode, ...]
    binary: bytes


def arrays_of(layers: Sequence[Layer], packed: PackedWeights, weights_as: str = "auto") -> Arrays:
    """Every packed constant; the comment is of the first layer that reads it.

    `weights_as`: "c" for literals alone, "binary" to put the large arrays into a file that the
    assembler takes in whole, "auto" for that above BINARY_FROM_BYTES.
    """
    if weights_as not in WEIGHTS_AS:
        raise BadInput(f"--weights-as {weights_as!r} is not one of {', '.join(WEIGHTS_AS)}")
    large = packed.total_bytes >= BINARY_FROM_BYTES
    least = (
        LEAST_BINARY_BYTES
        if weights_as == "binary" or (weights_as, large) == ("auto", True)
        else None
    )
    first: dict[str, Key] = {}
    for key, symbol in packed.symbols.items():
        first.setdefault(symbol, key)
    by_node = {(x.info.expert or "", x.node.name): x for x in layers if x.part != "gate"}
    codes, binary = [], bytearray()
    for c in packed.constants:
        comment = _comment(first[c.symbol], by_node.get(first[c.symbol][:2]), c)
        head = (comment, c_type(c.values), c.symbol, c.values.size)
        if least is None or c.bytes < least:
            codes.append(ArrayCode(*head, array_body(c.values)))
            continue
        binary += bytes(-len(binary) % ALIGNMENT_BYTES)
        codes.append(ArrayCode(*head, None, len(binary), c.bytes))
        binary += c.values.astype(c.values.dtype.newbyteorder("<")).tobytes()
    return Arrays(tuple(codes), bytes(binary))


def _comment(key: Key, layer: Layer | None, constant: Constant) -> str:
    if key == OUTPUT_TABLE or layer is None:
        return f"Output: exp(-steps * scale) in Q15, {constant.bytes} bytes"
    owner = f"{plain_text(layer.info.expert)}: " if layer.info.expert else ""
    head = f"Layer {layer.info.index}, {owner}{plain_text(layer.info.name)}: {key[2]}"
    return f"{head}{_shape(key[2], layer)}, {constant.bytes} bytes"


def _shape(role: str, layer: Layer) -> str:
    """Of a weight: its shape, and how it is packed."""
    if role.rsplit(".", 1)[-1] != "weight" or role not in layer.node.params:
        return ""
    shape = "x".join(map(str, layer.graph.type_of(layer.node.params[role]).shape))
    kernel = kernel_named(layer.info.kernel)
    token = kernel.packing or layer.info.weight_format
    order = f"in the order that {kernel.name} reads" if kernel.stream else "packed rows"
    return f" {shape}, {token} {order}"


def plain_text(name: str) -> str:
    """A name in a C comment or string: nothing in it can end either."""
    return re.sub(r"[^A-Za-z0-9_./:() -]", "_", name)[:80]
