"""Gives every input of an op whose inputs share its scale that scale."""

from dataclasses import replace

from edgeq.ir import Graph, Node, Quant
from edgeq.ops import OPS
from edgeq.ops.functions import Rescale
from edgeq.ops.op import Scale, Site, quant_of
from edgeq.ops.routed import ROUTED
from edgeq.passes.float_forward import float_params


def join_scales(graph: Graph) -> Graph:
    """A layer that nothing else reads answers in the wanted scale itself; a Rescale follows any
    other. The graph is calibrated, not lowered.
    """
    for node in [n for n in graph.nodes if _joined(graph, n)]:
        wanted = quant_of(graph.tensors[node.outputs[0]])
        for name in dict.fromkeys(node.inputs):
            if quant_of(graph.tensors[name]) == wanted:
                continue
            graph = _itself(graph, name, wanted) or _quantized(graph, node.name, name, wanted)
    return graph


def _joined(graph: Graph, node: Node) -> bool:
    if getattr(node.attrs, "experts", ()):
        return False
    return OPS[node.op].scale(node.attrs, Site(graph, node).io) is Scale.JOINED


def _itself(graph: Graph, name: str, wanted: Quant) -> Graph | None:
    """The graph with the tensor's producer in the wanted scale, if that can be."""
    maker = graph.producer(name)
    if maker is None or maker.op in ROUTED or graph.readers(name) != 1:
        return None
    op = OPS[maker.op]
    if op.scale(maker.attrs, Site(graph, maker).io) is not Scale.OWN:
        return None
    scales = tuple(quant_of(graph.tensors[n]).per_tensor for n in maker.inputs)
    if wanted.per_tensor < op.finest(maker.attrs, scales, float_params(graph, maker)):
        return None
    return graph.with_tensors({name: replace(graph.tensors[name], quant=wanted)})


def _quantized(graph: Graph, reader: str, name: str, wanted: Quant) -> Graph:
    made = f"{name}.for.{reader}"
    joint = Node(made, "Rescale", (name,), (made,), Rescale())
    nodes = []
    for node in graph.nodes:
        if node.name == reader:
            inputs = tuple(made if n == name else n for n in node.inputs)
            nodes.append(joint)
            node = replace(node, inputs=inputs)
        nodes.append(node)
    kind = replace(graph.tensors[name], quant=wanted)
    return graph.with_nodes(nodes).with_tensors({made: kind})
