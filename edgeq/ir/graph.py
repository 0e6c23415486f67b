"""Graph: nodes, typed tensors, constants. Frozen; a pass returns a new one.

Shapes exclude the batch axis (the device runs batch 1; numpy runs many rows at once).
Feature maps are channels-last: (height, width, channels).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Place = tuple[str, str]  # of a node: (its expert's name or "", its own)


@dataclass(frozen=True)
class Quant:
    """Affine quantisation: real = scale * (q - zero_point). Several scales: along `axis`."""

    scale: tuple[float, ...]
    zero_point: int = 0
    axis: int | None = None

    @property
    def per_tensor(self) -> float:
        """The only scale; a ValueError for per-channel tensors."""
        if len(self.scale) != 1:
            raise ValueError("a per-channel tensor has no single scale")
        return self.scale[0]


@dataclass(frozen=True)
class TensorType:
    """Shape without batch, dtype (numpy name) and quantisation."""

    shape: tuple[int, ...]
    dtype: str = "float32"
    quant: Quant | None = None

    @property
    def size(self) -> int:
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def bytes(self) -> int:
        return self.size * np.dtype(self.dtype).itemsize


@dataclass(frozen=True)
class Node:
    """One op. `inputs` and `outputs` are activations; `params` maps a role to a constant's name.

    `staged`: its kernel reads the weights from the arena, where each inference puts them first.
    """

    name: str
    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attrs: Any
    params: Mapping[str, str] = field(default_factory=dict)
    kernel: str | None = None
    staged: bool = False

    def with_experts(self, change: Callable[[str, Graph], Graph]) -> Node:
        """With `change(name, graph)` for the graph of each of its experts, if it has any."""
        experts = getattr(self.attrs, "experts", ())
        if not experts:
            return self
        made = tuple(replace(e, graph=change(e.name, e.graph)) for e in experts)
        return replace(self, attrs=replace(self.attrs, experts=made))


@dataclass(frozen=True)
class Stream:
    """Of a graph whose rows are hops of a stream: `hop` frames each. An answer is made of `window`
    frames: before so many have come there is none. The last `lookahead` of them lie behind the
    window that it is of. `period_s`: from a frame to the next, None where nobody said. `axis`: of
    the input's shape, along which frames lie.
    """

    hop: int
    window: int
    lookahead: int = 0
    period_s: float | None = None
    axis: int = 0

    @property
    def first(self) -> int:
        """The row, from 0, of the first answer after a reset."""
        return -(-self.window // self.hop) - 1


@dataclass(frozen=True)
class Graph:
    """`tensors` types every activation and constant; `constants` holds the values.

    `input_names` and `output_names` name the ports (ir/ports.py); () names them by themselves.
    `stream`: of a graph that takes a window hop by hop.
    """

    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    nodes: tuple[Node, ...]
    tensors: Mapping[str, TensorType]
    constants: Mapping[str, Array]
    input_names: tuple[str, ...] = ()
    output_names: tuple[str, ...] = ()
    stream: Stream | None = None

    def type_of(self, name: str) -> TensorType:
        return self.tensors[name]

    def param(self, node: Node, role: str) -> Array:
        """Value of the constant that plays `role` for `node`."""
        return self.constants[node.params[role]]

    def params(self, node: Node) -> dict[str, Array]:
        """All constants of a node by role."""
        return {role: self.constants[name] for role, name in node.params.items()}

    def consumers(self, name: str) -> tuple[Node, ...]:
        return tuple(n for n in self.nodes if name in n.inputs)

    def readers(self, name: str) -> int:
        """How many nodes and graph outputs want the tensor: one reader means it may be fused."""
        return len(self.consumers(name)) + self.outputs.count(name)

    def producer(self, name: str) -> Node | None:
        return next((n for n in self.nodes if name in n.outputs), None)

    def making(self, tensors: Iterable[str]) -> frozenset[str]:
        """The names of the nodes that these tensors need."""
        needed, names = set(tensors), set[str]()
        for node in reversed(self.nodes):
            if not needed.isdisjoint(node.outputs):
                names.add(node.name)
                needed.update(node.inputs)
        return frozenset(names)

    def with_each(self, change: Callable[[str, Node], Node], owner: str = "") -> Graph:
        """Nodes as `change(owner, node)` makes them, an expert's under its name as owner."""
        return self.with_nodes(
            change(owner, node.with_experts(lambda name, graph: graph.with_each(change, name)))
            for node in self.nodes
        )

    def with_kernels(self, kernels: Mapping[Place, str]) -> Graph:
        """With another kernel for the nodes at these places."""

        def change(owner: str, node: Node) -> Node:
            return replace(node, kernel=kernels.get((owner, node.name), node.kernel))

        return self.with_each(change)

    def with_staged(self, places: Collection[Place]) -> Graph:
        """`staged` on the nodes at these places, and on no other."""
        return self.with_each(lambda owner, n: replace(n, staged=(owner, n.name) in places))

    def with_nodes(self, nodes: Iterable[Node]) -> Graph:
        return replace(self, nodes=tuple(nodes))

    def with_tensors(self, changes: Mapping[str, TensorType]) -> Graph:
        return replace(self, tensors={**self.tensors, **changes})

    def with_constants(
        self, values: Mapping[str, Array], types: Mapping[str, TensorType] | None = None
    ) -> Graph:
        """Adds or replaces constants; a type is derived from the array unless one is given."""
        derived = {k: TensorType(v.shape, str(v.dtype)) for k, v in values.items()}
        return replace(
            self,
            constants={**self.constants, **values},
            tensors={**self.tensors, **derived, **(types or {})},
        )

    def pruned(self) -> Graph:
        """Without tensors and constants that no node, input or output names."""
        used = set(self.inputs) | set(self.outputs)
        for node in self.nodes:
            used.update(node.inputs, node.outputs, node.params.values())
        return replace(
            self,
            tensors={k: v for k, v in self.tensors.items() if k in used},
            constants={k: v for k, v in self.constants.items() if k in used},
        )

    def dump(self) -> str:
        """The graph as text, one line a node."""
        return "\n".join(_dump_lines(self))


def _dump_lines(graph: Graph) -> Iterator[str]:
    head = ", ".join(f"{n}: {_type_text(graph.tensors[n])}" for n in graph.inputs)
    yield f"graph {graph.name}({head})"
    for node in graph.nodes:
        out = ", ".join(f"{n}: {_type_text(graph.tensors[n])}" for n in node.outputs)
        kernel = f" [{node.kernel}]" if node.kernel else ""
        yield f"  {out} = {node.op}({', '.join(node.inputs)}) {node.name}{kernel}"
        for expert in getattr(node.attrs, "experts", ()):
            yield from ("    " + line for line in _dump_lines(expert.graph))
    yield f"  return {', '.join(graph.outputs)}"


def _type_text(t: TensorType) -> str:
    shape = "x".join(map(str, t.shape)) or "scalar"
    if t.quant is None:
        return f"{t.dtype}[{shape}]"
    return f"{t.dtype}[{shape}] scale={t.quant.scale[0]:.6g} zero_point={t.quant.zero_point}"
