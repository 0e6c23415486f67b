"""PyTorch's norms, softmaxes and what else works along one axis. ATEN_NORMS is the table."""

from collections.abc import Mapping

import numpy as np
import torch

from edgeq.frontend.findings import Refused
from edgeq.frontend.placed import Placed, Placing
from edgeq.frontend.torch_layers import (
    Arguments,
    Reader,
    activation,
    batch_norm,
    constant,
    last_axis_rows,
    numbers,
)
from edgeq.frontend.torch_parts import in_order
from edgeq.frontend.torch_values import axis_of
from edgeq.ops import OPS
from edgeq.ops.arg_max import ArgMax
from edgeq.ops.graph_builder import Cursor
from edgeq.ops.group_norm import GroupNorm
from edgeq.ops.op import Array
from edgeq.ops.prelu import PRelu


def with_last(b: Placing, x: Placed, axis: int, name: str) -> Placed:
    """`x` with that logical axis the last in memory; a flattened map has only one."""
    if x.order is not None or x.axes[-1] == axis:
        return x
    rest = [a for a in range(x.rank) if x.shape[a] == 1 and a != axis]
    rest += [a for a in x.long_axes if a != axis]
    axes = (*rest, axis)
    return Placed(b.arranged(x, axes, name).name, x.shape, axes)


def _softmax(op: str) -> Reader:
    def read(b: Placing, name: str, a: Arguments) -> Placed:
        x = activation(a["self"])
        x = with_last(b, x, axis_of(x, a["dim"]), name)
        made = b.add(op, name, OPS[op].attrs(), (Cursor(x.name, x.memory),))
        return Placed(made.name, x.shape, x.axes, x.order)

    return read


def _arg_max(b: Placing, name: str, a: Arguments) -> Placed:
    x = activation(a["self"])
    if a["dim"] is None:
        raise Refused("it is taken of all rows; say an axis")
    axis, keep = axis_of(x, a["dim"]), a["keepdim"]
    x = in_order(x)
    if x.rank == 1 and not keep:
        raise Refused("it leaves no axis beside the batch; keepdim=True is taken")
    x = with_last(b, x, axis, name)
    made = b.add("ArgMax", name, ArgMax(), (Cursor(x.name, x.memory),))
    shape = tuple(1 if i == axis else n for i, n in enumerate(x.shape))
    whole = Placed(made.name, shape, x.axes)
    return whole if keep else b.reshaped(whole, (*shape[:axis], *shape[axis + 1 :]), name)


def _prelu(b: Placing, name: str, a: Arguments) -> Placed:
    """A slope a channel, or one; along memory's last axes, from the channels' on."""
    x = activation(a["self"])
    weight = constant(a["weight"], "slope")
    if x.order is not None:
        slope = np.broadcast_to(weight, x.shape)[x.order]
    elif weight.size == 1:
        slope = np.broadcast_to(weight, x.memory[-1:])
    else:
        own = x.axes.index(0)
        wide = weight.reshape(-1, *[1] * (len(x.axes) - own - 1))
        slope = np.broadcast_to(wide, x.memory[own:])
    params = {"slope": b.constant(f"{name}.slope", np.ascontiguousarray(slope))}
    made = b.add("PRelu", name, PRelu(), (Cursor(x.name, x.memory),), params)
    return Placed(made.name, x.shape, x.axes, x.order)


def _scales(b: Placing, name: str, a: Arguments, count: int) -> dict[str, str]:
    """Gamma and beta, of nothing 1 and 0."""
    values: dict[str, Array] = {}
    for role, key, neutral in (("gamma", "weight", 1), ("beta", "bias", 0)):
        given = a.get(key)
        held = np.full(count, neutral, np.float32) if given is None else constant(given, key)
        values[role] = np.ascontiguousarray(held)
    return {role: b.constant(f"{name}.{role}", value) for role, value in values.items()}


def _grouped(b: Placing, name: str, a: Arguments, groups: int) -> Placed:
    x = in_order(activation(a["input"]))
    x = with_last(b, x, 0, name)
    params = _scales(b, name, a, x.shape[0])
    attrs = GroupNorm(groups, epsilon=float(a["eps"]))
    made = b.add("GroupNorm", name, attrs, (Cursor(x.name, x.memory),), params)
    return Placed(made.name, x.shape, x.axes)


def _group_norm(b: Placing, name: str, a: Arguments) -> Placed:
    return _grouped(b, name, a, int(a["num_groups"]))


def _instance_norm(b: Placing, name: str, a: Arguments) -> Placed:
    """A group a channel; with running statistics it is a batch norm."""
    if not a["use_input_stats"]:
        return batch_norm(b, name, {**a, "training": False})
    return _grouped(b, name, a, activation(a["input"]).shape[0])


def _rms_norm(b: Placing, name: str, a: Arguments) -> Placed:
    x = in_order(activation(a["input"]))
    x = last_axis_rows(b, name, x, numbers(a["normalized_shape"], 1))
    epsilon = torch.finfo(torch.float32).eps if a["eps"] is None else float(a["eps"])
    attrs = GroupNorm(1, len(x.memory) - 1, centred=False, epsilon=epsilon)
    params = _scales(b, name, a, x.shape[-1])
    made = b.add("GroupNorm", name, attrs, (Cursor(x.name, x.memory),), params)
    return Placed(made.name, x.shape, x.axes)


ATEN_NORMS: Mapping[str, Reader] = {
    "softmax": _softmax("Softmax"),
    "log_softmax": _softmax("LogSoftmax"),
    "argmax": _arg_max,
    "prelu": _prelu,
    "group_norm": _group_norm,
    "instance_norm": _instance_norm,
    "rms_norm": _rms_norm,
}
