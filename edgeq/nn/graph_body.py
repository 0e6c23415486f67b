"""A float graph as a module: what importers end in, and what is quantised, trained and saved.

Activations are channels last inside; rows come and go in the layout of the model they are from.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from edgeq.arrays import CHANNELS_FIRST, CHANNELS_LAST, Layout
from edgeq.errors import BadInput, UnsupportedOp
from edgeq.ir import Graph, Node, Quant, TensorType
from edgeq.ir.ports import input_names
from edgeq.nn.graph_ops import run_op
from edgeq.nn.graph_plan import Step, plan_of, plan_of_graph
from edgeq.nn.layers import QuantLayer
from edgeq.nn.rows import Answer, parted
from edgeq.nn.weight_kinds import codes_at, weight_kind
from edgeq.ops import OPS
from edgeq.ops.op import Array
from edgeq.ops.site import dequantize


class GraphLayer(QuantLayer):
    """A node with weights. `weight` has its outputs on the first axis, whatever the op's order.

    `scale` (out,) holds the step of each output's weights where a quantiser settled it; while it
    is 0 the kind chooses it from the weights, at every training step.
    """

    scale: Tensor

    def __init__(self, step: Step) -> None:
        shape, self.axis = step.constants["weight"][0], _axis(step)
        rows = (shape[self.axis], *shape[: self.axis], *shape[self.axis + 1 :])
        if step.constants["bias"][0] != rows[:1]:
            raise BadInput(f"{step.name}: {rows[0]} outputs, biases {step.constants['bias'][0]}")
        super().__init__(rows, step.kind, True, per_tensor=False, threshold=0.0, act_quant=True)
        self.step = step
        self.register_buffer("scale", torch.zeros(rows[0]))

    def set_kind(self, kind: str | int) -> None:
        """Another weight kind, whose scales are not settled. Raises BadInput for an unknown one."""
        self._kind = weight_kind(kind)
        self.kind = self._kind.name
        self.act.observe_in_training = self.kind != "ptq"
        self.scale.zero_()

    @property
    def top(self) -> int:
        """The largest code of its kind."""
        return self._kind.top

    @property
    def settled(self) -> bool:
        """Whether a quantiser chose the scales."""
        return bool((self.scale > 0).all())

    def _codes(self) -> tuple[Tensor, Tensor]:
        if not self.settled:
            return super()._codes()
        return codes_at(self.weight, self.scale, self._kind), self.scale

    def forward(self, *x: Tensor) -> Tensor:
        """(rows, *shape) of its input, the input and the weights rounded as the kind says."""
        weight = self.effective_weight().movedim(0, self.axis)
        assert self.bias is not None  # every layer of a graph has one
        constants = {"weight": weight, "bias": self.bias}
        return run_op(self.step.op, self.step.attrs, (self.act(x[0]), *x[1:]), constants)

    def constants(self, *, shapes_only: bool) -> dict[str, tuple[Array, Quant | None]]:
        """Weight and bias by role, weights as codes unless their kind is ptq."""
        bias = self.step.constants["bias"][0]
        if shapes_only:
            weight, quant = np.zeros(self.step.constants["weight"][0], np.float32), None
            return {"weight": (weight, quant), "bias": (np.zeros(bias, np.float32), None)}
        assert self.bias is not None
        values = {"bias": (self.bias.detach().numpy().astype(np.float32), None)}
        if self.kind == "ptq":
            real = self.weight.detach().movedim(0, self.axis).numpy()
            return {"weight": (np.ascontiguousarray(real, np.float32), None), **values}
        codes, scale = self.quantized()
        dtype = np.int16 if self.weight_format == "s16" else np.int8
        placed = np.ascontiguousarray(codes.movedim(0, self.axis).numpy().astype(dtype))
        scales = tuple(float(np.float32(s)) for s in scale.clamp_min(1e-12))
        return {"weight": (placed, Quant(scales, 0, self.axis)), **values}


class GraphOp(nn.Module):
    """A node without weights; its constants are parameters, or buffers where they are whole."""

    def __init__(self, step: Step) -> None:
        super().__init__()
        self.step = step
        for role, (shape, dtype) in step.constants.items():
            value = torch.zeros(shape, dtype=getattr(torch, dtype))
            if dtype == "float32":
                self.register_parameter(f"c_{role}", nn.Parameter(value))
            else:
                self.register_buffer(f"c_{role}", value)

    def forward(self, *x: Tensor) -> Tensor:
        """(rows, *shape) of its inputs."""
        constants = {role: getattr(self, f"c_{role}") for role in self.step.constants}
        return run_op(self.step.op, self.step.attrs, x, constants)

    def constants(self, *, shapes_only: bool) -> dict[str, tuple[Array, Quant | None]]:
        """Values by role."""
        if shapes_only:
            return {r: (np.zeros(s, d), None) for r, (s, d) in self.step.constants.items()}
        held = {r: getattr(self, f"c_{r}").detach().numpy() for r in self.step.constants}
        return {r: (np.ascontiguousarray(value), None) for r, value in held.items()}


class GraphBody(nn.Module):
    """A float graph that runs node by node in PyTorch, as the body of an edgeq.nn.Model.

    `description` is the graph without its numbers, as plain JSON; `graph_model` makes one from a
    Graph. Weight kinds and ranges are state of its layers, found by node name in `layers`.
    """

    def __init__(self, description: Mapping[str, Any]) -> None:
        super().__init__()
        self.plan = plan_of(description)
        make = [GraphLayer if s.kind else GraphOp for s in self.plan.steps]
        self.steps = nn.ModuleList(m(s) for m, s in zip(make, self.plan.steps, strict=True))

    @property
    def description(self) -> dict[str, Any]:
        """Plain JSON of the graph with the layers' present kinds."""
        data = self.plan.description()
        for entry, module in zip(data["steps"], self.steps, strict=True):
            if isinstance(module, GraphLayer):
                entry["kind"] = module.kind
        return data

    @property
    def layout(self) -> Layout:
        """The order of the axes of the rows that `forward` takes."""
        return self.plan.layout

    @property
    def layers(self) -> dict[str, GraphLayer]:
        """The nodes with weights by name, in order."""
        return {m.step.name: m for m in self.steps if isinstance(m, GraphLayer)}

    def module_of(self, tensor: str) -> "GraphLayer | GraphOp | None":
        """The module that computes an activation."""
        return next((m for m in self._modules_in_order() if tensor in m.step.outputs), None)

    def _modules_in_order(self) -> list[GraphLayer | GraphOp]:
        return [m for m in self.steps if isinstance(m, GraphLayer | GraphOp)]

    def forward(self, x: Tensor | Mapping[str, Tensor]) -> Answer:
        """(N, *input_shape), or a dict of several inputs -> the graph's output in the same layout,
        of several a dict.
        """
        given = parted(x, self.plan.input_shapes).values()
        ends = zip(self.plan.inputs.items(), given, strict=True)
        values = {name: entered(part, self.layout, shape) for (name, shape), part in ends}
        for module in self._modules_in_order():
            values[module.step.outputs[0]] = module(*(values[n] for n in module.step.inputs))
        axes = max(len(shape) for shape in self.plan.input_shapes.values())
        flat = self.layout == CHANNELS_FIRST and axes == 2
        made = [left(values[n], self.layout, one_dimensional=flat) for n in self.plan.outputs]
        names = self.plan.output_names
        return dict(zip(names, made, strict=True)) if names else made[0]

    def graph(self, name: str, *, shapes_only: bool = False) -> Graph:
        """The float graph, weights as codes where their kind is settled; zeros if `shapes_only`."""
        tensors = {n: TensorType(s) for n, s in self.plan.shapes().items()}
        tensors |= {
            n: TensorType(tensors[n].shape, "float32", q) for n, q in self.plan.quants.items()
        }
        nodes, values = [], {}
        for module in self._modules_in_order():
            node = self.plan.node(module.step)
            if isinstance(module, GraphLayer):
                node = _with_format(node, module.weight_format)
            nodes.append(node)
            for role, (value, quant) in module.constants(shapes_only=shapes_only).items():
                values[node.params[role]] = value
                kind = TensorType(value.shape, str(value.dtype), quant)
                tensors[node.params[role]] = kind
        ends = tuple(self.plan.inputs), self.plan.outputs
        names = tuple(self.plan.ports), self.plan.output_names
        return Graph(name, *ends, tuple(nodes), tensors, values, *names)


def _axis(step: Step) -> int:
    axis = OPS[step.op].weight_axis
    assert axis is not None  # the plan gives a kind to layers with weights only
    return axis


def _with_format(node: Node, weight_format: str) -> Node:
    return replace(node, attrs=replace(node.attrs, weight_format=weight_format))


def entered(x: Tensor, layout: Layout, shape: Sequence[int]) -> Tensor:
    """Rows in a user's layout as the graph has them: (N, *shape), channels last."""
    if layout == CHANNELS_FIRST and x.dim() == 4:
        x = x.permute(0, 2, 3, 1)
    elif layout == CHANNELS_FIRST and x.dim() == 3:
        x = x.permute(0, 2, 1)
    return x.reshape(len(x), *shape)


def left(y: Tensor, layout: Layout, *, one_dimensional: bool = False) -> Tensor:
    """A graph's answer in a user's layout; `one_dimensional` drops a height of 1."""
    if layout == CHANNELS_LAST or y.dim() != 4:
        return y
    y = y.permute(0, 3, 1, 2)
    return y.squeeze(2) if one_dimensional and y.shape[2] == 1 else y


def _shapes(
    graph: Graph, given: Sequence[int] | Mapping[str, Sequence[int]] | None
) -> dict[str, tuple[int, ...]]:
    """The shape of each input by its port's name, as given or the graph's own."""
    own = zip(input_names(graph), graph.inputs, strict=True)
    shapes = {name: graph.tensors[tensor].shape for name, tensor in own}
    if not isinstance(given, Mapping):
        given = dict.fromkeys(list(shapes)[:1], given) if given else {}
    elif list(given) != list(shapes):
        raise ValueError(f"shapes of {', '.join(shapes)}, in this order, not {', '.join(given)}")
    return shapes | {name: tuple(shape) for name, shape in given.items()}


def body_of(
    graph: Graph,
    layout: Layout = CHANNELS_LAST,
    input_shape: Sequence[int] | Mapping[str, Sequence[int]] | None = None,
) -> GraphBody:
    """A float graph with its numbers; weights that carry codes stay quantised to them.

    `input_shape`: of the user's rows, of several inputs by name. Raises UnsupportedOp for what no
    body can be: a mixture, no output, shapes of other inputs.
    """
    try:
        plan = plan_of_graph(graph, layout, _shapes(graph, input_shape))
        body = GraphBody(plan.description())
    except ValueError as error:
        raise UnsupportedOp(f"graph {graph.name!r} is no model: it needs {error}") from error
    with torch.no_grad():
        for node, module in zip(graph.nodes, body._modules_in_order(), strict=True):
            values = {role: dequantize(graph, name) for role, name in node.params.items()}
            if isinstance(module, GraphLayer):
                rows = np.moveaxis(values["weight"], module.axis, 0)
                module.weight.copy_(torch.from_numpy(np.array(rows, np.float32)))
                assert module.bias is not None
                module.bias.copy_(torch.from_numpy(np.array(values["bias"], np.float32)))
                quant = graph.tensors[node.params["weight"]].quant
                if quant is not None:
                    module.scale.copy_(torch.tensor(quant.scale))
                continue
            for role, value in values.items():
                getattr(module, f"c_{role}").copy_(torch.from_numpy(np.array(value)))
    return body
