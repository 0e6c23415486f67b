"""LayerNorm as int16 operators between two QUANTIZE: the scales come from bounds, not from data.

It normalises twice. LiteRT's int16 RSQRT interpolates a table of 512 intervals, so that small
variances come out wrong by up to a factor of 4 (TensorFlow Lite Micro computes it exactly). The
first round brings any deviation near 1, where the second round's table is good to 0.01 %:

    d = x - mean;  y = rsqrt(var(d) + eps);  z0 = d * y;  z = z0 * rsqrt(mean(z0^2) + eps * y^2)

The last factor is 1 / (y sqrt(var + eps)) exactly, whatever y came out.
"""

import math

import numpy as np

from edgeq.emit import tflite_steps as step
from edgeq.emit.tflite_writer import SubgraphWriter, Value
from edgeq.errors import UnsupportedOp
from edgeq.ir import Graph, Node, Quant
from edgeq.ops.layer_norm import FRACTION_BITS

LARGEST_SPREAD = 1e18
SPREAD = 255.0  # largest |x - mean| of int8 values, in steps
LEAST_DEVIATION = 4.0  # steps; below it the first round saturates and the second makes up for it
LARGEST_Z = 48.0
ROUND_TWO = step.symmetric16(2.0)  # mean(z0^2) lies in (0, 1.3]
INVERSE_TWO = step.symmetric16(8.0)


def layer_norm(sg: SubgraphWriter, graph: Graph, node: Node, x: Value, out: Quant) -> Value:
    """LayerNorm over the last axis of x (1, n) int8.

    Within 1 LSB of the integer reference for inputs whose deviation is 10 steps or more, 2 LSB
    from 3 steps, 4 LSB at 1 step, where int16 squares are coarse.
    """
    name, s = node.name, x.q.per_tensor
    if SPREAD * s > LARGEST_SPREAD:
        raise UnsupportedOp(
            f"TFLite: {name} (LayerNorm) reads steps of {s:.3g}, whose squares no float32 holds"
        )
    axis = len(x.shape) - 1
    wide = step.quantize(sg, name + ".x16", x, "int16", step.widened(x.q))
    mean = step.mean(sg, name + ".mean", wide, [axis], wide.q)
    d = step.subtract(sg, name + ".centred", wide, mean, wide.q)
    y = _coarse_inverse(sg, node, d, s)
    z = _refined(sg, node, d, y)
    return _affine(sg, graph, node, z, out)


def _coarse_inverse(sg: SubgraphWriter, node: Node, d: Value, s: float) -> Value:
    """About 1 / sqrt(var + eps), one number."""
    name, axis, epsilon = node.name, len(d.shape) - 1, node.attrs.epsilon
    square = step.multiply(sg, name + ".square", d, d, step.symmetric16((SPREAD * s) ** 2))
    # the variance of bounded values is at most a quarter of their squared range (Popoviciu)
    range_v = step.symmetric16((SPREAD * s / 2) ** 2 + epsilon)
    variance = step.mean(sg, name + ".variance", square, [axis], range_v)
    eps = step.constant16(sg, name + ".epsilon", np.full((1,) * len(d.shape), epsilon))
    safe = step.add(sg, name + ".variance_eps", variance, eps, range_v)
    largest = min(1 / (LEAST_DEVIATION * s), 1.1 / math.sqrt(epsilon))
    return step.rsqrt(sg, name + ".inverse", safe, step.symmetric16(largest))


def _refined(sg: SubgraphWriter, node: Node, d: Value, y: Value) -> Value:
    """The normalised value, saturating where the reference does."""
    name, axis, n = node.name, len(d.shape) - 1, d.shape[-1]
    peak = min(1.2 * math.sqrt(max(n - 1, 1)), LARGEST_Z)
    z0 = step.multiply(sg, name + ".z0", d, y, step.symmetric16(peak))
    square = step.multiply(sg, name + ".z0_square", z0, z0, step.symmetric16(peak**2))
    energy = step.mean(sg, name + ".energy", square, [axis], ROUND_TWO)
    largest = y.q.per_tensor * step.INT16_MAX
    share = node.attrs.epsilon * largest**2
    if share > ROUND_TWO.per_tensor / 4:
        y2 = step.multiply(sg, name + ".inverse2", y, y, step.symmetric16(largest**2))
        eps = step.constant16(sg, name + ".epsilon2", np.full(y.shape, node.attrs.epsilon))
        part = step.multiply(sg, name + ".epsilon_share", y2, eps, step.symmetric16(share))
        energy = step.add(sg, name + ".energy_eps", energy, part, ROUND_TWO)
    fix = step.rsqrt(sg, name + ".correction", energy, INVERSE_TWO)
    limit = min(peak, 2.0 ** (15 - FRACTION_BITS))
    return step.multiply(sg, name + ".z", z0, fix, step.symmetric16(limit))


def _affine(sg: SubgraphWriter, graph: Graph, node: Node, z: Value, out: Quant) -> Value:
    """gamma z + beta in 1/128 of an output step, then int8."""
    name, steps = node.name, 2.0 ** int(graph.param(node, "shift")[0]) / out.per_tensor
    gamma = graph.param(node, "gamma").astype(np.float64) * 2**FRACTION_BITS / steps
    beta = graph.param(node, "beta").astype(np.float64) / steps
    reach = SPREAD * out.per_tensor + float(np.abs(beta).max())
    peak = min(reach, z.q.per_tensor * step.INT16_MAX * float(np.abs(gamma).max()) + 1e-9)
    g = step.constant16(sg, name + ".gamma", gamma.reshape(1, -1))
    b = step.constant16(sg, name + ".beta", beta.reshape(1, -1))
    scaled = step.multiply(sg, name + ".scaled", z, g, step.symmetric16(peak))
    moved = step.add(sg, name + ".moved", scaled, b, step.widened(out), node.attrs.activation)
    return step.quantize(sg, node.outputs[0], moved, "int8", out)
