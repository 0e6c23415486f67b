"""The ends of a graph: names, number and types of its ports."""

from collections import Counter

from edgeq.errors import EdgeqError, UnsupportedOp
from edgeq.ir import Graph
from edgeq.ir.ports import (
    LABELS,
    input_names,
    is_plain,
    output_names,
    result_tensors,
    why_no_name,
)
from edgeq.ops import OPS
from edgeq.ops.op import Absent
from edgeq.ports import DTYPES, MOST_PORTS


def check_ports(graph: Graph, stage: str) -> None:
    """Raises EdgeqError for ports that cannot be told apart or are of a wrong type, UnsupportedOp
    for what C could not return.
    """
    results = result_tensors(graph)
    sides = (("input", graph.inputs, graph.input_names), ("output", results, graph.output_names))
    for side, tensors, stated in sides:
        _check_side(graph, side, tensors, stated)
        if stage != "float":
            _check_types(graph, side, tensors)
    if len(graph.inputs) > 1 and LABELS in input_names(graph):
        raise EdgeqError(
            f"graph {graph.name!r}: an input is named {LABELS!r}, the key of the labels in a data "
            "set; name it otherwise"
        )
    if not is_plain(graph):
        _check_bytes(graph, results)


def _check_side(graph: Graph, side: str, tensors: tuple[str, ...], stated: tuple[str, ...]) -> None:
    where = f"graph {graph.name!r}"
    if not 1 <= len(tensors) <= MOST_PORTS:
        raise EdgeqError(f"{where} has {len(tensors)} {side}s; 1 to {MOST_PORTS} are supported")
    if len(stated) not in (0, len(tensors)):
        raise EdgeqError(f"{where} has {len(tensors)} {side}s and {len(stated)} names for them")
    names = input_names(graph) if side == "input" else output_names(graph)
    for name in names:
        if why := why_no_name(name):
            raise EdgeqError(f"{where}: the {side} name {name!r} {why}")
    again = [name for name, count in Counter(map(str.lower, names)).items() if count > 1]
    again += [name for name, count in Counter(tensors).items() if count > 1]
    if again:
        raise EdgeqError(f"{where}: two {side}s are {again[0]!r}; each needs a name of its own")


def _check_types(graph: Graph, side: str, tensors: tuple[str, ...]) -> None:
    for name in tensors:
        kind = graph.tensors[name]
        if kind.dtype not in DTYPES or kind.quant is None:
            taken = " or ".join(DTYPES)
            raise EdgeqError(f"{side} {name!r} is {kind}, not a quantised {taken} one")


def _check_bytes(graph: Graph, results: tuple[str, ...]) -> None:
    """Each output has bytes of its own, that a kernel writes."""
    roots = {name: name for name in graph.inputs}
    for node in graph.nodes:
        alias = OPS[node.op].code is Absent.ALIAS
        roots[node.outputs[0]] = roots[node.inputs[0]] if alias else node.outputs[0]
    found: dict[str, str] = {}
    for name, port in zip(results, output_names(graph), strict=True):
        root = roots.get(name, name)
        if root in graph.inputs:
            raise UnsupportedOp(f"output {port!r} is an input as it came: it computes nothing")
        if root in found:
            raise UnsupportedOp(
                f"outputs {found[root]!r} and {port!r} are the same values; leave one out"
            )
        found[root] = port
