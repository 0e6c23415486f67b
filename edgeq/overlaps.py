"""Which tensors of a graph may lie on one another, and which layers run in bands for it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from edgeq.ir import Graph, Node
from edgeq.kernels.ways import Way, ways
from edgeq.placement import Buffer, Overlap, in_use

ScratchBytes = Callable[[Graph, Node], int]
Extras = Callable[[int, Node, int], Sequence[Buffer]]  # of (step, node, bytes of scratch)
SLACK = 20  # a layer takes this part of the arena more before it takes more calls
WORTH = 16  # of the arena is what bands must save at least


def options(graph: Graph, scratch_bytes: ScratchBytes | None) -> dict[str, list[Way]]:
    """The ways of each node; with `scratch_bytes` there is one."""
    if scratch_bytes is None:
        return {node.name: list(ways(graph, node)) for node in graph.nodes}
    return {node.name: [Way(0, 1, scratch_bytes(graph, node))] for node in graph.nodes}


@dataclass(frozen=True)
class Needs:
    """A graph's tensors by the buffer that each is in, those that do not begin with it by where
    they do, and what its nodes need beside them."""

    graph: Graph
    roots: Mapping[str, str]
    offsets: Mapping[str, int]
    tensors: Sequence[Buffer]
    extras: Extras

    def buffers(self, chosen: Mapping[str, Way]) -> list[Buffer]:
        """All of them, each node run in the chosen way."""
        steps = enumerate(self.graph.nodes)
        more = (self.extras(step, node, chosen[node.name].scratch) for step, node in steps)
        return [*self.tensors, *(buffer for each in more for buffer in each)]

    def overlaps(self, chosen: Mapping[str, Way]) -> tuple[Overlap, ...]:
        steps = enumerate(self.graph.nodes)
        return tuple(o for step, node in steps for o in self._of(step, node, chosen[node.name]))

    def _of(self, step: int, node: Node, way: Way) -> Iterator[Overlap]:
        """The node's output with each input that nothing reads behind it."""
        use = {b.name: b for b in self.tensors}
        written = self.roots[node.outputs[0]]
        if written not in use or use[written].first != step or node.outputs[0] in self.offsets:
            return
        whole = [name for name in node.inputs if name not in self.offsets]
        for root in dict.fromkeys(self.roots[name] for name in whole):
            numbers = {i for i, name in enumerate(node.inputs) if self.roots[name] == root}
            at_once = not numbers.isdisjoint(way.at_once)
            if root in use and use[root].last == step and (at_once or way.rows):
                yield Overlap(root, written, way.up, way.down, at_once)

    def _bytes(self, step: int, node: Node, way: Way) -> int:
        """In use while the node runs so."""
        given = [*self.tensors, *self.extras(step, node, way.scratch)]
        return in_use(given, tuple(self._of(step, node, way)), step)

    def choices(self, found: Mapping[str, Sequence[Way]]) -> Iterator[dict[str, Way]]:
        """A way for each node: all in one call; then in bands, if the fullest step needs it."""
        yield {name: each[0] for name, each in found.items()}
        steps = list(enumerate(self.graph.nodes))
        needed = {
            node.name: [self._bytes(step, node, way) for way in found[node.name]]
            for step, node in steps
        }
        most = max((each[0] for each in needed.values()), default=0)
        least = max((min(each) for each in needed.values()), default=0)
        if WORTH * (most - least) < most:
            return
        room = least + least // SLACK
        yield {
            name: next(w for w, n in zip(found[name], each, strict=True) if n <= room)
            for name, each in needed.items()
        }
