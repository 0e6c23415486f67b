"""Places in an arena: buffers with times of use, some of which may lie on one another.

A search of fixed length, the same on every run: orders of placement, each buffer at the lowest
offset that is free, until the arena is as small as the fullest step allows.
"""

import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum

ALIGNMENT_BYTES = 8  # router scratch holds int64 sums
TRIES = 120  # orders of placement; the first that reaches the bound ends the search


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


class Order(Enum):
    """In which order a node that writes over its input goes through its output."""

    AT_ONCE = "in one call, output on input"
    UP = "in bands, the first one first"
    DOWN = "in bands, the last one first"


@dataclass(frozen=True)
class Overlap:
    """`written` may lie on `read`, which is not read behind this node.

    up, down: where the node goes so, the least that `read` begins behind `written`, or `written`
    behind `read`; None: it cannot. at_once: both may begin at one place.
    """

    read: str
    written: str
    up: int | None = None
    down: int | None = None
    at_once: bool = False

    def order(self, read: int, written: int) -> Order | None:
        """For these offsets of buffers that overlap; None where the node cannot run so."""
        if self.at_once and read == written:
            return Order.AT_ONCE
        if self.up is not None and read - written >= self.up:
            return Order.UP
        if self.down is not None and written - read >= self.down:
            return Order.DOWN
        return None

    def least_bytes(self, read: int, written: int) -> int:
        """Of both together, from their own bytes."""
        found = [read + written]
        if self.at_once:
            found.append(max(read, written))
        if self.up is not None:
            found.append(max(written, read + max(0, aligned(self.up))))
        if self.down is not None:
            found.append(max(read, written + max(0, aligned(self.down))))
        return min(found)


Pairs = Mapping[frozenset[str], Overlap]


def aligned(count: int) -> int:
    """The next multiple of the alignment, of numbers below zero too."""
    return -(-count // ALIGNMENT_BYTES) * ALIGNMENT_BYTES


def end_of(buffers: Iterable[Buffer]) -> int:
    """Bytes of an arena that holds these."""
    return max((aligned(b.offset + b.bytes) for b in buffers), default=0)


def apart(a: Buffer, b: Buffer) -> bool:
    """True if no byte is in both."""
    return a.offset + a.bytes <= b.offset or b.offset + b.bytes <= a.offset


def lower_bound(buffers: Sequence[Buffer], overlaps: Sequence[Overlap] = ()) -> int:
    """The most bytes in use at one step: no placement can be smaller."""
    return max((in_use(buffers, overlaps, s) for s in {b.first for b in buffers}), default=0)


def in_use(buffers: Iterable[Buffer], overlaps: Iterable[Overlap], step: int) -> int:
    """Bytes of a step: what is written there may save those of one buffer that is read."""
    now = {b.name: b for b in buffers if b.first <= step <= b.last}
    size = {name: aligned(b.bytes) for name, b in now.items()}
    gains = [
        size[o.read] + size[o.written] - o.least_bytes(size[o.read], size[o.written])
        for o in overlaps
        if o.read in now and o.written in now and now[o.written].first == step
    ]
    return sum(size.values()) - max(gains, default=0)


def place(buffers: Iterable[Buffer], overlaps: Iterable[Overlap] = ()) -> tuple[Buffer, ...]:
    """Offsets of all that have none yet, in an arena as small as the search finds."""
    given, allowed = list(buffers), list(overlaps)
    pairs = {frozenset((o.read, o.written)): o for o in allowed}
    fixed = [b for b in given if b.offset >= 0]
    bound = max(lower_bound(given, allowed), end_of(fixed))
    best: list[Buffer] = []
    for order in _orders([b for b in given if b.offset < 0]):
        placed = list(fixed)
        for buffer in order:
            placed.append(_lowest(buffer, placed, pairs))
        if not best or end_of(placed) < end_of(best):
            best = placed
        if end_of(best) <= bound:
            break
    return tuple(sorted(best, key=lambda b: (b.first, b.offset, b.name)))


def _orders(buffers: Sequence[Buffer]) -> Iterator[list[Buffer]]:
    """The largest first, in the order of use, then the largest first with a few moved ahead."""
    largest = sorted(buffers, key=lambda b: (-b.bytes, b.first, b.name))
    yield largest
    yield sorted(buffers, key=lambda b: (b.first, -b.bytes, b.name))
    yield sorted(buffers, key=lambda b: (-b.last, -b.bytes, b.name))
    draw = random.Random(0)
    for _ in range(TRIES if len(largest) > 1 else 0):
        order = list(largest)
        for _ in range(draw.randint(1, 4)):
            order.insert(draw.randrange(len(order)), order.pop(draw.randrange(len(order))))
        yield order


def _lowest(buffer: Buffer, placed: Sequence[Buffer], pairs: Pairs) -> Buffer:
    """The buffer at the lowest offset where it disturbs none."""
    met = [(b, pairs.get(frozenset((b.name, buffer.name)))) for b in placed if b.meets(buffer)]
    offsets = {0}
    for other, overlap in met:
        offsets.add(aligned(other.offset + other.bytes))
        if overlap is not None:
            offsets.update(_beside(buffer, other, overlap))
    for offset in sorted(offsets):
        here = replace(buffer, offset=offset)
        if all(fits(here, other, overlap) for other, overlap in met):
            return here
    raise AssertionError("behind all others nothing is in the way")


def _beside(buffer: Buffer, other: Buffer, overlap: Overlap) -> Iterator[int]:
    """Offsets at which `buffer` lies on `other` as near as it may."""
    written = buffer.name == overlap.written
    for least, behind in ((overlap.up, not written), (overlap.down, written)):
        if least is None:
            continue
        offset = other.offset + (aligned(least) if behind else -aligned(least))
        if offset >= 0:
            yield offset
    if overlap.at_once:
        yield other.offset


def fits(a: Buffer, b: Buffer, overlap: Overlap | None) -> bool:
    """Whether both may be where they are, of two that are in use at some step together."""
    if apart(a, b):
        return True
    if overlap is None:
        return False
    at = {a.name: a.offset, b.name: b.offset}
    return overlap.order(at[overlap.read], at[overlap.written]) is not None
