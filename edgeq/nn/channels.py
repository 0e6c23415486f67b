"""Which constants of a float graph follow the order, and the number, of a layer's outputs."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch

from edgeq.errors import BadInput, UnsupportedOp
from edgeq.ir import Graph, Node
from edgeq.nn.graph_body import GraphBody, GraphLayer
from edgeq.nn.graph_model import graph_model
from edgeq.nn.graph_ops import LOOKUP
from edgeq.nn.model import Model
from edgeq.nn.post_training import ROWS, after_each, graph_copy, in_float
from edgeq.ops import OPS
from edgeq.ops.op import Array, Call

SUMS = ("FullyConnected", "Conv2D")  # over all channels of what they read
POOLS = ("MaxPool2D", "AveragePool2D", "MeanPool2D")
OfOutputs = Callable[[GraphLayer, torch.Tensor, torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class Float:
    """A float model that is changed: a copy with a graph for its body. `what` says who asks."""

    what: str
    model: Model

    @classmethod
    def of(cls, what: str, model: Model, x: object) -> "Float":
        """With rows `x` to calibrate. BadInput without any, and for quantised weights."""
        made = graph_copy(model)
        if x is not None:
            made.calibration = made._inputs("calibration set", x)
        if made.calibration is None:
            raise BadInput(f"{what} needs real inputs: pass x, float32 (N, *input shape)")
        found = cls(what, made)
        odd = [name for name, layer in found.body.layers.items() if layer.kind != "ptq"]
        if odd:
            raise BadInput(
                f"{what} takes a float model; the weights of {odd[0]} are "
                f"{found.body.layers[odd[0]].kind} already. Do this first, then quantise"
            )
        return found

    @property
    def body(self) -> GraphBody:
        body = self.model.body
        assert isinstance(body, GraphBody)  # graph_copy makes one
        return body

    def check_layer(self, name: str) -> None:
        """BadInput for one that is not there, or whose outputs are not its own choice."""
        layer = self.body.layers.get(name)
        if layer is None:
            known = ", ".join(list(self.body.layers)[:40])
            raise BadInput(f"{self.what}: no layer {name!r} with weights; there are {known}")
        if layer.step.op not in SUMS:
            raise BadInput(
                f"{self.what}: {name} is a {layer.step.op}; name a {' or a '.join(SUMS)}"
            )

    def of_outputs(self, names: Mapping[str, object], figure: OfOutputs) -> dict[str, Array]:
        """Mean square, an output each, of what `figure(layer, input, output)` gives."""
        found: dict[str, Array] = {}

        def keep(layer: GraphLayer, x: torch.Tensor, out: torch.Tensor) -> None:
            if layer.step.name in names:
                made = figure(layer, x, out).reshape(-1, out.shape[-1])
                found[layer.step.name] = made.double().square().mean(0).numpy()

        assert self.model.calibration is not None  # `of` saw to it
        with torch.no_grad(), in_float(self.body), after_each(self.body, keep):
            self.body(torch.from_numpy(self.model.calibration[:ROWS]))
        return found

    def around(self, graph: Graph) -> Model:
        """Another graph with this model's data."""
        own = self.model
        made = graph_model(
            graph,
            own.inputs,
            layout=own.layout,
            class_names=own.class_names,
            calibration=own.calibration,
            evaluation=own.evaluation,
        )
        made.task, made.frame_s = own.task, own.frame_s
        return made


@dataclass(frozen=True)
class Reader:
    """A node whose constants have an entry for each of a layer's `outputs` along their axis in
    `roles`, `cells` times over. `sums`: over them, so that its weights say how much each matters.
    """

    node: str
    roles: Mapping[str, int]
    outputs: int
    cells: int = 1
    sums: bool = True

    def taken(self, graph: Graph, outputs: Array) -> Graph:
        """The graph with those of these outputs, in this order."""
        every = (np.arange(self.cells)[:, None] * self.outputs + outputs).ravel()
        params = self._node(graph).params
        named = {params[role]: axis for role, axis in self.roles.items()}
        return graph.with_constants(
            {n: np.take(graph.constants[n], every, axis) for n, axis in named.items()}
        )

    def reach(self, graph: Graph) -> Array:
        """(outputs,): the summed squares of the weights that read each."""
        if not self.sums:
            return np.zeros(self.outputs)
        weight = graph.param(self._node(graph), "weight").astype(np.float64)
        columns = np.square(weight).reshape(-1, weight.shape[-1]).sum(0)
        return np.asarray(columns.reshape(self.cells, -1).sum(0))

    def _node(self, graph: Graph) -> Node:
        return next(n for n in graph.nodes if n.name == self.node)


def readers(what: str, graph: Graph, layer: str) -> list[Reader]:
    """All whose constants follow a layer's outputs. UnsupportedOp, by name, where some node stands
    in the way; `what` says who asks.
    """
    own = next(n for n in graph.nodes if n.name == layer)
    if getattr(own.attrs, "groups", 1) > 1:
        raise UnsupportedOp(f"{what}: {layer} is in {own.attrs.groups} groups, which stay as wide")
    made = own.outputs[0]
    outputs, found, waiting = graph.tensors[made].shape[-1], list[Reader](), [(made, 1)]
    while waiting:
        tensor, cells = waiting.pop()
        if tensor in graph.outputs:
            raise UnsupportedOp(
                f"{what}: {layer} reaches the answer {tensor!r} without another layer, which could "
                "take its outputs otherwise"
            )
        for node in graph.consumers(tensor):
            reader, behind = _through(graph, node, outputs, cells)
            if reader is None and not behind:
                raise UnsupportedOp(
                    f"{what}: {layer} is read by {node.name} ({node.op}), which takes its outputs "
                    "as they are"
                )
            found += [] if reader is None else [reader]
            if behind:
                waiting.append((node.outputs[0], behind))
    return found


def _through(graph: Graph, node: Node, outputs: int, cells: int) -> tuple[Reader | None, int]:
    """What of a node follows the outputs, and in how many cells its own do; 0: they do not."""
    shape, made = graph.tensors[node.inputs[0]].shape, graph.tensors[node.outputs[0]].shape
    code = OPS[node.op].code
    if node.op in SUMS and getattr(node.attrs, "groups", 1) == 1:
        weight = graph.param(node, "weight")
        return Reader(node.name, {"weight": weight.ndim - 1}, outputs, cells), 0
    if node.op == "DepthwiseConv2D":
        return Reader(node.name, {"weight": 2, "bias": 0}, outputs, cells, sums=False), cells
    if node.op in ("Relu", *POOLS) or (isinstance(code, Call) and code.kernel == LOOKUP):
        return None, cells
    if node.op == "Reshape" and len(made) == 1:
        return None, cells * (made[0] // shape[-1])
    return None, 0


def fewer(graph: Graph, layer: str, found: list[Reader], outputs: Array) -> Graph:
    """The graph with these of a layer's outputs, and what reads them with as many."""
    node = next(n for n in graph.nodes if n.name == layer)
    graph = graph.with_constants(
        {name: np.take(graph.constants[name], outputs, 0) for name in node.params.values()}
    )
    for reader in found:
        graph = reader.taken(graph, outputs)
    return _reshaped(graph)


def _reshaped(graph: Graph) -> Graph:
    """With the shapes that its constants now give."""
    for node in graph.nodes:
        given = tuple(graph.tensors[name].shape for name in node.inputs)
        if node.op == "Reshape" and len(node.attrs.shape) == 1:
            attrs = replace(node.attrs, shape=(int(np.prod(given[0])),))
            old, node = node, replace(node, attrs=attrs)
            graph = graph.with_nodes(node if n is old else n for n in graph.nodes)
        shape = OPS[node.op].result_shape(node.attrs, given, graph.params(node))
        kind = replace(graph.tensors[node.outputs[0]], shape=tuple(shape))
        graph = graph.with_tensors({node.outputs[0]: kind})
    return graph
