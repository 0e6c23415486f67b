"""Builds a firmware of one layer for each kernel and shape, runs it, counts and compares."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from edgeq.bench.answers import answers
from edgeq.bench.cases import KernelRun, cases_named, runs
from edgeq.board import Board, load_board
from edgeq.compiled import Compiled, compile_graph
from edgeq.emit.firmware_layers import snake_case
from edgeq.errors import BadInput
from edgeq.files import scratch_folder
from edgeq.kernels import kernel_named
from edgeq.memory import kernel_scratch
from edgeq.reference import run as reference
from edgeq.toolchain import Firmware, build, find_compiler, with_board
from edgeq.toolchain.image import measure

DIGEST = "0" * 64
DISCARDED = (".ARM.exidx", ".ARM.extab")  # clang writes them whatever the flags
Watch = Callable[[int, int, str], None]


def bench_kernels(
    board_name: str = "virtual_m4",
    kernel: str | None = None,
    compiler: str = "auto",
    *,
    shape: str | None = None,
    optimize: str = "-O2",
    watch: Watch | None = None,
) -> dict[str, Any]:
    """Cycles, bytes and mismatches of every kernel on every case: the JSON of `edgeq bench`.

    `watch` hears of runs done, runs in all and the next one's name. Raises BadInput for a board,
    shape or kernel that does not exist there, or a board without a modelled clock; Toolchain
    without a compiler.
    """
    board, found = load_board(board_name), find_compiler(compiler)
    _check_board(board)
    todo = list(runs(board.features, kernel, cases_named(shape)))
    if not todo:
        there = dict.fromkeys(one.kernel for one in runs(board.features, None, cases_named(shape)))
        raise BadInput(
            f"no kernel {kernel} for {shape or 'any shape here'} on {board.name}; there are "
            f"{', '.join(there)}"
        )
    results: list[dict[str, Any]] = []
    flags: tuple[str, ...] = ()
    for i, one in enumerate(todo):
        if watch:
            watch(i, len(todo), f"{one.kernel} {one.case.shape}")
        with scratch_folder() as folder:
            compiled = compile_graph(one.graph, "bench", DIGEST, in_one_call=True)
            project = with_board(compiled.project, board)
            built = build(project, board, found, folder, optimize)
            flags = built.flags
            results.append(_entry(one, compiled, board, built, folder))
    if watch:
        watch(len(todo), len(todo), "")
    return {
        "board": board.name,
        "source": "modelled",
        "compiler": found.label,
        "flags": list(flags),
        "kernels": results,
    }


def _check_board(board: Board) -> None:
    if board.probe.flashers != ("virtual",):
        raise BadInput(
            f"kernels are counted on the virtual boards, whose clock is modelled; {board.name} is "
            "none. On a real board, profile a model: its report has the cycles of each layer"
        )


def _entry(
    one: KernelRun, compiled: Compiled, board: Board, built: Firmware, folder: Path
) -> dict[str, Any]:
    (layer,) = compiled.layers
    said = answers(board, built.elf, one.rows, one.graph.tensors["y"].size, 1)
    cycles = said.cycles[:, 0].tolist()
    wanted = reference(one.graph, one.rows).output.reshape(len(one.rows), -1)
    kernel, node = kernel_named(one.kernel), one.graph.nodes[0]
    sizes = {c.role: c.bytes for c in compiled.packed.constants}
    objects = folder / "objects"
    sources = [name.removesuffix(".c") for name in kernel.sources]
    return {
        "op": snake_case(one.case.op),
        "kernel": one.kernel,
        "weight": one.weight,
        "isa": kernel.isa or "c",
        "shape": one.case.shape,
        "cycles": max(cycles),
        "cycles_spread": max(cycles) - min(cycles),
        "cycles_per_mac": round(max(cycles) / layer.macs, 4),
        "macs": layer.macs,
        "code_bytes": sum(_code_bytes(objects / f"kernels__{s}.o") for s in sources),
        "weight_bytes": sizes["weight"],
        "scratch_bytes": kernel_scratch(one.graph, node),
        "mismatches": int((said.outputs != wanted).sum()),
    }


def _code_bytes(object_file: Path) -> int:
    """Bytes of code and constants, without the unwinding tables that the linker script drops."""
    sizes = measure(object_file)
    dropped = (n for name, n in sizes.sections.items() if name.startswith(DISCARDED))
    return sizes.flash_bytes - sum(dropped)
