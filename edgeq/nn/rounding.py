"""Rounding that is learned, a layer at a time, to keep what the layer makes of real inputs.

After AdaRound (Nagel et al., arXiv 2004.10568): each weight goes up or down, not to the nearest; a
soft choice is trained on the layer's own output against that of the float model, with the inputs
that the layers quantised before it really give. Biases move along.
"""

import math

import torch
from torch import Tensor

from edgeq.nn.graph_body import GraphLayer
from edgeq.nn.graph_ops import run_op

STEPS, BATCH = 500, 64
RATE, BIAS_RATE = 2e-2, 2e-3
STRETCH, SHIFT = 1.2, -0.1  # of the sigmoid, so that it reaches 0 and 1
WARM = 0.2  # of the steps without a pull towards 0 and 1
PULL = 0.05
SHARPEST, SOFTEST = 2.0, 20.0  # of the pull's exponent
NEAREST_ONLY = ("ptq", "int1", "int2")  # signs and odd levels have no floor to choose from
EDGE = 0.49  # of a step: where a weight is put that is to round another way


def learn_rounding(layer: GraphLayer, x: Tensor, wanted: Tensor, seed: int = 0) -> None:
    """Moves weights, each as little as makes it round as learned, and the bias.

    `x` (rows, ...) is the layer's input, `wanted` the float model's output. Nothing happens to
    kinds without a floor, and to layers whose scales are not settled.
    """
    if layer.kind in NEAREST_ONLY or not layer.settled:
        return
    x, scale = layer.act(x).detach(), _per_row(layer)
    floor = (layer.weight.detach() / scale).floor()
    soft = _started((layer.weight.detach() / scale - floor).clamp(0.01, 0.99))
    assert layer.bias is not None  # every layer of a graph has one
    bias = layer.bias.detach().clone().requires_grad_()
    _train(layer, x, wanted, floor, soft, bias, seed)
    with torch.no_grad():
        codes = (floor + (_choice(soft) >= 0.5)).clamp(-layer.top, layer.top)
        near = layer.weight / scale
        layer.weight.copy_(torch.maximum(torch.minimum(near, codes + EDGE), codes - EDGE) * scale)
        layer.bias.copy_(bias)


def _per_row(layer: GraphLayer) -> Tensor:
    return layer.scale.reshape(-1, *[1] * (layer.weight.dim() - 1))


def _started(share: Tensor) -> Tensor:
    """What makes the soft choice equal the part of a step that is left."""
    inner = (share - SHIFT) / STRETCH
    return torch.log(inner / (1 - inner)).requires_grad_()


def _choice(soft: Tensor) -> Tensor:
    return (torch.sigmoid(soft) * STRETCH + SHIFT).clamp(0, 1)


def _train(
    layer: GraphLayer,
    x: Tensor,
    wanted: Tensor,
    floor: Tensor,
    soft: Tensor,
    bias: Tensor,
    seed: int,
) -> None:
    scale, size = _per_row(layer), float(wanted.var().clamp_min(1e-12))
    rates = [{"params": [soft], "lr": RATE}, {"params": [bias], "lr": BIAS_RATE * math.sqrt(size)}]
    optimizer = torch.optim.Adam(rates)
    generator = torch.Generator().manual_seed(seed)
    with torch.enable_grad():
        for step in range(STEPS):
            rows = torch.randint(len(x), (min(BATCH, len(x)),), generator=generator)
            codes = (floor + _choice(soft)).clamp(-layer.top, layer.top)
            weight = (codes * scale).movedim(0, layer.axis)
            made = run_op(
                layer.step.op, layer.step.attrs, [x[rows]], {"weight": weight, "bias": bias}
            )
            loss = (made - wanted[rows]).square().mean() / size + _pull(soft, step)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()


def _pull(soft: Tensor, step: int) -> Tensor:
    """Towards a choice: none at first, then ever sharper."""
    done = (step / STEPS - WARM) / (1 - WARM)
    if done < 0:
        return soft.new_zeros(())
    power = SOFTEST + (SHARPEST - SOFTEST) * done
    return PULL * (1 - (2 * _choice(soft) - 1).abs().pow(power)).mean()
