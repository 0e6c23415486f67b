"""The loop in which a kernel spends most of its cycles, read from the firmware that ran."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgeq.constant_time import CallGraph
from edgeq.constant_time.call_graph import Function, branch_target

MOSTLY = 0.8  # of a loop: what its repeated part covers at least


@dataclass(frozen=True)
class HotLoop:
    """`bytes` of code from its first instruction to its branch back; `repeats` of one body in it;
    `cycles` spent there.
    """

    bytes: int
    repeats: int
    cycles: float


def hot_loop(elf: Path, root: str, by_block: Mapping[int, float]) -> HotLoop | None:
    """Of the innermost loops that `root` reaches the one that took most; None without a loop.

    by_block: cycles by the address of a block.
    """
    found = [x for f in CallGraph(elf).reachable(root) for x in _innermost(f, by_block)]
    return max(found, key=lambda loop: loop.cycles, default=None)


def _innermost(function: Function, by_block: Mapping[int, float]) -> Iterator[HotLoop]:
    ranges = [
        (target, one.address + one.size)
        for one in function.instructions
        if (target := branch_target(one)) is not None
        and function.instructions[0].address <= target <= one.address
    ]
    for begin, end in ranges:
        if any(begin <= b and e <= end and (b, e) != (begin, end) for b, e in ranges):
            continue
        names = [i.mnemonic for i in function.instructions if begin <= i.address < end]
        spent = sum(cycles for at, cycles in by_block.items() if begin <= at < end)
        yield HotLoop(end - begin, repeats(names), spent)


def repeats(names: Sequence[str]) -> int:
    """How often the shortest beginning that makes up most of a loop follows on itself."""
    for length in range(2, len(names) // 2 + 1):
        times = 1
        while names[times * length : (times + 1) * length] == names[:length]:
            times += 1
        if times > 1 and times * length >= MOSTLY * len(names):
            return times
    return 1
