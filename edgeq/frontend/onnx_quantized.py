"""Readers of QuantizeLinear and DequantizeLinear: a file's scales become the graph's.

Codes of activations are int8 or uint8, with one scale; a Clip between the two narrows them, as
Brevitas writes 4 bits. Weights keep their codes where they are symmetric, with a scale an output.
"""

from dataclasses import replace

import numpy as np

from edgeq.frontend.findings import Refused
from edgeq.frontend.float_graph import Array
from edgeq.frontend.onnx_file import Operator
from edgeq.frontend.onnx_graph import Coded, Reader, Reading, axis_of
from edgeq.ir import Node, Quant, TensorType
from edgeq.ops import OPS
from edgeq.ops.functions import Clip
from edgeq.ops.op import WEIGHT_RANGE
from edgeq.ops.relu import Relu

SHIFT = {"int8": 0, "uint8": -128}  # from a file's code to the graph's
NEAR = 2e-3  # of a code, that float32 products leave
NARROW = 7  # largest code of 4 bits


def _quantize(g: Reading, op: Operator) -> None:
    if g.is_constant(op, 0):
        g.constants[op.outputs[0]] = _codes(g, op)
        return
    value, quant, shift = g.value(op), *_quant(g, op)
    g.coded[op.outputs[0]] = Coded(value, quant, shift)


def _dequantize(g: Reading, op: Operator) -> None:
    if g.is_constant(op, 0):
        return _constant(g, op)
    name = op.inputs[0]
    if name not in g.coded:
        g.value(op)  # says why there is none
        raise Refused("it reads what no QuantizeLinear has made")
    coded, (quant, _) = g.coded[name], _quant(g, op)
    if quant != coded.quant:
        raise Refused("its scale or zero point is not that of its QuantizeLinear")
    value = coded.value
    made = g.settled(_rectified(g, value.name, quant), quant)
    if (coded.low, coded.high) != (-128, 127):
        ends = [(n - quant.zero_point) * quant.per_tensor for n in (coded.low, coded.high)]
        made = g.settled(g.add("Clip", Clip(*ends), (made,)), quant)
    value = replace(value, name=made)
    return g.give(op, value.name, value.shape, value.axes, flat=value.flat)


def _rectified(g: Reading, name: str, quant: Quant) -> str:
    """With the ReLU that quantisers leave out where the codes' range clips as it does: the real
    model needs it, the integers have it for nothing.
    """
    node = g.producer(name)
    taken = node is not None and (
        node.op == "BatchNorm" or ("Relu" in OPS[node.op].fuses and node.attrs.activation == "none")
    )
    if quant.zero_point != -128 or not taken or g.tensors[name].quant is not None:
        return name
    six = abs(255 * quant.per_tensor - 6) < quant.per_tensor
    return g.add("Relu", Relu("relu6" if six else "relu"), (name,))


def clip_codes(g: Reading, op: Operator) -> None:
    """A Clip between the two."""
    coded = g.coded[op.inputs[0]]
    low, high = (
        default if end is None else int(end) + coded.shift
        for end, default in zip(g.clip_ends(op), (coded.low, coded.high), strict=True)
    )
    low, high = max(low, coded.low), min(high, coded.high)
    if low >= high:
        raise Refused(f"it clips codes to {low}, {high}")
    g.coded[op.outputs[0]] = replace(coded, low=low, high=high)


def _quant(g: Reading, op: Operator) -> tuple[Quant, int]:
    """(the activation's scale and zero point as int8, what is added to the file's codes)."""
    scale = g.real(op, 1)
    zero = g.optional(op, 2)
    kind = str(zero.dtype) if zero is not None else "uint8"
    if scale.size != 1 or (zero is not None and zero.size != 1):
        raise Refused(f"it has {scale.size} scales; activations take one")
    if kind not in SHIFT:
        raise Refused(f"it has codes of {kind}; activations take int8 or uint8")
    step, shift = float(scale.reshape(-1)[0]), SHIFT[kind]
    if step <= 0:
        raise Refused(f"it has scale {step:g}")
    return Quant((step,), (0 if zero is None else int(zero.reshape(-1)[0])) + shift), shift


def _steps(g: Reading, op: Operator, given: Array) -> tuple[Array, Array]:
    """Scale and zero point of each value of a constant."""
    scale, zero = g.real(op, 1), g.optional(op, 2)
    if op.get("block_size", 0):
        raise Refused("it has a scale a block")
    if (scale <= 0).any():
        raise Refused("it has scales that are not positive")
    both = [scale, np.zeros(1, np.int64) if zero is None else zero.astype(np.int64)]
    axis = axis_of(int(op.get("axis", 1)), given.ndim) if scale.size > 1 else 0
    if scale.size > 1 and scale.shape != (given.shape[axis],):
        raise Refused(f"it has scales {list(scale.shape)} of {list(given.shape)}")
    shape = [1] * given.ndim
    if scale.size > 1:
        shape[axis] = scale.size
    return tuple(np.broadcast_to(n.reshape(-1), scale.size).reshape(shape) for n in both)  # type: ignore[return-value]


def _codes(g: Reading, op: Operator) -> Array:
    """A constant's codes, of the zero point's type; bits that no numpy type has are one of 8."""
    given, zero = g.real(op, 0), g.optional(op, 2)
    scale, offset = _steps(g, op, given)
    kind = np.dtype(np.uint8) if zero is None else zero.dtype
    wide = np.rint(given / scale) + offset
    if kind.name in SHIFT:
        info = np.iinfo(kind)
        return np.asarray(np.clip(wide, info.min, info.max), kind)
    if kind.name == "int4":
        return np.asarray(np.clip(wide, -8, 7), kind)
    raise Refused(f"it has codes of {kind.name}; int8, uint8 and int4 are taken")


def _constant(g: Reading, op: Operator) -> None:
    """Its real numbers, and the scales that say which codes they were."""
    codes = g.constant(op, 0)
    narrow = codes.dtype.name == "int4"
    if codes.dtype.kind not in "iu" and not narrow:
        raise Refused(f"it has codes of {codes.dtype.name}")
    wide = codes.astype(np.int64)
    scale, offset = _steps(g, op, wide)
    real = ((wide - offset) * scale).astype(np.float32)
    g.constants[op.outputs[0]] = real
    held = int(np.abs(wide - offset).max(initial=0)) <= NARROW
    clipped = op.inputs[0] in g.narrow
    g.weight_scales[op.outputs[0]] = (scale.reshape(-1), held and (narrow or clipped))


def keep_codes(g: Reading, op: Operator, first: int) -> None:
    """Weights of the nodes from `first` on that are codes of the file's become them again."""
    known = [g.weight_scales[n] for n in op.inputs if n in g.weight_scales]
    nodes = [i for i in range(first, len(g.nodes)) if OPS[g.nodes[i].op].weight_axis is not None]
    if not known or not nodes:
        return
    scales, narrow = known[0]
    counts = [g.tensors[g.nodes[i].params["bias"]].shape[0] for i in nodes]
    alpha = abs(float(op.get("alpha", 1.0))) if op.op == "Gemm" else 1.0
    at = 0
    for i, count in zip(nodes, counts, strict=True):
        own = scales
        if scales.size == sum(counts):
            own = scales[at : at + count]
        at += count
        if own.size in (1, count):
            _as_codes(g, i, np.broadcast_to(own * np.float32(alpha), (count,)), narrow)


def _as_codes(g: Reading, place: int, scales: Array, narrow: bool) -> None:
    node: Node = g.nodes[place]
    name, axis = node.params["weight"], OPS[node.op].weight_axis
    real = g.values[name]
    shape = [1] * real.ndim
    shape[axis or 0] = -1
    steps = real / scales.reshape(shape)
    codes = np.rint(steps)
    kind = "s4" if narrow else "s8"
    if np.abs(codes).max(initial=0) > WEIGHT_RANGE[kind][1] or np.abs(steps - codes).max() > NEAR:
        return
    quant = Quant(tuple(float(s) for s in scales), 0, axis)
    g.values[name] = codes.astype(np.int8)
    g.tensors[name] = TensorType(real.shape, "int8", quant)
    g.nodes[place] = replace(node, attrs=replace(node.attrs, weight_format=kind))


QUANTIZED_READERS: dict[str, Reader] = {
    "QuantizeLinear": _quantize,
    "DequantizeLinear": _dequantize,
}
