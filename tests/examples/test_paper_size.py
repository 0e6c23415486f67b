"""examples/paper_size: the ratios of experts that the method promises, at the paper's size."""

from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from edgeq.board import load_board
from edgeq.reporting.markdown import END, START
from edgeq.toolchain import find_compiler
from tests.neighbours import script

FOLDER = Path(__file__).parents[2] / "examples" / "paper_size"


@pytest.fixture
def example() -> Iterator[ModuleType]:
    with script(FOLDER, "paper_size") as module:
        yield module


def test_the_readme_holds_the_table_of_the_script(example: ModuleType) -> None:
    held = (FOLDER / "README.md").read_text().partition(START)[2].partition(END)[0]
    for kind in example.KINDS:
        assert f"| {kind} |" in held
    assert "Modelled: virtual_m4" in held


def test_a_difference_from_the_reference_ends_it(
    example: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(example, "SIZES", (32, (16, 16), 4))
    graph, rows = example.lowered("ternary")
    board, compiler = load_board(example.BOARD), find_compiler("auto")
    cost, line = example.measure(graph, rows, board, compiler)
    assert cost.cycles > 0
    assert "no silicon" in line
    real = example.run

    def wrong(graph: object, rows: object) -> object:
        said = real(graph, rows)
        said.output[0, ..., 0] ^= 1
        return said

    monkeypatch.setattr(example, "run", wrong)
    with pytest.raises(SystemExit, match="differ from the reference"):
        example.measure(graph, rows, board, compiler)


@pytest.mark.full
def test_ternary_is_faster_and_four_bits_are_no_slower_than_eight(example: ModuleType) -> None:
    board, compiler = load_board(example.BOARD), find_compiler("auto")
    cycles = {}
    for kind in example.KINDS:
        graph, rows = example.lowered(kind)
        fast = example.select_kernels(graph, frozenset({"dsp"}))
        cycles[kind] = example.measure(fast, rows, board, compiler)[0].cycles
    assert cycles["int8"] >= 1.4 * cycles["ternary"]
    assert cycles["int4"] <= cycles["int8"]
