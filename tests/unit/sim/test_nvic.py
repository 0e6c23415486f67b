"""The NVIC by itself: what is enabled, pended and asked for again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeq.sim.nvic import ACTIVE, DISABLE, ENABLE, FIRST, PEND, PRIORITY, UNPEND, Nvic


class Core:
    def __init__(self, *lines: int) -> None:
        self.pending: set[int] = set()
        self.active: list[int] = []
        self.nvic = Nvic(self.pending, self.active, {})
        for line in lines:
            self.nvic.add(line)

    def enter(self, number: int) -> None:
        self.pending.discard(number)
        self.nvic.taken(number)
        self.active.append(number)

    def leave(self) -> None:
        self.nvic.left(self.active.pop())


def test_a_request_waits_until_its_line_is_enabled():
    core = Core(37)
    core.nvic.drive(37, True)
    assert (core.pending, core.nvic.read(PEND + 4)) == (set(), 1 << 5)
    assert core.nvic.write(ENABLE + 4, 1 << 5) == ""
    assert core.pending == {37 + FIRST}
    assert core.nvic.write(DISABLE + 4, 1 << 5) == ""
    assert core.pending == set()


def test_a_line_that_stays_high_asks_again_and_one_that_fell_does_not():
    core = Core(3)
    core.nvic.write(ENABLE, 1 << 3)
    core.nvic.drive(3, True)
    core.enter(3 + FIRST)
    assert core.nvic.read(ACTIVE) == 1 << 3
    core.nvic.drive(3, True)
    assert core.pending == set(), "no second time while it runs"
    core.leave()
    assert core.pending == {3 + FIRST}
    core.enter(3 + FIRST)
    core.nvic.drive(3, False)
    core.leave()
    assert core.pending == set()


def test_software_pends_and_unpends():
    core = Core(1)
    for register, pending in ((ENABLE, set()), (PEND, {1 + FIRST}), (UNPEND, set())):
        assert core.nvic.write(register, 2) == ""
        assert core.pending == pending


@pytest.mark.parametrize(("register", "what"), [(ENABLE, "enables"), (PEND, "pends")])
def test_a_line_without_a_model_is_refused(register, what):
    core = Core(1)
    assert f"it {what} a device's interrupt in the NVIC (2)" in core.nvic.write(register, 4)
    assert core.pending == set()
    assert core.nvic.write(DISABLE, 4) == "", "disabling what is off is harmless"


@given(st.dictionaries(st.integers(0, 239), st.integers(1, 255), max_size=8))
def test_priorities_read_as_they_were_written(priorities):
    core = Core()
    words: dict[int, int] = {}
    for line, level in priorities.items():
        words[line // 4] = words.get(line // 4, 0) | level << 8 * (line % 4)
    for index, word in words.items():
        core.nvic.write(PRIORITY + 4 * index, word)
    for index, word in words.items():
        assert core.nvic.read(PRIORITY + 4 * index) == word
