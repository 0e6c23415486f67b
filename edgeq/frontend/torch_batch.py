"""Operators of PyTorch that move the batch, as attention does: read with the batch as an axis.

A module is traced and run row by row, so that the batch is one axis of 1. Where an operator moves
it away from the front, the value is kept with all its axes (Whole) until an axis of 1 leads again.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from edgeq.frontend.findings import Refused
from edgeq.frontend.placed import Placed, Placing
from edgeq.frontend.torch_layers import Arguments, Reader
from edgeq.frontend.torch_products import ATEN_PRODUCTS
from edgeq.frontend.torch_values import ATEN_VALUES

TAKEN = {
    *ATEN_VALUES, *ATEN_PRODUCTS, "linear", "layer_norm", "rms_norm", "select", "slice", "split",
    "split_with_sizes", "chunk", "cat", "concat", "softmax", "log_softmax",
}  # fmt: skip
AXES = ("dim", "dim0", "dim1", "start_dim", "end_dim")


@dataclass(frozen=True)
class Whole:
    """A value whose batch lies behind other axes: `placed` has all axes."""

    placed: Placed


def moves_batch(op: str, a: Arguments) -> bool:
    """Whether a value has all its axes before or behind the operator."""
    if any(isinstance(v, Whole) for v in _values(a)):
        return True
    x = a.get("self")
    if not isinstance(x, Placed):
        return False
    if op == "permute":
        return bool(a["dims"][0] % (x.rank + 1))
    both = [a[k] % (x.rank + 1) for k in ("dim0", "dim1")] if op == "transpose" else []
    return 0 in both and both[0] != both[1]


def _values(a: Mapping[Any, Any]) -> list[object]:
    parts = [v if isinstance(v, list | tuple) else [v] for v in a.values()]
    return [each for part in parts for each in part]


def read_whole(
    b: Placing, reader: Reader, op: str, name: str, a: Arguments
) -> Placed | Whole | list[Placed | Whole]:
    """The operator on values with all their axes. Refused: one that counts on a batch in front."""
    if op not in TAKEN:
        raise Refused("it works along the batch, which lies behind other axes here")
    made = reader(b, name, _with_all_axes(b, name, op, a))
    if isinstance(made, list):
        return [_settled(b, name, each) for each in made]
    return _settled(b, name, made)


def _with_all_axes(b: Placing, name: str, op: str, a: Arguments) -> dict[str, Any]:
    """The arguments as a reader takes them that counts a batch in front of all axes."""
    found = {key: _whole(b, name, value) for key, value in a.items()}
    for key in AXES:
        if key in a:
            found[key] = _shifted(a[key])
    if op == "permute":
        rank = len(a["dims"])
        found["dims"] = [0, *(d % rank + 1 for d in a["dims"])]
    for key in ("shape", "size"):
        if op in ("view", "reshape", "_unsafe_view") and key in a:
            found[key] = [1, *a[key]]
    return found


def _shifted(dim: object) -> object:
    """From the end an axis counts as before."""
    if isinstance(dim, list | tuple):
        return [_shifted(d) for d in dim]
    return dim + 1 if isinstance(dim, int) and dim >= 0 else dim


def _whole(b: Placing, name: str, value: object) -> object:
    if isinstance(value, Whole):
        return value.placed
    if isinstance(value, Placed):
        return b.reshaped(value, (1, *value.shape), name)
    if isinstance(value, list | tuple):
        return [_whole(b, name, each) for each in value]
    return value


def _settled(b: Placing, name: str, x: Placed) -> Placed | Whole:
    """Without the axis of 1 in front, which is a batch again."""
    if x.rank > 1 and x.shape[0] == 1:
        return b.reshaped(x, x.shape[1:], name)
    return Whole(x)
