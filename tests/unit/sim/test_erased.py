"""Erased flash reads as ones, is written by whoever loads it, and no two machines share a write."""

from edgeq.board import target_board
from edgeq.sim.any_machine import machine_of
from edgeq.sim.erased import CHUNK


def test_each_machine_has_its_own_flash_across_chunks() -> None:
    board = target_board("cortex-m4")
    one, other = machine_of(board), machine_of(board)
    edge = board.flash.origin + CHUNK
    one.write(edge - 2, b"abcd")
    assert one.read(edge - 4, 8) == b"\xff\xffabcd\xff\xff"
    assert other.read(edge - 4, 8) == b"\xff" * 8
    last = board.flash.origin + board.flash.bytes - 1
    assert machine_of(board).read(last, 1) == b"\xff"


def test_a_flash_that_is_no_multiple_of_a_chunk_ends_where_it_ends() -> None:
    board = target_board("nucleo_f411re")
    assert board.flash.bytes % CHUNK
    machine = machine_of(board)
    assert machine.read(board.flash.origin, board.flash.bytes) == b"\xff" * board.flash.bytes
