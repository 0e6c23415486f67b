"""Zeros around a map become the padding of the window that reads it: no copy, equal numbers."""

from dataclasses import replace

from edgeq.ir import Graph, Node
from edgeq.ops.reshape import Reshape

WINDOWS = ("Conv2D", "DepthwiseConv2D")


def take_in_padding(graph: Graph) -> Graph:
    """The float graph without `Pad` nodes of zeros that one convolution alone reads, as
    `F.pad(x, (2, 0))` in front of a torch.nn.Conv1d is. One whose scale differs from that of what
    it pads stays.
    """
    for node in graph.nodes:
        graph = taken_in(graph, node) or graph
    return graph


def taken_in(graph: Graph, node: Node) -> Graph | None:
    """The graph without the padding in front of a node; None where there is none to take in."""
    pad = _alone(graph, node.inputs[0]) if node.op in WINDOWS else None
    as_map = pad if pad is not None and pad.op == "Reshape" else None
    if as_map is not None:  # axes of one cell come in front
        pad = _alone(graph, as_map.inputs[0])
    if pad is None or pad.op != "Pad" or pad.attrs.value != 0:
        return None
    ends = pad.attrs.before, pad.attrs.after
    padded, seen = graph.tensors[pad.outputs[0]].shape, graph.tensors[node.inputs[0]].shape
    ones = (1,) * (len(seen) - len(padded))
    if (*ones, *padded) != seen or ends[0][-1] or ends[1][-1] or min(min(n) for n in ends) < 0:
        return None
    (top, left, _), (bottom, right, _) = ((*(0 for _ in ones), *n) for n in ends)
    more = top, left, bottom, right
    padding = tuple(a + b for a, b in zip(node.attrs.padding, more, strict=True))
    window = replace(node, attrs=replace(node.attrs, padding=padding))
    return _without(graph, pad, node, window, as_map)


def _alone(graph: Graph, name: str) -> Node | None:
    """The producer of a tensor that one node alone reads."""
    return graph.producer(name) if graph.readers(name) == 1 else None


def _without(
    graph: Graph, pad: Node, node: Node, window: Node, as_map: Node | None
) -> Graph | None:
    """`window` for `node`, without the padding; None where the scales on the way differ."""
    source = pad.inputs[0]
    on_the_way = {source, pad.outputs[0], node.inputs[0]}
    quants = {graph.tensors[name].quant for name in on_the_way} - {None}
    if len(quants) > 1:
        return None
    given = graph.tensors[source]
    tensors = {source: replace(given, quant=next(iter(quants), None))}
    changed = {pad.name: (), node.name: (replace(window, inputs=(source,)),)}
    if as_map is not None:
        made = graph.tensors[as_map.outputs[0]]
        shape = (*(1 for _ in range(len(made.shape) - len(given.shape))), *given.shape)
        tensors[as_map.outputs[0]] = replace(made, shape=shape)
        changed[as_map.name] = (replace(as_map, inputs=(source,), attrs=Reshape(shape)),)
        changed[node.name] = (window,)
    kept = (m for n in graph.nodes for m in changed.get(n.name, (n,)))
    return graph.with_nodes(kept).with_tensors(tensors)
