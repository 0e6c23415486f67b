"""Seeded codes for each layer of a firmware by itself, and the reference's answers to them.

What a model's rows bring to its inner layers is narrow: a rounding that is wrong only for large
sums, or a bound that no sum of theirs meets, would pass. So a layer is fed at its kernel's entry.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from edgeq.emit.firmware_layers import Layer, mixture_of
from edgeq.estimating.routes import all_routes, route_names
from edgeq.ir import Graph, TensorType
from edgeq.ir.ports import limits
from edgeq.ops import OPS
from edgeq.ops.kept import memory_of
from edgeq.ops.op import Absent, Array, quant_of
from edgeq.prove.trials import Trial
from edgeq.reference import io_of

NEAR = 3  # codes that the third kind lies from the zero point, so that sums lie around nothing

Codes = Callable[[np.random.Generator, TensorType, int], Array]


@dataclass(frozen=True)
class Fed:
    """The bytes of each input of a layer, in the node's order, and those of its output."""

    inputs: tuple[bytes, ...]
    output: bytes


class Drills:
    """`count` inputs for every layer that keeps nothing from row to row; `owners`, names of experts
    or "" for the main graph, are whose layers are fed at the moment.
    """

    def __init__(self, layers: Collection[Layer], count: int, seed: int = 0) -> None:
        self.count, self.owners = count, frozenset[str]()
        self._left = {
            layer.info.index: _fed(layer, count, np.random.default_rng([seed, layer.info.index]))
            for layer in layers
            if memory_of(layer.node) is None
        }
        self.owning = frozenset(layer.info.expert or "" for layer in layers)
        self.done = Counter[int]()

    def next(self, layer: Layer) -> Fed | None:
        """What to feed the layer with; None when it is not its turn or has had all."""
        left = self._left.get(layer.info.index)
        if not left or (layer.info.expert or "") not in self.owners:
            return None
        self.done[layer.info.index] += 1
        return left.pop()

    @property
    def least(self) -> int:
        """How often the layer was fed that was fed the least; 0 without one."""
        return min((self.done[index] for index in self._left), default=0)


def turns(
    graph: Graph, asked: Sequence[Trial], owning: frozenset[str]
) -> Iterator[tuple[frozenset[str], list[Trial]]]:
    """Whose layers are fed together, and the trials that reach them."""
    if "" in owning:
        yield frozenset({""}), list(asked)
    node = mixture_of(graph)
    if node is None:
        return
    for route in all_routes(graph):
        names = route_names(graph, route)
        last = names[-1:] if node.op == "Cascade" else names
        if owning.intersection(last):
            yield frozenset(last), [trial for trial in asked if trial.experts == route]


def _fed(layer: Layer, count: int, rng: np.random.Generator) -> list[Fed]:
    """`count` rows of codes for a layer, of all kinds in turn, and what the reference answers."""
    graph, node = layer.graph, layer.node
    roots = {name: _root(graph, name) for name in node.inputs}
    given = {root: _rows(rng, graph.tensors[root], count) for root in dict.fromkeys(roots.values())}
    inputs = tuple(
        given[roots[name]].reshape(count, *graph.tensors[name].shape) for name in node.inputs
    )
    made = OPS[node.op].reference(node.attrs, io_of(graph, node), inputs, graph.params(node))
    return [Fed(tuple(x[i].tobytes() for x in inputs), made[i].tobytes()) for i in range(count)]


def _root(graph: Graph, name: str) -> str:
    """The tensor whose bytes it is: two inputs of a node may be one under two shapes."""
    node = graph.producer(name)
    if node is None or OPS[node.op].code is not Absent.ALIAS:
        return name
    return _root(graph, node.inputs[0])


def _rows(rng: np.random.Generator, kind: TensorType, count: int) -> Array:
    return np.stack([DRAWS[i % len(DRAWS)](rng, kind, i) for i in range(count)])


def _any(rng: np.random.Generator, kind: TensorType, _: int) -> Array:
    low, high = limits(kind)
    return rng.integers(low, high, kind.shape, dtype=kind.dtype, endpoint=True)


def _ends(rng: np.random.Generator, kind: TensorType, turn: int) -> Array:
    """The lowest and the highest code: as many of each, then nearly all of one."""
    low, high = limits(kind)
    share = (0.5, 0.97, 0.03)[turn // len(DRAWS) % 3]
    return np.where(rng.random(kind.shape) < share, high, low).astype(kind.dtype)


def _near(rng: np.random.Generator, kind: TensorType, _: int) -> Array:
    zero = quant_of(kind).zero_point
    codes = zero + rng.integers(-NEAR, NEAR, kind.shape, endpoint=True)
    return np.clip(codes, *limits(kind)).astype(kind.dtype)


DRAWS: Sequence[Codes] = (_any, _ends, _near)
