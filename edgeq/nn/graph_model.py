"""A float Graph, wherever it was read from, as an edgeq.nn.Model."""

from collections.abc import Mapping, Sequence
from typing import Any

from edgeq.arrays import CHANNELS_LAST, Layout
from edgeq.ir import Graph
from edgeq.nn.graph_body import body_of
from edgeq.nn.model import Model
from edgeq.passes.fold_batch_norm import fold_batch_norm
from edgeq.passes.lone_norms import convolve_lone_norms
from edgeq.passes.verify import verify


def graph_model(
    graph: Graph,
    input_shape: Sequence[int] | Mapping[str, Sequence[int]] | None = None,
    *,
    layout: Layout = CHANNELS_LAST,
    class_names: Sequence[str] | None = None,
    calibration: object = None,
    evaluation: tuple[Any, Any] | None = None,
    name: str | None = None,
) -> Model:
    """The model of a float graph: what every importer returns.

    `graph` has channels-last activations and float32 constants; weights with a Quant are codes
    and keep them, activations with one keep it in calibration. `input_shape` and `layout` are those
    of the rows that a user hands over: (C, H, W), (C, L) or (F,) channels first, by default the
    graph's own; of several inputs a dict, name -> shape in the graph's order. Raises UnsupportedOp
    for what no export could take.
    """
    verify(graph, "float")
    body = body_of(fold_batch_norm(convolve_lone_norms(graph)), layout, input_shape)
    model = Model(
        body,
        body.plan.input_shapes,
        class_names,
        calibration,
        evaluation,
        graph.name if name is None else name,
    )
    return model.eval()
