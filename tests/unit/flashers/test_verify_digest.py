"""The digest a board reports, over a real port: right, another's, none, and one that comes late."""

import os
import pty
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from edgeq import errors
from edgeq.flashers import verify as module
from edgeq.flashers.verify import verify, verify_or_stop


class Board:
    """Stands for Link.open: the first `silent` times nothing answers."""

    def __init__(self, digest: str, silent: int = 0) -> None:
        self.digest, self.silent, self.asked = digest, silent, list[tuple[str, int]]()

    def open(self, port: str, baud: int, **_: float) -> Any:
        self.asked.append((port, baud))
        if len(self.asked) <= self.silent:
            raise errors.Link(f"port {port} does not exist")
        return self

    def __enter__(self) -> Any:
        return SimpleNamespace(info=lambda: SimpleNamespace(firmware_digest=self.digest))

    def __exit__(self, *_: object) -> None:
        pass


def answering(monkeypatch: pytest.MonkeyPatch, board: Board) -> Board:
    monkeypatch.setattr(module, "BoardLink", board)
    return board


def test_the_digest_that_was_written_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    board = answering(monkeypatch, Board("ab" * 32, silent=3))
    verify("/dev/ttyACM0", "ab" * 32, baud=9600)
    assert board.asked == [("/dev/ttyACM0", 9600)] * 4, "a port that is not back yet is tried again"


def test_another_firmware_is_a_mismatch(monkeypatch: pytest.MonkeyPatch) -> None:
    answering(monkeypatch, Board("cd" * 32))
    with pytest.raises(errors.Mismatch, match="runs firmware cdcdcdcdcdcdcdcd, written was abab"):
        verify("/dev/ttyACM0", "ab" * 32)


def test_a_port_that_never_comes_is_a_link_error() -> None:
    with pytest.raises(errors.Link, match=r"written, but not verified: port /dev/nowhere.*--no-v"):
        verify("/dev/nowhere", "ab" * 32, deadline_s=0.3)


def test_a_board_that_stays_silent_is_a_link_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_ASK_S", 0.3)
    master, slave = pty.openpty()
    try:
        with pytest.raises(errors.Link, match="written, but not verified"):
            verify(os.ttyname(slave), "ab" * 32, deadline_s=0.5)
    finally:
        os.close(master)
        os.close(slave)


def test_an_emulated_board_that_does_not_pass_is_stopped(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    answering(monkeypatch, Board("cd" * 32))
    stopped: list[str] = []
    monkeypatch.setattr(module, "stop", stopped.append)
    with pytest.raises(errors.Mismatch):
        verify_or_stop("/dev/pts/9", "ab" * 32, 115200, pid=None)
    assert stopped == [], "a real board is left alone"
    with pytest.raises(errors.Mismatch):
        verify_or_stop("/dev/pts/9", "ab" * 32, 115200, pid=4711)
    assert stopped == ["4711"]
