"""The layers of a model in the order of their indices: for reports, cycles and generated calls.

First the main graph's layers, then the mixture's router (and the gate of weighed experts) or the
cascade's signal, then each expert's layers. A Reshape costs nothing and is no layer.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count

from edgeq.ir import Graph, Node
from edgeq.kernels import kernel_named
from edgeq.ops import OPS
from edgeq.ops.op import Call
from edgeq.ops.op import snake_case as snake_case
from edgeq.ops.routed import routed_node
from edgeq.ops.router_constants import ROUTER_FORMAT
from edgeq.reference import io_of
from edgeq.weights import PackedWeights, pack_weights

GATE_KERNEL = "edgeq_gate_s8"
MIXTURE_OP = "mixture"
CASCADE_OP = "cascade"


@dataclass(frozen=True)
class LayerInfo:
    """`op` in snake case; `expert` is None outside the experts; bytes are those in flash."""

    index: int
    name: str
    op: str
    kernel: str
    weight_format: str | None
    macs: int
    weight_bytes: int
    expert: str | None = None


@dataclass(frozen=True)
class Layer:
    """A layer with the node that it computes. `part` is "node", "router", "gate" or "signal"."""

    info: LayerInfo
    part: str
    graph: Graph
    node: Node


def layer_table(graph: Graph, packed: PackedWeights | None = None) -> tuple[LayerInfo, ...]:
    """All layers of a graph whose kernels are chosen; packs its weights unless they are given."""
    return tuple(layer.info for layer in layers_of(graph, packed or pack_weights(graph)))


def layers_of(graph: Graph, packed: PackedWeights) -> tuple[Layer, ...]:
    """layer_table with the nodes."""
    return tuple(_all_layers(graph, packed, count()))


def mixture_of(graph: Graph) -> Node | None:
    """The mixture or cascade of a graph, or None."""
    return routed_node(graph)


def _all_layers(graph: Graph, packed: PackedWeights, indices: Iterator[int]) -> Iterator[Layer]:
    yield from _graph_layers(graph, packed, indices, None)
    node = mixture_of(graph)
    if node is None:
        return
    if node.op == "Cascade":
        yield _signal_layer(graph, node, packed, indices)
    else:
        yield from _mixture_layers(graph, node, packed, indices)
    for expert in node.attrs.experts:
        yield from _graph_layers(expert.graph, packed, indices, expert.name)


def _graph_layers(
    graph: Graph, packed: PackedWeights, indices: Iterator[int], expert: str | None
) -> Iterator[Layer]:
    for node in graph.nodes:
        if node is mixture_of(graph) or not isinstance(OPS[node.op].code, Call):
            continue
        info = LayerInfo(
            next(indices),
            node.name,
            snake_case(node.op),
            _kernel_name(node),
            getattr(node.attrs, "weight_format", None),
            OPS[node.op].macs(node.attrs, io_of(graph, node), graph.params(node)),
            packed.layer_bytes.get((expert or "", node.name), 0),
            expert,
        )
        yield Layer(info, "node", graph, node)


def _signal_layer(graph: Graph, node: Node, packed: PackedWeights, indices: Iterator[int]) -> Layer:
    """Run once for every decision."""
    size = packed.layer_bytes.get(("", node.name), 0)
    index, kernel = next(indices), _kernel_name(node)
    info = LayerInfo(index, "signal", CASCADE_OP, kernel, None, 0, size)
    return Layer(info, "signal", graph, node)


def _mixture_layers(
    graph: Graph, node: Node, packed: PackedWeights, indices: Iterator[int]
) -> Iterator[Layer]:
    router = LayerInfo(
        next(indices),
        "router",
        MIXTURE_OP,
        _kernel_name(node),
        ROUTER_FORMAT,
        OPS[node.op].macs(node.attrs, io_of(graph, node), graph.params(node)),
        packed.layer_bytes["", node.name],
    )
    yield Layer(router, "router", graph, node)
    if node.attrs.gate != "none":
        size = graph.tensors[node.outputs[0]].size
        macs = node.attrs.top_k * size
        gate = LayerInfo(next(indices), "gate", MIXTURE_OP, GATE_KERNEL, None, macs, 0)
        yield Layer(gate, "gate", graph, node)


def _kernel_name(node: Node) -> str:
    """The kernel's name, checked against the table; ValueError before kernels are chosen."""
    if node.kernel is None:
        raise ValueError(
            f"node {node.name!r} ({node.op}) has no kernel; select_kernels comes first"
        )
    return kernel_named(node.kernel).name
