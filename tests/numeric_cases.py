"""A graph for each way of an op that computes and that few networks have.

NUMERIC_CASES is the table.
Their TensorFlow Lite forms differ by steps, or have no reader.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from edgeq.ir import Graph, Node, TensorType
from edgeq.ops import OPS
from edgeq.ops.arg_max import ArgMax
from edgeq.ops.group_norm import GroupNorm
from edgeq.ops.l2_normalize import L2Normalize
from edgeq.ops.log_softmax import LogSoftmax
from edgeq.ops.prelu import PRelu
from edgeq.passes import quantize

Shape = tuple[int, ...]
MAP, ROWS = (4, 5, 6), (5, 12)
CASES: Mapping[str, tuple[Any, Shape, Mapping[str, Shape]]] = {
    "group norm": (GroupNorm(2), MAP, {"gamma": (6,), "beta": (6,)}),
    "group norm relu": (GroupNorm(3, 0, True, 1e-2, "relu"), MAP, {"gamma": (6,), "beta": (6,)}),
    "instance norm": (GroupNorm(6), MAP, {"gamma": (6,), "beta": (6,)}),
    "norm of all": (GroupNorm(1, 0, True, 1e-5, "relu6"), MAP, {"gamma": (6,), "beta": (6,)}),
    "norm of rows of maps": (GroupNorm(2, 1), MAP, {"gamma": (6,), "beta": (6,)}),
    "rms norm": (GroupNorm(1, 1, False), ROWS, {"gamma": (12,), "beta": (12,)}),
    "rms norm of features": (GroupNorm(1, 0, False), (24,), {"gamma": (24,), "beta": (24,)}),
    "prelu channels": (PRelu(), MAP, {"slope": (6,)}),
    "prelu cells": (PRelu(), ROWS, {"slope": (5, 12)}),
    "arg max": (ArgMax(), MAP, {}),
    "arg max of features": (ArgMax(), (200,), {}),
    "unit norm": (L2Normalize(), (24,), {}),
    "unit norms of a map": (L2Normalize(), MAP, {}),
    "log softmax": (LogSoftmax(), (10,), {}),
    "log softmax rows": (LogSoftmax(), MAP, {}),
}


def float_graph(name: str) -> Graph:
    """From x to y."""
    attrs, shape, sizes = CASES[name]
    rng, op = np.random.default_rng(3), type(attrs).__name__
    constants = {
        role: rng.normal(0.5, 1.0, size).astype(np.float32) for role, size in sizes.items()
    }
    tensors = {n: TensorType(shape) for n in ("x", "y")}
    tensors |= {role: TensorType(size) for role, size in sizes.items()}
    made = OPS[op].result_shape(attrs, (shape,), constants)
    tensors["y"] = TensorType(made)
    node = Node("one", op, ("x",), ("y",), attrs, {role: role for role in sizes})
    return Graph("g", ("x",), ("y",), (node,), tensors, constants)


def rows_of(name: str, rows: int = 12) -> np.ndarray[Any, Any]:
    """Real inputs."""
    return np.random.default_rng(4).normal(0.3, 1.5, (rows, *CASES[name][1])).astype(np.float32)


def _lowered(name: str) -> Callable[[], Graph]:
    return lambda: quantize(float_graph(name), rows_of(name), "minmax", frozenset()).graph


NUMERIC_CASES: Mapping[str, Callable[[], Graph]] = {name: _lowered(name) for name in CASES}
