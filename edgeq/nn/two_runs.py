"""Two widths inside one layer: its outputs in two contiguous runs, the sensitive ones first.

Source: SONIQ (arXiv 2311.14114), whose channels of one layer have widths of their own and are put
in order, so that a kernel sees one width at a time. Here the outputs of a layer are ordered by what
they lose at the narrow width; each run is a layer of its own, with a kernel and a width of its own,
and the order is folded into the weights that read them. Nothing is moved on the device: a fully
connected layer's runs write one behind the other (passes/concat_in_place.py).
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import torch

from edgeq.errors import BadInput
from edgeq.ir import Graph, Node, TensorType
from edgeq.nn.channels import Float, readers
from edgeq.nn.graph_body import GraphLayer
from edgeq.nn.graph_ops import run_op
from edgeq.nn.model import Model
from edgeq.nn.post_training import best_scale
from edgeq.nn.weight_kinds import WeightKind, codes_at, weight_kind
from edgeq.ops.concat import Concat
from edgeq.ops.op import Array

GROUP = 8  # outputs: a run begins where kernels may write, and takes whole groups of their rows
WIDE, NARROW = "wide", "narrow"


def in_two_runs(
    model: Model, shares: Mapping[str, float], narrow: str | int = "int4", x: object = None
) -> Model:
    """A copy of a float model whose named layers are two each: `<name>.wide`, `<name>.narrow`.

    `shares`: of each layer's outputs, the part (above 0, below 1) that goes into its wide run,
    rounded to multiples of eight: those that lose most at the kind `narrow`, by the mean square of
    what that changes on `x` (N, *input_shape; default the stored calibration set), times what the
    layers behind make of it. The answers stay; `quantize(..., keep={"<name>.narrow": ...})`, or a
    plan, then gives the runs their widths. Raises BadInput for a layer that is not there, a share
    that leaves a run empty, weights that are quantised already, and without data; UnsupportedOp
    where the order cannot be folded into what reads the layer, by name.
    """
    of, kind = Float.of("in_two_runs", model, x), weight_kind(narrow)
    if not shares:
        raise BadInput('in_two_runs: name a layer and the share of its wide run: {"body.0": 0.25}')
    for name in shares:
        of.check_layer(name)

    def changed(layer: GraphLayer, given: torch.Tensor, _: torch.Tensor) -> torch.Tensor:
        return _changed(layer, given, kind)

    errors, graph = of.of_outputs(shares, changed), of.body.graph(of.model.name)
    for name, share in shares.items():
        wide, found = _wide(name, share, len(errors[name])), readers("in_two_runs", graph, name)
        loss = errors[name] * np.sum([reader.reach(graph) for reader in found], axis=0)
        order = np.argsort(-loss, kind="stable")
        order = np.concatenate([np.sort(order[:wide]), np.sort(order[wide:])])
        for reader in found:
            graph = reader.taken(graph, order)
        graph = _split(graph, name, order, wide)
    return of.around(graph)


def _wide(name: str, share: float, outputs: int) -> int:
    """Outputs of the wide run."""
    wide = GROUP * round(share * outputs / GROUP) if 0 < share < 1 else 0
    if not 0 < wide < outputs:
        raise BadInput(
            f"in_two_runs: {name} has {outputs} outputs, of which a share of {share} is no run of "
            f"{GROUP} or more beside another one"
        )
    return wide


def _changed(layer: GraphLayer, x: torch.Tensor, kind: WeightKind) -> torch.Tensor:
    """What rounding the layer's weights to a kind adds to its outputs."""
    weight = layer.weight.detach()
    scale = best_scale(weight, kind)
    rounded = codes_at(weight, scale, kind) * scale.reshape(-1, *[1] * (weight.dim() - 1))
    off = (rounded - weight).movedim(0, layer.axis)
    plain = replace(layer.step.attrs, activation="none")
    given = {"weight": off, "bias": torch.zeros(len(weight))}
    return run_op(layer.step.op, plain, (x,), given)


def _split(graph: Graph, name: str, order: Array, wide: int) -> Graph:
    """The graph with the layer in two, and the activation behind it, which their kernels clamp."""
    node = next(n for n in graph.nodes if n.name == name)
    readers = graph.consumers(node.outputs[0])
    relu = readers[0] if [r.op for r in readers] == ["Relu"] else None
    end = relu or node
    parts: list[Node] = []
    whole = graph.tensors[end.outputs[0]]
    for run, rows in ((WIDE, order[:wide]), (NARROW, order[wide:])):
        own = f"{name}.{run}"
        kind = TensorType((*whole.shape[:-1], len(rows)))
        params = {role: f"{own}.{role}" for role in node.params}
        graph = graph.with_constants(
            {params[role]: np.take(graph.param(node, role), rows, 0) for role in node.params}
        ).with_tensors({own: kind})
        parts.append(replace(node, name=own, outputs=(own,), params=params))
        if relu is not None:
            clamped = f"{own}.{relu.name}"
            graph = graph.with_tensors({clamped: kind})
            parts.append(replace(relu, name=clamped, inputs=(own,), outputs=(clamped,)))
    ends = tuple(p.outputs[0] for p in (parts if relu is None else parts[1::2]))
    parts.append(Node(name, "Concat", ends, end.outputs, Concat(len(whole.shape) - 1)))
    kept = (n for n in graph.nodes if n is not relu)
    return graph.with_nodes(n for old in kept for n in (parts if old is node else [old])).pruned()
