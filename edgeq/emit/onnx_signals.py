"""A cascade's signals as ONNX nodes: int64 (1,), in steps of the integer signal."""

from collections.abc import Callable, Mapping

import numpy as np
from onnx import TensorProto, helper

from edgeq.emit.onnx_builder import OnnxBuilder
from edgeq.ops.entropy import FRACTION_BITS

OnnxSignal = Callable[[OnnxBuilder, str, str], str]
"""Of the codes int8 (1, classes) and the logits float (1, classes) of an answer."""


def _gap(b: OnnxBuilder, codes: str, _logits: str) -> str:
    """Largest less second largest of int8 (1, classes), int64 (1,); 0 for two equal maxima."""
    wide = b.node("Cast", [codes], "codes", to=TensorProto.INT64)
    two = b.constant("two", [2], np.int64)
    values, indices = f"{b.prefix}best", f"{b.prefix}best.indices"
    b.nodes.append(helper.make_node("TopK", [wide, two], [values, indices], name=values))
    weights = b.constant("difference", [[1, -1]], np.int64)
    signed = b.node("Mul", [values, weights], "best.signed")
    axes = b.constant("axes", [1], np.int64)
    return b.node("ReduceSum", [signed, axes], "gap", keepdims=0)


def _entropy(b: OnnxBuilder, _codes: str, logits: str) -> str:
    """-sum p ln p, nats in Q16."""
    ln_p = b.node("LogSoftmax", [logits], "ln_p", axis=1)
    p = b.node("Exp", [ln_p], "p")
    terms = b.node("Mul", [p, ln_p], "p_ln_p")
    axes = b.constant("axes", [1], np.int64)
    total = b.node("ReduceSum", [terms, axes], "minus_entropy", keepdims=0)
    unit = b.constant("unit", -(2.0**FRACTION_BITS), np.float32)
    steps = b.node("Round", [b.node("Mul", [total, unit], "entropy.steps")], "entropy.rounded")
    return b.node("Cast", [steps], "entropy", to=TensorProto.INT64)


ONNX_SIGNALS: Mapping[str, OnnxSignal] = {"gap": _gap, "entropy": _entropy}
