"""Memory plan: which bytes of the static arena each tensor occupies, and when.

The model's inputs and outputs are the caller's buffers and stand outside the arena. A Reshape is a
second name of the same bytes. One expert runs at a time, so all experts of a mixture or cascade
(and the router's scratch, which is dead before an expert starts) share one region.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from edgeq.ir import Graph, Node
from edgeq.ir.ports import (
    INPUT,
    OUTPUT,
    input_names,
    inputs_of,
    is_plain,
    output_names,
    outputs_of,
    result_tensors,
)
from edgeq.kernels import kernel_named
from edgeq.ops import OPS
from edgeq.ops.op import Absent, Site

ALIGNMENT_BYTES = 8  # router scratch holds int64 sums
EXPERT_REGION = ".experts"
EXPERT_OUTPUT = ".expert_output"
ACCUMULATOR = ".accumulator"
SCRATCH = ".scratch"
CARRIED = ".carried"
MOST_STEPS = 1 << 30  # behind every node

ScratchBytes = Callable[[Graph, Node], int]


@dataclass(frozen=True)
class Buffer:
    """Bytes [offset, offset + bytes) of the arena, in use from step `first` to `last` inclusive.

    Step i is node i; a buffer that a node writes is in use while the node runs.
    """

    name: str
    bytes: int
    first: int
    last: int
    offset: int = -1

    def meets(self, other: "Buffer") -> bool:
        """True if both are in use at some step."""
        return self.first <= other.last and other.first <= self.last


@dataclass(frozen=True)
class MemoryPlan:
    """Places of a graph's tensors. `places` maps a tensor to a buffer's name, or to its port:
    INPUT or OUTPUT, and where a side has several "input:left" (`port_place`).

    `experts` are the plans inside the mixture's region, their offsets relative to it. `state` is
    what a node keeps from one inference to the next, in a region of its own, by the node's name.
    """

    graph: str
    buffers: tuple[Buffer, ...]
    places: Mapping[str, str]
    input_bytes: int
    output_bytes: int
    experts: tuple["MemoryPlan", ...] = ()
    state: tuple[Buffer, ...] = ()

    @property
    def state_bytes(self) -> int:
        """Of what one inference leaves for the next."""
        return max((_aligned(b.offset + b.bytes) for b in self.state), default=0)

    @property
    def arena_bytes(self) -> int:
        return max((_aligned(b.offset + b.bytes) for b in self.buffers), default=0)

    @property
    def lower_bound_bytes(self) -> int:
        """The most bytes in use at one step: no plan can be smaller."""
        return max((sum(b.bytes for b in self.in_use(s)) for s in self._steps()), default=0)

    def _steps(self) -> list[int]:
        return sorted({b.first for b in self.buffers})

    def in_use(self, step: int) -> tuple[Buffer, ...]:
        """Buffers in use while node `step` runs."""
        return tuple(b for b in self.buffers if b.first <= step <= b.last)

    def peak(self) -> tuple[Buffer, ...]:
        """Buffers in use at the fullest step, largest first."""
        if not self.buffers:
            return ()
        step = max(self._steps(), key=lambda s: sum(b.bytes for b in self.in_use(s)))
        return tuple(sorted(self.in_use(step), key=lambda b: (-b.bytes, b.name)))

    def largest(self) -> Buffer | None:
        """The largest live tensor; inside the experts when their region is the largest."""
        inner = (b for plan in self.experts if (b := plan.largest()) is not None)
        own = (b for b in self.buffers if not b.name.endswith(EXPERT_REGION))
        return max((*own, *inner), key=lambda b: b.bytes, default=None)

    def buffer(self, name: str) -> Buffer:
        """The buffer called `name`; KeyError when the plan has none."""
        for candidate in self.buffers:
            if candidate.name == name:
                return candidate
        raise KeyError(name)


def kernel_scratch(graph: Graph, node: Node) -> int:
    """Bytes that the node's kernel needs while it runs; none for a node without a kernel."""
    return kernel_named(node.kernel).scratch(graph, node) if node.kernel else 0


def plan_memory(
    graph: Graph,
    scratch_bytes: ScratchBytes = kernel_scratch,
    kept: Sequence[str] = (),
    carried: Buffer | None = None,
) -> MemoryPlan:
    """Offsets of all activations of `graph`, greedily from the largest buffer down.

    `scratch_bytes(graph, node)` is what a node needs beside its tensors; `kept` names tensors that
    are read behind the last node; `carried`: the arena's bytes that are the input. Raises
    ValueError for a graph whose output is its input, another output, or not made by a node.
    """
    roots = _roots(graph)
    external = _external(graph, roots)
    experts = tuple(plan for node in graph.nodes for plan in _experts(node, scratch_bytes))
    buffers = [
        *([] if carried is None else [carried]),
        *_activations(graph, roots, external, kept),
        *_extras(graph, scratch_bytes, max((p.arena_bytes for p in experts), default=0)),
    ]
    return MemoryPlan(
        graph.name,
        place(buffers),
        {name: external.get(root, root) for name, root in roots.items()},
        inputs_of(graph).extent,
        outputs_of(graph).extent,
        experts,
        _state(graph),
    )


def _experts(node: Node, scratch_bytes: ScratchBytes) -> Iterator[MemoryPlan]:
    """The plan of each expert: what one carries to the next stays where it is."""
    carried = None
    for expert in getattr(node.attrs, "experts", ()):
        plan = plan_memory(expert.graph, scratch_bytes, expert.kept, carried)
        carried = None
        if expert.carry:
            own = plan.buffer(plan.places[expert.carry])
            carried = Buffer(CARRIED, own.bytes, 0, MOST_STEPS, own.offset)
        yield plan


def _state(graph: Graph) -> tuple[Buffer, ...]:
    """What nodes keep, one behind the other in the order of the nodes; in use at every step."""
    found: list[Buffer] = []
    at = 0
    for node in graph.nodes:
        memory = OPS[node.op].memory
        if memory is None:
            continue
        size = memory.kind(node.attrs, Site(graph, node).io).bytes
        found.append(Buffer(node.name, size, 0, len(graph.nodes), at))
        at += _aligned(size)
    return tuple(found)


def port_place(side: str, name: str) -> str:
    """The place of a port in a graph with several on a side; `side` is INPUT or OUTPUT."""
    return f"{side}:{name}"


def port_of(place: str) -> tuple[str, str] | None:
    """(side, port) of a place that is a port, the port "" of the plain form; else None."""
    side, _, name = place.partition(":")
    return (side, name) if side in (INPUT, OUTPUT) else None


def _external(graph: Graph, roots: Mapping[str, str]) -> dict[str, str]:
    """The places of the ports, by the tensor whose bytes they are."""
    results, plain = result_tensors(graph), is_plain(graph)
    ins, outs = input_names(graph), output_names(graph)
    found = {
        t: INPUT if plain else port_place(INPUT, n) for t, n in zip(graph.inputs, ins, strict=True)
    }
    for tensor, name in zip(results, outs, strict=True):
        root = roots[tensor]
        if root in graph.inputs:
            raise ValueError(f"graph {graph.name!r} returns its own input; it computes nothing")
        if root in found:
            raise ValueError(f"graph {graph.name!r} returns the same bytes twice, as {name!r} too")
        found[root] = OUTPUT if plain else port_place(OUTPUT, name)
    return found


def _roots(graph: Graph) -> dict[str, str]:
    """Activation -> the tensor whose bytes it shares (itself but behind a Reshape)."""
    roots = {name: name for name in graph.inputs}
    for node in graph.nodes:
        roots[node.outputs[0]] = (
            roots[node.inputs[0]] if OPS[node.op].code is Absent.ALIAS else node.outputs[0]
        )
    return roots


def _activations(
    graph: Graph, roots: Mapping[str, str], external: Mapping[str, str], kept: Sequence[str]
) -> Iterable[Buffer]:
    first: dict[str, int] = {}
    last: dict[str, int] = {}
    for step, node in enumerate(graph.nodes):
        for name in (*node.inputs, node.outputs[0]):
            root = roots[name]
            first.setdefault(root, step)
            last[root] = step
    for name in kept:
        last[roots[name]] = len(graph.nodes)
    for root in first:
        if root not in external:
            yield Buffer(root, graph.tensors[root].bytes, first[root], last[root])


def _extras(graph: Graph, scratch: ScratchBytes, expert_bytes: int) -> Iterable[Buffer]:
    """Scratch of kernels; where experts run, their shared region and what a weighted sum needs."""
    for step, node in enumerate(graph.nodes):
        wanted = {SCRATCH: scratch(graph, node)}
        if getattr(node.attrs, "experts", ()):
            size = graph.tensors[node.outputs[0]].size
            gated = node.attrs.gate != "none"
            wanted = {
                EXPERT_REGION: max(expert_bytes, wanted[SCRATCH]),
                EXPERT_OUTPUT: size if gated else 0,
                ACCUMULATOR: 4 * size if gated else 0,
            }
        for suffix, count in wanted.items():
            if count:
                yield Buffer(node.name + suffix, count, step, step)


def place(buffers: Iterable[Buffer]) -> tuple[Buffer, ...]:
    """Each buffer, the largest first, at the lowest offset free for as long as it is in use."""
    given = list(buffers)
    placed = [b for b in given if b.offset >= 0]
    for buffer in sorted(
        (b for b in given if b.offset < 0), key=lambda b: (-b.bytes, b.first, b.name)
    ):
        offset = 0
        for other in sorted(placed, key=lambda b: b.offset):
            if buffer.meets(other) and other.offset < offset + buffer.bytes:
                offset = max(offset, _aligned(other.offset + other.bytes))
        placed.append(Buffer(buffer.name, buffer.bytes, buffer.first, buffer.last, offset))
    return tuple(sorted(placed, key=lambda b: (b.first, b.offset, b.name)))


def _aligned(count: int) -> int:
    return -(-count // ALIGNMENT_BYTES) * ALIGNMENT_BYTES
