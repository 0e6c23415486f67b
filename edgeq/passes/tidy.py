"""What an importer's graph is brought to: no needless reshape, norms where they fold, known gates.

Every step leaves the numbers as they are.
"""

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from edgeq.ir import Graph, Node, TensorType
from edgeq.ops import OPS
from edgeq.ops.depthwise_conv_2d import DepthwiseConv2D
from edgeq.ops.functions import Gelu, Silu
from edgeq.ops.hard_swish import HardSwish
from edgeq.ops.op import Array, Scale, Site
from edgeq.ops.reshape import Reshape
from edgeq.ops.squared_difference import SquaredDifference, SquaredDifferenceConstant
from edgeq.passes.take_in_padding import taken_in

Change = Callable[[Graph, Node], Graph | None]
SHARED = (Scale.SHARED, Scale.KEPT)
LOOK_BACK = 4  # nodes that a change may have made a partner of


def tidy(graph: Graph) -> Graph:
    """The same function of its input. Float graphs without mixtures."""
    graph = _until_still(simplified(graph), (taken_in,))
    for node in [n for n in graph.nodes if n.op == "BatchNorm"]:
        if not _folds(graph, node):
            graph = _as_convolution(graph, node)
    graph = _until_still(graph, (_joined_reshapes, _no_reshape, _before_reshape)).pruned()
    return _with_shared_quants(graph)


def simplified(graph: Graph) -> Graph:
    """`tidy` but for norms that no layer takes in, and padding: those have later passes."""
    graph = _until_still(graph, (_joined_reshapes, _no_reshape, _before_reshape, _joined_norms))
    return _until_still(graph, (_gate, _gelu, _square)).pruned()


def _with_shared_quants(graph: Graph) -> Graph:
    """What a file settled of a tensor holds for those that must have the same scale."""
    known = {n: t.quant for n, t in graph.tensors.items() if t.quant and t.dtype == "float32"}
    pairs = [
        (node.inputs[0], node.outputs[0])
        for node in graph.nodes
        if known and OPS[node.op].scale(node.attrs, Site(graph, node).io) in SHARED
    ]
    for source, made in reversed(pairs):
        if made in known:
            known.setdefault(source, known[made])
    for source, made in pairs:
        if source in known:
            known.setdefault(made, known[source])
    return graph.with_tensors({n: replace(graph.tensors[n], quant=q) for n, q in known.items()})


def _until_still(graph: Graph, changes: tuple[Change, ...]) -> Graph:
    """Applies changes node by node until none applies; behind one it looks a few nodes back."""
    at = 0
    while at < len(graph.nodes):
        node = graph.nodes[at]
        made = next((m for c in changes if (m := c(graph, node)) is not None), None)
        at = at + 1 if made is None else max(at - LOOK_BACK, 0)
        graph = made or graph
    return graph


def _alone(graph: Graph, name: str) -> Node | None:
    """The producer of a tensor that one node alone reads."""
    return graph.producer(name) if graph.readers(name) == 1 else None


def _without(graph: Graph, gone: Node, source: str) -> Graph:
    """`gone` answers with `source`."""
    out = gone.outputs[0]
    nodes = [
        replace(n, inputs=tuple(source if i == out else i for i in n.inputs))
        for n in graph.nodes
        if n is not gone
    ]
    outputs = tuple(source if o == out else o for o in graph.outputs)
    return replace(graph, nodes=tuple(nodes), outputs=outputs)


def _swapped(graph: Graph, changes: dict[str, Node], gone: tuple[str, ...] = ()) -> Graph:
    """Nodes by name with others in their places, and without those in `gone`."""
    kept = (changes.get(n.name, n) for n in graph.nodes if n.name not in gone)
    return graph.with_nodes(kept)


def _joined_reshapes(graph: Graph, node: Node) -> Graph | None:
    first = graph.producer(node.inputs[0]) if node.op == "Reshape" else None
    if first is None or first.op != "Reshape":
        return None
    made = _swapped(graph, {node.name: replace(node, inputs=first.inputs)})
    if graph.readers(first.outputs[0]) == 1:
        made = made.with_nodes(n for n in made.nodes if n.name != first.name)
    return made


def _no_reshape(graph: Graph, node: Node) -> Graph | None:
    if node.op != "Reshape" or graph.tensors[node.inputs[0]].shape != node.attrs.shape:
        return None
    if node.inputs[0] in graph.inputs and node.outputs[0] in graph.outputs:
        return None
    return _without(graph, node, node.inputs[0])


def _before_reshape(graph: Graph, node: Node) -> Graph | None:
    """A ReLU or a norm moves to the layer that can take it in."""
    first = _alone(graph, node.inputs[0]) if node.op in ("Relu", "BatchNorm") else None
    if first is None or first.op != "Reshape":
        return None
    layer = _alone(graph, first.inputs[0])
    given, made = graph.tensors[first.inputs[0]].shape, graph.tensors[node.outputs[0]].shape
    if layer is None or node.op not in OPS[layer.op].fuses or given[-1] != made[-1]:
        return None
    between = f"{node.name}.early"
    changes = {
        first.name: replace(node, inputs=first.inputs, outputs=(between,)),
        node.name: replace(first, inputs=(between,), outputs=node.outputs),
    }
    return _swapped(graph, changes).with_tensors({between: TensorType(given)})


def _joined_norms(graph: Graph, node: Node) -> Graph | None:
    first = _alone(graph, node.inputs[0]) if node.op == "BatchNorm" else None
    if first is None or first.op != "BatchNorm" or graph.tensors[node.inputs[0]].quant:
        return None
    gain, offset = graph.param(first, "gain"), graph.param(first, "offset")
    more, shift = graph.param(node, "gain"), graph.param(node, "offset")
    values = {
        node.params["gain"]: (gain * more).astype(np.float32),
        node.params["offset"]: (offset * more + shift).astype(np.float32),
    }
    made = _swapped(graph, {node.name: replace(node, inputs=first.inputs)}, (first.name,))
    return made.with_constants(values)


def _folds(graph: Graph, node: Node) -> bool:
    """Whether a layer in front takes the norm in, as `fold_batch_norm` asks."""
    layer = _alone(graph, node.inputs[0])
    if layer is None or node.op not in OPS[layer.op].fuses:
        return False
    if graph.tensors[node.inputs[0]].quant is not None:  # a file rounds what the norm reads
        return False
    return str(layer.attrs.activation) == "none"


def _as_convolution(graph: Graph, node: Node) -> Graph:
    """A norm that no layer takes in, as a depthwise convolution of one cell."""
    shape = graph.tensors[node.inputs[0]].shape
    wide = (1, math.prod(shape[:-1]), shape[-1])
    name = node.name
    names = {n: f"{name}.{n}" for n in ("map", "made", "weight", "bias")}
    gain, offset = graph.param(node, "gain"), graph.param(node, "offset")
    layer = Node(
        name,
        "DepthwiseConv2D",
        (names["map"],),
        (names["made"],),
        DepthwiseConv2D((1, 1), (0, 0, 0, 0)),
        {"weight": names["weight"], "bias": names["bias"]},
    )
    into = Node(f"{name}.in", "Reshape", node.inputs, (names["map"],), Reshape(wide))
    out = Node(f"{name}.out", "Reshape", (names["made"],), node.outputs, Reshape(shape))
    nodes = [m for n in graph.nodes for m in ((into, layer, out) if n is node else (n,))]
    tensors = {names["map"]: TensorType(wide), names["made"]: TensorType(wide)}
    constants = {names["weight"]: gain[None, None].copy(), names["bias"]: offset}
    return graph.with_nodes(nodes).with_tensors(tensors).with_constants(constants)


GATES = {"Sigmoid": Silu, "HardSigmoid": HardSwish}


def _gate(graph: Graph, node: Node) -> Graph | None:
    """x times its own sigmoid: one function of x."""
    if node.op != "Mul" or node.attrs.activation != "none":
        return None
    for x, name in (node.inputs, node.inputs[::-1]):
        gate = _alone(graph, name)
        if gate is None or gate.op not in GATES or gate.inputs[0] != x:
            continue
        if graph.tensors[name].quant is not None:  # a file rounds it between
            continue
        if gate.op == "HardSigmoid" and not _sixth(gate):
            continue
        kind = GATES[gate.op]
        made = replace(node, op=kind.__name__, inputs=(x,), attrs=kind())
        return _swapped(graph, {node.name: made}, (gate.name,))
    return None


def _sixth(gate: Node) -> bool:
    return bool(abs(gate.attrs.alpha - 1 / 6) < 1e-6 and gate.attrs.beta == 0.5)


def _gelu(graph: Graph, node: Node) -> Graph | None:
    """x * (1 + erf(x / sqrt 2)) / 2, its factor a half in front or behind."""
    if node.op != "Erf":
        return None
    scaled = _alone(graph, node.inputs[0])
    if scaled is None or not _affine(scaled, 1 / math.sqrt(2), 0.0):
        return None
    x = scaled.inputs[0]
    one = _reader(graph, node)
    if one is None or not _affine(one, 1.0, 1.0):
        return None
    product = _reader(graph, one)
    if product is None or product.op != "Mul" or product.attrs.activation != "none":
        return None
    other = next((n for n in product.inputs if n != one.outputs[0]), "")
    gone = {scaled.name, node.name, one.name}
    if other == x:
        half = _reader(graph, product)
        if half is None or not _affine(half, 0.5, 0.0):
            return None
        last, gone = half, gone | {product.name}
    else:
        half = _alone(graph, other)
        if half is None or not _affine(half, 0.5, 0.0) or half.inputs[0] != x:
            return None
        last, gone = product, gone | {half.name}
    inner = [n for n in graph.nodes if n.name in gone]
    if any(graph.tensors[n.outputs[0]].quant for n in inner):  # a file rounds them
        return None
    made = replace(last, op="Gelu", inputs=(x,), attrs=Gelu())
    return _swapped(graph, {last.name: made}, tuple(gone))


def _square(graph: Graph, node: Node) -> Graph | None:
    """A difference times itself: no scale of the difference rounds it in between."""
    if node.op != "Mul" or node.attrs.activation != "none" or len(set(node.inputs)) > 1:
        return None
    apart = _alone(graph, node.inputs[0])
    if apart is None or graph.tensors[node.inputs[0]].quant is not None:  # a file rounds it
        return None
    if apart.op == "Sub" and apart.attrs.activation == "none":
        made = replace(node, op="SquaredDifference", inputs=apart.inputs, attrs=SquaredDifference())
        return _swapped(graph, {node.name: made}, (apart.name,))
    other = _subtracted(graph, apart)
    if other is None:
        return None
    name, kind = f"{node.name}.other", SquaredDifferenceConstant()
    op, params = type(kind).__name__, {"other": name}
    made = replace(node, op=op, inputs=apart.inputs, attrs=kind, params=params)
    whole = _swapped(graph, {node.name: made}, (apart.name,))
    return whole.with_constants({name: other.astype(np.float32)})


def _subtracted(graph: Graph, node: Node) -> Array | None:
    """The constant that a node does nothing but subtract; of whichever sign where it is squared."""
    if node.op == "AddConstant" and node.attrs.activation == "none":
        first, second = node.attrs.sign
        return np.asarray(graph.param(node, "other") * (-1 if first == second else 1))
    if node.op == "BatchNorm" and (graph.param(node, "gain") == 1).all():
        return -graph.param(node, "offset")
    if node.op == "Affine" and abs(node.attrs.gain) == 1:
        return np.array([-node.attrs.offset * node.attrs.gain])
    return None


def _affine(node: Node, gain: float, offset: float) -> bool:
    if node.op != "Affine":
        return False
    near = math.isclose(node.attrs.gain, gain, rel_tol=1e-5)
    return bool(near and node.attrs.offset == offset)


def _reader(graph: Graph, node: Node) -> Node | None:
    """The only node that reads what another makes."""
    out = node.outputs[0]
    return graph.consumers(out)[0] if graph.readers(out) == 1 and graph.consumers(out) else None
