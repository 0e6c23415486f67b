"""A graph from a file that nobody vouches for: read, verified, and run once.

An export's own graph passes as it is. Any other is refused here, by one error, so that whoever
runs, plans or packs it later needs no check of its own.
"""

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from edgeq.errors import EdgeqError, ModelFile
from edgeq.ir import Graph, Node, TensorType
from edgeq.ir.ports import inputs_of, row_shape
from edgeq.kernels import kernel_named
from edgeq.kernels.widening import wider_formats
from edgeq.memory import plan_memory
from edgeq.ops import OPS
from edgeq.ops.graph_file import read_graph
from edgeq.ops.op import WEIGHT_RANGE, Call
from edgeq.passes.select_kernels import PLAIN, select_kernels
from edgeq.passes.verify import verify
from edgeq.reference import run
from edgeq.weights import pack_weights

MOST_VALUES = 1 << 24  # of all activations, and of a layer's patches: far above any device's
MOST_EXPERTS, MOST_NODES, MOST_SIDE = 64, 10_000, 4096
MOST_FRAMES = 1 << 16  # behind an answer of a stream
ACTIVATIONS = ("none", "relu", "relu6")
SENSELESS = (EdgeqError, ValueError, LookupError, TypeError, ArithmeticError)


def stored_graph(path: Path) -> Graph:
    """The lowered graph in `path`. Raises ModelFile for one that is damaged or makes no sense."""
    graph = read_graph(path)
    try:
        for each in _graphs(graph):
            _check_sizes(each)
        verify(graph, "lowered")
        for each in _graphs(graph):
            for node in each.nodes:
                _check_kernel(each, node)
        _check_runs(graph)
    except SENSELESS as error:
        reason = error if isinstance(error, EdgeqError | ValueError) else repr(error)
        raise ModelFile(f"{path} is no graph that runs: {reason}; run `edgeq export` again") from (
            error
        )
    return graph


def sound_graph(graph: Graph) -> Graph:
    """A lowered graph without kernels, as it was. Raises ModelFile where it makes no sense."""
    try:
        for each in _graphs(graph):
            _check_sizes(each)
        _check_runs(select_kernels(verify(graph, "lowered"), PLAIN))
    except SENSELESS as error:
        reason = error if isinstance(error, EdgeqError | ValueError) else repr(error)
        raise ModelFile(f"its graph does not run: {reason}") from error
    return graph


def _check_runs(graph: Graph) -> None:
    with np.errstate(all="raise", under="ignore"):
        run(graph, np.zeros((1, *row_shape(graph)), inputs_of(graph).dtype))
        plan_memory(graph)
        pack_weights(graph)


def _graphs(graph: Graph) -> Iterator[Graph]:
    """The graph and those of its experts."""
    yield graph
    for node in graph.nodes:
        for expert in getattr(node.attrs, "experts", ()):
            yield expert.graph


def _check_sizes(graph: Graph) -> None:
    """What bounds the time and the memory of everything that follows."""
    if not graph.inputs or not graph.outputs or len(graph.nodes) > MOST_NODES:
        raise ValueError(f"graph {graph.name!r} has {len(graph.inputs)} inputs")
    for name, kind in graph.tensors.items():
        _check_type(name, kind)
    real = [name for name, value in graph.constants.items() if value.dtype.kind not in "iu"]
    if real:
        raise ValueError(f"constant {real[0]!r} is {graph.constants[real[0]].dtype}, not lowered")
    activations = {n for n in graph.tensors if n not in graph.constants}
    if sum(math.prod(graph.tensors[n].shape) for n in activations) > MOST_VALUES:
        raise ValueError(f"graph {graph.name!r} has more than {MOST_VALUES:,} activations")
    _check_stream(graph)
    for node in graph.nodes:
        check_attributes(node)
        if node.op == "History":
            _check_history(graph, node)
        weight = graph.tensors.get(node.params.get("weight", ""))
        if node.op == "Conv2D" and weight and len(weight.shape) == 4:
            places = math.prod(graph.tensors[node.outputs[0]].shape[:2])
            if places * math.prod(weight.shape[1:]) * node.attrs.groups > MOST_VALUES:
                raise ValueError(f"node {node.name!r} has more than {MOST_VALUES:,} patch values")


def _check_stream(graph: Graph) -> None:
    """The hops of a stream: `prove.stream` runs a window's worth of them."""
    found = graph.stream
    if found is None:
        return
    shape = graph.tensors[graph.inputs[0]].shape
    sound = 1 <= found.hop <= max(shape) and found.hop <= found.window <= MOST_FRAMES
    period = found.period_s
    sound = sound and 0 <= found.axis < len(shape) and shape[found.axis] == found.hop
    if not sound or not 0 <= found.lookahead < found.window:
        raise ValueError(f"graph {graph.name!r} has a stream that no export makes: {found}")
    if period is not None and not 0 < period < math.inf:
        raise ValueError(f"graph {graph.name!r} has frames of {period} s")


def _check_history(graph: Graph, node: Node) -> None:
    """What it keeps, before that is made."""
    shape, attrs = graph.tensors[node.inputs[0]].shape, node.attrs
    if not 0 <= attrs.axis < len(shape) or not 0 <= attrs.late <= MOST_FRAMES:
        raise ValueError(f"node {node.name!r} keeps cells of no axis")
    if (attrs.cells + attrs.late) * (math.prod(shape) // shape[attrs.axis]) > MOST_VALUES:
        raise ValueError(f"node {node.name!r} keeps more than {MOST_VALUES:,} values")


def _check_type(name: str, kind: TensorType) -> None:
    if any(n < 1 for n in kind.shape):
        raise ValueError(f"tensor {name!r} has shape {kind.shape}")
    quant = kind.quant
    if quant is None:
        return
    if not quant.scale or not all(0 < s < math.inf for s in quant.scale):
        raise ValueError(f"tensor {name!r} has a scale that is not positive")
    if not -128 <= quant.zero_point <= 127:
        raise ValueError(f"tensor {name!r} has zero point {quant.zero_point}")


def check_attributes(node: Node) -> None:
    """ValueError for windows and names that no graph of edgeq has."""
    where = f"node {node.name!r} ({node.op})"
    if not node.inputs or not node.outputs:
        raise ValueError(f"{where} has no input or no output")
    for key, least in (("kernel", 1), ("stride", 1), ("dilation", 1), ("padding", 0)):
        values = getattr(node.attrs, key, ())
        if not all(least <= n <= MOST_SIDE for n in values):
            raise ValueError(f"{where} has {key} {values}")
    if node.op == "Conv2D" and not 1 <= node.attrs.groups <= MOST_SIDE:
        raise ValueError(f"{where} has {node.attrs.groups} groups")
    if getattr(node.attrs, "activation", "none") not in ACTIVATIONS:
        raise ValueError(f"{where} has activation {node.attrs.activation!r}")
    if getattr(node.attrs, "weight_format", "s8") not in WEIGHT_RANGE:
        raise ValueError(f"{where} has weights of format {node.attrs.weight_format!r}")
    if node.op == "Cascade":
        _check_cascade(node, where)
    if node.op == "Mixture":
        experts, router = node.attrs.experts, node.attrs.router
        kinds, gates = ("plain", "bayesian"), ("none", "probability")
        named = len({e.name for e in experts}) == len(experts) <= MOST_EXPERTS
        if not named or router.kind not in kinds or node.attrs.gate not in gates:
            raise ValueError(f"{where} has a router or experts that no export makes")
        if len(node.inputs) != 2 or len(node.outputs) != 3 or len(router.quants) != router.layers:
            raise ValueError(f"{where} is not wired as an export wires one")


def _check_cascade(node: Node, where: str) -> None:
    experts = node.attrs.experts
    if not len({e.name for e in experts}) == len(experts) <= MOST_EXPERTS:
        raise ValueError(f"{where} has experts that no export makes")
    if len(node.inputs) != 1 or len(node.outputs) != 3:
        raise ValueError(f"{where} is not wired as an export wires one")


def _check_kernel(graph: Graph, node: Node) -> None:
    """The kernel that the node names must be one for it."""
    code = OPS[node.op].code
    if not isinstance(code, Call):
        return
    kernel = kernel_named(node.kernel or "none")
    weight = getattr(node.attrs, "weight_format", None)
    stored = (weight, *wider_formats(code.kernel, weight))
    if kernel.op != code.kernel or kernel.weight not in stored or not kernel.suits(graph, node):
        raise ValueError(f"node {node.name!r} ({node.op}) names kernel {kernel.name}")
