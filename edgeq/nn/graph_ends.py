"""The ends of a model of layers: its inputs on their way into a graph, its outputs out of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from edgeq.arrays import Shapes
from edgeq.errors import UnsupportedOp
from edgeq.ir import Graph
from edgeq.ir.ports import INPUT
from edgeq.nn.graph_constants import Loading
from edgeq.nn.graph_plan import device_shape
from edgeq.ops.add import Add
from edgeq.ops.concat import Concat
from edgeq.ops.graph_builder import Cursor
from edgeq.ops.op import Array


@dataclass(frozen=True)
class Several(Cursor):
    """All inputs of a model, or all outputs: what `Inputs` takes and `Outputs` gives."""

    parts: Mapping[str, Cursor] = field(default_factory=dict)


def entered(b: Loading, inputs: Shapes) -> Cursor:
    """What the first layer reads: the only input, or all of them."""
    parts = {name: b.input(name, device_shape(shape)) for name, shape in inputs.items()}
    return next(iter(parts.values())) if len(parts) == 1 else several(parts)


def several(parts: Mapping[str, Cursor]) -> Several:
    """Tensors that stand side by side."""
    return Several("", (), None, parts)


def check_one(x: Cursor) -> None:
    """Raises UnsupportedOp where a layer would read several tensors."""
    if isinstance(x, Several):
        raise UnsupportedOp(
            f"it reads one tensor, and there are {', '.join(x.parts)}; a model of several inputs "
            "begins with nn.Inputs, which joins them, and nn.Outputs stands last"
        )


def merged(b: Loading, path: str, merge: str, made: list[Cursor]) -> Cursor:
    """The branches of `Inputs` as one tensor: channels or features joined, or summed."""
    if merge == "concat":
        axis = len(made[0].shape) - 1
        return b.add(
            "Concat",
            path,
            Concat(axis),
            tuple(made),
            order=joined_order([(one.order, one.shape[0]) for one in made]),
        )
    first = made[0]
    if any(not same_order(first.order, one.order) for one in made):
        raise ValueError("its branches order their features differently; flatten inside all")
    total = first
    for i, one in enumerate(made[1:], start=2):
        name = path if i == len(made) else f"{path}.sum{i}"
        total = b.add("Add", name, Add(), (total, one), order=first.order)
    return total


def joined_order(made: Sequence[tuple[Array | None, int]]) -> Array | None:
    """How the features of joined tensors, of these orders and sizes, are ordered."""
    if all(order is None for order, _ in made):
        return None
    found, at = [], 0
    for order, size in made:
        found.append(at + (np.arange(size) if order is None else order))
        at += size
    return np.concatenate(found)


def same_order(a: Array | None, b: Array | None) -> bool:
    """Whether two tensors order their features alike."""
    return (a is None) == (b is None) and (a is None or b is None or np.array_equal(a, b))


def ends(last: Cursor) -> dict[str, Cursor]:
    """The outputs by name; "" names the only one."""
    return dict(last.parts) if isinstance(last, Several) else {"": last}


def finished(b: Loading, name: str, inputs: Shapes, last: Cursor, more: tuple[str, ...]) -> Graph:
    """The graph of all ends; `more`: what is told beside the answers."""
    found = ends(last)
    outputs = (*(end.name for end in found.values()), *more)
    graph = b.graph(name, next(iter(inputs)), outputs)
    names = () if tuple(inputs) == (INPUT,) else tuple(inputs)
    return replace(
        graph,
        inputs=tuple(inputs),
        input_names=names,
        output_names=tuple(found) if len(found) > 1 else (),
    )
