"""Cross-layer equalisation (Nagel et al., arXiv 1906.04721): channels between two layers rescaled.

A channel times s behind one layer and divided by s in front of the next answers the same, through
ReLU too. Chosen so that the second layer's weights reach equally far in every channel.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from edgeq.nn.graph_body import GraphBody, GraphLayer

MOST = 16.0  # a factor: beyond it the activations' one scale suffers more than weights gain


def equalize(body: GraphBody) -> int:
    """Rescales every pair in place; returns how many. The float answer stays."""
    pairs = list(pairs_of(body))
    with torch.no_grad():
        for first, second in pairs:
            _rescale(first, second)
    return len(pairs)


def pairs_of(body: GraphBody) -> Iterator[tuple[GraphLayer, GraphLayer]]:
    """Layers that follow each other with at most a ReLU between, read by nothing else."""
    steps, outputs = body.plan.steps, body.plan.outputs
    readers: dict[str, int] = dict.fromkeys(outputs, 1)
    for step in steps:
        for name in step.inputs:
            readers[name] = readers.get(name, 0) + 1
    made = {step.outputs[0]: step for step in steps}
    for layer in body.layers.values():
        name, source = layer.step.inputs[0], made.get(layer.step.inputs[0])
        while source is not None and source.op == "Relu" and readers[name] == 1:
            if source.attrs.activation != "relu":
                source = None
                break
            name = source.inputs[0]
            source = made.get(name)
        before = body.layers.get(source.name) if source is not None else None
        plain = before is not None and before.step.attrs.activation in ("none", "relu")
        if before is not None and plain and readers[name] == 1 and _reach(layer) is not None:
            yield before, layer


def _reach(layer: GraphLayer) -> Tensor | None:
    """The largest weight of each input channel; None for an op whose channels are not known."""
    weight = layer.weight.detach().abs()
    if layer.step.op == "DepthwiseConv2D":
        return weight.flatten(1).amax(1)
    if layer.step.op in ("Conv2D", "FullyConnected"):
        return weight.reshape(-1, weight.shape[-1]).amax(0)
    return None


def _rescale(first: GraphLayer, second: GraphLayer) -> None:
    after = _reach(second)
    assert after is not None  # pairs_of asked
    before = first.weight.detach().abs().flatten(1).amax(1)
    if len(before) != len(after):  # a group of its own, or a reshape in disguise
        return
    usable = (before > 0) & (after > 0)
    factor = torch.where(usable, (after / before.clamp_min(1e-12)).sqrt(), torch.ones_like(after))
    factor = (factor / factor.log().mean().exp()).clamp(1 / MOST, MOST)
    first.weight.mul_(factor.reshape(-1, *[1] * (first.weight.dim() - 1)))
    assert first.bias is not None
    first.bias.mul_(factor)
    if second.step.op == "DepthwiseConv2D":
        second.weight.div_(factor.reshape(-1, *[1] * (second.weight.dim() - 1)))
    else:
        second.weight.div_(factor)
