"""A Graph as one .npz: a JSON header and plain arrays. Reading it executes nothing."""

import dataclasses
import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgeq.errors import ModelFile
from edgeq.ir import Graph, Node, TensorType
from edgeq.ops import OPS
from edgeq.ops.cascade import Cascade
from edgeq.ops.mixture import Expert, Mixture
from edgeq.ops.op import Array
from edgeq.ops.routed import ROUTED
from edgeq.ops.router import Router
from edgeq.ops.typed import typed
from edgeq.plain_json import decode_json
from edgeq.stored_zip import StoredZip, open_zip

FORMAT = "edgeq-graph"
VERSION = 2  # 1, which knew no names of ports, is read too
MAX_BYTES = 512 * 2**20


def write_graph(graph: Graph, path: Path) -> None:
    """Writes the graph; the bytes depend on nothing but the graph."""
    constants: dict[str, Array] = {}
    header = {"format": FORMAT, "version": VERSION, "graph": _encode(graph, "", constants)}
    text = json.dumps(header, sort_keys=True).encode()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        _write_array(archive, "header", np.frombuffer(text, np.uint8))
        for name, value in sorted(constants.items()):
            _write_array(archive, name, value)


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
        return _decode(header.get("graph"), archive, "graph")
    except (ValueError, KeyError, OSError) as error:
        reason = f"it has no {error}" if isinstance(error, KeyError) else error
        raise ModelFile(f"{path} is damaged ({reason}); run `edgeq export` again") from error


def _encode(graph: Graph, prefix: str, constants: dict[str, Array]) -> dict[str, Any]:
    for name, value in graph.constants.items():
        constants[f"c{prefix}/{name}"] = value
    return {
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
    if node.op == "Cascade" and not node.attrs.heads:
        del attrs["heads"]  # as versions without heads wrote it
    if node.op == "Mixture":
        attrs["router"] = dataclasses.asdict(node.attrs.router)
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
        "attrs": attrs,
    }


def _decode(data: object, archive: StoredZip, where: str) -> Graph:
    if isinstance(data, dict):  # version 1 has no names of ports
        data = {"input_names": [], "output_names": [], **data}
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
    )


def _decode_node(data: object, archive: StoredZip, where: str) -> Node:
    stored = typed(_StoredNode, data, where)
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
    )


def _decode_mixture(data: object, archive: StoredZip, where: str) -> Mixture:
    stored = typed(_StoredMixture, data, where)
    experts = _decode_experts(stored.experts, archive, where)
    return Mixture(experts, stored.router, stored.top_k, stored.gate)


def _decode_cascade(data: object, archive: StoredZip, where: str) -> Cascade:
    stored = typed(_StoredCascade, {"heads": 0, **_object(data, where)}, where)
    experts = _decode_experts(stored.experts, archive, where)
    return Cascade(experts, stored.signal, stored.thresholds, stored.escalate, stored.heads)


def _decode_experts(stored: tuple[Any, ...], archive: StoredZip, where: str) -> tuple[Expert, ...]:
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


@dataclass(frozen=True)
class _StoredNode:
    name: str
    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    params: dict  # type: ignore[type-arg]  # role -> constant
    kernel: str | None
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


@dataclass(frozen=True)
class _StoredExpert:
    name: str
    weight_format: str
    bits: float
    graph: Any
    heads: str
    carry: str
