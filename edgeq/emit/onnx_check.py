"""Runs an emitted ONNX model in onnxruntime, for the comparison with the reference.

The optimisation level is BASIC: the default fuses DequantizeLinear and MatMul of low-bit weights
into a kernel that quantises activations by itself, and so computes another model.
"""

import numpy as np
import onnxruntime as ort  # type: ignore[import-untyped]

from edgeq.emit.runs import OnnxRun
from edgeq.ops.op import Array


def onnx_session(model: bytes, profile_prefix: str | None = None) -> ort.InferenceSession:
    """A CPU session with one thread; `profile_prefix` starts onnxruntime's node profile there."""
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    if profile_prefix is not None:
        options.enable_profiling = True
        options.profile_file_prefix = profile_prefix
    return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def run_onnx(model: bytes, x: Array) -> OnnxRun:
    """The model on float rows x (rows, *edgeq shape), maps channels-last."""
    session = onnx_session(model)
    rows = np.ascontiguousarray(x.transpose(0, 3, 1, 2) if x.ndim == 4 else x, dtype=np.float32)
    free_batch = session.get_inputs()[0].shape[0] != 1
    if free_batch:
        (output,) = session.run(None, {"input": rows})
        return OnnxRun(output, np.full(len(x), -1), np.zeros(len(x), np.float32))
    columns = zip(*(session.run(None, {"input": row[None]}) for row in rows), strict=True)
    output, route, uncertainty = (np.concatenate(column) for column in columns)
    return OnnxRun(output, route, uncertainty)
