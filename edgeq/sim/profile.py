"""Cycles by function and by timing class, summed from what the clock counted."""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from edgeq.sim.edges import Edge, Node, length


@dataclass(frozen=True)
class Profile:
    """Cycles by function and by class (either sums to `cycles`, rounded down); counts by class.

    Beside the classes of the rules: "imiss" and "dmiss" (flash-cache misses), "exc" and "exret"
    (exception entries and returns), "sleep" (waits for an interrupt).
    """

    cycles: int
    instructions: int
    functions: dict[str, float]
    classes: dict[str, int]
    class_cycles: dict[str, float]


@dataclass
class Tally:
    """Half cycles by place (a block's address, or what else took time) and by class; counts."""

    places: Counter[int | str] = field(default_factory=Counter)
    halves: Counter[str] = field(default_factory=Counter)
    counts: Counter[str] = field(default_factory=Counter)

    def add(self, place: int | str, name: str, half: int, count: int) -> None:
        """`count` times of class `name` took `half` in all at `place`."""
        self.places[place] += half
        self.halves[name] += half
        self.counts[name] += count

    def add_edges(self, edges: Iterable[Edge], table: dict[str, int]) -> None:
        """All that the edges counted."""
        for edge in edges:
            if edge.misses and edge.count and edge.node.block is not None:
                stall, misses = edge.stall * edge.count, edge.misses * edge.count
                self.add(edge.node.block.start, "imiss", stall, misses)
            if edge.source is None or not edge.count:
                continue
            self.places[edge.source.start] += (edge.half - edge.stall) * edge.count
            for name, times in Counter(name for part in edge.classes for name in part).items():
                self.counts[name] += times * edge.count
                self.halves[name] += times * edge.count * table[name]

    def add_misses(self, nodes: Iterable[Node]) -> None:
        """The misses of loads that the blocks counted."""
        for node in nodes:
            if node.block is not None:
                for (name, stall), count in node.misses.items():
                    self.add(node.block.start, name, stall * count, count)

    def plus(self, other: "Tally") -> "Tally":
        """Both together."""
        both = Tally()
        for part in (self, other):  # not Counter's +, which drops what is not positive
            both.places.update(part.places)
            both.halves.update(part.halves)
            both.counts.update(part.counts)
        return both

    def profile(self, function_at: Callable[[int], str]) -> Profile:
        """Summed by function; what is no block keeps its description."""
        functions: Counter[str] = Counter()
        for place, half in self.places.items():
            functions[place if isinstance(place, str) else function_at(place)] += half
        return Profile(
            cycles=sum(functions.values()) >> 1,
            instructions=self.counts["n"],
            functions={name: half / 2 for name, half in functions.most_common()},
            classes=dict(sorted(self.counts.items())),
            class_cycles={name: half / 2 for name, half in self.halves.most_common() if half},
        )


def instructions_of(edges: Iterable[Edge]) -> int:
    """Instructions executed along the edges."""
    return sum(edge.count * length(edge.source) for edge in edges)
