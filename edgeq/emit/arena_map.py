"""The arena by name: where each tensor and scratch of a model begins."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from edgeq.emit.firmware_layers import mixture_of
from edgeq.ir import Graph
from edgeq.ir.c_names import unique
from edgeq.memory import EXPERT_REGION, MemoryPlan
from edgeq.placement import Buffer

LONGEST = 48


@dataclass(frozen=True)
class Place:
    """One enumerator: a buffer of the main graph (owner "") or of an expert."""

    owner: str
    buffer: str
    symbol: str
    offset: int
    comment: str


def arena_map(graph: Graph, plan: MemoryPlan, macro: str) -> tuple[Place, ...]:
    """Every buffer of the plan with a C name of its own, offsets from the arena's start in bytes.

    `macro` begins the names.
    """
    taken: set[str] = set()
    return tuple(
        Place(owner, buffer.name, _symbol(macro, owner, buffer.name, taken), at, _comment(buffer))
        for owner, buffer, at in _buffers(graph, plan)
    )


def state_map(plan: MemoryPlan, macro: str) -> tuple[Place, ...]:
    """What each node keeps, with a C name and its offset from the state's start in bytes."""
    taken: set[str] = set()
    head = f"{macro}_STATE"
    return tuple(
        Place("", b.name, _symbol(head, "", b.name, taken), b.offset, _comment(b))
        for b in plan.state
    )


def _buffers(graph: Graph, plan: MemoryPlan) -> Iterator[tuple[str, Buffer, int]]:
    yield from (("", b, b.offset) for b in plan.buffers)
    node = mixture_of(graph)
    for expert, inner in zip(node.attrs.experts if node else (), plan.experts, strict=True):
        assert node is not None  # who has experts
        base = plan.buffer(node.name + EXPERT_REGION).offset
        yield from ((expert.name, b, base + b.offset) for b in inner.buffers)


def _comment(buffer: Buffer) -> str:
    return f"{buffer.bytes} bytes"


def _symbol(macro: str, owner: str, buffer: str, taken: set[str]) -> str:
    words = re.sub(r"[^A-Za-z0-9]+", "_", f"{owner}_{buffer}").strip("_").upper()
    return unique(f"{macro}_AT_{words[:LONGEST].rstrip('_')}", taken)
