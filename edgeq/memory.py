"""Memory plan: which bytes of the static arena each tensor occupies, and when.

The model's inputs and outputs are the caller's buffers and stand outside the arena. A Reshape is a
second name of the same bytes. One expert runs at a time, so all experts of a mixture or cascade
(and the router's scratch, which is dead before an expert starts) share one region.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

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
from edgeq.kernels.parts import node_scratch
from edgeq.kernels.staging import staged_bytes
from edgeq.kernels.ways import Way
from edgeq.ops import OPS
from edgeq.ops.kept import memory_of
from edgeq.ops.op import Absent, Site
from edgeq.overlaps import Needs, ScratchBytes, options
from edgeq.placement import (
    Buffer,
    Order,
    Overlap,
    aligned,
    apart,
    end_of,
    in_use,
    lower_bound,
    place,
)

EXPERT_REGION = ".experts"
EXPERT_OUTPUT = ".expert_output"
ACCUMULATOR = ".accumulator"
SCRATCH = ".scratch"
STAGED = ".staged"
CARRIED = ".carried"
MOST_STEPS = 1 << 30  # behind every node


@dataclass(frozen=True)
class Bands:
    """A convolution in bands of `rows` rows of its output (of pixels, where kernels/bands.py takes
    them one by one), UP or DOWN.
    """

    rows: int
    order: Order


@dataclass(frozen=True)
class MemoryPlan:
    """Places of a graph's tensors. `places` maps a tensor to a buffer's name, or to its port:
    INPUT or OUTPUT, and where a side has several "input:left" (`port_place`).

    `experts` are the plans inside the mixture's region, their offsets relative to it. `state` is
    what a node keeps from one inference to the next, in a region of its own, by the node's name.
    `bands`: nodes that run in parts, so as to write over their input. `overlaps`: what might.
    `offsets`: where a tensor begins in its place, of those that do not begin with it.
    """

    graph: str
    buffers: tuple[Buffer, ...]
    places: Mapping[str, str]
    input_bytes: int
    output_bytes: int
    experts: tuple["MemoryPlan", ...] = ()
    state: tuple[Buffer, ...] = ()
    bands: Mapping[str, Bands] = field(default_factory=dict)
    overlaps: tuple[Overlap, ...] = ()
    offsets: Mapping[str, int] = field(default_factory=dict)

    @property
    def state_bytes(self) -> int:
        """Of what one inference leaves for the next."""
        return max((aligned(b.offset + b.bytes) for b in self.state), default=0)

    @property
    def arena_bytes(self) -> int:
        return end_of(self.buffers)

    @property
    def lower_bound_bytes(self) -> int:
        """The most bytes in use at one step: no plan with these bands can be smaller."""
        return lower_bound(self.buffers, self.overlaps)

    def bytes_at(self, step: int) -> int:
        """The least that what is in use at a step takes."""
        return in_use(self.buffers, self.overlaps, step)

    def _steps(self) -> list[int]:
        return sorted({b.first for b in self.buffers})

    def in_use(self, step: int) -> tuple[Buffer, ...]:
        """Buffers in use while node `step` runs."""
        return tuple(b for b in self.buffers if b.first <= step <= b.last)

    def peak(self) -> tuple[Buffer, ...]:
        """Buffers in use at the fullest step, largest first."""
        if not self.buffers:
            return ()
        step = max(self._steps(), key=self.bytes_at)
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
    return node_scratch(graph, node, kernel_named(node.kernel)) if node.kernel else 0


def plan_memory(
    graph: Graph,
    scratch_bytes: ScratchBytes | None = None,
    kept: Sequence[str] = (),
    carried: Buffer | None = None,
) -> MemoryPlan:
    """Offsets of all activations of `graph`, in as few bytes as its nodes' ways allow.

    `scratch_bytes(graph, node)` is what a node needs beside its tensors; by default each node's
    kernel says so, and may write over its input. `kept` names tensors that are read behind the last
    node; `carried`: the arena's bytes that are the input. Raises ValueError for a graph whose
    output is its input, another output, or not made by a node.
    """
    roots, offsets = _roots(graph)
    external = _external(graph, roots)
    experts = tuple(plan for node in graph.nodes for plan in _experts(node, scratch_bytes))
    expert_bytes = max((p.arena_bytes for p in experts), default=0)
    tensors = [
        *([] if carried is None else [carried]),
        *_activations(graph, roots, external, kept),
    ]
    needs = Needs(graph, roots, offsets, tensors, partial(_extras, graph, expert_bytes))
    plans = [
        _laid(needs, chosen, external, experts)
        for chosen in needs.choices(options(graph, scratch_bytes))
    ]
    return min(plans, key=lambda plan: plan.arena_bytes)  # of equal ones that with fewest calls


def _laid(
    needs: Needs,
    chosen: Mapping[str, Way],
    external: Mapping[str, str],
    experts: tuple[MemoryPlan, ...],
) -> MemoryPlan:
    """The plan with a way for each node."""
    graph, overlaps = needs.graph, needs.overlaps(chosen)
    buffers = place(needs.buffers(chosen), overlaps)
    return MemoryPlan(
        graph.name,
        buffers,
        {name: external.get(root, root) for name, root in needs.roots.items()},
        inputs_of(graph).extent,
        outputs_of(graph).extent,
        experts,
        _state(graph),
        dict(_bands(needs, chosen, {b.name: b for b in buffers})),
        overlaps,
        needs.offsets,
    )


def _bands(
    needs: Needs, chosen: Mapping[str, Way], placed: Mapping[str, Buffer]
) -> Iterator[tuple[str, Bands]]:
    """Of nodes whose output lies on their input, and those that have scratch for a band alone."""
    for node in needs.graph.nodes:
        read, written = (placed.get(needs.roots[n]) for n in (node.inputs[0], node.outputs[0]))
        way, order = chosen[node.name], Order.UP
        if not way.rows:
            continue
        if read is None or written is None or apart(read, written):
            if way.scratch >= kernel_scratch(needs.graph, node):
                continue
        else:
            overlap = Overlap(read.name, written.name, way.up, way.down)
            found = overlap.order(read.offset, written.offset)
            assert found is not None  # `place` saw to it
            order = found
        yield node.name, Bands(way.rows, order)


def _experts(node: Node, scratch_bytes: ScratchBytes | None) -> Iterator[MemoryPlan]:
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
        memory = memory_of(node)
        if memory is None:
            continue
        size = memory.kind(node.attrs, Site(graph, node).io).bytes
        found.append(Buffer(node.name, size, 0, len(graph.nodes), at))
        at += aligned(size)
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


def _roots(graph: Graph) -> tuple[dict[str, str], dict[str, int]]:
    """Activation -> the tensor whose bytes it shares (itself but behind a Reshape, and for a part
    of another), and where in those it begins, of parts that do not begin with them.
    """
    parts = {part: (whole, at) for node in graph.nodes for part, whole, at in _parts(graph, node)}
    roots = {name: name for name in graph.inputs}
    for node in graph.nodes:
        made = node.outputs[0]
        alias = OPS[node.op].code is Absent.ALIAS
        roots[made] = roots[node.inputs[0]] if alias else parts.get(made, (made, 0))[0]
    return roots, {part: at for part, (_, at) in parts.items() if at}


def _parts(graph: Graph, node: Node) -> Iterator[tuple[str, str, int]]:
    """(part, whole, where it begins) of a node whose inputs are parts of its output."""
    if OPS[node.op].code is Absent.PARTS:
        at = 0
        for name in node.inputs:
            yield name, node.outputs[0], at
            at += graph.tensors[name].bytes


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


def _extras(
    graph: Graph, expert_bytes: int, step: int, node: Node, scratch: int
) -> tuple[Buffer, ...]:
    """Scratch of a kernel and the weights that it reads from there; where experts run, their shared
    region and what a weighted sum needs.
    """
    wanted = {SCRATCH: scratch, STAGED: staged_bytes(graph, node) if node.staged else 0}
    if getattr(node.attrs, "experts", ()):
        size = graph.tensors[node.outputs[0]].size
        gated = node.attrs.gate != "none"
        wanted = {
            EXPERT_REGION: max(expert_bytes, scratch),
            EXPERT_OUTPUT: size if gated else 0,
            ACCUMULATOR: 4 * size if gated else 0,
        }
    return tuple(Buffer(node.name + k, count, step, step) for k, count in wanted.items() if count)
