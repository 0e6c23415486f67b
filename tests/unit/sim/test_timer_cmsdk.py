"""The 32-bit timer: counts down at the core clock, reloads at zero, refuses interrupts."""

from edgeq.sim.timer_cmsdk import CTRL, ENABLE, INTERRUPT_ENABLE, RELOAD, VALUE, CmsdkTimer


class Bench:
    """A timer whose time the test sets."""

    def __init__(self) -> None:
        self.cycles = 100
        self.refused: list[str] = []
        self.timer = CmsdkTimer(lambda _load, _offset: self.cycles, self.refused.append)

    def set(self, value: int, reload: int) -> None:
        for offset, word in ((RELOAD, reload), (VALUE, value), (CTRL, ENABLE)):
            self.timer.write(offset, word)

    def after(self, cycles: int) -> int:
        self.cycles += cycles
        return self.timer.read(VALUE)


def test_it_stands_still_until_enabled():
    bench = Bench()
    bench.timer.write(VALUE, 9)
    assert bench.after(50) == 9
    bench.timer.write(CTRL, ENABLE)
    assert bench.after(4) == 5


def test_it_counts_every_cycle_over_the_reload():
    bench = Bench()
    bench.set(3, 9)
    assert [bench.after(1) for _ in range(15)] == [2, 1, 0, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0, 9, 8]


def test_the_complement_of_a_full_timer_is_a_counter_of_32_bits():
    bench = Bench()
    bench.set(0xFFFFFFFF, 0xFFFFFFFF)
    assert ~bench.after(12345) & 0xFFFFFFFF == 12345
    assert ~bench.after((1 << 32) - 1) & 0xFFFFFFFF == 12344


def test_registers_read_back():
    bench = Bench()
    bench.set(3, 9)
    assert (bench.timer.read(CTRL), bench.timer.read(RELOAD), bench.timer.read(0x0C)) == (1, 9, 0)


def test_an_interrupt_is_refused():
    bench = Bench()
    bench.timer.write(CTRL, ENABLE | INTERRUPT_ENABLE)
    assert "poll" in bench.refused[0]
