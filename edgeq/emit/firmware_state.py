"""What a model keeps from one inference to the next, in C."""

from dataclasses import dataclass

from edgeq.emit.arena_map import Place, state_map
from edgeq.ir import Graph
from edgeq.memory import MemoryPlan
from edgeq.reference import memories, reset_state


@dataclass(frozen=True)
class StateCode:
    """One node's memory: where it is, and the `count` codes that a reset puts there."""

    place: Place
    ctype: str
    count: int
    reset: int


def state_code(graph: Graph, plan: MemoryPlan, macro: str) -> tuple[StateCode, ...]:
    """Of every node with a memory, in their order; () without a state."""
    kinds, first = memories(graph), reset_state(graph)
    return tuple(
        StateCode(
            place,
            f"{kinds[place.buffer].dtype}_t",
            kinds[place.buffer].size,
            int(first[place.buffer].flat[0]),
        )
        for place in state_map(plan, macro)
    )
