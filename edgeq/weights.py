"""Packs every constant of a graph into the bytes that its kernel reads from flash."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from edgeq.ir import Graph, Node
from edgeq.ir.c_names import c_prefix, unique
from edgeq.kernels import PACKINGS, kernel_named, pack_masks, weight_rows
from edgeq.kernels.streams.stream import Stream
from edgeq.ops import OPS
from edgeq.ops.block_fully_connected import times_blocks
from edgeq.ops.fixed_point import exp_table
from edgeq.ops.op import Array, Place, Role, quant_of
from edgeq.ops.router_constants import suffixes
from edgeq.ops.softmax import ends_in_probabilities

JOINED = ("bias", "multiplier", "shift")
IN_STREAMS = (*JOINED, "block_scale")  # what a stream may hold besides the weights
OUTPUT_TABLE = ("", "", "exp_table")
SYMBOL_LENGTH = 56

Key = tuple[str, str, str]
"""(expert name or "", node name, role); OUTPUT_TABLE is for the output's confidence (a
Softmax at the end gives that itself, and the table is absent)."""


@dataclass(frozen=True)
class Constant:
    """One array in flash. `values` has the device's element type; packed weights are uint32."""

    symbol: str
    role: str
    values: Array = field(repr=False)

    @property
    def bytes(self) -> int:
        return self.values.nbytes


@dataclass(frozen=True)
class PackedWeights:
    """`symbols` finds each layer's arrays; equal arrays are stored once.

    `layer_bytes` counts an array for the first layer that reads it, so that the layers add up.
    """

    constants: tuple[Constant, ...]
    symbols: Mapping[Key, str]
    layer_bytes: Mapping[tuple[str, str], int]

    @property
    def total_bytes(self) -> int:
        return sum(c.bytes for c in self.constants)

    def expert_bytes(self, expert: str) -> int:
        """Bytes of one expert's layers ("" for all that is outside the experts)."""
        return sum(count for (owner, _), count in self.layer_bytes.items() if owner == expert)


def pack_weights(graph: Graph) -> PackedWeights:
    """All constants of `graph` and its experts.

    Raises BadInput for codes a format cannot hold, ValueError for two experts of one name.
    """
    names = [owner for owner, _ in _graphs(graph)]
    if len(set(names)) != len(names):
        raise ValueError(f"experts need names of their own, got {names[1:]}")
    prefix = c_prefix(graph.name)
    constants: dict[tuple[str, bytes], Constant] = {}
    taken: set[str] = set()
    symbols: dict[Key, str] = {}
    layer_bytes: dict[tuple[str, str], int] = {}
    for key, values in _tables(graph):
        identity = (str(values.dtype), values.tobytes())
        layer_bytes.setdefault(key[:2], 0)
        if identity not in constants:
            constants[identity] = Constant(_symbol(prefix, key, taken), key[2], values)
            layer_bytes[key[:2]] += values.nbytes
        symbols[key] = constants[identity].symbol
    return PackedWeights(tuple(constants.values()), symbols, layer_bytes)


def _tables(graph: Graph) -> Iterator[tuple[Key, Array]]:
    for owner, part in _graphs(graph):
        for node in part.nodes:
            for role, values in sorted(_node_tables(part, node)):
                yield (owner, node.name, role), values
    if graph.tensors[graph.outputs[0]].dtype == "int8" and not ends_in_probabilities(graph):
        scale = quant_of(graph.tensors[graph.outputs[0]]).per_tensor
        yield OUTPUT_TABLE, exp_table(scale)


def _graphs(graph: Graph) -> Iterator[tuple[str, Graph]]:
    """The graph itself as "", then each expert by name."""
    yield "", graph
    for node in graph.nodes:
        for expert in getattr(node.attrs, "experts", ()):
            yield expert.name, expert.graph


def in_stream(role: str) -> bool:
    """Whether a stream may hold it beside the weights: shift, or router.0.shift.dropped."""
    return role.removesuffix(".dropped").split(".")[-1] in IN_STREAMS


def _node_tables(graph: Graph, node: Node) -> Iterator[tuple[str, Array]]:
    """(role, values) of the arrays that the node's kernel reads."""
    stream = kernel_named(node.kernel).stream if node.kernel else None
    streamed: tuple[str, ...] = ()
    if stream and node.op == "Mixture":
        tables = dict(_streamed_router(graph, node, stream))
        yield from tables.items()
        own = (role for role in node.params if role.startswith("router.") and in_stream(role))
        streamed = (*tables, *own)
    elif stream:
        yield from _streamed_layer(graph, node, stream)
        streamed = ("weight", *IN_STREAMS)
    for role in OPS[node.op].roles(node.attrs):
        if role.name not in streamed and role.place not in (Place.INLINE, Place.GONE):
            yield role.name, _table(graph, node, role)


def _table(graph: Graph, node: Node, role: Role) -> Array:
    """A constant as its role says."""
    values = graph.param(node, role.name)
    if role.place is Place.PACKED:
        rows = values if role.dtype else weight_rows(node.op, values)
        stored = kernel_named(node.kernel).weight if node.kernel else None
        return packed_words(role.dtype or stored or node.attrs.weight_format, rows)
    if role.place is Place.BITS:
        return np.frombuffer(pack_masks(values), np.uint8)
    return _converted(role.dtype, values)


def _streamed_layer(graph: Graph, node: Node, stream: Stream) -> Iterator[tuple[str, Array]]:
    weight, axis = graph.param(node, "weight"), OPS[node.op].weight_axis
    assert axis is not None  # only weights are streamed
    zero_point = quant_of(graph.tensors[node.inputs[0]]).zero_point
    counted, words = weight, None
    if node.op == "BlockFullyConnected":
        scales, block = graph.param(node, "block_scale"), node.attrs.block
        counted, words = times_blocks(weight, scales, block), stream.pack(weight, scales, block)
    tables = dict(_streamed(stream, graph.params(node), _sums(counted, axis), zero_point))
    groups = getattr(node.attrs, "groups", 1)
    parts = [stream.pack(part) for part in np.split(weight, groups)] if words is None else [words]
    if stream.join:
        ends = zip(*(np.split(tables[role], groups) for role in JOINED), strict=True)
        parts = [stream.join(part, *own) for part, own in zip(parts, ends, strict=True)]
    yield "weight", np.concatenate(parts)
    if not stream.join:
        yield from tables.items()


def _sums(weight: Array, axis: int) -> Array:
    """sum(w) of each output."""
    others = tuple(i for i in range(weight.ndim) if i != axis)
    return np.asarray(weight.sum(axis=others, dtype=np.int64))


def _streamed(
    stream: Stream, values: Mapping[str, Array], sums: Array, zero_point: int, suffix: str = ""
) -> Iterator[tuple[str, Array]]:
    """The vectors of a kernel that reads its weights in an order of its own, or its table."""
    multiplier, shift = values["multiplier" + suffix], values["shift" + suffix]
    bias = stream.bias(sums, values["bias" + suffix], zero_point)
    off = (multiplier == 0) | (shift < stream.least_shift)
    # a channel that is switched off is zero whatever its shift; the kernel wants one below 0
    given = bias, np.where(off, 0, multiplier), np.where(off, -1, shift)
    vectors = zip(JOINED, stream.vectors(*given, values["weight"]), strict=True)
    for role, vector in vectors:
        if vector.size:
            yield role + suffix, _converted("int8" if role == "shift" else "int32", vector)


def _streamed_router(graph: Graph, node: Node, stream: Stream) -> Iterator[tuple[str, Array]]:
    router = node.attrs.router
    quants = (quant_of(graph.tensors[node.inputs[1]]), *router.quants)
    for i in range(router.layers):
        head = f"router.{i}."
        values = {r.removeprefix(head): v for r, v in graph.params(node).items() if head in r}
        sums = _sums(values["weight"], 0)
        yield head + "weight", stream.pack(values["weight"])
        for suffix in suffixes(router, i):
            tables = _streamed(stream, values, sums, quants[i].zero_point, suffix)
            yield from ((head + role, table) for role, table in tables)


def packed_words(weight_format: str, rows: Array) -> Array:
    """Weights (rows, columns) in their packing, as the little-endian words a device reads."""
    return np.frombuffer(PACKINGS[weight_format].pack(rows), "<u4").astype(np.uint32)


def _converted(dtype: str, values: Array) -> Array:
    """`values` as `dtype`; ValueError when one of them does not fit."""
    converted = np.ascontiguousarray(values.astype(dtype).ravel())
    if not np.array_equal(converted, values.ravel()):
        raise ValueError(f"values {values.min()}..{values.max()} do not fit {dtype}")
    return converted


def _symbol(prefix: str, key: Key, taken: set[str]) -> str:
    """A C identifier that no other array has: <prefix>_<expert>_<node>_<role>."""
    words = "_".join(part for part in (*key[:2], key[2]) if part)
    stem = f"{prefix}_" + re.sub(
        r"[^A-Za-z0-9]+", "_", words if any(key[:2]) else f"output_{words}"
    )
    return unique(stem[:SYMBOL_LENGTH].rstrip("_"), taken)
