"""The modelled clock: prices each basic block once, adds it at every execution.

The block hook is the hot path, so it holds one dictionary look-up, two additions and a comparison.
An edge is "block A was left to address X": its price is that of A's instructions plus, when X is
not where A ends, that of a taken branch. Edges are learnt at their first execution and counted, so
that cycles by function and by class come from the same numbers as the clock.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from unicorn import Uc

from edgeq.sim import rules_cortex_m4 as rules
from edgeq.sim.decode import Access, Block, Instruction, decode_block, disassembler
from edgeq.sim.elf import Image

HALF, NEXT, COUNT, INSTRUCTIONS, CLASSES, BLOCK = range(6)
NO_LIMIT = 1 << 80


class _Edges(dict[int, list]):  # type: ignore[type-arg]
    """Where a block goes: address -> [half cycles, the next block's _Edges, count, ...]."""

    __slots__ = ("block", "clock")

    def __init__(self, clock: "Clock", block: Block | None) -> None:
        self.clock = clock
        self.block = block

    def __missing__(self, address: int) -> list:  # type: ignore[type-arg]
        return self.clock.learn(self, address)


@dataclass(frozen=True)
class Profile:
    """Cycles by function and executions by timing class; the functions sum to `cycles`."""

    cycles: int
    instructions: int
    functions: dict[str, float]
    classes: dict[str, int]


class Clock:
    """Half cycles since reset. `read_code(address, size)` returns the guest's bytes."""

    def __init__(
        self, first_load_extra: int, read_code: Callable[[int, int], bytes | bytearray]
    ) -> None:
        self.table = rules.prices(first_load_extra)
        self.half = 0
        self.limit = NO_LIMIT
        self.on_limit: Callable[[], None] = lambda: None
        self.on_new_block: Callable[[Block, bool], None] = lambda _block, _self_loop: None
        self._read_code = read_code
        self._engine = disassembler()
        self.forget()

    def forget(self) -> None:
        """Drop every decoded block: the code has changed."""
        self._sizes: dict[int, int] = {}
        self._nodes: dict[int, _Edges] = {}
        self._all_edges: list[list] = []  # type: ignore[type-arg]
        self._prefixes: dict[int, list[int]] = {}
        self._cursor = (-1, 0)
        self.enter()

    def enter(self) -> None:
        """The next block follows no other: reset, or a call from the host."""
        self.edges = _Edges(self, None)

    def on_block(self, _uc: Uc, address: int, size: int, _data: object) -> None:
        """UC_HOOK_BLOCK."""
        if address not in self._sizes:
            self._sizes[address] = size
        edge = self.edges[address]
        self.half += edge[HALF]
        edge[COUNT] += 1
        self.edges = edge[NEXT]
        if self.half > self.limit:
            self.on_limit()

    def learn(self, source: _Edges, address: int) -> list:  # type: ignore[type-arg]
        """Price leaving `source` for `address`, and decode the block there."""
        target = self._node(address)
        extra, count = self._leave(source.block, address, target.block)
        total = sum(rules.price(part, self.table) for part in extra)
        edge = [total, target, 0, count, tuple(extra), source.block]
        source[address] = edge
        self._all_edges.append(edge)
        if target.block is not None:
            self.on_new_block(target.block, target is source)
        return edge

    def _node(self, address: int) -> _Edges:
        if address not in self._nodes:
            size = self._sizes.get(address, 0)
            block = None
            if size:
                block = decode_block(self._engine, bytes(self._read_code(address, size)), address)
            self._nodes[address] = _Edges(self, block)
        return self._nodes[address]

    def _leave(
        self, block: Block | None, address: int, target: Block | None
    ) -> tuple[list[tuple[str, ...]], int]:
        """Classes of each instruction of `block` when it is left for `address`."""
        if block is None:
            return [], 0
        parts = [one.classes for one in block.instructions]
        if address == block.end and block.conditional:
            if block.taken in ("t_poppc", "t_ldrpc"):
                parts[-1] = ("n",)  # its condition failed: no load happened
            elif block.taken == "t_bc":
                parts.append(("nt_bc",))
        elif block.taken:
            parts.append((block.taken,))
            if address & 2 and target is not None and target.starts_wide:
                parts.append(("tin_wu",))
        return parts, len(block.instructions)

    def finish(self, address: int) -> None:
        """The guest has left its last block for `address` and stops there."""
        edge = self.edges[address]
        self.half += edge[HALF]
        edge[COUNT] += 1
        self.enter()

    @property
    def cycles(self) -> int:
        """Whole cycles at the start of the block that runs now."""
        return self.half >> 1

    @property
    def instructions(self) -> int:
        """Instructions executed in the blocks left so far."""
        return sum(edge[COUNT] * edge[INSTRUCTIONS] for edge in self._all_edges)

    @property
    def block(self) -> Block | None:
        """The block that runs now."""
        return self.edges.block

    def cycles_at(self, matches: Callable[[Access], bool]) -> int:
        """Whole cycles just before the load or store of the running block that `matches`.

        Unicorn does not tell the address of the accessing instruction, so the block's accesses are
        tried in order, after the one found last in this execution of the block.
        """
        block = self.edges.block
        if block is None:
            return self.cycles
        start = self._cursor[1] if self._cursor[0] == self.half else 0
        prefix = self._prefix(block)
        for index in range(start, len(block.instructions)):
            access = block.instructions[index].access
            if access is not None and matches(access):
                self._cursor = (self.half, index + 1)
                return (self.half + prefix[index]) >> 1
        return self.cycles

    def running(self, matches: Callable[[Access], bool]) -> Instruction | None:
        """The first instruction of the running block whose access `matches`."""
        for one in self.edges.block.instructions if self.edges.block else ():
            if one.access is not None and matches(one.access):
                return one
        return None

    def _prefix(self, block: Block) -> list[int]:
        if block.start not in self._prefixes:
            sums = [0]
            for one in block.instructions:
                sums.append(sums[-1] + rules.price(one.classes, self.table))
            self._prefixes[block.start] = sums
        return self._prefixes[block.start]

    def profile(self, image: Image) -> Profile:
        """Cycles by function of `image` and executions by timing class, since the last forget."""
        functions: Counter[str] = Counter()
        classes: Counter[str] = Counter()
        for half, _, count, _, parts, block in self._all_edges:
            if block is None or not count:
                continue
            functions[image.function_at(block.start)] += half * count
            for name, times in Counter(name for part in parts for name in part).items():
                classes[name] += times * count
        total = sum(functions.values())
        return Profile(
            cycles=total >> 1,
            instructions=self.instructions,
            functions={name: half / 2 for name, half in functions.most_common()},
            classes=dict(sorted(classes.items())),
        )
