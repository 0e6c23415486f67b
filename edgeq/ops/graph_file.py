"""A Graph as one .npz: a JSON header and plain arrays. Reading it executes nothing."""

import dataclasses
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from edgeq.errors import ModelFile
from edgeq.ir import Graph, Node, Quant, TensorType
from edgeq.ops import OPS
from edgeq.ops.mixture import Expert, Mixture
from edgeq.ops.op import Array
from edgeq.ops.router import Router

FORMAT = "edgeq-graph"
VERSION = 1
MAX_BYTES = 512 * 2**20
ATTRS: dict[str, type] = {**{op.name: op.attrs for op in OPS.values()}, "Mixture": Mixture}


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
    """Reads a graph that `write_graph` wrote. Raises ModelFile for anything else."""
    if not path.is_file():
        raise ModelFile(f"{path} does not exist; run `edgeq export` first")
    try:
        _refuse_inflating(path)
        with np.load(path, allow_pickle=False) as arrays:
            header = json.loads(bytes(arrays["header"]))
            if header.get("format") != FORMAT or header.get("version") != VERSION:
                raise ModelFile(f"{path} is not an edgeq graph of version {VERSION}; export again")
            return _decode(header["graph"], arrays)
    except ModelFile:
        raise
    except Exception as error:  # an untrusted file fails in more ways than can be listed
        reason = f"{type(error).__name__}: {error}"[:200]
        raise ModelFile(f"{path} is damaged ({reason}); run `edgeq export` again") from error


def _refuse_inflating(path: Path) -> None:
    """Refuses what `write_graph` never writes: entries that inflate, overlap or are too large."""
    size = path.stat().st_size
    if size > MAX_BYTES:
        raise ModelFile(f"{path} holds {size:,} bytes; a graph has at most {MAX_BYTES:,}")
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
    inflated = sum(e.file_size for e in entries)
    if inflated > size or any(e.compress_type != zipfile.ZIP_STORED for e in entries):
        raise ModelFile(
            f"{path}: {size:,} bytes would inflate to {inflated:,}; edgeq stores graphs "
            "uncompressed. Run `edgeq export` again"
        )


def _encode(graph: Graph, prefix: str, constants: dict[str, Array]) -> dict[str, Any]:
    for name, value in graph.constants.items():
        constants[f"c{prefix}/{name}"] = value
    return {
        "name": graph.name,
        "inputs": graph.inputs,
        "outputs": graph.outputs,
        "tensors": {k: dataclasses.asdict(v) for k, v in graph.tensors.items()},
        "constants": sorted(graph.constants),
        "prefix": prefix,
        "nodes": [_encode_node(n, f"{prefix}/{n.name}", constants) for n in graph.nodes],
    }


def _encode_node(node: Node, prefix: str, constants: dict[str, Array]) -> dict[str, Any]:
    attrs = {f.name: getattr(node.attrs, f.name) for f in dataclasses.fields(node.attrs)}
    if node.op == "Mixture":
        attrs["router"] = dataclasses.asdict(node.attrs.router)
        attrs["experts"] = [
            {
                "name": e.name,
                "weight_format": e.weight_format,
                "bits": e.bits,
                "graph": _encode(e.graph, f"{prefix}/{i}", constants),
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


def _decode(data: dict[str, Any], arrays: Any) -> Graph:
    tensors = {k: _decode_type(t) for k, t in data["tensors"].items()}
    constants = {k: arrays[f"c{data['prefix']}/{k}"] for k in data["constants"]}
    for name, value in constants.items():
        kind = tensors[name]
        if value.shape != kind.shape or str(value.dtype) != kind.dtype:
            raise ValueError(
                f"constant {name!r} is {value.dtype}{value.shape}, typed {kind.dtype}{kind.shape}"
            )
    return Graph(
        name=data["name"],
        inputs=_names(data["inputs"]),
        outputs=_names(data["outputs"]),
        nodes=tuple(_decode_node(n, arrays) for n in data["nodes"]),
        tensors=tensors,
        constants=constants,
    )


def _names(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(v, str) for v in value):
        raise ValueError(f"expected a list of names, got {value!r}")
    return tuple(value)


def _decode_type(data: dict[str, Any]) -> TensorType:
    quant = data["quant"] and _decode_quant(data["quant"])
    return TensorType(tuple(data["shape"]), data["dtype"], quant)


def _decode_quant(data: dict[str, Any]) -> Quant:
    return Quant(tuple(data["scale"]), data["zero_point"], data["axis"])


def _decode_node(data: dict[str, Any], arrays: Any) -> Node:
    attrs: dict[str, Any] = {
        k: tuple(v) if isinstance(v, list) else v for k, v in data["attrs"].items()
    }
    if data["op"] == "Mixture":
        quants = tuple(_decode_quant(q) for q in attrs["router"].pop("quants"))
        attrs["router"] = Router(**attrs["router"], quants=quants)
        attrs["experts"] = tuple(
            Expert(e["name"], e["weight_format"], e["bits"], _decode(e["graph"], arrays))
            for e in attrs["experts"]
        )
    return Node(
        name=data["name"],
        op=data["op"],
        inputs=_names(data["inputs"]),
        outputs=_names(data["outputs"]),
        attrs=ATTRS[data["op"]](**attrs),
        params=data["params"],
        kernel=data["kernel"],
    )
