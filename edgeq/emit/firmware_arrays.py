"""The arrays of a model as C text, each headed by whose it is, its shape and its format."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from edgeq.emit.c_literals import array_body, c_type
from edgeq.emit.firmware_layers import Layer
from edgeq.kernels import kernel_named
from edgeq.weights import OUTPUT_TABLE, Constant, Key, PackedWeights


@dataclass(frozen=True)
class ArrayCode:
    comment: str
    ctype: str
    symbol: str
    count: int
    body: str


def array_codes(layers: Sequence[Layer], packed: PackedWeights) -> tuple[ArrayCode, ...]:
    """Every packed constant; the comment is of the first layer that reads it."""
    first: dict[str, Key] = {}
    for key, symbol in packed.symbols.items():
        first.setdefault(symbol, key)
    by_node = {(x.info.expert or "", x.node.name): x for x in layers if x.part != "gate"}
    return tuple(
        ArrayCode(
            _comment(first[c.symbol], by_node.get(first[c.symbol][:2]), c),
            c_type(c.values),
            c.symbol,
            c.values.size,
            array_body(c.values),
        )
        for c in packed.constants
    )


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
