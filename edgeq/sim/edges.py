"""Decoded blocks and the ways between them: what the clock walks along."""

from dataclasses import dataclass, field

from edgeq.sim.cores import price
from edgeq.sim.decode import Block
from edgeq.sim.flash_cache import CodeState, Touches

Classes = tuple[tuple[str, ...], ...]


@dataclass(slots=True, eq=False)
class Node:
    """A decoded block as the instruction cache stands behind it, and the edges that leave it.

    `touches`: what it uses of the cache that is simply run; `misses` there: how many by class and
    half cycles of stall.
    """

    block: Block | None
    state: CodeState | None = None
    touches: Touches | None = None
    misses: dict[tuple[str, int], int] = field(default_factory=dict)
    next: "dict[int, Edge]" = field(default_factory=dict)
    _before: list[int] = field(default_factory=list)

    def before(self, table: dict[str, int]) -> list[int]:
        """The half cycles before each instruction of the block."""
        if not self._before and self.block is not None:
            total = 0
            for one in self.block.instructions:
                self._before.append(total)
                total += price(one.classes, table)
        return self._before


@dataclass(slots=True, eq=False)
class Edge:
    """The way from `source` to `node`. `classes`: of each instruction of `source`, and the branch.

    `half` includes `stall`, the half cycles of the `misses` while `node` was fetched. The last
    three repeat what the clock's hot path needs of the two blocks.
    """

    half: int
    source: Block | None
    node: Node
    classes: Classes
    stall: int = 0
    misses: int = 0
    count: int = 0
    next: "dict[int, Edge]" = field(init=False)
    touches: Touches | None = field(init=False)
    lowers_stack: bool = field(init=False)

    def __post_init__(self) -> None:
        self.next, self.touches = self.node.next, self.node.touches
        self.lowers_stack = self.source is not None and self.source.lowers_stack


def length(block: Block | None) -> int:
    """Instructions of a block."""
    return 0 if block is None else len(block.instructions)


def classes_of_edge(block: Block | None, address: int, target: Block | None) -> Classes:
    """Classes of each instruction of `block` when it is left for `address`, and of the branch."""
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
