"""Runs an emitted ONNX model in onnxruntime, for the comparison with the reference.

The optimisation level is BASIC: the default fuses DequantizeLinear and MatMul of low-bit weights
into a kernel that quantises activations by itself, and so computes another model.
"""

from collections.abc import Sequence

import numpy as np
import onnxruntime as ort  # type: ignore[import-untyped]

from edgeq.emit.runs import INPUT, OUTPUT, End, FormEnds, OnnxRun
from edgeq.ops.op import Array

ROUTE, UNCERTAINTY = "route", "uncertainty"


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


def run_onnx(model: bytes, x: Array, ends: FormEnds | None = None) -> OnnxRun:
    """The model on float rows x (rows, *row shape), maps channels-last.

    `ends`: of a file with several ports or a state; its rows are then a sequence from a reset.
    """
    session = onnx_session(model)
    ends = ends or FormEnds((End(INPUT, x.shape[1:], "int8"),), (OUTPUT,))
    given = {name: _channels_first(rows) for name, rows in ends.split(x).items()}
    if session.get_inputs()[0].shape[0] != 1:
        made = session.run(list(ends.outputs), given)
        return OnnxRun(_joined(made), np.full(len(x), -1), np.zeros(len(x), np.float32))
    more = [o.name for o in session.get_outputs() if o.name in (ROUTE, UNCERTAINTY)]
    names = [*ends.outputs, *more, *(state.output for state in ends.states)]
    kept = {state.given.name: _zeros(state.given) for state in ends.states}
    rows = []
    for at in range(len(x)):
        row = {name: values[at : at + 1] for name, values in given.items()}
        made = dict(zip(names, session.run(names, row | kept), strict=True))
        kept = {state.given.name: made[state.output] for state in ends.states}
        rows.append(made)

    def column(name: str) -> Array:
        return np.concatenate([made[name] for made in rows])

    output = _joined([column(name) for name in ends.outputs])
    if not more:
        return OnnxRun(output, np.full(len(x), -1), np.zeros(len(x), np.float32))
    return OnnxRun(output, column(ROUTE), column(UNCERTAINTY))


def _channels_first(x: Array) -> Array:
    return np.ascontiguousarray(x.transpose(0, 3, 1, 2) if x.ndim == 4 else x, dtype=np.float32)


def _zeros(end: End) -> Array:
    return _channels_first(np.zeros((1, *end.shape), np.float32))


def _joined(outputs: Sequence[Array]) -> Array:
    """Channels last, of several outputs one after another."""
    if len(outputs) == 1:
        return outputs[0]
    last = [y.transpose(0, 2, 3, 1) if y.ndim == 4 else y for y in outputs]
    return np.concatenate([y.reshape(len(y), -1) for y in last], axis=1)
