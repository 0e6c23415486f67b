"""Ports: the named ends of a graph. Their values travel one after another, in port order.

A row of a graph with one port on a side is that tensor, (rows, *shape); with several it is their
values flattened and joined, (rows, values). edgeq/ports.py has their bytes.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from edgeq.ir.c_names import RESERVED
from edgeq.ir.graph import Graph, TensorType
from edgeq.ports import Port, Ports

Array = npt.NDArray[Any]

LONGEST_NAME = 32
INPUT, OUTPUT = "input", "output"  # the only port of its side
LABELS = "y"  # the key of a data set's labels, so no input's name beside others


def result_tensors(graph: Graph) -> tuple[str, ...]:
    """The outputs that are answers: a mixture's route and uncertainty are told apart from them."""
    aside = {name for node in graph.nodes for name in node.outputs[1:]}
    return tuple(name for name in graph.outputs if name not in aside)


def input_names(graph: Graph) -> tuple[str, ...]:
    """A name for each of `graph.inputs`: those it states, else the tensors' own."""
    return _names(graph.inputs, graph.input_names, INPUT)


def output_names(graph: Graph) -> tuple[str, ...]:
    """A name for each of `result_tensors`."""
    return _names(result_tensors(graph), graph.output_names, OUTPUT)


def inputs_by_name(graph: Graph) -> dict[str, str]:
    """The tensor of each input port."""
    return dict(zip(input_names(graph), graph.inputs, strict=True))


def outputs_by_name(graph: Graph) -> dict[str, str]:
    """The tensor of each output port."""
    return dict(zip(output_names(graph), result_tensors(graph), strict=True))


def _names(tensors: Sequence[str], stated: Sequence[str], only: str) -> tuple[str, ...]:
    if len(stated) == len(tensors):
        return tuple(stated)
    if len(tensors) == 1:
        return (only,)
    return tuple(port_name(name.removesuffix(".out")) for name in tensors)


def port_name(text: str) -> str:
    """`text` made the name of a port: a C identifier."""
    stem = re.sub(r"[^A-Za-z0-9]+", "_", text).strip("_")[:LONGEST_NAME].rstrip("_")
    return stem if stem and not why_no_name(stem) else f"port_{stem}"[:LONGEST_NAME].rstrip("_")


def why_no_name(name: object) -> str:
    """Why a port cannot be called so; "" where it can."""
    if not isinstance(name, str):
        return "is no text"
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name) or len(name) > LONGEST_NAME:
        return f"is no C identifier of at most {LONGEST_NAME} letters, digits and _"
    if "__" in name or name.endswith("_"):
        return "holds two underscores in a row or ends with one"
    return "is a word of C or the name of a header" if name.lower() in RESERVED else ""


def inputs_of(graph: Graph) -> Ports:
    """The input ports, typed as the graph's tensors are."""
    return _ports(graph, input_names(graph), graph.inputs)


def outputs_of(graph: Graph) -> Ports:
    """The output ports: of the answers alone."""
    return _ports(graph, output_names(graph), result_tensors(graph))


def _ports(graph: Graph, names: Sequence[str], tensors: Sequence[str]) -> Ports:
    pairs = zip(names, (graph.tensors[tensor] for tensor in tensors), strict=True)
    return Ports(tuple(Port(name, kind.dtype, kind.size) for name, kind in pairs))


def ends_in_map(graph: Graph) -> bool:
    """Whether the first answer is values in several places, not one row of them."""
    kind = graph.tensors[result_tensors(graph)[0]]
    return kind.size != kind.shape[-1]


def is_plain(graph: Graph) -> bool:
    """Whether one int8 port goes in and one comes out: C then takes plain pointers."""
    ends = (*graph.inputs, *result_tensors(graph))
    return len(ends) == 2 and all(graph.tensors[name].dtype != "int16" for name in ends)


def row_shape(graph: Graph) -> tuple[int, ...]:
    """The shape of a row: the only input's, or (values,) of several."""
    if len(graph.inputs) == 1:
        return graph.tensors[graph.inputs[0]].shape
    return (inputs_of(graph).values,)


def split(graph: Graph, rows: Array) -> dict[str, Array]:
    """Rows of all inputs (rows, *row shape) by tensor, (rows, *its shape).

    Integers become the tensor's own type; real numbers stay.
    """
    if len(graph.inputs) == 1:
        return {graph.inputs[0]: rows}
    found, at = {}, 0
    for name in graph.inputs:
        kind = graph.tensors[name]
        part = rows[:, at : at + kind.size].reshape(len(rows), *kind.shape)
        found[name] = part.astype(kind.dtype) if rows.dtype.kind == "i" else part
        at += kind.size
    return found


def join(tensors: Sequence[str], values: Mapping[str, Array]) -> Array:
    """The values of some tensors as rows: one as it is, several flattened one after another."""
    if len(tensors) == 1:
        return values[tensors[0]]
    parts = [values[name].reshape(len(values[name]), -1) for name in tensors]
    return np.concatenate(parts, axis=1)


def limits(kind: TensorType) -> tuple[int, int]:
    """The lowest and highest code of a quantised tensor."""
    info = np.iinfo(kind.dtype)
    return int(info.min), int(info.max)
