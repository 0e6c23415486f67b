"""The modelled clock: prices each basic block once, adds it at every execution.

An edge is "block A was left for address X": its price is that of A's instructions plus, when X is
not where A ends, that of a taken branch. Edges are learnt at their first execution and counted, so
that cycles by function and by class come from the same numbers as the clock.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from edgeq.sim.cores import CoreModel, price
from edgeq.sim.decode import Access, Block, decode_block, disassembler
from edgeq.sim.elf import Image

NO_LIMIT = 1 << 80
Classes = tuple[tuple[str, ...], ...]


@dataclass(slots=True, eq=False)
class _Edge:
    """`classes`: those of each instruction of `source`, and of the branch. `next`: by address."""

    half: int
    source: Block | None
    target: Block | None
    classes: Classes
    next: "dict[int, _Edge]"
    count: int = 0


@dataclass(frozen=True)
class Profile:
    """Cycles by function and executions by timing class; the functions sum to `cycles`."""

    cycles: int
    instructions: int
    functions: dict[str, float]
    classes: dict[str, int]


@dataclass(slots=True, eq=False)
class _Node:
    """A decoded block and the edges that leave it; the half cycles before each instruction."""

    block: Block | None
    next: dict[int, _Edge] = field(default_factory=dict)
    before: list[int] = field(default_factory=list)


class Clock:
    """Half cycles since reset. `read_code(address, size)` returns the guest's bytes.

    `on_new_block(block, loops)` is called when a block is met on a new way (`loops`: from itself),
    `on_limit` when `half` passes `limit`, `on_error` when the model itself fails.
    """

    def __init__(
        self, core: CoreModel, first_load_extra: int, read_code: Callable[[int, int], bytes]
    ) -> None:
        self.table = core.prices(first_load_extra)
        self._dual_issue = core.dual_issue
        self.half = 0
        self.limit = NO_LIMIT
        self.on_limit: Callable[[], None] = lambda: None
        self.on_new_block: Callable[[Block, bool], None] = lambda _block, _loops: None
        self.on_error: Callable[[BaseException], None] = lambda _error: None
        self._read_code = read_code
        self._engine = disassembler()
        self.forget()

    def forget(self) -> None:
        """Drop every decoded block and every count: the code has changed."""
        self._nodes: dict[int, _Node] = {}
        self._edges: list[_Edge] = []
        self._found = (-1, 0)  # `half` of a block's execution and the index after the last access
        self.enter()

    def enter(self) -> None:
        """The next block follows no other: reset, or a call from the host."""
        self._edge = _Edge(0, None, None, (), {})

    def on_block(self, _engine: int, address: int, size: int) -> None:
        """The emulator is about to run a block. The hot path: a look-up and two additions."""
        try:
            edge = self._edge.next.get(address) or self._learn(address, size)
            self.half += edge.half
            edge.count += 1
            self._edge = edge
            if self.half > self.limit:
                self.on_limit()
        except BaseException as error:  # C would swallow it, Ctrl-C too
            self.on_error(error)

    def finish(self, address: int) -> None:
        """The guest has left its last block for `address` and stops there."""
        edge = self._edge.next.get(address) or self._learn(address, 0)
        self.half += edge.half
        edge.count += 1
        self.enter()

    def _learn(self, address: int, size: int) -> _Edge:
        """Price leaving the running block for `address`, and decode the block there."""
        source = self._edge.target
        node = self._node(address, size)
        classes = _classes(source, address, node.block)
        half = sum(price(part, self.table) for part in classes)
        edge = _Edge(half, source, node.block, classes, node.next)
        self._edge.next[address] = edge
        self._edges.append(edge)
        if node.block is not None:
            self.on_new_block(node.block, node.block is source)
        return edge

    def _node(self, address: int, size: int) -> _Node:
        if address in self._nodes:
            return self._nodes[address]
        if not size:
            return _Node(None)
        code = self._read_code(address, size)
        block = decode_block(self._engine, code, address, self._dual_issue)
        self._nodes[address] = _Node(block)
        return self._nodes[address]

    @property
    def cycles(self) -> int:
        """Whole cycles at the start of the block that runs now."""
        return self.half >> 1

    @property
    def instructions(self) -> int:
        """Instructions executed in the blocks left so far."""
        return sum(edge.count * _length(edge.source) for edge in self._edges)

    @property
    def block(self) -> Block | None:
        """The block that runs now."""
        return self._edge.target

    def cycles_at(self, matches: Callable[[Access], bool]) -> int:
        """Whole cycles just before the load or store of the running block that `matches`.

        Unicorn does not tell the address of the accessing instruction, so the block's accesses are
        tried in order, after the one found last in this execution of the block.
        """
        block = self._edge.target
        if block is None:
            return self.cycles
        first = self._found[1] if self._found[0] == self.half else 0
        for index in range(first, len(block.instructions)):
            access = block.instructions[index].access
            if access is not None and matches(access):
                self._found = (self.half, index + 1)
                return (self.half + self._before(block)[index]) >> 1
        return self.cycles

    def _before(self, block: Block) -> list[int]:
        node = self._nodes[block.start]
        if not node.before:
            total = 0
            for one in block.instructions:
                node.before.append(total)
                total += price(one.classes, self.table)
        return node.before

    def profile(self, image: Image) -> Profile:
        """Cycles by function of `image` and executions by timing class, since the last forget."""
        functions: Counter[str] = Counter()
        classes: Counter[str] = Counter()
        for edge in self._edges:
            if edge.source is None or not edge.count:
                continue
            functions[image.function_at(edge.source.start)] += edge.half * edge.count
            for name, times in Counter(name for part in edge.classes for name in part).items():
                classes[name] += times * edge.count
        return Profile(
            cycles=sum(functions.values()) >> 1,
            instructions=self.instructions,
            functions={name: half / 2 for name, half in functions.most_common()},
            classes=dict(sorted(classes.items())),
        )


def _length(block: Block | None) -> int:
    return 0 if block is None else len(block.instructions)


def _classes(block: Block | None, address: int, target: Block | None) -> Classes:
    """Classes of each instruction of `block` when it is left for `address`."""
    if block is None:
        return ()
    parts = tuple(one.classes for one in block.instructions)
    if address == block.end and block.conditional:
        if block.taken in ("t_poppc", "t_ldrpc"):
            return (*parts[:-1], ("n",))  # its condition failed: no load happened
        return (*parts, ("nt_bc",)) if block.taken == "t_bc" else parts
    if not block.taken:
        return parts
    wide = address & 2 and target is not None and target.starts_wide
    return (*parts, (block.taken,), ("tin_wu",)) if wide else (*parts, (block.taken,))
