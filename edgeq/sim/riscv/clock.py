"""A clock that counts instructions: no rules of a RISC-V core with a source are known here."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from edgeq.sim.clock import NO_LIMIT
from edgeq.sim.decode import Access
from edgeq.sim.profile import Profile

RETURNS = (0x8082, 0x00008067)  # c.jr ra; jalr zero, 0(ra)


@dataclass(frozen=True)
class InstructionBlock:
    """A basic block: the address of each instruction, and how it leaves, as `Bus.site` asks."""

    start: int
    places: tuple[int, ...]
    taken: str


def decoded(code: bytes, start: int) -> InstructionBlock:
    """The block's instructions by their lengths: two bytes unless both low bits are set."""
    places, at, word = [], 0, 0
    while at < len(code):
        wide = code[at] & 3 == 3
        word = int.from_bytes(code[at : at + (4 if wide else 2)], "little")
        places.append(start + at)
        at += 4 if wide else 2
    return InstructionBlock(start, tuple(places), "t_bx" if word in RETURNS else "")


class InstructionClock:
    """Instructions since reset, in halves as the other clock has its cycles."""

    def __init__(self, read_code: Callable[[int, int], bytes]) -> None:
        self.table = {"n": 2}
        self.half = 0
        self.limit = NO_LIMIT
        self.on_limit: Callable[[], None] = lambda: None
        self.on_error: Callable[[BaseException], None] = lambda _error: None
        self._read_code = read_code
        self.forget()

    def forget(self) -> None:
        """Drop every decoded block and every count: the code has changed."""
        self._blocks: dict[int, InstructionBlock] = {}
        self._counts: Counter[int] = Counter()
        self.enter()

    def enter(self) -> None:
        """The next block follows no other."""
        self._ran: InstructionBlock | None = None

    def on_block(self, _engine: int, address: int, size: int) -> None:
        """The emulator is about to run a block: what ran before it is counted."""
        try:
            self._leave()
            if address not in self._blocks:
                self._blocks[address] = decoded(self._read_code(address, size), address)
            self._ran = self._blocks[address]
            if self.half > self.limit:
                self.on_limit()
        except BaseException as error:  # C would swallow it, Ctrl-C too
            self.on_error(error)

    def _leave(self) -> None:
        if self._ran is not None:
            self.half += 2 * len(self._ran.places)
            self._counts[self._ran.start] += 1

    def finish(self) -> None:
        """The guest has left its last block and stops."""
        self._leave()
        self.enter()

    @property
    def cycles(self) -> int:
        """Instructions at the start of the block that runs now."""
        return self.half >> 1

    @property
    def instructions(self) -> int:
        """The same."""
        return self.half >> 1

    @property
    def block(self) -> InstructionBlock | None:
        """The block that runs now."""
        return self._ran

    def cycles_at(self, matches: Callable[[Access], bool]) -> int:  # noqa: ARG002, one signature
        """Instructions at the start of the running block, whichever of its accesses asks: a
        difference of two readings at one place is exact.
        """
        return self.cycles

    def by_block(self) -> dict[int, float]:
        """Instructions by the address of the block that they stand in."""
        return {at: float(n * len(self._blocks[at].places)) for at, n in self._counts.items()}

    def profile(self, function_at: Callable[[int], str]) -> Profile:
        """Instructions by function, since the last forget."""
        functions: Counter[str] = Counter()
        for start, count in self._counts.items():
            functions[function_at(start)] += count * len(self._blocks[start].places)
        total = sum(functions.values())
        by_name = {name: float(n) for name, n in functions.most_common()}
        return Profile(total, total, by_name, {"n": total}, {"n": float(total)})
