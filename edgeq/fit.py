"""Whether a model can fit a board at all: told before anything is compiled, with the numbers."""

from edgeq.board import Board
from edgeq.compiled import Compiled
from edgeq.emit.firmware import LayerInfo
from edgeq.errors import MemoryBudget

LARGEST = 5


def check_fit(board: Board, compiled: Compiled) -> None:
    """MemoryBudget when weights alone exceed flash, or arena and stack exceed RAM.

    A lower bound: code and the protocol's buffers come on top, and the linker counts those.
    """
    layers, packed, plan = compiled.layers, compiled.packed, compiled.plan
    over = []
    if packed.total_bytes > board.flash.bytes:
        parts = [(_name(i), i.weight_bytes) for i in layers]
        over.append(_line("flash", board.flash.bytes, "weights", packed.total_bytes, parts))
    ram = plan.arena_bytes + board.port.stack_bytes
    if ram > board.ram.bytes:
        parts = [("arena", plan.arena_bytes), ("stack", board.port.stack_bytes)]
        over.append(_line("ram", board.ram.bytes, "arena and stack", ram, parts))
    if over:
        raise MemoryBudget(
            f"the model does not fit {board.name}: {'; '.join(over)}; "
            "use narrower weights, fewer experts, a shared trunk or a larger board"
        )


def _name(layer: LayerInfo) -> str:
    return layer.name if layer.expert is None else f"{layer.expert}/{layer.name}"


def _line(region: str, has: int, what: str, needs: int, parts: list[tuple[str, int]]) -> str:
    largest = sorted(parts, key=lambda part: -part[1])[:LARGEST]
    named = ", ".join(f"{name} ({size:,} B)" for name, size in largest)
    return (
        f"{region} has {has:,} B, {what} need {needs:,} B ({needs - has:,} B too many); "
        f"largest: {named}"
    )
