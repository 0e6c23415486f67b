"""LayerNorm as int16 operators between two QUANTIZE: the scales come from bounds, not from data.

It normalises twice. LiteRT's int16 RSQRT interpolates a table of 512 intervals, so that small
variances come out wrong by up to a factor of 4 (TensorFlow Lite Micro computes it exactly). The
first round brings any deviation near 1, where the second round's table is good to 0.01 %:

    d = x - mean;  y = rsqrt(var(d) + eps);  z0 = d * y;  z = z0 * rsqrt(mean(z0^2) + eps * y^2)

The last factor is 1 / (y sqrt(var + eps)) exactly, whatever y came out.
"""

import math

import numpy as np
from ai_edge_litert import (  # type: ignore[import-untyped,unused-ignore]
    schema_py_generated as schema,
)

from edgeq.emit import tflite_steps as step
from edgeq.emit.tflite_writer import SubgraphWriter, Value
from edgeq.errors import UnsupportedOp
from edgeq.ir import Graph, Node, Quant
from edgeq.ops.layer_norm import FRACTION_BITS
from edgeq.ops.op import Array

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
    _check_steps(name, "LayerNorm", s)
    axis = len(x.shape) - 1
    wide = step.quantize(sg, name + ".x16", x, "int16", step.widened(x.q))
    mean = step.mean(sg, name + ".mean", wide, [axis], wide.q)
    d = step.subtract(sg, name + ".centred", wide, mean, wide.q)
    z = _normalised(sg, node, d, s, centred=True)
    gamma, beta = (graph.param(node, role).reshape(1, -1) for role in ("gamma", "beta"))
    moved = _affine(sg, graph, node, z, out, (gamma, beta))
    return step.quantize(sg, node.outputs[0], moved, "int8", out)


def group_norm(sg: SubgraphWriter, graph: Graph, node: Node, x: Value, out: Quant) -> Value:
    """GroupNorm of x (1, ...) int8, channels last: as LayerNorm of rows, a group each."""
    name, s, attrs = node.name, x.q.per_tensor, node.attrs
    _check_steps(name, "GroupNorm", s)
    rows, cells = math.prod(x.shape[1 : attrs.rows + 1]), math.prod(x.shape[attrs.rows + 1 : -1])
    apart = (rows, attrs.groups, cells, x.shape[-1] // attrs.groups)
    together = (apart[0], apart[2], apart[1], apart[3])
    given = step.reshape(sg, name + ".cells", x, together)
    given = _exchanged(sg, name + ".groups", given)
    given = step.reshape(sg, name + ".rows", given, (apart[0] * apart[1], apart[2] * apart[3]))
    d = step.quantize(sg, name + ".x16", given, "int16", step.widened(x.q))
    if attrs.centred:
        mean = step.mean(sg, name + ".mean", d, [1], d.q)
        d = step.subtract(sg, name + ".centred", d, mean, d.q)
    z = step.reshape(sg, name + ".z4", _normalised(sg, node, d, s, attrs.centred), apart)
    both = [graph.param(node, role) for role in ("gamma", "beta")]
    gamma, beta = (values.reshape(1, apart[1], 1, apart[3]) for values in both)
    moved = _affine(sg, graph, node, z, out, (gamma, beta))
    made = _exchanged(sg, name + ".back", step.quantize(sg, name + ".y", moved, "int8", out))
    return step.reshape(sg, node.outputs[0], made, x.shape)


def _exchanged(sg: SubgraphWriter, name: str, x: Value) -> Value:
    """Its second and third axes exchanged; x itself where one of them is 1, under another shape."""
    shape = (x.shape[0], x.shape[2], x.shape[1], x.shape[3])
    if 1 in shape[1:3]:
        return step.reshape(sg, name, x, shape)
    y = sg.value(name, shape, x.dtype, x.quant)
    perm = sg.constant(name + ".perm", np.array([0, 2, 1, 3], np.int32))
    sg.op("TRANSPOSE", [x, perm], [y], schema.TransposeOptionsT())
    return y


def _check_steps(name: str, op: str, s: float) -> None:
    if SPREAD * s > LARGEST_SPREAD:
        raise UnsupportedOp(
            f"TFLite: {name} ({op}) reads steps of {s:.3g}, whose squares no float32 holds"
        )


def _normalised(sg: SubgraphWriter, node: Node, d: Value, s: float, centred: bool) -> Value:
    return _refined(sg, node, d, _coarse_inverse(sg, node, d, s, centred))


def _coarse_inverse(sg: SubgraphWriter, node: Node, d: Value, s: float, centred: bool) -> Value:
    """About 1 / sqrt(var + eps), one number."""
    name, axis, epsilon = node.name, len(d.shape) - 1, node.attrs.epsilon
    square = step.multiply(sg, name + ".square", d, d, step.symmetric16((SPREAD * s) ** 2))
    # the variance of bounded values is at most a quarter of their squared range (Popoviciu)
    range_v = step.symmetric16((SPREAD * s / (2 if centred else 1)) ** 2 + epsilon)
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


def _affine(
    sg: SubgraphWriter,
    graph: Graph,
    node: Node,
    z: Value,
    out: Quant,
    constants: tuple[Array, Array],
) -> Value:
    """gamma z + beta in 1/128 of an output step."""
    name, steps = node.name, 2.0 ** int(graph.param(node, "shift")[0]) / out.per_tensor
    gamma = constants[0].astype(np.float64) * 2**FRACTION_BITS / steps
    beta = constants[1].astype(np.float64) / steps
    reach = SPREAD * out.per_tensor + float(np.abs(beta).max())
    peak = min(reach, z.q.per_tensor * step.INT16_MAX * float(np.abs(gamma).max()) + 1e-9)
    g = step.constant16(sg, name + ".gamma", gamma)
    b = step.constant16(sg, name + ".beta", beta)
    scaled = step.multiply(sg, name + ".scaled", z, g, step.symmetric16(peak))
    return step.add(sg, name + ".moved", scaled, b, step.widened(out), node.attrs.activation)
