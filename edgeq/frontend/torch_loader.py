"""A trained edgeq.nn.Model -> its float Graph, codes as trained."""

import torch

from edgeq.errors import UnsupportedOp
from edgeq.ir import Graph
from edgeq.nn.graph import graph_of_body
from edgeq.nn.model import Model


def graph_of(model: torch.nn.Module) -> Graph:
    """The model's graph, weights as trained codes (or floats, for post-training quantisation).

    Raises UnsupportedOp listing every module without an op, by its path.
    """
    if not isinstance(model, Model):
        raise UnsupportedOp(f"{type(model).__name__} is not an edgeq.nn.Model; wrap it in one")
    model.eval()
    return graph_of_body(model.body, model.inputs, model.name)
