"""The caches between a core and its slow flash: which lines are resident, what a miss costs.

Least recently used, exactly. Code runs in loops, and the state of an instruction cache after a loop
body is the same every time; so states are kept and a block's way from one state to the next is
worked out once. What a block loads as data differs each time, so the data cache is simply run.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from operator import itemgetter

NO_LINE = -1
Touch = tuple[int, str]
Lines = tuple[tuple[int, ...], ...]  # of each set the resident lines, the last used first


@dataclass(frozen=True)
class CacheGeometry:
    """Sizes in bytes, misses in core cycles. `ways` 0: fully associative.

    `sequential_miss_cycles` is what a miss on the line after the last one costs: less than
    `miss_cycles` where the flash interface prefetches. `unified`: data lives with instructions.
    `fetch_bytes`: without an instruction cache, what one fetch brings and is kept; 0: nothing is.
    """

    instruction_bytes: int
    data_bytes: int
    line_bytes: int
    miss_cycles: int
    sequential_miss_cycles: int
    ways: int = 0
    unified: bool = False
    fetch_bytes: int = 0

    @property
    def code_line_bytes(self) -> int:
        """What a fetch of code brings."""
        return self.fetch_bytes or self.line_bytes

    def new_cache(self, size: int) -> "LruCache":
        """A cold cache of `size` bytes with this line and associativity."""
        lines = size // self.line_bytes
        ways = min(self.ways or lines, lines)
        return LruCache(lines // ways if ways else 1, ways)


class LruCache:
    """Resident lines by number (address / line size). Without ways every access misses.

    `newest` is there for who cannot pay a call to find that a line was its set's last used one.
    """

    def __init__(self, sets: int, ways: int) -> None:
        self._sets: list[list[int]] = [[NO_LINE] for _ in range(sets)]
        self.newest = [NO_LINE] * sets
        self._ways = ways

    def touch(self, line: int) -> bool:
        """Use a line; True if it was resident. It is then the last used of its set."""
        number = line % len(self._sets)
        members = self._sets[number]
        hit = line in members
        if hit:
            members.remove(line)
        elif not self._ways:
            return False
        members.insert(0, line)
        self.newest[number] = line
        del members[self._ways :]
        return hit

    def empty(self) -> None:
        """Nothing is resident; `newest` stays the same list."""
        self.put(((NO_LINE,),) * len(self._sets))

    def lines(self) -> Lines:
        """What is resident."""
        return tuple(map(tuple, self._sets))

    def put(self, lines: Lines) -> None:
        """Make that resident."""
        self._sets = [list(members) for members in lines]
        self.newest[:] = [members[0] for members in lines]


@dataclass(frozen=True, slots=True)
class Touches:
    """The lines that a block uses of the cache that is simply run, each with the class of a miss.

    Nothing changes while each is its set's newest: `pick(cache.newest) == newest`, one comparison
    for all. Two lines of one set never pass it.
    """

    lines: tuple[Touch, ...]
    pick: Callable[[list[int]], object]
    newest: object

    @classmethod
    def of(cls, lines: tuple[Touch, ...], sets: int) -> "Touches | None":
        """None for no lines."""
        if not lines:
            return None
        numbers = [line for line, _ in lines]
        newest = tuple(numbers) if len(numbers) > 1 else numbers[0]  # as itemgetter gives them
        return cls(lines, itemgetter(*(line % sets for line in numbers)), newest)


@dataclass(slots=True, eq=False)
class CodeState:
    """The instruction cache at one point: what is resident, and the line fetched last."""

    lines: Lines
    last_line: int
    ways_out: "dict[tuple[int, int], Fetch]" = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Fetch:
    """What fetching a block did: stall in cycles, misses, and the state afterwards."""

    stall: int
    misses: int
    after: CodeState


class FlashModel:
    """The caches of one board. Addresses outside its flash pass them by."""

    def __init__(self, geometry: CacheGeometry, origin: int, size: int) -> None:
        self.geometry = geometry
        self._origin, self._end = origin, origin + size
        shared = geometry.instruction_bytes if geometry.unified else geometry.data_bytes
        self.data = geometry.new_cache(shared)
        self._scratch = geometry.new_cache(geometry.instruction_bytes)
        self._states: dict[tuple[Lines, int], CodeState] = {}
        self.cold = self._state(self._scratch.lines(), NO_LINE)

    def holds(self, address: int) -> bool:
        """True if `address` is in this flash."""
        return self._origin <= address < self._end

    def touches(self, start: int, end: int, literals: tuple[int, ...]) -> Touches | None:
        """What a block uses of the cache that is simply run: its constants, and with a unified
        cache its code."""
        code = self.code_lines(start, end) if self.geometry.unified else range(0)
        lines = (*((line, "imiss") for line in code),
                 *((line, "dmiss") for line in self.data_lines(literals)))  # fmt: skip
        return Touches.of(lines, len(self.data.newest))

    def code_lines(self, start: int, end: int) -> range:
        """The lines that hold the code from `start` to `end`; none outside flash."""
        size = self.geometry.code_line_bytes
        return range(start // size, (end - 1) // size + 1) if self.holds(start) else range(0)

    def data_lines(self, addresses: tuple[int, ...]) -> tuple[int, ...]:
        """The lines of the data at `addresses`, as far as it is in flash."""
        inside = (one // self.geometry.line_bytes for one in addresses if self.holds(one))
        return tuple(dict.fromkeys(inside))

    def fetch(self, state: CodeState, lines: range) -> Fetch:
        """The instruction cache fetches `lines` in order, from `state` on."""
        if not lines or self.geometry.unified:
            return Fetch(0, 0, state)
        key = (lines.start, lines.stop)
        if key not in state.ways_out:
            state.ways_out[key] = self._fetch(state, lines)
        return state.ways_out[key]

    def _fetch(self, state: CodeState, lines: range) -> Fetch:
        cache, before, stall, misses = self._scratch, state.last_line, 0, 0
        cache.put(state.lines)
        kept = bool(self.geometry.fetch_bytes)
        for line in lines:
            if not cache.touch(line) and not (kept and line == before):
                misses += 1
                stall += self.miss_cycles(line, before)
            before = line
        return Fetch(stall, misses, self._state(cache.lines(), before))

    def miss_cycles(self, line: int, before: int) -> int:
        """What a miss on `line` costs when `before` was fetched last."""
        geometry = self.geometry
        return geometry.sequential_miss_cycles if line == before + 1 else geometry.miss_cycles

    def _state(self, lines: Lines, last_line: int) -> CodeState:
        return self._states.setdefault((lines, last_line), CodeState(lines, last_line))
