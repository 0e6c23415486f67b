"""What the trained PyTorch model itself answers, whole and layer by layer, for its proof.

The model runs in PyTorch, in evaluation, with its own fake quantisation; hooks only read, or put a
value in the place of a layer's output. Rows are channels-last here, as in the graph.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from edgeq import nn
from edgeq.arrays import CHANNELS_FIRST, parts
from edgeq.ir import Graph, Node
from edgeq.ir.ports import join
from edgeq.nn.calibration import cascades_of, freeze_curiosity, routed
from edgeq.nn.graph_ends import joined_order
from edgeq.nn.graph_plan import device_shape
from edgeq.nn.rows import Answer, joined
from edgeq.ops.cascade import THRESHOLDS
from edgeq.ops.graph_builder import channels_last_order
from edgeq.ops.op import Array, quant_of
from edgeq.ops.routed import routed_node
from edgeq.ops.router import Router

BATCH = 64
OUT = ".out"  # the loader names a tensor after the module that makes it


@dataclass(frozen=True)
class Answers:
    """Outputs (rows, *shape) float32, before a final Softmax; `chosen`: the experts that ran, as
    the reference has them.
    """

    output: Array
    chosen: Array


def answers(model: nn.Model, x: Array) -> Answers:
    """The model on float rows x (rows, *graph shape)."""
    outputs, chosen = [], []
    with _evaluated(model), ExitStack() as hooks:
        for softmax in final_softmaxes(model.body):
            hook = softmax.register_forward_hook(lambda _, inputs, __: inputs[0])
            hooks.callback(hook.remove)
        rows = rows_for(model, x)
        keeps = any(isinstance(module, nn.Delay) for module in model.modules())
        batch = len(rows) if keeps else BATCH  # a batch begins after a reset
        for start in range(0, len(rows), batch):
            outputs.append(_rows_from(model, model(rows[start : start + batch])))
            found = routed(model)[:1]
            routing = [m.last_routing for m in found if m.last_routing is not None]
            chosen += [r.experts.numpy() for r in routing]
    none = np.zeros((len(x), 0), np.int64)
    return Answers(np.concatenate(outputs), np.concatenate(chosen) if chosen else none)


@contextmanager
def _evaluated(model: nn.Model) -> Iterator[None]:
    model.eval()
    with torch.no_grad():
        yield


def final_softmaxes(module: torch.nn.Module) -> list[torch.nn.Module]:
    """The Softmax layers whose output is the output of `module`: of it, or of its experts."""
    if isinstance(module, nn.Softmax):
        return [module]
    if isinstance(module, nn.GraphBody):
        last = module.module_of(module.plan.outputs[0])
        return [last] if last is not None and last.step.op == "Softmax" else []
    if isinstance(module, nn.Sequential):
        layers = [layer for layer in module if not isinstance(layer, nn.Dropout)]
        return final_softmaxes(layers[-1]) if layers else []
    if isinstance(module, nn.Outputs):  # of several the first is the answer
        return final_softmaxes(module.heads[0])
    if isinstance(module, nn.TrunkMixture):
        return final_softmaxes(module.mixture)
    if isinstance(module, nn.Mixture) and module.top_k == 1 and module.gate == "none":
        return [softmax for expert in module.experts for softmax in final_softmaxes(expert)]
    return []


def with_strength(model: nn.Model, router: Router, calibration: Array) -> None:
    """Gives the model's mixtures the strength of `router`, frozen on the calibration rows.

    For an export whose curiosity a budget weakened, or that other rows calibrate: the model to
    compare with is the one with that strength, on those rows.
    """
    for mixture in model.mixtures:
        mixture.alpha, mixture.quantile = router.alpha, router.quantile
    freeze_curiosity(model, rows_for(model, calibration))


def with_thresholds(model: nn.Model, graph: Graph) -> None:
    """Gives the model's cascade the thresholds of `graph`, halfway to the step that is decided
    otherwise.
    """
    node = routed_node(graph)
    assert node is not None  # the model's graph has the model's cascade
    rule = node.attrs.rule
    unit = rule.unit(quant_of(graph.tensors[node.outputs[0]]).per_tensor)
    half, least, most = (0.5, math.inf, -math.inf) if rule.doubt else (-0.5, -math.inf, math.inf)
    ends = {rule.never: least, rule.always: most}
    for cascade in cascades_of(model):
        cascade.thresholds = ()
        for stage, limit in enumerate(graph.param(node, THRESHOLDS).tolist()):
            cascade.limits[stage] = ends.get(limit, unit * (limit + half))


def layer_outputs(
    model: nn.Model, graph: Graph, values: Mapping[str, Array]
) -> dict[str, tuple[str, Array]]:
    """Each node of `graph`, computed in PyTorch from the reference's input: tensor -> (node, real).

    `values` are the reference's tensors (rows, *shape) by name, real numbers. A fused node is all
    the modules it came from: it ends at the module that its output is named after. Experts are not
    entered (`expert_outputs` does).
    """
    with _evaluated(model):
        x = rows_for(model, join(graph.inputs, values))
        if isinstance(model.body, nn.GraphBody):
            return _fed_body(model.body, graph, values, x)
        return _fed(model, model, graph, values, x, None)


def expert_outputs(
    model: nn.Model, graph: Graph, node: Node, expert: int, values: Mapping[str, Array], fed: Array
) -> dict[str, tuple[str, Array]]:
    """As `layer_outputs` for an expert of `node`; `fed` is the real input of all rows."""
    order = orders(graph, None).get(node.inputs[0])
    with _evaluated(model):
        module = model.get_submodule(f"{node.name}.experts.{expert}")
        inner = node.attrs.experts[expert].graph
        x = to_torch(fed, order)
        flat = len(model.input_shape) == 2 and x.dim() == 4  # 1-D layers take (N, C, L)
        return _fed(model, module, inner, values, x.squeeze(2) if flat else x, order)


def _fed(
    model: nn.Model,
    module: torch.nn.Module,
    graph: Graph,
    values: Mapping[str, Array],
    x: Tensor,
    entry: Array | None,
) -> dict[str, tuple[str, Array]]:
    """One forward pass; each hooked module computes from the reference's value before it."""
    found: dict[str, tuple[str, Array]] = {}
    kept = orders(graph, entry)
    with ExitStack() as hooks:
        for node in graph.nodes:
            name = node.outputs[0]
            made = _module(model, name)
            if made is None:
                continue
            instead = to_torch(values[name], kept[name])

            def keep(
                _: object, __: object, out: Tensor, node: Node = node, instead: Tensor = instead
            ) -> Tensor:
                name = node.outputs[0]
                found[name] = node.name, to_graph(out, kept[name])
                return instead.reshape(out.shape)

            hooks.callback(made.register_forward_hook(keep).remove)
        module(x)
    return found


def _fed_body(
    body: nn.GraphBody, graph: Graph, values: Mapping[str, Array], x: Tensor
) -> dict[str, tuple[str, Array]]:
    """As `_fed` for a graph that runs node by node, channels last itself."""
    found: dict[str, tuple[str, Array]] = {}
    with ExitStack() as hooks:
        for node in graph.nodes:
            made = body.module_of(node.outputs[0])
            if made is None:
                continue

            def keep(_: object, __: object, out: Tensor, node: Node = node) -> Tensor:
                found[node.outputs[0]] = node.name, out.numpy()
                return torch.from_numpy(values[node.outputs[0]]).reshape(out.shape)

            hooks.callback(made.register_forward_hook(keep).remove)
        body(x)
    return found


def _module(model: nn.Model, tensor: str) -> torch.nn.Module | None:
    """The module that a tensor is named after; None for one that the loader put in."""
    try:
        return model.get_submodule(tensor.removesuffix(OUT))
    except AttributeError:
        return None


def orders(graph: Graph, entry: Array | None) -> dict[str, Array | None]:
    """How each tensor's features are ordered, as `Cursor.order` says, found again from the nodes.

    `entry` is the order of the graph's input.
    """
    found: dict[str, Array | None] = {graph.inputs[0]: entry}
    for node in graph.nodes:
        order = found.get(node.inputs[0])
        if node.op == "Concat":
            order = joined_order([(found.get(n), graph.tensors[n].size) for n in node.inputs])
        before, after = (graph.tensors[n].shape for n in (node.inputs[0], node.outputs[0]))
        if node.op == "Reshape" and len(before) == 3 and before[0] * before[1] > 1:
            order = channels_last_order(before[2], before[0], before[1])
        elif node.op in ("FullyConnected", "Mixture", "Cascade") or len(after) != 1:
            order = None
        found[node.outputs[0]] = order
    return found


def rows_for(model: nn.Model, x: Array) -> Tensor:
    """Rows of the graph in the order that the model takes, of several inputs joined."""
    device = {name: device_shape(shape, model.layout) for name, shape in model.inputs.items()}
    held = parts(x, device)
    return joined({name: _row_for(model, held[name], s) for name, s in model.inputs.items()})


def _row_for(model: nn.Model, x: Array, shape: tuple[int, ...]) -> Tensor:
    if model.layout == CHANNELS_FIRST:
        return torch_rows(x, shape)
    return torch.from_numpy(np.ascontiguousarray(x, np.float32)).reshape(-1, *shape)


def _rows_from(model: nn.Model, y: Answer) -> Array:
    """The model's answer as the graph has it, of several outputs as joined rows."""
    if isinstance(y, Tensor):
        return to_graph(y) if model.layout == CHANNELS_FIRST else y.numpy()
    made = [_rows_from(model, part) for part in y.values()]
    return np.concatenate([part.reshape(len(part), -1) for part in made], axis=1)


def torch_rows(x: Array, shape: Sequence[int]) -> Tensor:
    """Channels-last rows in PyTorch's order, as `shape` (without rows) says."""
    if len(shape) == 3:
        x = x.transpose(0, 3, 1, 2)
    elif len(shape) == 2:
        x = x[:, 0].transpose(0, 2, 1)
    return torch.from_numpy(np.ascontiguousarray(x, dtype=np.float32))


def to_torch(x: Array, order: Array | None) -> Tensor:
    """A tensor of the graph (rows, *shape) in PyTorch's axes and feature order."""
    if x.ndim == 4:
        x = x.transpose(0, 3, 1, 2)
    elif order is not None:
        back = np.empty_like(x)
        back[:, order] = x
        x = back
    return torch.from_numpy(np.ascontiguousarray(x, dtype=np.float32))


def to_graph(x: Tensor, order: Array | None = None) -> Array:
    """PyTorch's (N, C, H, W), (N, C, L) or (N, F) as the graph has it."""
    y = x.detach().cpu().numpy()
    if y.ndim == 4:
        return np.ascontiguousarray(y.transpose(0, 2, 3, 1))
    if y.ndim == 3:
        return np.ascontiguousarray(y.transpose(0, 2, 1)[:, None])
    return y if order is None else np.ascontiguousarray(y[:, order])
