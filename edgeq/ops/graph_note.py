"""A graph as a note in a file that was emitted from it: what the file's operators do not say.

Their order, names and integers are the file's; which nodes make up a mixture, the widths that codes
are packed in and a rule's constants are not. An array that the file holds is named by its digest.
"""

import hashlib
import json
import math
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from edgeq.errors import ModelFile
from edgeq.ir import Graph
from edgeq.ops.graph_file import FORMAT, VERSION, decoded, encoded
from edgeq.ops.int4 import pack_int4, unpack_int4
from edgeq.ops.op import Array
from edgeq.ops.routed import ROUTED
from edgeq.ops.typed import typed
from edgeq.plain_json import decode_json

NOTE = "edgeq_graph"
MOST_BYTES = 64 << 20  # once inflated
LEAST_HELD = 32  # bytes: a shorter array is not worth its digest
CHANNELS_FIRST: Mapping[int, tuple[int, ...]] = {4: (0, 3, 1, 2), 3: (2, 0, 1)}  # as ONNX has them
DTYPES = ("int8", "uint8", "int16", "uint16", "int32", "int64", "float32")  # the last of scales
DAMAGED = (ValueError, LookupError, TypeError, AttributeError, OverflowError, zlib.error)


@dataclass(frozen=True)
class About:
    """What an export was told beside the graph: `emit_forms`'s arguments, and edgeq's version."""

    name: str
    digest: str
    class_names: tuple[str, ...]
    version: str


@dataclass(frozen=True)
class _Entry:
    """Where an array is: `at` in the note itself, or -1 and the digest of bytes of the file, which
    hold it packed two codes a byte or channels first.
    """

    dtype: str
    shape: tuple[int, ...]
    at: int
    digest: str
    packed: bool
    first: bool


def is_routed(graph: Graph) -> bool:
    """Whether the graph chooses between experts: its emitted files then hold a note."""
    return any(node.op in ROUTED for node in graph.nodes)


def initialisers(graph: Any) -> Iterator[bytes]:  # noqa: ANN401  # the core imports no onnx
    """The constants of an ONNX GraphProto and of its branches, those with raw bytes."""
    yield from (tensor.raw_data for tensor in graph.initializer)
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from initialisers(attribute.g)


def note_of(graph: Graph, about: About, held: Iterable[bytes]) -> bytes:
    """The note of a lowered graph, its kernels left out; `held`: the constants of the file."""
    header, constants = encoded(_without_kernels(graph))
    _take_scales(header["graph"], constants)
    known = {_digest(raw) for raw in held}
    blob, arrays = bytearray(), {}
    for name, value in sorted(constants.items()):
        found = next((each for each in _forms(value) if each.digest in known), None)
        entry = found or _Entry(str(value.dtype), value.shape, len(blob), "", False, False)
        if found is None:
            blob += np.ascontiguousarray(value).tobytes()
        arrays[name] = vars(entry)
    text = json.dumps({**header, "about": vars(about), "arrays": arrays}, sort_keys=True).encode()
    return zlib.compress(len(text).to_bytes(4, "little") + text + bytes(blob), 9)


def graph_of_note(note: bytes, held: Iterable[bytes]) -> tuple[Graph, About]:
    """What `note_of` wrote, of a file with these constants. Raises ModelFile for anything else.

    The form is checked, not the sense: `edgeq.passes.stored_graph` does that.
    """
    try:
        data = _inflated(note)
        size = int.from_bytes(data[:4], "little")
        header = decode_json(data[4 : 4 + size])
        if not isinstance(header, dict) or header.get("format") != FORMAT:
            raise ValueError("it is no edgeq graph")
        if header.get("version") != VERSION:
            raise ValueError(f"it is not of version {VERSION}")
        arrays = _Arrays(header["arrays"], data[4 + size :], {_digest(raw): raw for raw in held})
        _give_scales(header["graph"], arrays)
        return decoded(header["graph"], arrays), typed(About, header["about"], "about")
    except DAMAGED as error:
        reason = f"it has no {error}" if isinstance(error, KeyError) else error
        raise ModelFile(f"its note {NOTE} is damaged ({reason})") from error


@dataclass(frozen=True)
class _Arrays:
    """The note's arrays by name, as graph_file reads those of its archive."""

    entries: Mapping[str, object]
    blob: bytes
    held: Mapping[str, bytes]

    def read_array(self, name: str) -> Array:
        entry = typed(_Entry, self.entries[name.removesuffix(".npy")], name[:60])
        if entry.dtype not in DTYPES or min(entry.shape, default=1) < 1 or len(entry.shape) > 8:
            raise ValueError(f"array {name[:60]!r} is {entry.dtype[:20]}{entry.shape[:9]}")
        size = math.prod(entry.shape)
        if entry.at >= 0:
            raw = self.blob[entry.at : entry.at + size * np.dtype(entry.dtype).itemsize]
        else:
            raw = self.held[entry.digest]
        values = unpack_int4(raw, size) if entry.packed else np.frombuffer(raw, entry.dtype)
        if len(values) != size:
            raise ValueError(f"array {name[:60]!r} has {len(raw)} bytes, not {size} values")
        if not entry.first:
            return values.reshape(entry.shape)
        order = CHANNELS_FIRST[len(entry.shape)]
        lying = values.reshape([entry.shape[axis] for axis in order])
        return np.ascontiguousarray(lying.transpose(np.argsort(order)))


def _take_scales(tree: Any, constants: dict[str, Array]) -> None:  # noqa: ANN401  # JSON
    """Scales a channel as arrays, where float32 has them: text is five times as long."""
    for number, quant in enumerate(_quants(tree)):
        scale = np.array(quant["scale"], np.float32)
        if len(scale) > 1 and tuple(scale.tolist()) == quant["scale"]:
            constants[f"scale {number}"], quant["scale"] = scale, f"scale {number}"


def _give_scales(tree: Any, arrays: "_Arrays") -> None:  # noqa: ANN401  # JSON
    for quant in _quants(tree):
        if isinstance(quant["scale"], str):
            quant["scale"] = arrays.read_array(quant["scale"]).tolist()


def _quants(tree: Any) -> Iterator[dict[str, Any]]:  # noqa: ANN401  # JSON
    """Of a graph as JSON and of its experts' graphs."""
    kinds = [kind["quant"] for _, kind in sorted(tree["tensors"].items())]
    yield from (quant for quant in kinds if quant is not None)
    for node in tree["nodes"]:
        for expert in node["attrs"].get("experts", ()):
            yield from _quants(expert["graph"])


def _forms(value: Array) -> Iterator[_Entry]:
    """The ways in which a file may hold an array."""
    if value.nbytes < LEAST_HELD:
        return
    for first in (False, True):
        if first and value.ndim not in CHANNELS_FIRST:
            continue
        lying = value.transpose(CHANNELS_FIRST[value.ndim]) if first else value
        kinds = (str(value.dtype), value.shape, -1)
        yield _Entry(*kinds, _digest(np.ascontiguousarray(lying).tobytes()), False, first)
        if value.dtype == np.int8:
            yield _Entry(*kinds, _digest(pack_int4(lying)), True, first)


def _digest(raw: bytes) -> str:
    return hashlib.sha256(raw).hexdigest()[:24]


def _inflated(note: bytes) -> bytes:
    inflating = zlib.decompressobj()
    data = inflating.decompress(note, MOST_BYTES)
    if inflating.unconsumed_tail or not inflating.eof or inflating.unused_data:
        raise ValueError(f"it is cut, or larger than {MOST_BYTES >> 20} MiB")
    return data


def _without_kernels(graph: Graph) -> Graph:
    """The same for every board."""
    return graph.with_each(lambda _, node: replace(node, kernel=None, staged=False))
