"""What a modelled count rests on: the same words in an estimate and in a profile's notes."""

import pytest

from edgeq.board import Board, all_boards
from edgeq.reporting.clock_model import clock_model, clock_words
from edgeq.sim.cores import CORES

BOARDS = [board for board in all_boards() if board.core in CORES]  # the others count instructions


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.name)
def test_wait_states_have_a_cost_or_are_said_to_be_left_out(board: Board) -> None:
    words, cache = clock_words(clock_model(board)), board.flash.cache
    assert f"first_load_extra {board.first_load_extra}" in words
    assert f"flash_wait_states {board.flash.wait_states}" in words
    if not board.flash.wait_states:
        assert "cache" not in words
    elif cache is not None:
        assert f"cache_miss_cycles {cache.miss_cycles}" in words
    assert ("not modelled" in words) == bool(board.flash.wait_states and cache is None)


def test_a_board_without_a_cache_in_front_of_its_flash_says_so() -> None:
    board = next(b for b in all_boards() if b.flash.wait_states and b.flash.cache is not None)
    bare = board.model_copy(update={"flash": board.flash.model_copy(update={"cache": None})})
    states = board.flash.wait_states
    assert f"flash_wait_states {states} whose cost is not modelled" in clock_words(
        clock_model(bare)
    )
