"""The passes, in order: a float graph becomes the integer graph that every form is emitted from."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from edgeq.errors import BadInput
from edgeq.ir import Graph
from edgeq.ops.op import Array
from edgeq.ops.routed import routed_node, with_hold
from edgeq.passes.calibrate import calibrate
from edgeq.passes.concat_in_place import in_place
from edgeq.passes.fold_batch_norm import fold_batch_norm
from edgeq.passes.freeze_cascade import Cascading, effect, freeze_cascade, frozen_cascade
from edgeq.passes.freeze_router import (
    Curiosity,
    Observed,
    freeze_router,
    frozen_curiosity,
    observe,
)
from edgeq.passes.fuse_activation import fuse_activation
from edgeq.passes.join_scales import join_scales
from edgeq.passes.lower import lower
from edgeq.passes.select_kernels import select_kernels
from edgeq.passes.take_in_padding import take_in_padding
from edgeq.passes.verify import verify
from edgeq.passes.weight_codes import quantize_weights, widen_weights
from edgeq.reference import quantize_rows


@dataclass(frozen=True)
class Quantized:
    """`graph` is lowered, kernels chosen; curiosity and seen are None without a mixture, cascading
    without a cascade.

    `notes`: what a user should know of the calibrated layers.
    """

    graph: Graph
    curiosity: Curiosity | None
    seen: Observed | None
    notes: tuple[str, ...] = ()
    cascading: Cascading | None = None

    def chosen(self, rows: int) -> Array:
        """The experts of the calibration rows as `Answered.chosen` has them; no columns without."""
        if self.cascading is not None:
            return self.cascading.chosen
        return np.zeros((rows, 0), np.int64) if self.curiosity is None else self.curiosity.chosen


def prepare(graph: Graph) -> Graph:
    """What can be done without calibration rows: padding taken in, norms folded, activations fused,
    packings chosen.

    Raises UnsupportedOp listing every gap.
    """
    verify(graph, "float")
    graph = with_experts(graph, _without_padding)
    graph = with_experts(graph, fold_batch_norm)  # before fusing: BatchNorm stands before ReLU
    graph = with_experts(graph, fuse_activation)  # before ranges: a clamp narrows them
    graph = with_experts(graph, widen_weights)  # before kernels: it decides which one packs them
    return graph


def _without_padding(graph: Graph) -> Graph:
    """Where there is some."""
    return take_in_padding(graph) if any(n.op == "Pad" for n in graph.nodes) else graph


def quantize(
    graph: Graph, calibration: Array, method: str, features: frozenset[str] = frozenset()
) -> Quantized:
    """Float graph to lowered graph; calibration (rows, *input shape) float, channels-last.

    Raises UnsupportedOp listing every gap, BadInput for unusable calibration rows.
    """
    graph = prepare(graph)
    graph = with_experts(graph, quantize_weights)  # before ranges: they must see rounded weights
    graph, notes = calibrate(graph, calibration, method)
    graph = with_experts(graph, join_scales)
    graph = graph.with_nodes(in_place(graph, node) for node in graph.nodes)
    verify(graph, "quantized")
    graph = with_experts(graph, lower)
    rows = quantize_rows(graph, calibration)
    seen = observe(graph, rows)
    graph, curiosity = freeze_router(graph, seen)
    graph, cascading = freeze_cascade(graph, rows)
    graph = select_kernels(graph, features)
    return Quantized(verify(graph, "lowered"), curiosity, seen, notes, cascading)


def as_frozen(graph: Graph, x: Array, features: frozenset[str]) -> Quantized:
    """A lowered graph whose rules are frozen, its kernels chosen; real rows x show what they do."""
    rows = quantize_rows(graph, x)
    return frozen(verify(select_kernels(graph, features), "lowered"), rows)


def frozen(graph: Graph, rows: Array) -> Quantized:
    """The same of a graph whose kernels are chosen and rows of codes."""
    seen = observe(graph, rows)
    return Quantized(graph, frozen_curiosity(graph, seen), seen, (), frozen_cascade(graph, rows))


def holding(quantized: Quantized, hold: int) -> Quantized:
    """With that `hold` of its experts, and what it does on the calibration rows in their order.

    Raises BadInput for a model that never escalates, UnsupportedOp for a hold out of range.
    """
    try:
        graph = verify(with_hold(quantized.graph, hold), "lowered")
    except ValueError as error:
        raise BadInput(f'--hold {hold}: {error}; build a cascade, or rule="escalation"') from None
    curiosity, cascading = frozen_curiosity(graph, quantized.seen), quantized.cascading
    node = routed_node(graph)
    if cascading is not None and node is not None:
        cascading = effect(node.attrs, cascading.thresholds, cascading.stages)
    return replace(quantized, graph=graph, curiosity=curiosity, cascading=cascading)


def with_experts(graph: Graph, change: Callable[[Graph], Graph]) -> Graph:
    """`change` on the graph of every expert of a mixture or cascade, then on the graph itself."""
    return change(graph.with_nodes(n.with_experts(lambda _, own: change(own)) for n in graph.nodes))
