"""A trained model made ready for its proof against an export's graph."""

from edgeq import nn
from edgeq.emit.firmware_layers import mixture_of
from edgeq.frontend.torch_answers import with_strength, with_thresholds
from edgeq.ir import Graph
from edgeq.ops.op import Array


def settle(model: nn.Model, graph: Graph, calibration: Array, *, anew: bool = False) -> None:
    """Curiosity, or thresholds, of the PyTorch model as `graph` ships them: weakened or frozen.

    `anew`: other rows than the stored ones calibrated the graph. Where none of these holds the
    model is compared as it was saved.
    """
    node = mixture_of(graph)
    if node is None:
        return
    if node.op == "Cascade":
        with_thresholds(model, graph)
        return
    router = node.attrs.router
    strengths = {(m.alpha, m.quantile) for m in model.mixtures}
    unfrozen = any(not mixture.curious for mixture in model.mixtures)
    if anew or unfrozen or strengths != {(router.alpha, router.quantile)}:
        with_strength(model, router, calibration)
