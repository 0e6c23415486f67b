"""A cascade's signals as ONNX nodes: int64 (1,), in steps of the integer signal."""

from collections.abc import Callable, Mapping

import numpy as np
from onnx import TensorProto, helper

from edgeq.emit.onnx_builder import OnnxBuilder
from edgeq.emit.onnx_router import numerator_of
from edgeq.ops.entropy import FRACTION_BITS
from edgeq.ops.heads import SPREAD_BITS

INT64 = TensorProto.INT64

OnnxSignal = Callable[[OnnxBuilder, int, str, str], str]
"""Of the codes int8 (1, classes) and the logits float (1, classes) of an answer, or of so many
heads, one behind the other."""


def _gap(b: OnnxBuilder, _heads: int, codes: str, _logits: str) -> str:
    """Largest less second largest; 0 for two equal maxima."""
    return _top_two(b, b.node("Cast", [codes], "codes", to=TensorProto.INT64))


def _ensemble(b: OnnxBuilder, heads: int, codes: str, _logits: str) -> str:
    """The same of the sums over heads."""
    wide = b.node("Cast", [codes], "codes", to=TensorProto.INT64)
    shape = b.constant("heads.shape", [heads, -1], np.int64)
    each = b.node("Reshape", [wide, shape], "heads")
    axes = b.constant("heads.axes", [0], np.int64)
    return _top_two(b, b.node("ReduceSum", [each, axes], "heads.sums", keepdims=1))


def _top_two(b: OnnxBuilder, wide: str) -> str:
    """Largest less second largest of int64 (1, classes), int64 (1,)."""
    two = b.constant("two", [2], np.int64)
    values, indices = f"{b.prefix}best", f"{b.prefix}best.indices"
    b.nodes.append(helper.make_node("TopK", [wide, two], [values, indices], name=values))
    weights = b.constant("difference", [[1, -1]], np.int64)
    signed = b.node("Mul", [values, weights], "best.signed")
    axes = b.constant("axes", [1], np.int64)
    return b.node("ReduceSum", [signed, axes], "gap", keepdims=0)


def _entropy(b: OnnxBuilder, _heads: int, _codes: str, logits: str) -> str:
    """-sum p ln p, nats in Q16."""
    ln_p = b.node("LogSoftmax", [logits], "ln_p", axis=1)
    p = b.node("Exp", [ln_p], "p")
    terms = b.node("Mul", [p, ln_p], "p_ln_p")
    axes = b.constant("axes", [1], np.int64)
    total = b.node("ReduceSum", [terms, axes], "minus_entropy", keepdims=0)
    unit = b.constant("unit", -(2.0**FRACTION_BITS), np.float32)
    steps = b.node("Round", [b.node("Mul", [total, unit], "entropy.steps")], "entropy.rounded")
    return b.node("Cast", [steps], "entropy", to=TensorProto.INT64)


def _spread(b: OnnxBuilder, heads: int, _codes: str, logits: str) -> str:
    """Unbiased variance of the heads' probabilities, summed over classes, in Q24."""
    shape = b.constant("heads.shape", [heads, -1], np.int64)
    numerator = numerator_of(b, "spread", b.node("Reshape", [logits, shape], "heads"), heads)
    real = b.node("Cast", [numerator], "spread.float", to=TensorProto.DOUBLE)
    unit = 2.0 ** (SPREAD_BITS - 30) / (heads * (heads - 1))
    scaled = b.node("Mul", [real, b.constant("spread.unit", unit, np.float64)], "spread.scaled")
    steps = b.node("Cast", [b.node("Round", [scaled], "spread.rounded")], "spread.steps", to=INT64)
    return b.node("Reshape", [steps, b.constant("spread.shape", [1], np.int64)], "spread.value")


ONNX_SIGNALS: Mapping[str, OnnxSignal] = {
    "gap": _gap,
    "entropy": _entropy,
    "monte_carlo": _spread,
    "ensemble": _ensemble,
    "router": _spread,
}
