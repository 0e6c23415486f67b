"""The modelled clock: prices each basic block once, adds it at every execution.

An edge is "block A was left for address X": its price is that of A's instructions plus, when X is
not where A ends, that of a taken branch. Edges are learnt at their first execution and counted, so
that cycles by function and by class come from the same numbers as the clock.
"""

from collections.abc import Callable

from edgeq.sim.cores import CoreModel, price
from edgeq.sim.decode import Access, Block, decode_block, disassembler
from edgeq.sim.edges import Edge, Node, classes_of_edge
from edgeq.sim.elf import Image
from edgeq.sim.flash_cache import NO_LINE, CodeState, FlashModel, Touches
from edgeq.sim.profile import Profile, Tally, instructions_of

NO_LIMIT = 1 << 80
MAX_NODES = 1 << 17  # with a flash model: blocks times states of the cache


class Clock:
    """Half cycles since reset. `read_code(address, size)` returns the guest's bytes.

    `on_new_block(block, loops)` is called when a block is met on a new way (`loops`: from itself),
    `on_limit` when `half` passes `limit`, `on_stack` after a block that lowered the stack pointer,
    `on_error` when the model itself fails. With a `flash` model the caches' stalls are added.
    """

    def __init__(
        self,
        core: CoreModel,
        first_load_extra: int,
        read_code: Callable[[int, int], bytes],
        flash: FlashModel | None = None,
    ) -> None:
        self.table = core.prices(first_load_extra)
        self._dual_issue = core.dual_issue
        self.half = 0
        self.limit = NO_LIMIT
        self.on_limit: Callable[[], None] = lambda: None
        self.on_new_block: Callable[[Block, bool], None] = lambda _block, _loops: None
        self.on_stack: Callable[[], None] = lambda: None
        self.on_error: Callable[[BaseException], None] = lambda _error: None
        self.flash = flash
        self._newest = [] if flash is None else flash.data.newest
        self._read_code = read_code
        self._engine = disassembler()
        self.forget()

    def forget(self) -> None:
        """Drop every decoded block and every count: the code has changed."""
        self._blocks: dict[int, Block] = {}
        self._nodes: dict[tuple[int, CodeState | None], Node] = {}
        self._edges: list[Edge] = []
        self._found: tuple[Edge | None, int, int] = (None, 0, 0)  # edge, its count, next index
        self._tally = Tally()  # all that the edges do not count
        self._state = None if self.flash is None else self.flash.cold
        self.enter()

    def enter(self) -> None:
        """The next block follows no other: reset, or a call from the host."""
        self._edge = Edge(0, None, Node(None, self._state), ())

    def use_flash(self, flash: FlashModel | None) -> None:
        """From the running instruction on the flash is this one, with its caches cold."""
        edge, here = self._edge, self._edge.node.block
        found = self._found[2] if self._found[:2] == (edge, edge.count) else 0
        self._tally = self._now()
        self._nodes, self._edges = {}, []
        self.flash = flash
        self._newest = [] if flash is None else flash.data.newest
        self._state = None if flash is None else flash.cold
        if flash is not None:
            flash.data.empty()
        self.enter()
        if here is not None:
            self._edge = Edge(0, None, self._node(here, self._state)[0], ())
            self._found = (self._edge, self._edge.count, found)

    def on_block(self, _engine: int, address: int, size: int) -> None:
        """The emulator is about to run a block. The hot path: a look-up and two additions."""
        try:
            edge = self._edge.next.get(address) or self._learn(address, size)
            self.half += edge.half
            edge.count += 1
            self._edge = edge
            if edge.lowers_stack:
                self.on_stack()
            if self.half > self.limit:
                self.on_limit()
            touches = edge.touches
            if touches is not None and touches.pick(self._newest) != touches.newest:
                self._use(touches)
        except BaseException as error:  # C would swallow it, Ctrl-C too
            self.on_error(error)

    def _use(self, touches: Touches) -> None:
        before = NO_LINE
        for line, name in touches.lines:
            self.use_line(line, name, before)
            before = line

    def use_line(self, line: int, name: str = "dmiss", before: int = NO_LINE) -> None:
        """The running block uses a line of flash behind `before`; a miss is of class `name`."""
        assert self.flash is not None
        if self.flash.data.touch(line):
            return
        stall = 2 * self.flash.miss_cycles(line, before)
        self.half += stall
        misses = self._edge.node.misses
        misses[name, stall] = misses.get((name, stall), 0) + 1

    def spend(self, half: int, what: str, name: str) -> None:
        """Time that no instruction takes: an exception's entry and return, sleep."""
        self.half += half
        self._tally.add(what, name, half, 1)

    def finish(self, address: int) -> None:
        """The guest has left its last block for `address` and stops there."""
        edge = self._edge.next.get(address) or self._learn(address, 0)
        self.half += edge.half
        edge.count += 1
        self._state = self._edge.node.state
        self.enter()

    def _learn(self, address: int, size: int) -> Edge:
        """Price leaving the running block for `address`, and decode the block there."""
        if len(self._nodes) >= MAX_NODES:
            self._fold()
        source, node, stall, misses = self._edge.node.block, Node(None), 0, 0
        if size:
            node, stall, misses = self._node(self._block(address, size), self._edge.node.state)
        classes = classes_of_edge(source, address, node.block)
        half = sum(price(part, self.table) for part in classes)
        edge = Edge(half + stall, source, node, classes, stall, misses)
        self._edge.next[address] = edge
        self._edges.append(edge)
        if node.block is not None:
            self.on_new_block(node.block, node.block is source)
        return edge

    def _block(self, address: int, size: int) -> Block:
        if address not in self._blocks:
            code = self._read_code(address, size)
            block = decode_block(self._engine, code, address, self._dual_issue)
            self._blocks[address] = block
        return self._blocks[address]

    def _node(self, block: Block, state: CodeState | None) -> tuple[Node, int, int]:
        """The block fetched from `state` on: its node, the half cycles of stall, the misses."""
        stall = misses = 0
        touches = None
        if self.flash is not None and state is not None:
            fetch = self.flash.fetch(state, self.flash.code_lines(block.start, block.end))
            stall, misses, state = 2 * fetch.stall, fetch.misses, fetch.after
            touches = self.flash.touches(block.start, block.end, block.literals)
        key = (block.start, state)
        if key not in self._nodes:
            self._nodes[key] = Node(block, state, touches)
        return self._nodes[key], stall, misses

    def _fold(self) -> None:
        """Keep the counts and forget the ways: code that never repeats would fill the memory."""
        self._tally = self._now()
        here = self._edge.node
        fresh = Node(here.block, here.state, here.touches)
        self._nodes, self._edges = {}, []
        if here.block is not None:
            self._nodes[here.block.start, here.state] = fresh
        self._edge = Edge(0, None, fresh, ())

    def _now(self) -> Tally:
        """All that was counted so far."""
        now = Tally().plus(self._tally)
        now.add_edges(self._edges, self.table)
        now.add_misses(self._nodes.values())
        return now

    def by_block(self) -> dict[int, float]:
        """Cycles by the address of the block that took them."""
        return {at: half / 2 for at, half in self._now().places.items() if isinstance(at, int)}

    @property
    def cycles(self) -> int:
        """Whole cycles at the start of the block that runs now."""
        return self.half >> 1

    @property
    def instructions(self) -> int:
        """Instructions executed in the blocks left so far."""
        return self._tally.counts["n"] + instructions_of(self._edges)

    @property
    def block(self) -> Block | None:
        """The block that runs now."""
        return self._edge.node.block

    def cycles_at(self, matches: Callable[[Access], bool]) -> int:
        """Whole cycles just before the load or store of the running block that `matches`.

        Unicorn does not tell the address of the accessing instruction, so the block's accesses are
        tried in order, after the one found last in this execution of the block.
        """
        edge = self._edge
        block = edge.node.block
        if block is None:
            return self.cycles
        first = self._found[2] if self._found[:2] == (edge, edge.count) else 0
        for index in range(first, len(block.instructions)):
            access = block.instructions[index].access
            if access is not None and matches(access):
                self._found = (edge, edge.count, index + 1)
                return (self.half + edge.node.before(self.table)[index]) >> 1
        return self.cycles

    def profile(self, image: Image) -> Profile:
        """Cycles by function of `image` and by timing class, since the last forget."""
        return self._now().profile(image.function_at)
