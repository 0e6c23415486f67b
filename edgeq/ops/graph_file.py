"""A Graph as one .npz: a JSON header and plain arrays. Reading it executes nothing."""

import dataclasses
import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from edgeq.errors import ModelFile
from edgeq.ir import Graph, Node, Stream, TensorType
from edgeq.ops import OPS
from edgeq.ops.cascade import Cascade
from edgeq.ops.mixture import Expert, Mixture
from edgeq.ops.op import Array
from edgeq.ops.routed import ROUTED
from edgeq.ops.router import Router
from edgeq.ops.typed import typed
from edgeq.plain_json import decode_json
from edgeq.stored_zip import open_zip

FORMAT = "edgeq-graph"
VERSION = 2  # 1, which knew no names of ports, is read too
MAX_BYTES = 512 * 2**20


def write_graph(graph: Graph, path: Path) -> None:
    """Writes the graph; the bytes depend on nothing but the graph."""
    header, constants = encoded(graph)
    text = json.dumps(header, sort_keys=True).encode()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        _write_array(archive, "header", np.frombuffer(text, np.uint8))
        for name, value in sorted(constants.items()):
            _write_array(archive, name, value)


def encoded(graph: Graph) -> tuple[dict[str, Any], dict[str, Array]]:
    """(header as JSON has it, the arrays that it names)."""
    constants: dict[str, Array] = {}
    header = {"format": FORMAT, "version": VERSION, "graph": _encode(graph, "", constants)}
    return header, constants


class Arrays(Protocol):
    """Where the arrays of a header are read from."""

    def read_array(self, name: str) -> Array:
        """The array `name`, which ends in .npy. Raises KeyError or ValueError."""
        ...


def decoded(data: object, arrays: Arrays) -> Graph:
    """The graph of a header. Raises ValueError or KeyError for what `encoded` does not make."""
    return _decode(data, arrays, "graph")


def _write_array(archive: zipfile.ZipFile, name: str, value: Array) -> None:
    info = zipfile.ZipInfo(name + ".npy", (1980, 1, 1, 0, 0, 0))  # no clock in the bytes
    with archive.open(info, "w", force_zip64=True) as handle:
        np.lib.format.write_array(handle, np.ascontiguousarray(value), allow_pickle=False)


def read_graph(path: Path) -> Graph:
    """Reads a graph that `write_graph` wrote. Raises ModelFile for anything else.

    The form is checked, not the sense: `edgeq.passes.stored_graph` does both.
    """
    if not path.exists():
        raise ModelFile(f"{path} does not exist; run `edgeq export` first")
    try:
        archive = open_zip(path, MAX_BYTES)
        header = decode_json(archive.read_array("header.npy").tobytes())
        if not isinstance(header, dict) or header.get("format") != FORMAT:
            raise ValueError("it is no edgeq graph")
        if header.get("version") not in (1, VERSION):
            raise ValueError(f"it is not of version {VERSION}")
        return decoded(header.get("graph"), archive)
    except (ValueError, KeyError, OSError) as error:
        reason = f"it has no {error}" if isinstance(error, KeyError) else error
        raise ModelFile(f"{path} is damaged ({reason}); run `edgeq export` again") from error


def _encode(graph: Graph, prefix: str, constants: dict[str, Array]) -> dict[str, Any]:
    for name, value in graph.constants.items():
        constants[f"c{prefix}/{name}"] = value
    hops = {} if graph.stream is None else {"stream": dataclasses.asdict(graph.stream)}
    return {
        **hops,
        "name": graph.name,
        "inputs": graph.inputs,
        "outputs": graph.outputs,
        "input_names": graph.input_names,
        "output_names": graph.output_names,
        "tensors": {k: dataclasses.asdict(v) for k, v in graph.tensors.items()},
        "constants": sorted(graph.constants),
        "prefix": prefix,
        "nodes": [_encode_node(n, f"{prefix}/{n.name}", constants) for n in graph.nodes],
    }


def _encode_node(node: Node, prefix: str, constants: dict[str, Array]) -> dict[str, Any]:
    attrs = {f.name: getattr(node.attrs, f.name) for f in dataclasses.fields(node.attrs)}
    if node.op == "Cascade":  # as versions without heads and holds wrote it
        attrs = {n: value for n, value in attrs.items() if value or n not in ("heads", "hold")}
    if node.op == "Mixture":
        attrs["router"] = dataclasses.asdict(node.attrs.router)
        if not node.attrs.router.hold:
            del attrs["router"]["hold"]
    if node.op in ROUTED:
        attrs["experts"] = [
            {
                "name": e.name,
                "weight_format": e.weight_format,
                "bits": e.bits,
                "graph": _encode(e.graph, f"{prefix}/{i}", constants),
                **{key: getattr(e, key) for key in ("heads", "carry") if getattr(e, key)},
            }
            for i, e in enumerate(node.attrs.experts)
        ]
    return {
        "name": node.name,
        "op": node.op,
        "inputs": node.inputs,
        "outputs": node.outputs,
        "params": dict(node.params),
        "kernel": node.kernel,
        **({"staged": True} if node.staged else {}),
        "attrs": attrs,
    }


def _decode(data: object, archive: Arrays, where: str) -> Graph:
    if isinstance(data, dict):  # version 1 has no names of ports
        data = {"input_names": [], "output_names": [], "stream": None, **data}
    stored = typed(_StoredGraph, data, where)
    tensors = {k: typed(TensorType, t, f"{where}.tensors") for k, t in stored.tensors.items()}
    constants = {k: archive.read_array(f"c{stored.prefix}/{k}.npy") for k in stored.constants}
    for name, value in constants.items():
        kind = tensors[name]
        if value.shape != kind.shape or str(value.dtype) != kind.dtype:
            raise ValueError(
                f"constant {name!r} is {value.dtype}{value.shape}, typed {kind.dtype}{kind.shape}"
            )
    return Graph(
        name=stored.name,
        inputs=stored.inputs,
        outputs=stored.outputs,
        nodes=tuple(_decode_node(n, archive, f"{where}.nodes") for n in stored.nodes),
        tensors=tensors,
        constants=constants,
        input_names=stored.input_names,
        output_names=stored.output_names,
        stream=stored.stream,
    )


def _decode_node(data: object, archive: Arrays, where: str) -> Node:
    stored = typed(_StoredNode, {"staged": False, **_object(data, where)}, where)
    if not all(isinstance(name, str) for name in stored.params.values()):
        raise ValueError(f"{where}.params names no constants")
    if stored.op not in OPS:
        raise ValueError(f"{where}: unknown op {stored.op[:60]!r}")
    where = f"{where}.{stored.op}"
    if stored.op == "Mixture":
        attrs: Mixture | Cascade = _decode_mixture(stored.attrs, archive, where)
    elif stored.op == "Cascade":
        attrs = _decode_cascade(stored.attrs, archive, where)
    else:
        attrs = typed(OPS[stored.op].attrs, stored.attrs, where)
    return Node(
        name=stored.name,
        op=stored.op,
        inputs=stored.inputs,
        outputs=stored.outputs,
        attrs=attrs,
        params=stored.params,
        kernel=stored.kernel,
        staged=stored.staged,
    )


def _decode_mixture(data: object, archive: Arrays, where: str) -> Mixture:
    given = _object(data, where)
    router = {"hold": 0, **_object(given.get("router"), f"{where}.router")}
    stored = typed(_StoredMixture, {**given, "router": router}, where)
    experts = _decode_experts(stored.experts, archive, where)
    return Mixture(experts, stored.router, stored.top_k, stored.gate)


def _decode_cascade(data: object, archive: Arrays, where: str) -> Cascade:
    stored = typed(_StoredCascade, {"heads": 0, "hold": 0, **_object(data, where)}, where)
    experts = _decode_experts(stored.experts, archive, where)
    shares = stored.thresholds, stored.escalate
    return Cascade(experts, stored.signal, *shares, stored.heads, stored.hold)


def _decode_experts(stored: tuple[Any, ...], archive: Arrays, where: str) -> tuple[Expert, ...]:
    experts = []
    for each in stored:
        given = {"heads": "", "carry": "", **_object(each, f"{where}.experts")}
        expert = typed(_StoredExpert, given, f"{where}.experts")
        if any(isinstance(n, dict) and n.get("op") in ROUTED for n in _nodes_of(expert.graph)):
            raise ValueError(f"{where}: a mixture or cascade inside an expert")
        graph = _decode(expert.graph, archive, f"{where}.experts")
        about = (expert.name, expert.weight_format, expert.bits)
        experts.append(Expert(*about, graph, expert.heads, expert.carry))
    return tuple(experts)


def _object(value: object, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"{where} is {type(value).__name__}, not an object")
    return value


def _nodes_of(graph: object) -> list[Any]:
    nodes = graph.get("nodes") if isinstance(graph, dict) else None
    return nodes if isinstance(nodes, list) else []


@dataclass(frozen=True)
class _StoredGraph:
    """A graph as JSON; constants stand beside it under `prefix`."""

    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    input_names: tuple[str, ...]
    output_names: tuple[str, ...]
    tensors: dict  # type: ignore[type-arg]  # name -> TensorType
    constants: tuple[str, ...]
    prefix: str
    nodes: tuple[Any, ...]
    stream: Stream | None


@dataclass(frozen=True)
class _StoredNode:
    name: str
    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    params: dict  # type: ignore[type-arg]  # role -> constant
    kernel: str | None
    staged: bool
    attrs: Any


@dataclass(frozen=True)
class _StoredMixture:
    experts: tuple[Any, ...]
    router: Router
    top_k: int
    gate: str


@dataclass(frozen=True)
class _StoredCascade:
    experts: tuple[Any, ...]
    signal: str
    thresholds: tuple[float, ...]
    escalate: tuple[float, ...]
    heads: int
    hold: int


@dataclass(frozen=True)
class _StoredExpert:
    name: str
    weight_format: str
    bits: float
    graph: Any
    heads: str
    carry: str
