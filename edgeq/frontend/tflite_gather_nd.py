"""GATHER_ND of constant places: cells of the axes behind the batch, counted as one."""

import math

import numpy as np

from edgeq.frontend.findings import Refused
from edgeq.frontend.tflite_file import Operator
from edgeq.frontend.tflite_graph import Growing
from edgeq.frontend.tflite_shapes import batched
from edgeq.ops.gather import Gather


def gather_nd(g: Growing, op: Operator) -> None:
    """Every place names the batch, 0, and an index of each of some axes."""
    shape, tensor = batched(g.operand(op, 0)), g.operand(op, 1)
    if tensor.dtype not in ("int32", "int64") or not tensor.shape:
        raise Refused(f"its places are {tensor.dtype}{list(tensor.shape)}, not rows of int32")
    places = g.constant(tensor).reshape(-1, tensor.shape[-1])
    axes = shape[: places.shape[1] - 1]
    if not 2 <= places.shape[1] <= len(shape) + 1:
        raise Refused(f"its places have {places.shape[1]} numbers; 2 to {len(shape) + 1} are taken")
    ends = np.array((1, *axes))
    if ((places < 0) | (places >= ends)).any():
        raise Refused(f"it reads places outside {[1, *axes]}")
    g.same_scale(op)
    flat = np.ravel_multi_index(tuple(places[:, 1:].T), axes)
    rows = (math.prod(axes), *shape[len(axes) :])
    source = g.reshaped(op, g.value(op, 0), rows)
    g.add(op, "Gather", Gather(0, tuple(int(n) for n in flat)), (source,))
