"""A lowered graph for each way of a recurrent op: RECURRENT_CASES is the table."""

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from edgeq.ir import Graph, Node, TensorType
from edgeq.ops.gru import Gru
from edgeq.ops.lstm import Lstm
from edgeq.ops.mgu import Mgu
from edgeq.passes import quantize
from edgeq.passes.select_kernels import select_kernels
from edgeq.passes.stream import stream

CASES: Mapping[str, tuple[Lstm, tuple[int, int], int]] = {
    "lstm": (Lstm(-11), (9, 7), 5),
    "lstm of many steps": (Lstm(-11), (60, 3), 12),
    "lstm of one step": (Lstm(-12), (1, 4), 6),
    "lstm of a coarse, clipped cell": (Lstm(-9, 300), (6, 3), 7),
    "lstm of a fine cell": (Lstm(-15), (40, 4), 12),  # which saturates
}
GRUS: Mapping[str, tuple[Gru, tuple[int, int], int]] = {
    "gru": (Gru(), (9, 7), 5),
    "gru of many steps": (Gru(), (60, 3), 12),
    "gru of one step": (Gru(), (1, 4), 7),
    "gru of large sums": (Gru(), (40, 5), 16),
}
MGUS: Mapping[str, tuple[Mgu, tuple[int, int], int]] = {
    "mgu": (Mgu(), (9, 7), 5),
    "mgu of many steps": (Mgu(), (60, 3), 12),
    "mgu of one step": (Mgu(), (1, 4), 7),
    "mgu of large sums": (Mgu(), (40, 5), 16),
    "mgu nearly shut": (Mgu(), (80, 3), 24),  # its state adds up a gate of a few 2^-15
}
LAYERS: Mapping[str, tuple[Lstm | Gru | Mgu, tuple[int, int], int]] = {**CASES, **GRUS, **MGUS}
GATES: Mapping[type, int] = {Lstm: 4, Gru: 3, Mgu: 2}
# no cell that floats would not have
PLAIN = tuple(f"{op}{size}" for op in ("lstm", "gru", "mgu") for size in ("", " of one step"))


def float_graph(name: str) -> Graph:
    """From x to y."""
    attrs, (steps, features), units = LAYERS[name]
    rng, rows = np.random.default_rng(3), GATES[type(attrs)] * units
    sizes = {"input_weight": (rows, features), "recurrent_weight": (rows, units), "bias": (rows,)}
    sizes |= {} if isinstance(attrs, Lstm) else {"recurrent_bias": (rows,)}
    spread = 3.0 if name.endswith("of large sums") else 0.7  # its sums are all that Q3.12 has
    constants = {r: rng.normal(0.0, spread, size).astype(np.float32) for r, size in sizes.items()}
    if name == "mgu nearly shut":
        constants["input_weight"][:units] *= 0.4
        constants["bias"] = np.repeat(np.float32([-7, 3]), units)
    tensors = {role: TensorType(size) for role, size in sizes.items()}
    tensors |= {"x": TensorType((steps, features)), "y": TensorType((steps, units))}
    node = Node("one", type(attrs).__name__, ("x",), ("y",), attrs, {role: role for role in sizes})
    return Graph("g", ("x",), ("y",), (node,), tensors, constants)


def rows_of(name: str, rows: int = 12) -> np.ndarray:
    """Real inputs."""
    return np.random.default_rng(4).normal(0.0, 1.0, (rows, *LAYERS[name][1])).astype(np.float32)


def _lowered(name: str) -> Callable[[], Graph]:
    return lambda: quantize(float_graph(name), rows_of(name), "minmax", frozenset()).graph


RECURRENT_CASES: Mapping[str, Callable[[], Graph]] = {name: _lowered(name) for name in LAYERS}


def _carried(name: str, hop: int, wait: int) -> Callable[[], Graph]:
    """One step of a sequence whose state is kept, `wait` rows after a reset."""

    def make() -> Graph:
        step = stream(RECURRENT_CASES[name](), hop, carry=True)
        nodes = [
            replace(n, attrs=replace(n.attrs, wait=wait)) if n.name == "one" else n
            for n in step.nodes
        ]
        return select_kernels(step.with_nodes(nodes), frozenset())

    return make


CARRIED_CASES: Mapping[str, Callable[[], Graph]] = {
    "lstm": _carried("lstm", 1, 0),
    "lstm, three frames a step": _carried("lstm", 3, 2),
    "lstm of a coarse, clipped cell": _carried("lstm of a coarse, clipped cell", 2, 1),
    "gru": _carried("gru", 1, 2),
    "gru, three frames a step": _carried("gru", 3, 0),
    "mgu": _carried("mgu", 1, 2),
    "mgu, three frames a step": _carried("mgu", 3, 0),
    **{
        f"{name}, all at once": _carried(name, LAYERS[name][1][0], 0)
        for name in LAYERS
        if name.endswith(("many steps", "fine cell", "large sums", "nearly shut"))
    },
}
