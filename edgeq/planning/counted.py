"""What a lowered model costs on a board, layer by layer, counted on its virtual twin."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

from edgeq.board import Board
from edgeq.compiled import Compiled, compile_graph
from edgeq.errors import MemoryBudget
from edgeq.estimating.routes import RoutedModel, counted
from edgeq.files import scratch_folder
from edgeq.ir import Graph
from edgeq.kernels import kernel_named
from edgeq.ops.op import Array
from edgeq.staging import stage_weights
from edgeq.toolchain import OPTIMIZE, Compiler, build, with_board

DIGEST = "0" * 64
ROOM_BYTES = 16 << 20  # of flash and RAM where what is counted is larger than the board's
_CODE = ("STT_FUNC", "STT_OBJECT")


@dataclass(frozen=True)
class CountedLayer:
    """A layer: `step_bytes` of the arena are in use while it runs, its scratch among them."""

    name: str
    op: str
    kernel: str
    cycles: float
    weight_bytes: int
    step_bytes: int
    code: frozenset[str]  # files of its kernel


@dataclass(frozen=True)
class Counted:
    """A whole firmware. `code_bytes`: what each kernel's file has of it."""

    layers: tuple[CountedLayer, ...]
    cycles: float
    flash_bytes: int
    ram_bytes: int
    arena_bytes: int
    code_bytes: Mapping[str, int]
    compiler: str


def count(graph: Graph, row: Array, board: Board, compiler: Compiler) -> Counted:
    """Builds the graph as an export does and runs one row (1, *shape) of codes.

    Raises MemoryBudget where the board has no room, Toolchain when the compiler fails.
    """
    compiled = compile_graph(stage_weights(graph, board), "plan", DIGEST)
    with scratch_folder() as scratch:
        project = with_board(compiled.project, board)
        built = build(project, board, compiler, scratch, OPTIMIZE)
        subject = RoutedModel(graph, compiled.layers, row, row.reshape(len(row), -1)[:, :0])
        (route,) = counted(subject, board, built.elf, 1)
        return Counted(
            _layers(compiled, route.layers),
            route.cycles,
            built.flash_bytes,
            built.ram_bytes,
            compiled.plan.arena_bytes,
            _code_bytes(built.elf),
            built.compiler,
        )


def count_or_roomy(graph: Graph, row: Array, board: Board, compiler: Compiler) -> Counted:
    """`count`, on a board like it with room where the board itself has none."""
    try:
        return count(graph, row, board, compiler)
    except MemoryBudget:
        return count(graph, row, with_room(board), compiler)


def with_room(board: Board) -> Board:
    """The board with flash and RAM for any width: what does not fit must be counted, too.

    Its caches, wait states and clock are the board's own; what a plan takes is built for the board
    itself.
    """
    flash, ram = (
        region.model_copy(update={"bytes": max(region.bytes, ROOM_BYTES)})
        for region in (board.flash, board.ram)
    )
    return board.model_copy(update={"flash": flash, "ram": ram})


def _layers(compiled: Compiled, cycles: tuple[float, ...]) -> tuple[CountedLayer, ...]:
    used = _step_bytes(compiled)
    return tuple(
        CountedLayer(
            info.name,
            info.op,
            info.kernel,
            taken,
            info.weight_bytes,
            used.get(info.name, 0),
            frozenset(kernel_named(info.kernel).sources) if info.kernel else frozenset(),
        )
        for info, taken in zip(compiled.layers, cycles, strict=True)
    )


def _step_bytes(compiled: Compiled) -> dict[str, int]:
    """Bytes of the arena in use at each node's step."""
    plan = compiled.plan
    nodes = enumerate(compiled.graph.nodes)
    return {node.name: plan.bytes_at(step) for step, node in nodes}


def _code_bytes(elf: Path) -> dict[str, int]:
    """Functions and tables of each kernel's file: local symbols stand behind their file's, a
    kernel's own function begins with its file's name.
    """
    with elf.open("rb") as file:
        table = ELFFile(file).get_section_by_name(".symtab")
        assert isinstance(table, SymbolTableSection)  # nothing is stripped
        found: dict[str, int] = {}
        behind = ""
        for symbol in table.iter_symbols():
            kind, local = symbol.entry.st_info.type, symbol.entry.st_info.bind == "STB_LOCAL"
            if kind == "STT_FILE":
                behind = symbol.name
            elif kind in _CODE and symbol.entry.st_size:
                name = behind if local else f"{_unversioned(symbol.name)}.c"
                found[name] = found.get(name, 0) + int(symbol.entry.st_size)
    return found


def _unversioned(name: str) -> str:
    """A kernel's function carries its version behind its name."""
    head, _, tail = name.rpartition("_")
    return head if len(tail) == 8 and all(c in "0123456789abcdef" for c in tail) else name
