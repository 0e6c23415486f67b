"""Whole channels left out of a trained network: what its kernels need not compute.

Source: structured channel pruning as in SHIELD8-UAV (arXiv 2603.01069). Single weights that are
zero save nothing on a microcontroller; a channel less saves its row here, and its column in all
layers that read it. Channels go in fours, which kernels take at a time.
"""

from collections.abc import Mapping
from math import floor

import numpy as np
import torch

from edgeq.errors import BadInput, UnsupportedOp
from edgeq.nn.channels import SUMS, Float, fewer, readers
from edgeq.nn.graph_body import GraphLayer
from edgeq.nn.model import Model
from edgeq.nn.narrowed import LANES


def pruned(model: Model, keep: float | Mapping[str, float], x: object = None) -> Model:
    """A copy of a trained float model with the share `keep` (above 0, at most 1) of its channels.

    Of each layer, or of those named with a share each, the channels stay that say most: the mean
    square of what they answer on `x` (N, *input_shape; default the stored calibration set), times
    the squared weights that read them. Their number is a multiple of four, four at the least.
    Depthwise layers follow what they read. Layers whose channels are added to others, or are the
    answer, keep all. Train the result with `fit` or `distill`, then quantise it.
    Raises BadInput for shares out of range, a layer that is not there, quantised weights, and
    without data; UnsupportedOp for a named layer that must keep its channels, and for a model in
    which none may go.
    """
    of = Float.of("pruned", model, x)
    named = isinstance(keep, Mapping)
    own = [name for name, layer in of.body.layers.items() if layer.step.op in SUMS]
    shares = dict(keep) if isinstance(keep, Mapping) else dict.fromkeys(own, keep)
    for name, share in shares.items():
        of.check_layer(name)
        if isinstance(share, bool) or not 0 < share <= 1:
            raise BadInput(f"pruned: the share of {name} is {share}; give above 0, at most 1")
    graph, free = of.body.graph(of.model.name), 0

    def said_of(layer: GraphLayer, _: torch.Tensor, out: torch.Tensor) -> torch.Tensor:
        behind = {node.op for node in graph.consumers(layer.step.outputs[0])}
        return out.clamp_min(0.0) if behind == {"Relu"} else out

    energy = of.of_outputs(shares, said_of)
    for name, share in shares.items():
        try:
            found = readers("pruned", graph, name)
        except UnsupportedOp:
            if named:
                raise
            continue
        free += 1
        weight = energy[name] * np.sum([reader.reach(graph) for reader in found], axis=0)
        kept = np.argsort(-weight, kind="stable")[: _count(len(weight), share)]
        graph = fewer(graph, name, found, np.sort(kept))
    if not free:
        raise UnsupportedOp("pruned: every layer's channels are added to others, or are the answer")
    return of.around(graph)


def _count(channels: int, share: float) -> int:
    """A multiple of four near the share; what is no wider stays."""
    return min(channels, max(LANES, LANES * floor(channels * share / LANES + 0.5)))
